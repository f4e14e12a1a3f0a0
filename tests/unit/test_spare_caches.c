/* SPDX-License-Identifier: BSD-2-Clause */
/* What a thread leaves behind when it ends: a cache that the next thread takes
 * over, that ages meanwhile, that reclaim and statistics find, and that a
 * forked child has, too. */
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "allocator_gate.h"
#include "cache_visit.h"
#include "heap.h"
#include "heap_create.h"
#include "heap_reclaim.h"
#include "heap_stat.h"
#include "layer_test.h"
#include "memory_barrier.h"
#include "region_pool.h"
#include "sys_calls.h"
#include "test_child.h"
#include "thread_cache.h"
#include "upkeep.h"

#define SECONDS_MOST 60
#define SPARES_MOST 64 /* thread_cache.c */
#define SIZE ((size_t)1000)

static int owner;
static struct memkind_region_pool pool;
static struct memkind_heap *heap;

static void begin_with_decay(ssize_t decay_ms)
{
    REQUIRE_EQ(region_pool_open_memory(&pool, &owner), 0);
    const struct heap_config config = {.arenas = {.pool = &pool,
                                                  .address_owner = &owner,
                                                  .limit = 2,
                                                  .dirty_decay_ms = decay_ms}};
    REQUIRE_EQ(heap_create(&config, &heap), 0);
}

static void begin(void)
{
    begin_with_decay(10000);
}

static void end(void)
{
    heap_destroy(heap);
    region_pool_close(&pool);
}

static size_t cached_now(void)
{
    CHECK_EQ(heap_stat_snapshot(), 0);
    return heap_stat_cached();
}

/* ---- a thread that comes and goes -------------------------------------- */

struct brief {
    size_t size;  /* of its objects */
    size_t count; /* at the same time, all freed at the end of a round */
    int rounds;
    void *last;  /* the object that was freed last */
    void *first; /* the object that was allocated first */
    struct thread_cache *cache;
};

static void *run_brief(void *argument)
{
    struct brief *brief = argument;
    void **objects = calloc(brief->count, sizeof *objects);
    REQUIRE_NOT_NULL(objects);
    for (int round = 0; round < brief->rounds; round++) {
        for (size_t i = 0; i < brief->count; i++)
            CHECK_NOT_NULL(objects[i] = heap_malloc(heap, brief->size, 0));
        if (round == 0)
            brief->first = objects[0];
        for (size_t i = 0; i < brief->count; i++)
            CHECK_EQ(heap_free(heap, objects[i]), HEAP_OK);
    }
    brief->last = objects[brief->count - 1];
    brief->cache = heap_cache(heap);
    free(objects);
    return NULL;
}

static struct brief come_and_go_in(int rounds, size_t size, size_t count)
{
    pthread_t thread;
    struct brief brief = {.size = size, .count = count, .rounds = rounds};
    REQUIRE_EQ(pthread_create(&thread, NULL, run_brief, &brief), 0);
    pthread_join(thread, NULL);
    return brief;
}

/* What a thread has needed twice its magazines keep. */
static struct brief come_and_go(size_t size, size_t count)
{
    return come_and_go_in(2, size, count);
}

static void *take_cache_and_wait(void *barrier)
{
    struct thread_cache *cache = heap_cache(heap);
    CHECK_EQ(heap_free(heap, heap_malloc(heap, SIZE, 0)), HEAP_OK);
    pthread_barrier_wait(barrier);
    return cache;
}

/* Threads that all have a cache at the same time. */
static void crowd_comes_and_goes(unsigned count)
{
    pthread_t *threads = calloc(count, sizeof *threads);
    pthread_barrier_t barrier;
    REQUIRE_NOT_NULL(threads);
    REQUIRE_EQ(pthread_barrier_init(&barrier, NULL, count), 0);
    for (unsigned i = 0; i < count; i++)
        REQUIRE_EQ(
            pthread_create(&threads[i], NULL, take_cache_and_wait, &barrier),
            0);
    for (unsigned i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&barrier);
    free(threads);
}

