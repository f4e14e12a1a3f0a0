/* SPDX-License-Identifier: BSD-2-Clause */
/* Objects that one thread makes and another frees: they travel without
 * jemalloc, within limits, and are found wherever they are. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "allocator_gate.h"
#include "cache_visit.h"
#include "heap.h"
#include "heap_create.h"
#include "heap_report.h"
#include "heap_stat.h"
#include "jemalloc_ctl.h"
#include "layer_test.h"
#include "region_pool.h"
#include "test_child.h"
#include "thread_cache.h"
#include "upkeep.h"

#define SIZE ((size_t)64)
#define BATCH ((size_t)4000)

static int owner;
static struct memkind_region_pool pool;
static struct memkind_heap *heap;
static void *objects[64 * MIB / 512];
static size_t count;

/* No upkeep ages anything, however long a test takes. */
static void stay_young(void)
{
    heap_cache(heap)->ticks = INT32_MAX;
}

/* This thread has a cache of its own before others come and go. */
static void make_heap(bool is_checked)
{
    const struct heap_config config = {.arenas = {.pool = &pool,
                                                  .address_owner = &owner,
                                                  .limit = 4,
                                                  .dirty_decay_ms = 10000},
                                       .is_checked = is_checked};
    REQUIRE_EQ(heap_create(&config, &heap), 0);
    stay_young();
    count = 0;
}

static void begin(void)
{
    REQUIRE_EQ(region_pool_open_memory(&pool, &owner), 0);
    make_heap(false);
}

static void begin_with_limit(size_t limit)
{
    REQUIRE_EQ(region_pool_open_files(&pool, test_dir(), limit, &owner), 0);
    make_heap(false);
}

static void end(void)
{
    heap_destroy(heap);
    region_pool_close(&pool);
}

static struct depot *depot(void)
{
    return &heap->caches.depot;
}

static bool is_made(void)
{
    return atomic_load(&depot()->store) != NULL;
}

/* ---- threads that only make, or only free -------------------------------- */

/* Objects to make: so many, or until there is no room. */
static size_t wanted_size = SIZE, wanted_count = BATCH;

static void *make_objects(void *unused)
{
    stay_young();
    while (count < wanted_count &&
           (objects[count] = heap_malloc(heap, wanted_size, 0)) != NULL) {
        memset(objects[count], 'o', wanted_size);
        count++;
    }
    return unused;
}

static void *free_objects(void *unused)
{
    size_t failed = 0;
    stay_young();
    for (; count > 0; count--)
        failed += heap_free(heap, objects[count - 1]) != HEAP_OK;
    CHECK_EQ(failed, 0);
    return unused;
}

/* A thread makes them, this one frees them. */
static void pass(size_t size, size_t wanted)
{
    wanted_size = size;
    wanted_count = wanted;
    (void)run_in_thread(make_objects, NULL);
    (void)free_objects(NULL);
}

/* ---- statistics ---------------------------------------------------------- */

/* How many objects the arenas have got back. */
static uint64_t count_returned(void)
{
    uint64_t sum = 0;
    const bool entered = allocator_enter();
    CHECK_EQ(je_stats_refresh(), 0);
    for (unsigned i = 0; i < heap_arenas_count(&heap->arenas); i++) {
        char name[64];
        uint64_t returned = 0;
        size_t length = sizeof returned;
        snprintf(name, sizeof name, "stats.arenas.%u.small.ndalloc",
                 heap->arenas.slots[i].index);
        CHECK_EQ(JE_NAME(mallctl)(name, &returned, &length, NULL, 0), 0);
        sum += returned;
    }
    if (entered)
        allocator_leave();
    return sum;
}

static size_t allocated(void)
{
    CHECK_EQ(heap_stat_snapshot(), 0);
    return heap_stat(heap, HEAP_ALLOCATED);
}

/* Without its own cache, which a snapshot drains. */
static size_t cached(void)
{
    CHECK_EQ(heap_stat_snapshot(), 0);
    return heap_stat_cached();
}

static bool age_some(void)
{
    const bool entered = allocator_enter();
    const bool is_left = cache_visit_age_some(&heap->caches);
    if (entered)
        allocator_leave();
    return is_left;
}

static void age(void)
{
    const bool entered = allocator_enter();
    cache_visit_begin_ageing(&heap->caches);
    if (entered)
        allocator_leave();
    while (age_some())
        ;
}

/* ---- what travels -------------------------------------------------------- */

