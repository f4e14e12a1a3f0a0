/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A signal handler that allocates and frees in a kind that it names, and that
 * was in use before. Whatever it has interrupted, it is given an object of its
 * own, or is refused.
 */
#include <errno.h>
#include <memkind.h>
#include <memkind/internal/memkind_pmem.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "test_support.h"

#define SIGNALS 3000
#define ROUNDS_MOST 100000
/* Microseconds from one signal's end to the next; odd, so that signals come at
 * all points in turn. */
#define PERIOD 53

enum { OWNER_MAIN = 1, OWNER_HANDLER = 2, HIS = 64, MINE = 4000 };

static memkind_t kind;
static size_t object_size;
static uint64_t *his[HIS], *mine[MINE];
static volatile long signals, given, refused, damaged, wrong_frees;
static volatile sig_atomic_t goes_on; /* each signal has the next one come */

static bool is_whole(const uint64_t *object, uint64_t owner, uint64_t number)
{
    return object[0] == owner && object[1] == number &&
           object[2] == (uint64_t)(uintptr_t)object;
}

static void sign(uint64_t *object, uint64_t owner, uint64_t number)
{
    object[0] = owner;
    object[1] = number;
    object[2] = (uint64_t)(uintptr_t)object;
}

/* One signal, in so many microseconds. */
static void set_timer(long microseconds)
{
    const struct itimerval timer = {
        .it_value = {microseconds / 1000000, microseconds % 1000000}};
    (void)setitimer(ITIMER_REAL, &timer, NULL);
}

static long now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* A timer that came by itself could leave no time to what is interrupted, if
 * the machine is so slow that a handler takes longer than a period. */
static void on_signal(int signal)
{
    static unsigned long turn;
    int saved_errno = errno;
    unsigned i = turn++ % HIS;
    const long from = now_us();
    (void)signal;
    signals++;
    if (his[i] != NULL) {
        if (!is_whole(his[i], OWNER_HANDLER, i))
            damaged++;
        memkind_free(kind, his[i]);
        his[i] = NULL;
    }
    uint64_t *object = memkind_malloc(kind, object_size);
    if (object != NULL) {
        given++;
        sign(object, OWNER_HANDLER, i);
        his[i] = object;
    } else {
        refused++;
        if (errno != ENOMEM)
            wrong_frees++;
        /* This is reported later, and must not wait for the handler's own
         * thread either. */
        memkind_free(kind, (void *)&turn);
    }
    if (goes_on)
        set_timer(PERIOD + 2 * (now_us() - from));
    errno = saved_errno;
}

static void start_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    signals = given = refused = damaged = wrong_frees = 0;
    sigemptyset(&action.sa_mask);
    CHECK_EQ(sigaction(SIGALRM, &action, NULL), 0);
    goes_on = 1;
    set_timer(PERIOD);
}

static void stop_signals(void)
{
    goes_on = 0;
    set_timer(0);
    CHECK_GT(given, 0);
    CHECK_EQ(damaged, 0);
    CHECK_EQ(wrong_frees, 0);
    for (int i = 0; i < HIS; i++) {
        memkind_free(kind, his[i]);
        his[i] = NULL;
    }
}

static void begin(size_t size)
{
    object_size = size;
    REQUIRE_EQ(memkind_create_pmem(test_dir(), 0, &kind), MEMKIND_SUCCESS);
    for (int i = 0; i < 1000; i++)
        memkind_free(kind, memkind_malloc(kind, size));
    start_signals();
}

static void end(void)
{
    stop_signals();
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
}

static bool go_on(int round)
{
    return signals < SIGNALS && round < ROUNDS_MOST && damaged == 0;
}

