/* SPDX-License-Identifier: BSD-2-Clause */
#include <limits.h>
#include <memkind.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "allocator_gate.h"
#include "cancellation.h"
#include "gate_lanes.h"
#include "memory_barrier.h"
#include "sys_calls.h"
#include "test_membarrier.h"
#include "test_support.h"

static void sleep_ms(long ms)
{
    const struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

static atomic_int inside, most_inside, mistakes;
static atomic_bool is_closed, stop;

static void *come_and_go(void *unused)
{
    while (!atomic_load(&stop)) {
        (void)allocator_enter();
        int now = atomic_fetch_add(&inside, 1) + 1;
        if (atomic_load(&is_closed))
            atomic_fetch_add(&mistakes, 1);
        int most = atomic_load(&most_inside);
        while (now > most &&
               !atomic_compare_exchange_weak(&most_inside, &most, now))
            ;
        sleep_ms(1);
        atomic_fetch_sub(&inside, 1);
        allocator_leave();
    }
    return unused;
}

static void close_gate(void)
{
    allocator_enter_fork();
    allocator_close_gate();
}

static void open_gate(void)
{
    allocator_open_gate();
    allocator_leave_fork();
}

/* More than there are counters. */
#define THREADS 100

static void test_no_thread_is_inside(void)
{
    static pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        REQUIRE_EQ(pthread_create(&threads[i], NULL, come_and_go, NULL), 0);
    for (int i = 0; i < 50; i++) {
        close_gate();
        atomic_store(&is_closed, true);
        CHECK_EQ(atomic_load(&inside), 0);
        sleep_ms(2);
        CHECK_EQ(atomic_load(&inside), 0);
        atomic_store(&is_closed, false);
        open_gate();
        sleep_ms(2);
    }
    for (int i = 0; i < 60000 && atomic_load(&most_inside) < 2; i++)
        sleep_ms(1);
    atomic_store(&stop, true);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    CHECK_EQ(atomic_load(&mistakes), 0);
    CHECK_GT(atomic_load(&most_inside), 1);
}

/* ---- lanes -------------------------------------------------------------- */

/* What a thread that is inside writes to. */
static struct {
    _Alignas(64) atomic_uint count;
} works[2];

enum { WORKERS = sizeof works / sizeof works[0] };

static void enter_with_lane(void)
{
    (void)allocator_enter();
    allocator_begin_thread();
    allocator_leave();
}

static atomic_int *taken_lanes[GATE_LANES + 1];

/* How many that were. Those are not inside. */
static unsigned take_free_lanes(void)
{
    const int before = gate_lanes_inside();
    unsigned count = 0;
    while (count <= GATE_LANES &&
           (taken_lanes[count] = gate_lane_take()) != NULL)
        count++;
    CHECK_EQ(gate_lanes_inside(), before);
    return count;
}

static void give_lanes_up(unsigned count)
{
    while (count-- > 0)
        gate_lane_give_up(taken_lanes[count]);
}

static unsigned free_lanes(void)
{
    const unsigned count = take_free_lanes();
    give_lanes_up(count);
    return count;
}

static void end_lane(void)
{
    allocator_end_thread();
    (void)allocator_enter();
    allocator_leave();
}

/* Comes and goes as often as it can. */
static void *work(void *counter)
{
    atomic_uint *count = counter;
    enter_with_lane();
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        (void)allocator_enter_briefly();
        atomic_store_explicit(
            count, atomic_load_explicit(count, memory_order_relaxed) + 1,
            memory_order_relaxed);
        allocator_leave();
    }
    end_lane();
    return NULL;
}

static unsigned work_done(void)
{
    unsigned sum = 0;
    for (int i = 0; i < WORKERS; i++)
        sum += atomic_load(&works[i].count);
    return sum;
}

/* Closes the gate for a moment each time. */
static void check_that_work_rests(int times)
{
    int changed = 0;
    for (int i = 0; i < times; i++) {
        const unsigned start = work_done();
        for (int j = 1; work_done() - start < 100 + (unsigned)i % 64; j++)
            if (j % 1024 == 0)
                sched_yield();
        close_gate();
        const unsigned before = work_done();
        for (int j = 0; j < 50; j++)
            changed += work_done() != before;
        open_gate();
    }
    CHECK_EQ(changed, 0);
}

static int (*real_membarrier)(int command);

static pthread_t workers[WORKERS];

static void start_work(void)
{
    atomic_store(&stop, false);
    for (int i = 0; i < WORKERS; i++)
        REQUIRE_EQ(pthread_create(&workers[i], NULL, work, &works[i].count), 0);
}

static void end_work(void)
{
    atomic_store(&stop, true);
    for (int i = 0; i < WORKERS; i++)
        pthread_join(workers[i], NULL);
}

/* Also if the barrier is forbidden meanwhile, and allowed again, as in a child.
 */