static void test_objects_travel_without_jemalloc(void)
{
    begin();
    for (int i = 0; i < 20; i++)
        pass(SIZE, BATCH);
    CHECK(is_made());
    CHECK_GT(depot_bytes(depot()), 0);
    const uint64_t before = count_returned();
    for (int i = 0; i < 20; i++)
        pass(SIZE, BATCH);
    CHECK_EQ(count_returned(), before);
    end();
}

static void test_all_classes_of_slabs_travel(void)
{
    begin();
    for (unsigned class = SIZE_CLASS_FIRST; class < size_class_first_large;
         class ++) {
        const size_t size = size_class_sizes[class];
        const size_t number =
            6 * depot_chunk_count(depot(), class) + 2 * DEPOT_CHUNK;
        size_t held = depot_bytes(depot());
        for (int i = 0; i < 3; i++)
            pass(size, number);
        CHECK_GT(depot_bytes(depot()), held);
        CHECK_EQ(depot_bytes(depot()) % 8, 0);
        heap_purge(heap);
        CHECK_EQ(depot_bytes(depot()), 0);
    }
    end();
}

static void test_a_thread_that_uses_its_own_has_no_depot(void)
{
    begin();
    wanted_size = SIZE;
    wanted_count = 25 * BATCH;
    for (int i = 0; i < 3; i++) {
        (void)make_objects(NULL);
        (void)free_objects(NULL);
    }
    CHECK(!is_made());
    end();
}

static void test_nothing_travels_that_is_not_wanted(void)
{
    begin();
    pass(SIZE, BATCH);
    const size_t held = depot_bytes(depot());
    /* Made by this thread, which has no use for chunks of its own. */
    wanted_size = 2 * SIZE;
    wanted_count = 25 * BATCH;
    (void)make_objects(NULL);
    (void)free_objects(NULL);
    CHECK_EQ(depot_bytes(depot()), held);
    end();
}

static void test_objects_with_pages_of_their_own_stay(void)
{
    begin();
    for (int i = 0; i < 3; i++)
        pass(64 * KIB, 200);
    CHECK(!is_made());
    end();
}

static unsigned reports;
static const void *reported;

static void note_report(enum heap_error error, void *of, const void *ptr)
{
    CHECK_EQ(error, HEAP_DOUBLE_FREE);
    CHECK_EQ(of, &owner);
    reported = ptr;
    reports++;
}

/* As in what goes to the arenas. */
static void test_second_free_does_not_travel(void)
{
    heap_report_init(note_report);
    begin();
    wanted_size = SIZE;
    wanted_count = BATCH;
    (void)run_in_thread(make_objects, NULL);
    void *twice = objects[count - 10];
    for (reports = 0; count > BATCH / 2; count--) {
        CHECK_EQ(heap_free(heap, objects[count - 1]), HEAP_OK);
        if (count == BATCH - 12) /* two others are between them */
            CHECK_EQ(heap_free(heap, twice), HEAP_OK);
    }
    CHECK_GT(depot_bytes(depot()), 0);
    CHECK_EQ(reports, 1);
    CHECK_EQ(reported, twice);
    (void)free_objects(NULL);
    CHECK_EQ(allocated(), 0);
    end();
}

/* ---- limits -------------------------------------------------------------- */

static void test_it_is_bounded(void)
{
    const size_t limit = 64 * MIB;
    if (!test_has_space(limit))
        return;
    begin_with_limit(limit);
    REQUIRE_EQ(depot()->limit, heap->caches.cache_limit);
    wanted_size = 500;
    wanted_count = 40000;
    (void)run_in_thread(make_objects, NULL);
    size_t most = 0;
    for (; count > 0; count--) {
        CHECK_EQ(heap_free(heap, objects[count - 1]), HEAP_OK);
        const size_t bytes = depot_bytes(depot());
        most = bytes > most ? bytes : most;
    }
    CHECK_GT(most, depot()->limit / 2);
    CHECK_LE(most, depot()->limit);
    CHECK_EQ(allocated(), 0);
    end();
}

static void test_a_small_kind_holds_little(void)
{
    if (!test_has_space(16 * MIB))
        return;
    begin_with_limit(16 * MIB);
    for (int i = 0; i < 10; i++)
        pass(1024, 5000);
    CHECK_GT(depot_bytes(depot()), 0);
    CHECK_LE(depot_bytes(depot()), 16 * MIB / 64);
    end();
}