static unsigned count_listed(void)
{
    unsigned count = 0;
    for (struct thread_cache *cache = heap->caches.caches; cache != NULL;
         cache = cache->next)
        count++;
    return count;
}

static unsigned count_active(void)
{
    unsigned count = 0;
    for (struct thread_cache *cache = atomic_load(&heap->caches.active);
         cache != NULL; cache = cache->next_active) {
        CHECK(cache->is_active);
        count++;
    }
    return count;
}

static bool is_active(const struct thread_cache *wanted)
{
    const struct thread_cache *cache = atomic_load(&heap->caches.active);
    while (cache != NULL && cache != wanted)
        cache = cache->next_active;
    return cache != NULL;
}

/* Those that hold something are active, in a list without circles. Ageing may
 * have emptied others. */
static void check_all_in_use_are_active(void)
{
    unsigned in_use = 0;
    for (const struct thread_cache *cache = heap->caches.caches; cache != NULL;
         cache = cache->next)
        if (magazine_bytes(&cache->magazines) != 0) {
            CHECK(is_active(cache));
            in_use++;
        }
    CHECK_GE(count_active(), in_use);
    CHECK_LE(count_active(), count_listed());
}

static void check_no_spare(void)
{
    CHECK_NULL(heap->caches.spare);
    CHECK_EQ(heap->caches.spare_count, 0);
    CHECK_EQ(heap->caches.spare_bytes, 0);
}

/* ---- taking over ------------------------------------------------------- */

static void test_the_next_thread_takes_it_over(void)
{
    begin();
    struct brief one = come_and_go(SIZE, 20);
    CHECK_EQ(heap->caches.spare, one.cache);
    CHECK(one.cache->is_spare);
    CHECK_EQ(heap->caches.spare_count, 1);
    CHECK_GE(heap->caches.spare_bytes, 20 * SIZE);
    struct brief two = come_and_go(SIZE, 20);
    CHECK_EQ(two.cache, one.cache);
    CHECK_EQ(two.first, one.last); /* with what is in it */
    CHECK_EQ(heap->caches.spare, one.cache);
    CHECK_EQ(count_listed(), 1);
    end();
}

/* Brief threads that do the same are as one that does it in rounds. */
static void test_what_was_missed_is_taken_over(void)
{
    enum { COUNT = 64 * 1024 / SIZE };
    begin();
    (void)come_and_go_in(1, SIZE, COUNT);
    CHECK_LT(heap->caches.spare_bytes, COUNT * SIZE);
    (void)come_and_go_in(1, SIZE, COUNT);
    CHECK_GE(heap->caches.spare_bytes, COUNT * SIZE);
    end();
}

static void test_a_thread_that_has_it_is_no_spare(void)
{
    begin();
    struct brief one = come_and_go(SIZE, 20);
    CHECK_EQ(heap_cache(heap), one.cache);
    CHECK(!one.cache->is_spare);
    check_no_spare();
    /* The thread's own cache is there; another thread gets another one. */
    struct brief two = come_and_go(SIZE, 20);
    CHECK_NE(two.cache, one.cache);
    CHECK_EQ(count_listed(), 2);
    end();
}

/* Spare caches do not count when arenas are shared out. */
static void test_threads_get_arenas_of_their_own(void)
{
    begin();
    struct brief one = come_and_go(SIZE, 20);
    CHECK_EQ(one.cache->magazines.arena_place, 0);
    CHECK_EQ(heap->arenas.slots[0].threads, 0);
    (void)heap_cache(heap); /* takes that cache over */
    struct brief two = come_and_go(SIZE, 20);
    CHECK_EQ(two.cache->magazines.arena_place, 1);
    CHECK_EQ(heap->arenas.slots[0].threads, 1);
    CHECK_EQ(heap->arenas.slots[1].threads, 0);
    end();
}

/* ---- what is spare is not kept from others ----------------------------- */

static void test_it_is_counted_as_cached(void)
{
    begin();
    const size_t before = cached_now();
    (void)come_and_go(SIZE, 20);
    CHECK_GE(cached_now(), before + 20 * SIZE);
    CHECK_EQ(heap_stat(heap, HEAP_ALLOCATED), 0);
    end();
}