/* Allocates many, and frees many, so that magazines fill up and run empty. */
static void allocate_and_free(unsigned long long *seed, size_t objects)
{
    for (size_t i = 0; i < objects && damaged == 0; i++) {
        if (mine[i] != NULL || test_random(seed) % 4 == 0)
            continue;
        mine[i] = memkind_malloc(kind, object_size);
        if (mine[i] != NULL)
            sign(mine[i], OWNER_MAIN, i);
    }
    for (size_t i = 0; i < objects && damaged == 0; i++) {
        if (mine[i] == NULL || test_random(seed) % 4 == 0)
            continue;
        if (!is_whole(mine[i], OWNER_MAIN, i))
            damaged++;
        memkind_free(kind, mine[i]);
        mine[i] = NULL;
    }
}

static void free_mine(void)
{
    for (size_t i = 0; i < MINE; i++) {
        memkind_free(kind, mine[i]);
        mine[i] = NULL;
    }
}

static void test_in_malloc_and_free(void)
{
    static const size_t sizes[] = {64, 3000, 20000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        unsigned long long seed = 11 + i;
        begin(sizes[i]);
        for (int round = 0; go_on(round); round++)
            allocate_and_free(&seed, sizes[i] > 4096 ? 500 : MINE);
        free_mine();
        end();
    }
}

/* Calls of the others, each many times. */

static void resize_and_move(unsigned long long *seed)
{
    for (int i = 0; i < 200; i++) {
        if (mine[i] == NULL)
            mine[i] = memkind_malloc(kind, object_size);
        void *object =
            memkind_realloc(kind, mine[i], 64 + test_random(seed) % 40000);
        if (object != NULL)
            mine[i] = object;
        object = memkind_defrag_reallocate(kind, mine[i]);
        if (object != NULL)
            mine[i] = object;
    }
}

static void clear_and_align(unsigned long long *seed)
{
    void *object = memkind_calloc(kind, 1, 1 + test_random(seed) % 100000);
    memkind_free(kind, object);
    if (memkind_posix_memalign(kind, &object, 4096, 5000) == 0)
        memkind_free(kind, object);
}

static void purge(unsigned long long *seed)
{
    allocate_and_free(seed, 300);
    (void)memkind_purge_kind(kind);
}

static void make_and_destroy(unsigned long long *seed)
{
    memkind_t other;
    if (memkind_create_pmem(test_dir(), test_random(seed) % 2 * (32U << 20),
                            &other) != MEMKIND_SUCCESS)
        return;
    memkind_free(other, memkind_malloc(other, 100000));
    (void)memkind_destroy_kind(other);
    if (memkind_create_kind(MEMKIND_MEMTYPE_DEFAULT,
                            MEMKIND_POLICY_PREFERRED_LOCAL, 0,
                            &other) == MEMKIND_SUCCESS)
        (void)memkind_destroy_kind(other);
}

static void ignore_text(void *unused, const char *text)
{
    (void)unused, (void)text;
}

static void ask(unsigned long long *seed)
{
    size_t value;
    (void)seed;
    (void)memkind_update_cached_stats();
    (void)memkind_get_stat(NULL, MEMKIND_STAT_TYPE_RESIDENT, &value);
    (void)memkind_stats_print(ignore_text, NULL, MEMKIND_STAT_PRINT_ALL);
    (void)memkind_check_dax_path(test_dir());
    (void)memkind_set_bg_threads(false);
    (void)memkind_pmem_mmap(kind, NULL, 4096);
}

static void test_in_other_calls(void)
{
    static void (*const calls[])(unsigned long long *seed) = {
        resize_and_move, clear_and_align, purge, make_and_destroy, ask};
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        unsigned long long seed = 7 + i;
        begin(200);
        for (int round = 0;
             signals < SIGNALS / 6 && round < ROUNDS_MOST && damaged == 0;
             round++)
            calls[i](&seed);
        free_mine();
        end();
    }
}

/* ---- fork -------------------------------------------------------------- */

static void count_misuse(memkind_misuse what, memkind_t where, const void *ptr,
                         void *arg)
{
    (void)what, (void)where, (void)ptr;
    ++*(volatile long *)arg;
}

/* The handler comes while fork() is at work in the parent, and in the child
 * before it has returned there. */