static void test_number_of_chunks(void)
{
    static void *none[DEPOT_CHUNK];
    static struct depot small;
    unsigned taken = 0, size_class;
    struct depot_chunk *chunk;
    const bool entered = allocator_enter();
    depot_init(&small, SIZE_MAX / 2);
    while (depot_push(&small, SIZE_CLASS_FIRST, none, 1 + taken % DEPOT_CHUNK))
        taken++;
    CHECK_EQ(taken, 1024);
    while ((chunk = depot_pop_any(&small, &size_class)) != NULL) {
        taken--;
        CHECK_EQ(size_class, SIZE_CLASS_FIRST);
        CHECK_EQ(chunk->count, 1 + taken % DEPOT_CHUNK);
        depot_release(&small, size_class, chunk);
    }
    CHECK_EQ(taken, 0);
    CHECK_EQ(depot_bytes(&small), 0);
    /* Without their DRAM, and with it again. */
    depot_end_step(&small);
    CHECK(depot_push(&small, SIZE_CLASS_FIRST, none, 1));
    depot_forget(&small);
    CHECK_EQ(depot_bytes(&small), 0);
    if (entered)
        allocator_leave();
}

/* ---- what lies there ----------------------------------------------------- */

static void test_it_ages(void)
{
    begin();
    for (int i = 0; i < 5; i++)
        pass(SIZE, BATCH);
    const size_t held = depot_bytes(depot());
    CHECK_GT(held, 0);
    age();
    CHECK_EQ(depot_bytes(depot()), held);
    /* Nothing is wanted any more. */
    wanted_count = BATCH;
    for (unsigned i = 0; i < SIZE_CLASS_COUNT; i++)
        CHECK_NULL(atomic_load(&depot()->wanted_by[i]));
    age();
    CHECK_EQ(depot_bytes(depot()), 0);
    end();
}

static void test_ageing_leaves_what_is_new(void)
{
    begin();
    for (int i = 0; i < 5; i++)
        pass(SIZE, BATCH);
    age();
    pass(3 * SIZE, BATCH);
    const size_t both = depot_bytes(depot());
    unsigned steps = 0;
    const bool entered = allocator_enter();
    cache_visit_begin_ageing(&heap->caches);
    if (entered)
        allocator_leave();
    while (age_some())
        steps++;
    CHECK_GT(steps, 0); /* a step of ageing takes several turns */
    CHECK_GT(depot_bytes(depot()), 0);
    CHECK_LT(depot_bytes(depot()), both);
    age();
    CHECK_EQ(depot_bytes(depot()), 0);
    end();
}

static void test_old_chunks_are_taken(void)
{
    begin();
    for (int i = 0; i < 5; i++)
        pass(SIZE, BATCH);
    age();
    const size_t held = depot_bytes(depot());
    CHECK_GT(held, 0);
    wanted_count = 1000;
    (void)run_in_thread(make_objects, NULL);
    CHECK_LT(depot_bytes(depot()), held);
    (void)free_objects(NULL);
    end();
}

static void test_it_counts_as_cached(void)
{
    begin();
    for (int i = 0; i < 5; i++)
        pass(SIZE, BATCH);
    const size_t held = depot_bytes(depot());
    CHECK_GT(held, 0);
    CHECK_GE(cached(), held);
    CHECK_EQ(allocated(), 0);
    CHECK_EQ(depot_bytes(depot()), held);
    end();
}

static void test_a_purge_empties_it(void)
{
    begin();
    for (int i = 0; i < 5; i++)
        pass(SIZE, BATCH);
    CHECK(cache_visit_may_find(&heap->caches));
    heap_purge(heap);
    CHECK_EQ(depot_bytes(depot()), 0);
    CHECK(!cache_visit_may_find(&heap->caches));
    CHECK_EQ(cached(), 0);
    CHECK_EQ(heap_stat(heap, HEAP_ACTIVE), 0);
    end();
}

static void test_no_decay_empties_it(void)
{
    begin();
    for (int i = 0; i < 5; i++)
        pass(SIZE, BATCH);
    CHECK_EQ(heap_set_decay(heap, 0), 0);
    CHECK_EQ(depot_bytes(depot()), 0);
    end();
}

/* ---- a heap without room ------------------------------------------------- */

/* Bytes that can be had as objects of this size. */
static size_t fill(size_t size)
{
    wanted_size = size;
    wanted_count = sizeof objects / sizeof objects[0];
    (void)make_objects(NULL);
    CHECK_LT(count, wanted_count);
    return count * size;
}

static void test_a_full_heap_finds_it(void)
{
    const size_t limit = 32 * MIB;
    if (!test_has_space(limit))
        return;
    begin_with_limit(limit);
    const size_t most = fill(8 * KIB);
    (void)free_objects(NULL);
    end();

    begin_with_limit(limit);
    for (int i = 0; i < 5; i++)
        pass(1024, 10000);
    CHECK_GT(depot_bytes(depot()), 0);
    CHECK_GE(fill(8 * KIB), most);
    CHECK_EQ(depot_bytes(depot()), 0);
    (void)free_objects(NULL);
    end();
}