static void test_a_purge_empties_it(void)
{
    begin();
    (void)come_and_go(SIZE, 20);
    heap_purge(heap);
    CHECK_EQ(magazine_bytes(&heap->caches.spare->magazines), 0);
    CHECK_EQ(heap_stat_snapshot(), 0);
    CHECK_EQ(heap_stat(heap, HEAP_ACTIVE), 0);
    struct brief next = come_and_go(SIZE, 20);
    CHECK_EQ(next.cache, heap->caches.spare);
    end();
}

static struct sys_calls real;
static unsigned barriers;

static int count_membarrier(int command)
{
    barriers++;
    return real.membarrier(command);
}

/* There is no thread to keep out. A cache that a purge has emptied is no longer
 * active, and is again when its next thread puts something in. */
static void test_visits_need_no_barrier(void)
{
    begin();
    (void)come_and_go(SIZE, 20);
    crowd_comes_and_goes(8);
    struct thread_cache *cache = come_and_go(SIZE, 20).cache;
    CHECK(is_active(cache));
    real = sys;
    sys.membarrier = count_membarrier;
    barriers = 0;
    for (int i = 0; i < 3; i++) {
        heap_purge(heap);
        CHECK_EQ(magazine_bytes(&cache->magazines), 0);
        CHECK(!is_active(cache));
        (void)cached_now();
        CHECK_EQ(come_and_go(SIZE, 20).cache, cache);
        CHECK_GE(magazine_bytes(&cache->magazines), 20 * SIZE);
        CHECK(is_active(cache));
        CHECK_EQ(cache->gate & GATE_SWEPT, 0);
    }
    CHECK_EQ(barriers, 0);
    sys = real;
    end();
}

/* ---- full heaps -------------------------------------------------------- */

enum { LIMIT = 16 << 20, OBJECT = 64 << 10, MOST = LIMIT / OBJECT };
static void *objects[MOST + 1];
static size_t count;

static void begin_with_limit(void)
{
    begin();
    pool.budget = LIMIT;
    heap->caches.cache_limit = LIMIT;
    count = 0;
    (void)heap_cache(heap); /* the thread takes over no spare one */
}

static void fill(void)
{
    while (count <= MOST &&
           (objects[count] = heap_malloc(heap, OBJECT, 0)) != NULL)
        count++;
    REQUIRE(count <= MOST);
}

static void free_down_to(size_t left)
{
    while (count > left)
        CHECK_EQ(heap_free(heap, objects[--count]), HEAP_OK);
}

static void check_all_are_empty(void)
{
    for (const struct thread_cache *cache = heap->caches.caches; cache != NULL;
         cache = cache->next) {
        CHECK_EQ(magazine_bytes(&cache->magazines), 0);
        CHECK(!is_active(cache));
    }
}

/* A heap at its limit finds what threads that have ended left behind. */
static void test_a_full_heap_finds_it(void)
{
    begin_with_limit();
    fill();
    const size_t full = count;
    REQUIRE(full > 8);
    free_down_to(0);
    end();
    begin_with_limit();
    struct thread_cache *cache = come_and_go(OBJECT, 7).cache;
    CHECK(cache->is_spare);
    CHECK_GE(magazine_bytes(&cache->magazines), OBJECT);
    fill();
    CHECK_EQ(count, full);
    check_all_are_empty();
    free_down_to(0);
    end();
}

/* A heap without room keeps nothing in magazines: a thread neither leaves
 * anything behind then nor puts anything into a cache that it takes over. */
static void test_a_full_heap_keeps_nothing_in_it(void)
{
    begin_with_limit();
    struct thread_cache *cache = come_and_go(OBJECT, 7).cache;
    CHECK_GE(magazine_bytes(&cache->magazines), OBJECT);
    fill();
    for (int i = 0; i < 3; i++) {
        const size_t full = count;
        free_down_to(full - 8);
        CHECK_EQ(come_and_go(OBJECT, 7).cache, heap->caches.spare);
        check_all_are_empty();
        fill();
        CHECK_EQ(count, full);
    }
    free_down_to(0);
    end();
}

