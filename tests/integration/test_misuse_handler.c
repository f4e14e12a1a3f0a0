/* SPDX-License-Identifier: BSD-2-Clause */
/* The handler that misuse is reported to: which one is called, what it may do,
 * and what is reported of signal handlers. */
#include <errno.h>
#include <memkind/internal/memkind_arena.h>
#include <memkind/internal/memkind_default.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "misuse_reports.h"
#include "test_child.h"
#include "test_kinds.h"

/* ---- the handler ------------------------------------------------------- */

static int told;

static void use_the_library(memkind_misuse what, memkind_t kind,
                            const void *ptr, void *arg)
{
    (void)what, (void)ptr, (void)arg;
    told++;
    void *object = memkind_malloc(kind, 5000);
    CHECK_NOT_NULL(object);
    memkind_free(kind, object);
    memkind_free(kind,
                 object); /* a handler's own misuse is not reported to it */
    CHECK_EQ(memkind_purge_kind(kind), MEMKIND_SUCCESS);
    memkind_set_misuse_handler(use_the_library, arg);
}

static void test_a_handler_that_uses_the_library(void)
{
    memkind_t kind = make_watched_kind();
    void *object = memkind_malloc(kind, 5000);
    memkind_set_misuse_handler(use_the_library, NULL);
    memkind_free(kind, object);
    memkind_free(kind, object);
    CHECK_EQ(told, 1);
    memkind_free(kind, &told);
    CHECK_EQ(told, 2);
    destroy_watched_kind(kind);
}

/* A handler is called with its own argument, also if other threads set others
 * meanwhile. */
static atomic_bool setting;
static atomic_int torn, told_in_all;

static void take_even(memkind_misuse what, memkind_t kind, const void *ptr,
                      void *arg)
{
    (void)what, (void)kind, (void)ptr;
    atomic_fetch_add(&torn, (uintptr_t)arg % 2 != 0);
    atomic_fetch_add(&told_in_all, 1);
}

static void take_odd(memkind_misuse what, memkind_t kind, const void *ptr,
                     void *arg)
{
    (void)what, (void)kind, (void)ptr;
    atomic_fetch_add(&torn, (uintptr_t)arg % 2 != 1);
    atomic_fetch_add(&told_in_all, 1);
}

static void *set_handlers(void *unused)
{
    for (uintptr_t i = 0; atomic_load(&setting); i++)
        memkind_set_misuse_handler(i % 2 == 0 ? take_even : take_odd,
                                   (void *)(i | 2));
    return unused;
}

static void test_handlers_are_set_by_other_threads(void)
{
    enum { ROUNDS = 20000 };
    pthread_t thread;
    int here;
    memkind_set_misuse_handler(take_even, NULL);
    atomic_store(&setting, true);
    REQUIRE_EQ(pthread_create(&thread, NULL, set_handlers, NULL), 0);
    for (int i = 0; i < ROUNDS; i++)
        memkind_free(NULL, &here);
    atomic_store(&setting, false);
    pthread_join(thread, NULL);
    CHECK_EQ(torn, 0);
    CHECK_EQ(told_in_all, ROUNDS);
    memkind_set_misuse_handler(NULL, NULL);
}

/* What a child says on stderr that frees a foreign pointer by the default. */
static int free_foreign_pointer(char *debug, char *text, size_t size)
{
    char *const environment[] = {debug, NULL};
    int ends[2];
    REQUIRE_EQ(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        execle("/proc/self/exe", "misuse_handler", "--foreign", (char *)NULL,
               environment);
        _exit(99);
    }
    close(ends[1]);
    ssize_t length = read(ends[0], text, size - 1);
    text[length > 0 ? length : 0] = '\0';
    const int status = child_wait(child);
    close(ends[0]);
    return status;
}

static void test_the_default_is_a_message(void)
{
    static char on[] = "MEMKIND_DEBUG=1", off[] = "MEMKIND_DEBUG=0";
    char quiet[500], loud[500];
    int first = free_foreign_pointer(off, quiet, sizeof quiet);
    int second = free_foreign_pointer(on, loud, sizeof loud);
    CHECK_EQ(strncmp(loud, "[memkind] 0x", 12), 0);
    CHECK_NOT_NULL(strstr(loud, "no address of any kind"));
    CHECK_STR(quiet, "");
    CHECK_EQ(first, 0);
    CHECK_EQ(second, 0);
}

/* ---- signals ----------------------------------------------------------- */

static memkind_t signal_kind;
static void *kept;
static atomic_int handled, refused;
static atomic_bool running;

static void allocate_in_handler(int signal)
{
    (void)signal;
    int saved_errno = errno;
    for (size_t size = 8; size < 100000; size *= 7) {
        uintptr_t *object = memkind_malloc(signal_kind, size);
        if (object == NULL) {
            atomic_fetch_add(&refused, 1);
            continue;
        }
        *object = (uintptr_t)object;
        memkind_free(signal_kind, object);
    }
    atomic_fetch_add(&handled, 1);
    errno = saved_errno;
}