static void test_a_full_heap_has_none(void)
{
    if (!test_has_space(16 * MIB))
        return;
    begin_with_limit(16 * MIB);
    for (int i = 0; i < 5; i++)
        pass(1024, 5000);
    (void)fill(1024);
    CHECK(!cache_visit_may_find(&heap->caches));
    for (int i = 0; i < 100; i++) {
        count--;
        CHECK_EQ(heap_free(heap, objects[count]), HEAP_OK);
        CHECK_EQ(depot_bytes(depot()), 0);
    }
    (void)run_in_thread(free_objects, NULL);
    end();
}

/* What threads pass to each other while the heap is at its limit is never lost:
 * all of it can be had again at the end. */
static atomic_bool stop;
static _Atomic(void *) on_their_way[512];

/* Whether the object is as its maker has left it. */
static bool free_passed(void *object)
{
    return *(volatile size_t *)object == (uintptr_t)object &&
           heap_free(heap, object) == HEAP_OK;
}

static void *pass_at_limit(void *size)
{
    size_t failed = 0;
    uint64_t random = (uintptr_t)&random;
    while (!atomic_load(&stop)) {
        for (int i = 0; i < 300; i++) {
            random = random * 6364136223846793005U + 1442695040888963407U;
            void *object = heap_malloc(heap, (size_t)(uintptr_t)size, 0);
            if (object != NULL)
                *(volatile size_t *)object = (uintptr_t)object;
            object = atomic_exchange(&on_their_way[random >> 55], object);
            failed += object != NULL && !free_passed(object);
        }
    }
    CHECK_EQ(failed, 0);
    return NULL;
}

static void *free_others(void *unused)
{
    size_t failed = 0;
    while (!atomic_load(&stop))
        for (size_t i = 0; i < 512; i++) {
            void *object = atomic_exchange(&on_their_way[i], NULL);
            failed += object != NULL && !free_passed(object);
        }
    CHECK_EQ(failed, 0);
    return unused;
}

enum { MAKERS = 2, FREERS = 2, THREADS = MAKERS + FREERS };

static void start_threads(pthread_t *threads, size_t size)
{
    atomic_store(&stop, false);
    for (int i = 0; i < THREADS; i++)
        REQUIRE_EQ(pthread_create(&threads[i], NULL,
                                  i < MAKERS ? pass_at_limit : free_others,
                                  (void *)(uintptr_t)size),
                   0);
}

static void end_threads(const pthread_t *threads)
{
    atomic_store(&stop, true);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (size_t i = 0; i < 512; i++) {
        void *object = atomic_exchange(&on_their_way[i], NULL);
        if (object != NULL)
            CHECK_EQ(heap_free(heap, object), HEAP_OK);
    }
}

static void test_threads_at_the_limit(void)
{
    pthread_t threads[THREADS];
    if (!test_has_space(16 * MIB))
        return;
    begin_with_limit(16 * MIB);
    const size_t most = fill(8 * KIB);
    (void)free_objects(NULL);
    for (int round = 0; round < 5; round++) {
        start_threads(threads, 1000);
        (void)fill(8 * KIB);
        (void)free_objects(NULL);
        end_threads(threads);
        CHECK_GE(fill(8 * KIB), most);
        (void)free_objects(NULL);
    }
    end();
}

/* ---- everything at once -------------------------------------------------- */

static void test_threads_that_pass_objects(void)
{
    pthread_t threads[THREADS];
    begin();
    for (int round = 0; round < 3; round++) {
        start_threads(threads, 48 + 80 * (size_t)round);
        for (int i = 0; i < 6; i++) {
            age();
            (void)cached();
            if (i % 3 == 0)
                heap_purge(heap);
            pass(SIZE, BATCH);
        }
        end_threads(threads);
        heap_purge(heap);
        CHECK_EQ(depot_bytes(depot()), 0);
        CHECK_EQ(allocated(), 0);
        CHECK_EQ(heap_stat(heap, HEAP_ACTIVE), 0);
    }
    end();
}

static void test_threads_that_end(void)
{
    begin();
    for (int i = 0; i < 10; i++) {
        wanted_count = BATCH;
        (void)run_in_thread(make_objects, NULL);
        (void)run_in_thread(free_objects, NULL);
    }
    for (int i = 0; i < 10; i++)
        pass(SIZE, BATCH);
    (void)run_in_thread(make_objects, NULL);
    (void)run_in_thread(free_objects, NULL);
    CHECK_EQ(allocated(), 0);
    heap_purge(heap);
    CHECK_EQ(cached(), 0);
    CHECK_EQ(heap_stat(heap, HEAP_ACTIVE), 0);
    end();
}

