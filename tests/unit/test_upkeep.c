/* SPDX-License-Identifier: BSD-2-Clause */
/* What is done from time to time by threads that allocate: caches of threads
 * that sleep become empty, and free pages go back; and what keeps a snapshot of
 * statistics apart from that. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "heap.h"
#include "heap_create.h"
#include "heap_stat.h"
#include "layer_test.h"
#include "region_pool.h"
#include "snapshot_lock.h"
#include "test_child.h"
#include "thread_cache.h"
#include "upkeep.h"

#define SECONDS_MOST 60
#define UNTOUCHED 4711

static int owner;
static struct memkind_region_pool pool;
static struct memkind_heap *heap;

static void begin(ssize_t decay_ms)
{
    REQUIRE_EQ(region_pool_open_memory(&pool, &owner), 0);
    const struct heap_config config = {.arenas = {.pool = &pool,
                                                  .address_owner = &owner,
                                                  .limit = 2,
                                                  .dirty_decay_ms = decay_ms}};
    REQUIRE_EQ(heap_create(&config, &heap), 0);
}

static void end(void)
{
    heap_destroy(heap);
    region_pool_close(&pool);
}

static void sleep_ms(long ms)
{
    const struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

static time_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec;
}

static size_t stat_now(enum heap_stat stat)
{
    CHECK_EQ(heap_stat_snapshot(), 0);
    return heap_stat(heap, stat);
}

static size_t cached_now(void)
{
    CHECK_EQ(heap_stat_snapshot(), 0);
    return heap_stat_cached();
}

/* ---- when it is time --------------------------------------------------- */

/* A thread that allocates slowly looks at the clock each time. */
static void test_how_often_the_clock_is_read(void)
{
    begin(10000);
    struct thread_cache *cache = heap_cache(heap);
    cache->ticks = -1;
    for (int tries = 0; tries < 1000 && cache->ticks <= 1; tries++) {
        upkeep_tick(cache);
        upkeep_tick(cache); /* at once, unless the system is in the way */
    }
    CHECK_GT(cache->ticks, 1);
    sleep_ms(300);
    upkeep_tick(cache);
    CHECK_EQ(cache->ticks, 1);
    end();
}

static void test_errno_is_kept(void)
{
    begin(10000);
    struct thread_cache *cache = heap_cache(heap);
    for (int i = 0; i < 30; i++) {
        errno = UNTOUCHED;
        upkeep_tick(cache);
        CHECK_EQ(errno, UNTOUCHED);
        sleep_ms(10);
    }
    end();
}

/* ---- what is done ------------------------------------------------------ */

static pthread_barrier_t step;

static void *fill_cache_and_sleep(void *unused)
{
    enum { COUNT = 200 };
    void *objects[COUNT];
    for (int i = 0; i < COUNT; i++)
        objects[i] = heap_malloc(heap, 1000, 0);
    for (int i = 0; i < COUNT; i++)
        (void)heap_free(heap, objects[i]);
    pthread_barrier_wait(&step);
    pthread_barrier_wait(&step);
    return unused;
}

/* Another thread does it, for all heaps. */
static void test_caches_of_sleeping_threads_age(void)
{
    pthread_t thread;
    begin(10000);
    REQUIRE_EQ(pthread_barrier_init(&step, NULL, 2), 0);
    REQUIRE_EQ(pthread_create(&thread, NULL, fill_cache_and_sleep, NULL), 0);
    pthread_barrier_wait(&step);
    struct thread_cache *cache = heap_cache(heap);
    const size_t cached = cached_now();
    const time_t deadline = now() + SECONDS_MOST;
    CHECK_GT(cached, 1000);
    while (cached_now() > cached / 2 && now() < deadline) {
        upkeep_tick(cache);
        sleep_ms(20);
    }
    CHECK_LE(cached_now(), cached / 2);
    pthread_barrier_wait(&step);
    pthread_join(thread, NULL);
    pthread_barrier_destroy(&step);
    end();
}

/* No thread frees or allocates meanwhile. */
static void test_free_pages_go_back(void)
{
    enum { COUNT = 16 };
    void *objects[COUNT];
    begin(200);
    for (int i = 0; i < COUNT; i++) {
        objects[i] = heap_malloc(heap, MIB, 0);
        REQUIRE_NOT_NULL(objects[i]);
        memset(objects[i], 1, MIB);
    }
    for (int i = 0; i < COUNT; i++)
        CHECK_EQ(heap_free(heap, objects[i]), HEAP_OK);
    struct thread_cache *cache = heap_cache(heap);
    const time_t deadline = now() + SECONDS_MOST;
    while (stat_now(HEAP_RESIDENT) > 4 * MIB && now() < deadline) {
        upkeep_tick(cache);
        sleep_ms(20);
    }
    CHECK_LE(stat_now(HEAP_RESIDENT), 4 * MIB);
    end();
}