/* ---- ageing ------------------------------------------------------------ */

static time_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec;
}

/* Another thread ages it, and frees it when nothing is left. */
static void test_it_ages_until_it_is_gone(void)
{
    const struct timespec pause = {.tv_nsec = 20000000};
    begin();
    struct thread_cache *cache = heap_cache(heap);
    (void)come_and_go(SIZE, 200);
    const time_t deadline = now() + SECONDS_MOST;
    CHECK_EQ(count_listed(), 2);
    while (heap->caches.spare != NULL && now() < deadline) {
        upkeep_tick(cache);
        nanosleep(&pause, NULL);
    }
    check_no_spare();
    CHECK_EQ(count_listed(), 1);
    CHECK_EQ(heap_stat_snapshot(), 0);
    CHECK_EQ(heap_stat(heap, HEAP_ALLOCATED), 0);
    end();
}

/* Ageing takes what it has emptied out of the list of active caches, that of a
 * thread that sleeps, too. */
static void *take_and_wait(void *barrier)
{
    heap_cache(heap)->ticks = INT32_MAX; /* a slow run ages nothing of itself */
    CHECK_EQ(heap_free(heap, heap_malloc(heap, SIZE, 0)), HEAP_OK);
    pthread_barrier_wait(barrier);
    pthread_barrier_wait(barrier);
    return NULL;
}

static void test_what_has_aged_is_not_active(void)
{
    const struct timespec pause = {.tv_nsec = 20000000};
    pthread_barrier_t barrier;
    pthread_t thread;
    begin();
    REQUIRE_EQ(pthread_barrier_init(&barrier, NULL, 2), 0);
    REQUIRE_EQ(pthread_create(&thread, NULL, take_and_wait, &barrier), 0);
    pthread_barrier_wait(&barrier);
    CHECK_NOT_NULL(atomic_load(&heap->caches.active));
    const time_t deadline = now() + SECONDS_MOST;
    struct thread_cache *cache = heap_cache(heap);
    while ((atomic_load(&heap->caches.active) != NULL ||
            heap->caches.caches->magazines.reserved != 0 ||
            heap->caches.caches->next->magazines.reserved != 0) &&
           now() < deadline) {
        upkeep_tick(cache);
        nanosleep(&pause, NULL);
    }
    CHECK_NULL(atomic_load(&heap->caches.active));
    CHECK_EQ(heap->caches.caches->next->magazines.reserved, 0);
    pthread_barrier_wait(&barrier);
    pthread_join(thread, NULL);
    pthread_barrier_destroy(&barrier);
    end();
}

/* Parts of a step of ageing that are left. */
static unsigned age_to_the_end(void)
{
    unsigned parts = 1;
    while (cache_visit_age_some(&heap->caches))
        parts++;
    CHECK_NULL(heap->caches.to_age);
    return parts;
}

/* Caches come and go between the parts. */
static void test_ageing_in_parts(void)
{
    enum { THREADS = 150 };
    pthread_barrier_t barrier;
    pthread_t threads[THREADS];
    begin();
    (void)heap_cache(heap);
    REQUIRE_EQ(pthread_barrier_init(&barrier, NULL, THREADS + 1), 0);
    for (int i = 0; i < THREADS; i++)
        REQUIRE_EQ(pthread_create(&threads[i], NULL, take_and_wait, &barrier),
                   0);
    pthread_barrier_wait(&barrier);
    REQUIRE(allocator_enter());
    cache_visit_begin_ageing(&heap->caches);
    CHECK_EQ(age_to_the_end(), 3);
    CHECK_EQ(age_to_the_end(), 1);
    cache_visit_begin_ageing(&heap->caches);
    CHECK(cache_visit_age_some(&heap->caches));
    CHECK_NOT_NULL(heap->caches.to_age);
    allocator_leave();
    pthread_barrier_wait(&barrier);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    REQUIRE(allocator_enter());
    (void)age_to_the_end();
    for (int i = 0; i < 100 && heap->caches.spare != NULL; i++) {
        cache_visit_begin_ageing(&heap->caches);
        (void)cache_visit_age_some(&heap->caches);
        while (thread_cache_end_empty_spares(&heap->caches))
            ;
        (void)age_to_the_end();
    }
    allocator_leave();
    check_no_spare();
    pthread_barrier_destroy(&barrier);
    end();
}