static void test_destroyed_with_objects_in_it(void)
{
    struct test_resources before;
    for (int i = 0; i < 15; i++) {
        if (i == 5)
            layer_resources_take(&before);
        begin();
        for (int j = 0; j < 4; j++)
            pass(SIZE, BATCH);
        CHECK_GT(depot_bytes(depot()), 0);
        end();
    }
    CHECK(nothing_leaked_but_metadata(&before));
}

static void test_a_checked_heap_has_none(void)
{
    REQUIRE_EQ(region_pool_open_memory(&pool, &owner), 0);
    make_heap(true);
    /* What leaves the quarantine goes past the magazines. */
    for (int i = 0; i < 3; i++)
        pass(SIZE, BATCH);
    CHECK(!is_made());
    CHECK_EQ(allocated(), 0);
    heap_purge(heap);
    CHECK_EQ(depot_bytes(depot()), 0);
    CHECK_EQ(cached(), 0);
    end();
}

/* ---- fork ---------------------------------------------------------------- */

static size_t held_before;

static int child_with_a_depot(void)
{
    NEED(depot_bytes(depot()) == held_before);
    pass(SIZE, 3 * BATCH);
    NEED(allocated() == 0);
    heap_purge(heap);
    NEED(depot_bytes(depot()) == 0);
    NEED(cached() == 0);
    return 0;
}

static void test_a_child_has_it(void)
{
    begin();
    for (int i = 0; i < 5; i++)
        pass(SIZE, BATCH);
    held_before = depot_bytes(depot());
    CHECK_GT(held_before, 0);
    CHECK_EQ(child_run(child_with_a_depot), 0);
    CHECK_EQ(depot_bytes(depot()), held_before);
    pass(SIZE, BATCH);
    heap_purge(heap);
    CHECK_EQ(cached(), 0);
    end();
}

/* The caches of the parent's other threads are orphans, with what they hold. */
static int child_of_threads(void)
{
    heap_purge(heap);
    NEED(depot_bytes(depot()) == 0);
    NEED(cached() == 0);
    wanted_size = SIZE;
    wanted_count = BATCH;
    (void)make_objects(NULL);
    NEED(count == BATCH);
    (void)free_objects(NULL);
    heap_purge(heap);
    NEED(cached() == 0);
    return 0;
}

static void test_forks_while_objects_travel(void)
{
    pthread_t threads[THREADS];
    begin();
    start_threads(threads, SIZE);
    for (int i = 0; i < 10; i++)
        CHECK_EQ(child_run(child_of_threads), 0);
    end_threads(threads);
    heap_purge(heap);
    CHECK_EQ(allocated(), 0);
    end();
}

static const struct test_case tests[] = {
    {"objects travel without jemalloc", test_objects_travel_without_jemalloc},
    {"all classes of slabs travel", test_all_classes_of_slabs_travel},
    {"a thread that uses its own has no depot",
     test_a_thread_that_uses_its_own_has_no_depot},
    {"nothing travels that is not wanted",
     test_nothing_travels_that_is_not_wanted},
    {"objects with pages of their own stay",
     test_objects_with_pages_of_their_own_stay},
    {"second free does not travel", test_second_free_does_not_travel},
    {"it is bounded", test_it_is_bounded},
    {"a small kind holds little", test_a_small_kind_holds_little},
    {"number of chunks", test_number_of_chunks},
    {"it ages", test_it_ages},
    {"ageing leaves what is new", test_ageing_leaves_what_is_new},
    {"old chunks are taken", test_old_chunks_are_taken},
    {"it counts as cached", test_it_counts_as_cached},
    {"a purge empties it", test_a_purge_empties_it},
    {"no decay empties it", test_no_decay_empties_it},
    {"a full heap finds it", test_a_full_heap_finds_it},
    {"a full heap has none", test_a_full_heap_has_none},
    {"threads at the limit", test_threads_at_the_limit},
    {"threads that pass objects", test_threads_that_pass_objects},
    {"threads that end", test_threads_that_end},
    {"destroyed with objects in it", test_destroyed_with_objects_in_it},
    {"a checked heap has none", test_a_checked_heap_has_none},
    {"a child has it", test_a_child_has_it},
    {"forks while objects travel", test_forks_while_objects_travel},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("depot", tests, argc, argv);
}