static void *allocate_always(void *mistakes)
{
    enum { OBJECTS = 200 };
    unsigned char *objects[OBJECTS] = {NULL};
    size_t used_sizes[OBJECTS];
    unsigned long long random = 4;
    while (atomic_load(&running)) {
        size_t i = test_random(&random) % OBJECTS;
        if (objects[i] != NULL &&
            !test_check(objects[i], used_sizes[i], (unsigned)i))
            ++*(int *)mistakes;
        memkind_free(signal_kind, objects[i]);
        used_sizes[i] = 1 + test_random(&random) % 40000;
        objects[i] = memkind_malloc(signal_kind, used_sizes[i]);
        if (objects[i] == NULL)
            ++*(int *)mistakes;
        else
            test_fill(objects[i], used_sizes[i], (unsigned)i);
    }
    for (int i = 0; i < OBJECTS; i++)
        memkind_free(signal_kind, objects[i]);
    return NULL;
}

static void count_signal(memkind_misuse what, memkind_t kind, const void *ptr,
                         void *arg)
{
    (void)ptr, (void)arg;
    /* The handler may allocate, like any other code. */
    void *object = memkind_malloc(kind, 10);
    if (what == MEMKIND_MISUSE_SIGNAL && object != NULL)
        atomic_fetch_add(&told_in_all, 1);
    memkind_free(kind, object);
}

static void test_allocation_in_signal_handlers(void)
{
    pthread_t thread;
    int mistakes = 0;
    struct sigaction action = {.sa_handler = allocate_in_handler}, before;
    signal_kind = make_watched_kind();
    memkind_set_misuse_handler(count_signal, NULL);
    atomic_store(&told_in_all, 0);
    atomic_store(&running, true);
    sigaction(SIGUSR1, &action, &before);
    REQUIRE_EQ(pthread_create(&thread, NULL, allocate_always, &mistakes), 0);
    while (atomic_load(&handled) < 500)
        if (pthread_kill(thread, SIGUSR1) == 0)
            sched_yield();
    atomic_store(&running, false);
    pthread_join(thread, NULL);
    sigaction(SIGUSR1, &before, NULL);
    printf("[%d handlers, %d refused, %d told] ", atomic_load(&handled),
           atomic_load(&refused), atomic_load(&told_in_all));
    CHECK_EQ(mistakes, 0);
    CHECK_GE(atomic_load(&refused) > 0, atomic_load(&told_in_all) > 0);
    remember_reports();
    destroy_watched_kind(signal_kind);
}

/* A kind of the program's own, for which the library asks the program for
 * memory: a signal that is raised there has interrupted the library. */
static void *map_and_raise(struct memkind *kind, void *addr, size_t size)
{
    raise(SIGUSR2);
    return memkind_default_mmap(kind, addr, size);
}

static void use_in_handler(int signal)
{
    (void)signal;
    atomic_fetch_add(&handled, 1);
    errno = 0;
    atomic_fetch_add(&refused,
                     memkind_malloc(MEMKIND_DEFAULT, 300000) == NULL &&
                         errno == ENOMEM);
    memkind_free(MEMKIND_DEFAULT, kept);
    CHECK_EQ(count_reports(), 0); /* the report waits */
}

static void test_a_signal_inside_the_library(void)
{
    static struct memkind own;
    static struct memkind_ops ops;
    struct sigaction action = {.sa_handler = use_in_handler}, before;
    ops = kind_arena_operations();
    ops.mmap = map_and_raise;
    REQUIRE_EQ(ops.create(&own, &ops, "signals"), MEMKIND_SUCCESS);
    memkind_t kind = make_watched_kind();
    kept = memkind_malloc(MEMKIND_DEFAULT, 300000);
    sigaction(SIGUSR2, &action, &before);
    atomic_store(&handled, 0);
    atomic_store(&refused, 0);
    void *object = memkind_malloc(&own, 40u << 20);
    CHECK_NOT_NULL(object);
    sigaction(SIGUSR2, &before, NULL);
    CHECK_GT(handled, 0);
    CHECK_EQ(refused, handled);
    /* Each call of the signal handler makes two reports: one for the
     * allocation, one for the free. */
    int told_now = report_counts[MEMKIND_MISUSE_SIGNAL];
    CHECK_EQ(told_now, handled < 2 ? 2 * handled : 4);
    CHECK_EQ(count_reports(), told_now);
    forget_reports();
    memkind_free(&own, object);
    memkind_free(NULL, kept);
    CHECK_EQ(count_reports(), 0);
    CHECK_EQ(ops.destroy(&own), MEMKIND_SUCCESS);
    kept = NULL;
    destroy_watched_kind(kind);
}

static const struct test_case tests[] = {
    {"a handler that uses the library", test_a_handler_that_uses_the_library},
    {"handlers are set by other threads",
     test_handlers_are_set_by_other_threads},
    {"the default is a message", test_the_default_is_a_message},
    {"allocation in signal handlers", test_allocation_in_signal_handlers},
    {"a signal inside the library", test_a_signal_inside_the_library},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    int here;
    if (argc == 2 && strcmp(argv[1], "--foreign") == 0) {
        memkind_free(NULL, &here);
        return 0;
    }
    return test_main("misuse handler", tests, argc, argv);
}