/* ---- visits to caches in use ------------------------------------------- */

static bool was_found;

/* Called when gates have been closed. */
static int look_for_caches(int command)
{
    was_found = cache_visit_may_find(&heap->caches);
    return real.membarrier(command);
}

/* Until a visitor has emptied a cache, an allocation that fails meanwhile knows
 * that the cache may hold objects. */
static void test_visits_hide_nothing(void)
{
    pthread_barrier_t barrier;
    pthread_t thread;
    begin();
    REQUIRE_EQ(pthread_barrier_init(&barrier, NULL, 2), 0);
    REQUIRE_EQ(pthread_create(&thread, NULL, take_and_wait, &barrier), 0);
    pthread_barrier_wait(&barrier);
    real = sys;
    sys.membarrier = look_for_caches;
    was_found = !memory_barrier_is_asymmetric();
    (void)cached_now();
    CHECK(was_found);
    CHECK_EQ(count_active(), 1);
    was_found = !memory_barrier_is_asymmetric();
    heap_purge(heap);
    CHECK(was_found);
    CHECK_EQ(count_active(), 0);
    CHECK(!cache_visit_may_find(&heap->caches));
    sys = real;
    pthread_barrier_wait(&barrier);
    pthread_join(thread, NULL);
    pthread_barrier_destroy(&barrier);
    end();
}

/* ---- what is not kept -------------------------------------------------- */

static void test_a_thread_that_held_much_gives_it_back(void)
{
    begin();
    (void)come_and_go(4096, 1000);
    check_no_spare();
    CHECK_EQ(count_listed(), 0);
    CHECK_EQ(cached_now(), 0);
    end();
}

static void test_pages_that_are_not_kept(void)
{
    begin_with_decay(0);
    (void)come_and_go(SIZE, 20);
    check_no_spare();
    CHECK_EQ(count_listed(), 0);
    CHECK_EQ(cached_now(), 0);
    end();
}

/* In a run that is slow ageing may have freed some. */
static void check_most_are_kept(time_t start)
{
    CHECK_EQ(count_listed(), heap->caches.spare_count);
    if (now() > start)
        CHECK_LE(heap->caches.spare_count, SPARES_MOST);
    else
        CHECK_EQ(heap->caches.spare_count, SPARES_MOST);
}

static void test_few_of_many_threads(void)
{
    begin();
    const time_t start = now();
    for (int i = 0; i < 5; i++) {
        crowd_comes_and_goes(SPARES_MOST + 40);
        check_most_are_kept(start);
        check_all_in_use_are_active();
    }
    for (unsigned i = 0; i < 2; i++)
        CHECK_EQ(heap->arenas.slots[i].threads, 0);
    crowd_comes_and_goes(10);
    check_most_are_kept(start);
    end();
}

/* All spare caches together hold no more than one cache may. */
static void test_few_bytes(void)
{
    begin();
    heap->caches.cache_limit = 3 * 32 * KIB;
    for (int i = 0; i < 10; i++) {
        struct brief one = come_and_go(SIZE, 20);
        if (one.cache == heap->caches.spare)
            (void)heap_cache(heap);
        CHECK_LE(heap->caches.spare_bytes, heap->caches.cache_limit);
    }
    heap->caches.cache_limit = 0;
    (void)come_and_go(SIZE, 20);
    end();
}

/* A heap goes with its spare caches. */
static void test_heaps_come_and_go(void)
{
    struct test_resources before;
    for (int i = 0; i < 40; i++) {
        if (i == 20)
            layer_resources_take(&before);
        begin();
        crowd_comes_and_goes(8);
        (void)come_and_go(SIZE, 20);
        end();
    }
    CHECK(nothing_leaked_but_metadata(&before));
}