static void test_work_rests(void)
{
    real_membarrier = sys.membarrier;
    memory_barrier_register();
    start_work();
    check_that_work_rests(2000);
    sys.membarrier = no_membarrier;
    check_that_work_rests(2000);
    sys.membarrier = real_membarrier;
    close_gate();
    memory_barrier_register();
    open_gate();
    check_that_work_rests(2000);
    end_work();
}

static void test_work_rests_without_lanes(void)
{
    const unsigned count = take_free_lanes();
    start_work();
    check_that_work_rests(1000);
    CHECK_EQ(gate_lanes_inside(), 0);
    end_work();
    give_lanes_up(count);
    CHECK_EQ(free_lanes(), count);
}

static double close_and_open_ms(void)
{
    struct timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    close_gate();
    clock_gettime(CLOCK_MONOTONIC, &end);
    open_gate();
    return (double)(end.tv_sec - begin.tv_sec) * 1e3 +
           (double)(end.tv_nsec - begin.tv_nsec) / 1e6;
}

static bool pauses_once(void)
{
    sys.membarrier = no_membarrier;
    const bool pauses = close_and_open_ms() >= 2;
    double least = 1e9;
    for (int i = 0; i < 100; i++) {
        const double ms = close_and_open_ms();
        least = ms < least ? ms : least;
    }
    return pauses && least < 2;
}

/* A thread may be between its store and its load when the barrier is forbidden
 * for the first time: in the parent, and in a child that was allowed it again.
 */
