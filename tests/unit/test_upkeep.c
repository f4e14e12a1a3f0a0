/* SPDX-License-Identifier: BSD-2-Clause */
/* What is done from time to time by threads that allocate: caches of threads
 * that sleep become empty, and free pages go back; and what keeps a snapshot of
 * statistics apart from that. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "heap.h"
#include "heap_create.h"
#include "heap_stat.h"
#include "heap_struct.h"
#include "layer_test.h"
#include "region_pool.h"
#include "snapshot_lock.h"
#include "sys_calls.h"
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

/* ---- how much is done at a time ---------------------------------------- */

#define SLOW_MS 3 /* of a call: more than a turn may take */
#define FREED (64 * MIB)

static struct sys_calls real;
static struct memkind_region_pool *watched;
static atomic_uint drops;

static int slow_madvise(void *addr, size_t size, int advice)
{
    if (advice == MADV_DONTNEED && region_pool_find(watched, addr) != NULL) {
        atomic_fetch_add(&drops, 1);
        sleep_ms(SLOW_MS);
    }
    return real.madvise(addr, size, advice);
}

/* Has a heap free so much, of which nothing has gone back yet. */
static void free_much(struct memkind_heap *of)
{
    void *object = heap_malloc(of, FREED, 0);
    REQUIRE_NOT_NULL(object);
    memset(object, 1, FREED);
    CHECK_EQ(heap_free(of, object), HEAP_OK);
}

static void watch(struct memkind_region_pool *its_pool)
{
    watched = its_pool;
    atomic_store(&drops, 0);
    real = sys;
    sys.madvise = slow_madvise;
}

/* The turn in which the arena gives all up, and those that give it back. */
static void test_a_turn_ends(void)
{
    begin(200);
    free_much(heap);
    watch(&pool);
    struct thread_cache *cache = heap_cache(heap);
    const time_t deadline = now() + SECONDS_MOST;
    while (region_pool_charged(&pool) > MIB && now() < deadline) {
        const unsigned before = atomic_load(&drops);
        upkeep_tick(cache);
        CHECK_LE(atomic_load(&drops), before + 3);
        sleep_ms(1);
    }
    CHECK_LE(region_pool_charged(&pool), MIB);
    CHECK_GT(atomic_load(&drops), FREED / MIB / 4);
    sys = real;
    end();
}

static int other_owner;
static struct memkind_region_pool other_pool;
static struct memkind_heap *other_heap;

static void begin_other(void)
{
    REQUIRE_EQ(region_pool_open_memory(&other_pool, &other_owner), 0);
    const struct heap_config config = {.arenas = {.pool = &other_pool,
                                                  .address_owner = &other_owner,
                                                  .limit = 1,
                                                  .dirty_decay_ms = 200}};
    REQUIRE_EQ(heap_create(&config, &other_heap), 0);
}

static void end_other(void)
{
    heap_destroy(other_heap);
    region_pool_close(&other_pool);
}

/* As long as a heap's own threads show up, other threads do nothing for it. */
static void test_heaps_of_other_threads(void)
{
    begin(200);
    begin_other();
    free_much(other_heap);
    struct thread_cache *cache = heap_cache(heap);
    watch(&other_pool);
    const int64_t far = INT64_MAX / 2;
    atomic_store(&other_heap->upkeep.own_ms, far);
    for (int i = 0; i < 100; i++) {
        upkeep_tick(cache);
        sleep_ms(10);
    }
    CHECK_EQ(atomic_load(&drops), 0);
    atomic_store(&other_heap->upkeep.own_ms, 0);
    const time_t deadline = now() + SECONDS_MOST;
    while (region_pool_charged(&other_pool) > MIB && now() < deadline) {
        const unsigned before = atomic_load(&drops);
        upkeep_tick(cache);
        CHECK_LE(atomic_load(&drops), before + 3);
        sleep_ms(1);
    }
    CHECK_LE(region_pool_charged(&other_pool), MIB);
    sys = real;
    end_other();
    end();
}

static void wait_until_it_owes(void)
{
    struct thread_cache *cache = heap_cache(heap);
    const time_t deadline = now() + SECONDS_MOST;
    watch(&pool);
    while (!region_pool_owes(&pool) && now() < deadline) {
        upkeep_tick(cache);
        sleep_ms(1);
    }
    CHECK(region_pool_owes(&pool));
}

/* What waits is no trouble to a purge, or to the end of a heap. */
static void test_a_purge_and_the_end(void)
{
    for (int purges = 0; purges < 2; purges++) {
        begin(200);
        free_much(heap);
        wait_until_it_owes();
        sys = real;
        if (purges) {
            heap_purge(heap);
            CHECK_LE(region_pool_charged(&pool), MIB);
        }
        end();
    }
}

/* A child goes on with what waited when it was forked. */
static int child_of_a_turn(void)
{
    struct thread_cache *cache = heap_cache(heap);
    const time_t deadline = now() + SECONDS_MOST;
    sys = real;
    char *object = heap_malloc(heap, FREED, 0);
    if (object == NULL)
        return 1;
    memset(object, 2, FREED);
    if (heap_free(heap, object) != HEAP_OK)
        return 2;
    while (region_pool_charged(&pool) > MIB && now() < deadline) {
        upkeep_tick(cache);
        sleep_ms(1);
    }
    return region_pool_charged(&pool) <= MIB ? 0 : 3;
}

static void test_a_fork_between_turns(void)
{
    begin(200);
    free_much(heap);
    wait_until_it_owes();
    CHECK_EQ(child_run(child_of_a_turn), 0);
    sys = real;
    CHECK(region_pool_owes(&pool));
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
    {"a turn ends", test_a_turn_ends},
    {"heaps of other threads", test_heaps_of_other_threads},
    {"a purge and the end", test_a_purge_and_the_end},
    {"a fork between turns", test_a_fork_between_turns},
    {"a snapshot waits", test_a_snapshot_waits},
    {"snapshots of many threads", test_snapshots_of_many_threads},
    {"a child of a snapshot", test_a_child_of_a_snapshot},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("upkeep", tests, argc, argv);
}