/* ---- fork -------------------------------------------------------------- */

static struct brief before_fork;

static int child_with_a_spare(void)
{
    NEED(heap->caches.spare == before_fork.cache);
    NEED(atomic_load(&heap->caches.orphans) == NULL);
    struct brief brief = come_and_go(SIZE, 20);
    NEED(brief.cache == before_fork.cache);
    NEED(brief.first == before_fork.last);
    heap_purge(heap);
    NEED(heap_stat_snapshot() == 0);
    NEED(heap_stat(heap, HEAP_ACTIVE) == 0);
    return 0;
}

static void test_a_child_has_it(void)
{
    begin();
    before_fork = come_and_go(SIZE, 20);
    CHECK_EQ(child_run(child_with_a_spare), 0);
    struct brief brief = come_and_go(SIZE, 20);
    CHECK_EQ(brief.cache, before_fork.cache);
    CHECK_EQ(brief.first, before_fork.last);
    end();
}

/* ---- many at a time ---------------------------------------------------- */

enum { CHURNERS = 4, CHURNS = 250 };

static void *start_brief_threads(void *unused)
{
    for (int i = 0; i < CHURNS; i++)
        (void)come_and_go(16 + (size_t)i * 7, 10 + (size_t)i % 50);
    return unused;
}

static void *purge_and_count(void *stop)
{
    while (!atomic_load((atomic_bool *)stop)) {
        heap_purge(heap);
        (void)cached_now();
        upkeep_tick(heap_cache(heap));
    }
    return NULL;
}

static void test_thousands_of_threads(void)
{
    pthread_t threads[CHURNERS], purger;
    atomic_bool stop = false;
    begin();
    REQUIRE_EQ(pthread_create(&purger, NULL, purge_and_count, &stop), 0);
    for (int i = 0; i < CHURNERS; i++)
        REQUIRE_EQ(pthread_create(&threads[i], NULL, start_brief_threads, NULL),
                   0);
    for (int i = 0; i < CHURNERS; i++)
        pthread_join(threads[i], NULL);
    atomic_store(&stop, true);
    pthread_join(purger, NULL);
    CHECK_LE(count_listed(), CHURNERS + 1);
    CHECK_EQ(heap->caches.spare_count, count_listed());
    heap_purge(heap);
    CHECK_EQ(heap_stat_snapshot(), 0);
    CHECK_EQ(heap_stat(heap, HEAP_ALLOCATED), 0);
    CHECK_EQ(heap_stat(heap, HEAP_ACTIVE), 0);
    end();
}

static const struct test_case tests[] = {
    {"the next thread takes it over", test_the_next_thread_takes_it_over},
    {"what was missed is taken over", test_what_was_missed_is_taken_over},
    {"a thread that has it is no spare", test_a_thread_that_has_it_is_no_spare},
    {"threads get arenas of their own", test_threads_get_arenas_of_their_own},
    {"it is counted as cached", test_it_is_counted_as_cached},
    {"a purge empties it", test_a_purge_empties_it},
    {"visits need no barrier", test_visits_need_no_barrier},
    {"a full heap finds it", test_a_full_heap_finds_it},
    {"a full heap keeps nothing in it", test_a_full_heap_keeps_nothing_in_it},
    {"it ages until it is gone", test_it_ages_until_it_is_gone},
    {"ageing in parts", test_ageing_in_parts},
    {"what has aged is not active", test_what_has_aged_is_not_active},
    {"visits hide nothing", test_visits_hide_nothing},
    {"a thread that held much gives it back",
     test_a_thread_that_held_much_gives_it_back},
    {"pages that are not kept", test_pages_that_are_not_kept},
    {"few of many threads", test_few_of_many_threads},
    {"few bytes", test_few_bytes},
    {"heaps come and go", test_heaps_come_and_go},
    {"a child has it", test_a_child_has_it},
    {"thousands of threads", test_thousands_of_threads},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("spare caches", tests, argc, argv);
}