static void test_it_pauses_when_the_barrier_is_forbidden(void)
{
    int status = -1;
    real_membarrier = sys.membarrier;
    memory_barrier_register();
    close_gate();
    open_gate();
    CHECK(pauses_once());
    pid_t child = _Fork();
    if (child == 0) {
        close_gate();
        sys.membarrier = real_membarrier;
        memory_barrier_register();
        allocator_open_gate_in_child();
        allocator_leave_fork();
        _exit(pauses_once() ? 0 : 1);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    sys.membarrier = real_membarrier;
    memory_barrier_register();
}

static void test_lanes_are_one_threads(void)
{
    const unsigned count = take_free_lanes();
    /* The test's own thread may have one. */
    CHECK(count == GATE_LANES || count == GATE_LANES - 1);
    for (unsigned i = 1; i < count; i++)
        CHECK(taken_lanes[i - 1] < taken_lanes[i]);
    atomic_store(taken_lanes[0], 1);
    atomic_store(taken_lanes[count - 1], 1);
    CHECK_EQ(gate_lanes_inside(), 2);
    atomic_store(taken_lanes[0], 0);
    atomic_store(taken_lanes[count - 1], 0);
    gate_lane_give_up(taken_lanes[count / 2]);
    CHECK(gate_lane_take() == taken_lanes[count / 2]);
    CHECK(gate_lane_take() == NULL);
    give_lanes_up(count);
}

static void *allocate_and_count(void *result)
{
    memkind_t kind = NULL;
    REQUIRE_EQ(memkind_create_pmem(test_dir(), 0, &kind), MEMKIND_SUCCESS);
    memkind_free(kind, memkind_malloc(kind, 100));
    *(unsigned *)result = free_lanes();
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
    return NULL;
}

/* A thread that allocates keeps a lane until it ends. */
static void test_lanes_are_given_up(void)
{
    const unsigned before = free_lanes();
    for (int i = 0; i < 20; i++) {
        pthread_t thread;
        unsigned meanwhile = 0;
        REQUIRE_EQ(
            pthread_create(&thread, NULL, allocate_and_count, &meanwhile), 0);
        pthread_join(thread, NULL);
        CHECK_EQ(meanwhile, before - 1);
    }
    CHECK_EQ(free_lanes(), before);
}

static void *stay_in_a_lane(void *unused)
{
    enter_with_lane();
    (void)allocator_enter();
    atomic_store(&inside, 1);
    while (!atomic_load(&stop))
        sleep_ms(1);
    allocator_leave();
    end_lane();
    return unused;
}

/* The child waits for none of them, and its own thread keeps its lane: it is
 * inside. */
static void test_a_child_has_one_lane(void)
{
    pthread_t thread;
    int status = -1;
    enter_with_lane();
    const unsigned before = free_lanes();
    atomic_store(&stop, false);
    atomic_store(&inside, 0);
    REQUIRE_EQ(pthread_create(&thread, NULL, stay_in_a_lane, NULL), 0);
    while (atomic_load(&inside) == 0)
        sleep_ms(1);
    CHECK_EQ(free_lanes(), before - 1);
    (void)allocator_enter();
    CHECK_EQ(gate_lanes_inside(), 2);
    pid_t child = _Fork();
    if (child == 0) {
        alarm(300);
        allocator_gate_patience = 10;
        close_gate();
        allocator_open_gate_in_child();
        allocator_leave_fork();
        bool right = gate_lanes_inside() == 1 && take_free_lanes() == before &&
                     gate_lanes_inside() == 1;
        allocator_leave();
        right &= gate_lanes_inside() == 0;
        _exit(right ? 0 : 1);
    }
    allocator_leave();
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    atomic_store(&stop, true);
    pthread_join(thread, NULL);
    CHECK_EQ(gate_lanes_inside(), 0);
    CHECK_EQ(free_lanes(), before);
}

/* ---- forks -------------------------------------------------------------- */

/* A signal handler that forks may have interrupted its own thread inside. */
static void close_from_inside(void)
{
    (void)allocator_enter();
    close_gate();
    open_gate();
    allocator_leave();
    close_gate();
    open_gate();
}

/* It does not wait for itself. */
static void test_the_caller_is_inside(void)
{
    const int patience = allocator_gate_patience;
    alarm(300);
    allocator_gate_patience = INT_MAX / 2;
    close_from_inside();
    const unsigned count = take_free_lanes();
    close_from_inside();
    give_lanes_up(count);
    allocator_gate_patience = patience;
    alarm(0);
}

static void *stay_inside(void *unused)
{
    (void)allocator_enter();
    atomic_store(&inside, 1);
    while (!atomic_load(&stop))
        sleep_ms(1);
    allocator_leave();
    return unused;
}

/* Threads that the child does not have are not waited for there. */
static void test_a_child_is_alone(void)
{
    pthread_t thread;
    int status = -1;
    atomic_store(&stop, false);
    atomic_store(&inside, 0);
    REQUIRE_EQ(pthread_create(&thread, NULL, stay_inside, NULL), 0);
    while (atomic_load(&inside) == 0)
        sleep_ms(1);
    /* The library's own handlers would wait in the parent. */
    pid_t child = _Fork();
    if (child == 0) {
        alarm(300); /* which ends a child that waits */
        allocator_gate_patience = 10;
        close_gate(); /* gives up on the thread that is inside */
        allocator_open_gate_in_child();
        allocator_leave_fork();
        allocator_gate_patience = INT_MAX / 2;
        close_gate(); /* waits for no thread */
        open_gate();
        _exit(0);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    atomic_store(&stop, true);
    pthread_join(thread, NULL);
}

/* ---- cancellation ------------------------------------------------------- */

static bool may_be_cancelled(void)
{
    int state;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
    pthread_setcancelstate(state, NULL);
    return state == PTHREAD_CANCEL_ENABLE;
}

static void check_that_it_is_forbidden_inside(void)
{
    REQUIRE(allocator_enter());
    CHECK(!may_be_cancelled());
    allocator_leave();
}

/* As a handler of misuse does that calls the library. */
static void call_a_handler(void)
{
    allocator_call_after_leaving(NULL);
    const int before = cancellation_disable();
    sys.close(-1);
    REQUIRE(allocator_enter_briefly());
    sys.close(-1);
    allocator_leave();
    cancellation_restore(before);
}

/* What is called in a visit, and when it is over, leaves no trace. */
static void test_handlers_leave_cancellation_alone(void)
{
    for (int i = 0; i < 4; i++) {
        allocator_call_after_leaving(i % 2 == 0 ? call_a_handler : NULL);
        REQUIRE(allocator_enter_briefly());
        const int before = cancellation_disable();
        if (i / 2 == 0)
            sys.close(-1);
        cancellation_restore(before);
        CHECK(!may_be_cancelled());
        allocator_leave();
        CHECK(may_be_cancelled());
    }
}

/* A brief visit forbids it when it comes to a cancellation point, and elsewhere
 * that does nothing. */
static void test_cancellation(void)
{
    cancellation_forbid();
    CHECK(may_be_cancelled());
    check_that_it_is_forbidden_inside();
    CHECK(may_be_cancelled());
    for (int i = 0; i < 2; i++) {
        REQUIRE(allocator_enter_briefly());
        CHECK(!allocator_enter());
        CHECK(!allocator_enter_briefly());
        CHECK(may_be_cancelled());
        if (i == 1)
            sys.close(-1);
        CHECK_EQ(may_be_cancelled(), i == 0);
        allocator_leave();
        CHECK(may_be_cancelled());
    }
    /* What the program has set stays. */
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    check_that_it_is_forbidden_inside();
    CHECK(!may_be_cancelled());
    pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
}

static const struct test_case tests[] = {
    {"no thread is inside", test_no_thread_is_inside},
    {"the caller is inside", test_the_caller_is_inside},
    {"a child is alone", test_a_child_is_alone},
    {"work rests", test_work_rests},
    {"work rests without lanes", test_work_rests_without_lanes},
    {"it pauses when the barrier is forbidden",
     test_it_pauses_when_the_barrier_is_forbidden},
    {"lanes are one thread's", test_lanes_are_one_threads},
    {"lanes are given up", test_lanes_are_given_up},
    {"a child has one lane", test_a_child_has_one_lane},
    {"cancellation", test_cancellation},
    {"handlers leave cancellation alone",
     test_handlers_leave_cancellation_alone},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("allocator gate", tests, argc, argv);
}
