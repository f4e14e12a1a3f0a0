/* SPDX-License-Identifier: BSD-2-Clause */
/* Which handlers are called when misuse is reported, and with what. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "debug_log.h"
#include "misuse.h"
#include "test_child.h"
#include "test_support.h"

#define UNTOUCHED 4711

static struct {
    int count;
    memkind_misuse what;
    memkind_t kind;
    const void *ptr;
    void *arg;
} told;

static int here, argument;

static void remember(memkind_misuse what, memkind_t kind, const void *ptr,
                     void *arg)
{
    told.count++;
    told.what = what;
    told.kind = kind;
    told.ptr = ptr;
    told.arg = arg;
    errno = EILSEQ;
}

static void begin(memkind_misuse_handler *handler)
{
    memset(&told, 0, sizeof told);
    misuse_set_handler(handler, &argument);
}

static void end(void)
{
    misuse_set_handler(NULL, NULL);
}

static void test_each_sort(void)
{
    begin(remember);
    for (int what = 0; what < MEMKIND_MISUSE_MAX_VALUE; what++) {
        errno = UNTOUCHED;
        misuse_report((memkind_misuse)what, MEMKIND_DEFAULT, &here);
        CHECK_EQ(errno, UNTOUCHED);
        CHECK_EQ(told.count, what + 1);
        CHECK_EQ((int)told.what, what);
        CHECK_EQ(told.kind, MEMKIND_DEFAULT);
        CHECK_EQ(told.ptr, &here);
        CHECK_EQ(told.arg, &argument);
    }
    end();
}

static void test_no_handler(void)
{
    begin(remember);
    misuse_set_handler(NULL, &argument);
    errno = UNTOUCHED;
    misuse_report(MEMKIND_MISUSE_FOREIGN, NULL, &here);
    CHECK_EQ(errno, UNTOUCHED);
    CHECK_EQ(told.count, 0);
}

static void report_again(memkind_misuse what, memkind_t kind, const void *ptr,
                         void *arg)
{
    remember(what, kind, ptr, arg);
    misuse_report(MEMKIND_MISUSE_WRONG_KIND, kind, arg);
}

/* What a handler does wrong is not reported to it. */
static void test_a_handler_that_does_wrong(void)
{
    begin(report_again);
    misuse_report(MEMKIND_MISUSE_FOREIGN, NULL, &here);
    CHECK_EQ(told.count, 1);
    CHECK_EQ(told.what, MEMKIND_MISUSE_FOREIGN);
    misuse_report(MEMKIND_MISUSE_FOREIGN, NULL, &here);
    CHECK_EQ(told.count, 2);
    end();
}

static void replace_itself(memkind_misuse what, memkind_t kind, const void *ptr,
                           void *arg)
{
    (void)what, (void)kind, (void)ptr, (void)arg;
    misuse_set_handler(remember, &here);
}

static void test_a_handler_that_sets_another(void)
{
    begin(replace_itself);
    misuse_report(MEMKIND_MISUSE_FOREIGN, NULL, &here);
    CHECK_EQ(told.count, 0);
    misuse_report(MEMKIND_MISUSE_FOREIGN, NULL, &here);
    CHECK_EQ(told.count, 1);
    CHECK_EQ(told.arg, &here);
    end();
}

/* ---- messages ---------------------------------------------------------- */

static int report_foreign(void)
{
    int log = open(test_path("log"), O_CREAT | O_WRONLY | O_TRUNC, 0600);
    NEED(log >= 0 && dup2(log, STDERR_FILENO) >= 0);
    misuse_set_handler(NULL, NULL);
    misuse_report(MEMKIND_MISUSE_FOREIGN, NULL, &here);
    atomic_store(&debug_log_on, true);
    misuse_report(MEMKIND_MISUSE_DOUBLE_FREE, NULL, &here);
    return 0;
}

static void test_the_default_is_a_message(void)
{
    char text[1000], address[32];
    CHECK_EQ(child_run(report_foreign), 0);
    test_read_and_remove(test_path("log"), text, sizeof text);
    snprintf(address, sizeof address, "%p", (void *)&here);
    CHECK_NULL(strstr(text, "no address of any kind"));
    CHECK_NOT_NULL(strstr(text, "it is free already"));
    CHECK_NOT_NULL(strstr(text, address));
}

/* ---- fork -------------------------------------------------------------- */

static atomic_bool is_set;

static void *set_handler(void *unused)
{
    misuse_set_handler(remember, &here);
    atomic_store(&is_set, true);
    return unused;
}

static void sleep_ms(long ms)
{
    const struct timespec time = {0, ms * 1000000};
    nanosleep(&time, NULL);
}

/* No handler is set by another thread meanwhile. The thread itself, which a
 * signal handler may interrupt, still reports. */
static void test_while_a_thread_forks(void)
{
    pthread_t thread;
    begin(remember);
    atomic_store(&is_set, false);
    misuse_lock();
    REQUIRE_EQ(pthread_create(&thread, NULL, set_handler, NULL), 0);
    sleep_ms(30);
    CHECK(!atomic_load(&is_set));
    misuse_report(MEMKIND_MISUSE_SIGNAL, NULL, &here);
    CHECK_EQ(told.count, 1);
    CHECK_EQ(told.arg, &argument);
    misuse_unlock();
    pthread_join(thread, NULL);
    CHECK(atomic_load(&is_set));
    misuse_report(MEMKIND_MISUSE_SIGNAL, NULL, &here);
    CHECK_EQ(told.arg, &here);
    end();
}

/* Signals are let in again. */
static void test_signals_are_not_blocked(void)
{
    sigset_t before, after;
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    begin(remember);
    misuse_report(MEMKIND_MISUSE_SIGNAL, NULL, &here);
    misuse_lock();
    misuse_unlock();
    end();
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    for (int signal = 1; signal < SIGRTMIN; signal++)
        CHECK_EQ(sigismember(&after, signal), sigismember(&before, signal));
}

static const struct test_case tests[] = {
    {"each sort", test_each_sort},
    {"no handler", test_no_handler},
    {"a handler that does wrong", test_a_handler_that_does_wrong},
    {"a handler that sets another", test_a_handler_that_sets_another},
    {"the default is a message", test_the_default_is_a_message},
    {"while a thread forks", test_while_a_thread_forks},
    {"signals are not blocked", test_signals_are_not_blocked},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("misuse report", tests, argc, argv);
}