/* A heap may keep its pages for ever. */
static void test_pages_that_stay(void)
{
    begin(-1);
    void *object = heap_malloc(heap, 32 * MIB, 0);
    REQUIRE_NOT_NULL(object);
    memset(object, 1, 32 * MIB);
    CHECK_EQ(heap_free(heap, object), HEAP_OK);
    struct thread_cache *cache = heap_cache(heap);
    for (int i = 0; i < 30; i++) {
        upkeep_tick(cache);
        sleep_ms(10);
    }
    CHECK_GE(stat_now(HEAP_RESIDENT), 32 * MIB);
    end();
}

/* ---- snapshots --------------------------------------------------------- */

static atomic_int snapshots;

static void *take_snapshot(void *unused)
{
    snapshot_lock_begin_snapshot();
    atomic_fetch_add(&snapshots, 1);
    snapshot_lock_end_snapshot();
    return unused;
}

static void *move_objects(void *unused)
{
    snapshot_lock_begin_moving();
    snapshot_lock_end_moving();
    return unused;
}

/* Several threads move objects at a time; a snapshot waits for all of them. */
static void test_a_snapshot_waits(void)
{
    pthread_t mover, taker;
    atomic_store(&snapshots, 0);
    snapshot_lock_begin_moving();
    REQUIRE_EQ(pthread_create(&mover, NULL, move_objects, NULL), 0);
    pthread_join(mover, NULL);
    REQUIRE_EQ(pthread_create(&taker, NULL, take_snapshot, NULL), 0);
    sleep_ms(30);
    CHECK_EQ(atomic_load(&snapshots), 0);
    snapshot_lock_end_moving();
    pthread_join(taker, NULL);
    CHECK_EQ(atomic_load(&snapshots), 1);
}

/* One after another, and others in between. */
static void test_snapshots_of_many_threads(void)
{
    enum { THREADS = 6, ROUNDS = 50 };
    pthread_t takers[THREADS], movers[THREADS];
    atomic_store(&snapshots, 0);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < THREADS; i++) {
            REQUIRE_EQ(pthread_create(&takers[i], NULL, take_snapshot, NULL),
                       0);
            REQUIRE_EQ(pthread_create(&movers[i], NULL, move_objects, NULL), 0);
        }
        for (int i = 0; i < THREADS; i++) {
            pthread_join(takers[i], NULL);
            pthread_join(movers[i], NULL);
        }
    }
    CHECK_EQ(atomic_load(&snapshots), THREADS * ROUNDS);
}

static int child_of_a_snapshot(void)
{
    snapshot_lock_renew_in_child();
    snapshot_lock_begin_moving();
    snapshot_lock_end_moving();
    snapshot_lock_begin_snapshot();
    snapshot_lock_end_snapshot();
    return 0;
}

static void *pause_and_wait(void *unused)
{
    snapshot_lock_begin_snapshot();
    pthread_barrier_wait(&step);
    pthread_barrier_wait(&step);
    snapshot_lock_end_snapshot();
    return unused;
}

/* The thread that holds the lock is not there in the child. */
static void test_a_child_of_a_snapshot(void)
{
    pthread_t thread;
    REQUIRE_EQ(pthread_barrier_init(&step, NULL, 2), 0);
    REQUIRE_EQ(pthread_create(&thread, NULL, pause_and_wait, NULL), 0);
    pthread_barrier_wait(&step);
    CHECK_EQ(child_run(child_of_a_snapshot), 0);
    pthread_barrier_wait(&step);
    pthread_join(thread, NULL);
    pthread_barrier_destroy(&step);
}

static const struct test_case tests[] = {
    {"how often the clock is read", test_how_often_the_clock_is_read},
    {"errno is kept", test_errno_is_kept},
    {"caches of sleeping threads age", test_caches_of_sleeping_threads_age},
    {"free pages go back", test_free_pages_go_back},
    {"pages that stay", test_pages_that_stay},
    {"a snapshot waits", test_a_snapshot_waits},
    {"snapshots of many threads", test_snapshots_of_many_threads},
    {"a child of a snapshot", test_a_child_of_a_snapshot},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("upkeep", tests, argc, argv);
}
