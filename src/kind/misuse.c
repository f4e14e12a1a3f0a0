/* SPDX-License-Identifier: BSD-2-Clause */
#include "misuse.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>

#include "cancellation.h"
#include "debug_log.h"
#include "hardening.h"
#include "heap_report.h"
#include "last_error.h"
#include "memory_marks.h"
#include "ranked_lock.h"

static const char *const misuse_texts[MEMKIND_MISUSE_MAX_VALUE] = {
    [MEMKIND_MISUSE_DOUBLE_FREE] = "it is free already",
    [MEMKIND_MISUSE_NO_OBJECT] = "no object starts there",
    [MEMKIND_MISUSE_FOREIGN] = "it is no address of any kind",
    [MEMKIND_MISUSE_WRONG_KIND] = "it is an object of another kind",
    [MEMKIND_MISUSE_DEAD_KIND] = REASON_DEAD_KIND,
    [MEMKIND_MISUSE_SIGNAL] = "a signal handler has interrupted the library",
    [MEMKIND_MISUSE_OVERRUN] = "the bytes around it were written to",
    [MEMKIND_MISUSE_AFTER_FREE] = "it was written to after it was freed",
};

static const memkind_misuse misuse_of_heap_error[] = {
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

static struct ranked_lock recipient_lock = RANKED_LOCK_INITIALIZER(RANK_MISUSE);
static struct recipient recipient; /* guarded by recipient_lock */

/* What a handler does wrong is not reported to it. */
static __thread bool is_in_handler;

/* The thread has the lock for as long as it forks. */
static __thread bool holds_recipient_lock;

/* With signals blocked: a signal handler never waits for its own thread. */
static void take_recipient_lock(sigset_t *before)
{
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, before);
    ranked_lock_take_in_handler(&recipient_lock);
}

static void release_recipient_lock(const sigset_t *before)
{
    ranked_lock_release(&recipient_lock);
    pthread_sigmask(SIG_SETMASK, before, NULL);
}

void misuse_lock(void)
{
    sigset_t before;
    take_recipient_lock(&before);
    holds_recipient_lock = true;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void misuse_unlock(void)
{
    sigset_t all, before;
    assert(holds_recipient_lock);
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    holds_recipient_lock = false;
    release_recipient_lock(&before);
}

/* Sets the recipient, or only reads it (NULL). */
static struct recipient exchange_recipient(const struct recipient *next)
{
    sigset_t before;
    /* This is a signal handler that has interrupted fork(). */
    if (holds_recipient_lock && next == NULL)
        return recipient;
    take_recipient_lock(&before);
    struct recipient found = recipient;
    if (next != NULL)
        recipient = *next;
    release_recipient_lock(&before);
    return found;
}

void misuse_set_handler(memkind_misuse_handler *handler, void *arg)
{
    const struct recipient next = {handler, arg};
    (void)exchange_recipient(&next);
}

static bool is_wrong_address(memkind_misuse what)
{
    return what == MEMKIND_MISUSE_DOUBLE_FREE ||
           what == MEMKIND_MISUSE_NO_OBJECT || what == MEMKIND_MISUSE_FOREIGN;
}

void misuse_report(memkind_misuse what, memkind_t kind, const void *ptr)
{
    assert((int)what >= 0 && what < MEMKIND_MISUSE_MAX_VALUE);
    int saved_errno = errno;
    struct recipient to = {NULL, NULL};
    if (!is_in_handler)
        to = exchange_recipient(NULL);
    if (to.handler != NULL) {
        int cancellation = cancellation_disable();
        is_in_handler = true;
        to.handler(what, kind, ptr, to.arg);
        is_in_handler = false;
        cancellation_restore(cancellation);
    } else {
        debug_log("%p (kind %p): %s", ptr, (void *)kind, misuse_texts[what]);
        if (!is_in_handler && hardening_is_on() && is_wrong_address(what))
            memory_mark_wrong_free(ptr, what != MEMKIND_MISUSE_FOREIGN);
    }
    errno = saved_errno;
}

static void report_heap_error(enum heap_error error, void *owner,
                              const void *ptr)
{
    misuse_report(misuse_of_heap_error[error], owner, ptr);
}

void misuse_init(void)
{
    heap_report_init(report_heap_error);
}
