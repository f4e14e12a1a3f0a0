/* SPDX-License-Identifier: BSD-2-Clause */
#include "misuse.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>

#include "cancellation.h"
#include "debug_log.h"
#include "hardening.h"
#include "heap_report.h"
#include "memory_marks.h"

static const char *const texts[MEMKIND_MISUSE_MAX_VALUE] = {
    [MEMKIND_MISUSE_DOUBLE_FREE] = "it is free already",
    [MEMKIND_MISUSE_NO_OBJECT] = "no object starts there",
    [MEMKIND_MISUSE_FOREIGN] = "it is no address of any kind",
    [MEMKIND_MISUSE_WRONG_KIND] = "it is an object of another kind",
    [MEMKIND_MISUSE_DEAD_KIND] = "the kind is not there (any more)",
    [MEMKIND_MISUSE_SIGNAL] = "a signal handler has interrupted the library",
    [MEMKIND_MISUSE_OVERRUN] = "the bytes around it were written to",
    [MEMKIND_MISUSE_AFTER_FREE] = "it was written to after it was freed",
};

static const memkind_misuse of_heap_error[] = {
    [HEAP_NO_OBJECT] = MEMKIND_MISUSE_NO_OBJECT,
    [HEAP_DOUBLE_FREE] = MEMKIND_MISUSE_DOUBLE_FREE,
    [HEAP_REENTERED] = MEMKIND_MISUSE_SIGNAL,
    [HEAP_OVERRUN] = MEMKIND_MISUSE_OVERRUN,
    [HEAP_AFTER_FREE] = MEMKIND_MISUSE_AFTER_FREE,
};

struct recipient {
    memkind_misuse_handler *handler;
    void *arg;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct recipient recipient; /* guarded by the lock */

/* What a handler does wrong is not told to it again. */
static __thread bool is_telling;

/* The thread has the lock for as long as it forks. */
static __thread bool has_lock;

/* With signals blocked: a handler is never to wait for its own thread. */
static void take_lock(sigset_t *before)
{
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, before);
    pthread_mutex_lock(&lock);
}

static void leave_lock(const sigset_t *before)
{
    pthread_mutex_unlock(&lock);
    pthread_sigmask(SIG_SETMASK, before, NULL);
}

void misuse_lock(void)
{
    sigset_t before;
    take_lock(&before);
    has_lock = true;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void misuse_unlock(void)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    has_lock = false;
    leave_lock(&before);
}

/* Puts a recipient in place, or only reads which one there is. Signal handlers,
 * which might report something, are kept out meanwhile. */
static struct recipient exchange(const struct recipient *next)
{
    sigset_t before;
    /* We are a signal handler that has interrupted fork(). */
    if (has_lock && next == NULL)
        return recipient;
    take_lock(&before);
    struct recipient found = recipient;
    if (next != NULL)
        recipient = *next;
    leave_lock(&before);
    return found;
}

void misuse_set_handler(memkind_misuse_handler *handler, void *arg)
{
    const struct recipient next = {handler, arg};
    (void)exchange(&next);
}

static bool is_wrong_address(memkind_misuse what)
{
    return what == MEMKIND_MISUSE_DOUBLE_FREE ||
           what == MEMKIND_MISUSE_NO_OBJECT || what == MEMKIND_MISUSE_FOREIGN;
}

void misuse_report(memkind_misuse what, memkind_t kind, const void *ptr)
{
    int saved_errno = errno;
    struct recipient to = {NULL, NULL};
    if (!is_telling)
        to = exchange(NULL);
    if (to.handler != NULL) {
        int cancellation = cancellation_disable();
        is_telling = true;
        to.handler(what, kind, ptr, to.arg);
        is_telling = false;
        cancellation_restore(cancellation);
    } else {
        debug_log("%p (kind %p): %s", ptr, (void *)kind, texts[what]);
        if (!is_telling && hardening_is_on() && is_wrong_address(what))
            memory_mark_wrong_free(ptr, what != MEMKIND_MISUSE_FOREIGN);
    }
    errno = saved_errno;
}

static void report_of_heap(enum heap_error error, void *owner, const void *ptr)
{
    misuse_report(of_heap_error[error], owner, ptr);
}

__attribute__((constructor)) static void listen_to_heaps(void)
{
    heap_report_init(report_of_heap);
}