static void test_in_fork(void)
{
    long told = 0;
    int bad = 0;
    unsigned long long seed = 5;
    memkind_set_misuse_handler(count_misuse, &told);
    begin(100);
    for (int round = 0; round < 60; round++) {
        pid_t child = fork();
        if (child == 0) {
            /* The child may see what its parent makes of these. */
            memset(mine, 0, sizeof mine);
            memset(his, 0, sizeof his);
            set_timer(PERIOD); /* which a child does not inherit */
            for (int i = 0; i < 20; i++)
                allocate_and_free(&seed, 100);
            _exit(damaged != 0);
        }
        int status = -1;
        if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
            bad++;
        allocate_and_free(&seed, 100);
    }
    CHECK_EQ(bad, 0);
    free_mine();
    end();
    memkind_set_misuse_handler(NULL, NULL);
}

/* ---- the end of threads ------------------------------------------------ */

static void *end_soon(void *unused)
{
    for (int i = 0; i < 20; i++)
        memkind_free(kind, memkind_malloc(kind, 100));
    /* jemalloc has something of this thread then. */
    memkind_update_cached_stats();
    return unused;
}

/* The handler comes to threads that end. (If one waits for a lock of its own
 * thread, the thread never ends.) */
static void test_at_the_end_of_threads(void)
{
    sigset_t alarm, before;
    begin(100);
    goes_on = 0;
    sigemptyset(&alarm);
    sigaddset(&alarm, SIGALRM);
    for (int i = 0; i < 3000; i++) {
        /* One for each, at all points in turn: allocating takes a thread that
         * ends longer than PERIOD, and it would never get on. */
        pthread_t thread;
        set_timer(10 + i % 300);
        REQUIRE_EQ(pthread_create(&thread, NULL, end_soon, NULL), 0);
        pthread_sigmask(SIG_BLOCK, &alarm, &before);
        pthread_join(thread, NULL);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    end();
}

static volatile long forks;

static void fork_in_handler(int signal)
{
    int saved_errno = errno, status = -1;
    (void)signal;
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
        damaged++;
    forks++;
    errno = saved_errno;
}

/* A handler that forks has interrupted fork(). (If it waited for a lock of its
 * own thread, the test would hang: alarms go on, but no thread handles them.)
 */
static void test_handler_forks(void)
{
    struct sigaction action = {.sa_handler = fork_in_handler,
                               .sa_flags = SA_RESTART};
    struct sigaction before;
    sigset_t mask;
    forks = damaged = 0;
    REQUIRE_EQ(memkind_create_pmem(test_dir(), MEMKIND_PMEM_MIN_SIZE, &kind),
               MEMKIND_SUCCESS);
    REQUIRE_EQ(sigaction(SIGALRM, &action, &before), 0);
    for (int round = 0; round < 1000; round++) {
        int status = -1;
        set_timer(1 + round % 400);
        pid_t child = fork();
        if (child == 0)
            _exit(0);
        while (waitpid(child, &status, 0) < 0 && errno == EINTR)
            ;
        set_timer(0); /* a handler that has interrupted malloc must not fork */
        void *ptr = memkind_malloc(kind, 100);
        if (child < 0 || status != 0 || ptr == NULL)
            damaged++;
        memkind_free(kind, ptr);
    }
    set_timer(0);
    sigaction(SIGALRM, &before, NULL);
    CHECK_GT(forks, 0);
    CHECK_EQ(damaged, 0);
    CHECK_EQ(sigprocmask(SIG_SETMASK, NULL, &mask), 0);
    CHECK_EQ(sigismember(&mask, SIGALRM), 0);
    CHECK_EQ(sigismember(&mask, SIGTERM), 0);
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
}

static const struct test_case tests[] = {
    {"in malloc and free", test_in_malloc_and_free},
    {"in other calls", test_in_other_calls},
    {"in fork", test_in_fork},
    /* Before there are threads: glibc then has a lock of its own in fork(). */
    {"handler forks", test_handler_forks},
    {"at the end of threads", test_at_the_end_of_threads},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("signals", tests, argc, argv);
}
