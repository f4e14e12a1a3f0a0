/* SPDX-License-Identifier: BSD-2-Clause */
/* Arenas and the caches through which threads use them. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cache_visit.h"
#include "heap.h"
#include "heap_create.h"
#include "heap_fixed.h"
#include "heap_stat.h"
#include "jemalloc_ctl.h"
#include "layer_test.h"
#include "region_pool.h"
#include "thread_cache.h"

static int owner;
static struct memkind_region_pool pool;

static void open_pool(void)
{
    REQUIRE_EQ(region_pool_open_memory(&pool, &owner), 0);
}

static struct memkind_heap *make_heap_with_decay(unsigned limit,
                                                 ssize_t decay_ms)
{
    const struct heap_config config = {.arenas = {.pool = &pool,
                                                  .address_owner = &owner,
                                                  .limit = limit,
                                                  .dirty_decay_ms = decay_ms}};
    struct memkind_heap *heap = NULL;
    REQUIRE_EQ(heap_create(&config, &heap), 0);
    return heap;
}

static struct memkind_heap *make_heap(unsigned limit)
{
    return make_heap_with_decay(limit, 10000);
}

static void run_thread(void *(*run)(void *), void *argument)
{
    pthread_t thread;
    REQUIRE_EQ(pthread_create(&thread, NULL, run, argument), 0);
    pthread_join(thread, NULL);
}

static unsigned list_length(const struct thread_cache *cache)
{
    unsigned length = 0;
    for (; cache != NULL; cache = cache->next)
        length++;
    return length;
}

/* How many arenas there are. */
static unsigned live_arenas(void)
{
    unsigned all = 0, live = 0;
    size_t length = sizeof all;
    CHECK_EQ(je_stats_refresh(), 0);
    CHECK_EQ(JE_NAME(mallctl)("arenas.narenas", &all, &length, NULL, 0), 0);
    for (unsigned i = 0; i < all; i++) {
        char name[64];
        bool made = false;
        length = sizeof made;
        snprintf(name, sizeof name, "arena.%u.initialized", i);
        if (JE_NAME(mallctl)(name, &made, &length, NULL, 0) == 0 && made)
            live++;
    }
    return live;
}

/* Arenas in use: as many after as before. */
struct numbers {
    unsigned arenas;
};

static struct numbers take_numbers(void)
{
    return (struct numbers){live_arenas()};
}

static bool same_numbers(struct numbers before)
{
    struct numbers now = take_numbers();
    if (now.arenas != before.arenas)
        fprintf(stderr, "%u arenas; before %u\n", now.arenas, before.arenas);
    return now.arenas == before.arenas;
}

/* ---- caches of threads ------------------------------------------------- */

static void *report_cache(void *heap)
{
    struct thread_cache *cache = heap_cache(heap);
    void *object = heap_malloc(heap, 100, 0);
    if (object == NULL || heap_cache(heap) != cache)
        return NULL;
    heap_free(heap, object);
    return cache;
}

static void *other_threads_cache(struct memkind_heap *heap)
{
    pthread_t thread;
    void *cache = NULL;
    REQUIRE_EQ(pthread_create(&thread, NULL, report_cache, heap), 0);
    pthread_join(thread, &cache);
    CHECK_NOT_NULL(cache);
    return cache;
}

static void test_cache_of_each_thread_and_heap(void)
{
    open_pool();
    struct memkind_heap *a = make_heap(4), *b = make_heap(4);
    CHECK_NE(heap_slot(a), heap_slot(b));
    CHECK_NE(a->caches.place.id, b->caches.place.id);
    struct thread_cache *cache = heap_cache(a);
    CHECK_EQ(heap_cache(a), cache);
    CHECK_EQ(cache->key, a);
    CHECK_NE(heap_cache(b), cache);
    CHECK_EQ(heap_cache(b)->key, b);
    CHECK_NE(other_threads_cache(a), cache);
    CHECK_EQ(heap_cache(a), cache);
    heap_destroy(b);
    CHECK_EQ(heap_cache(a), cache);
    heap_destroy(a);
    region_pool_close(&pool);
}

/* If free pages are not kept, a thread's cache is not, either. */
static void test_caches_go_with_their_threads(void)
{
    open_pool();
    struct memkind_heap *heap = make_heap_with_decay(4, 0);
    CHECK_NULL(heap->caches.caches);
    for (int i = 0; i < 10; i++) {
        CHECK_NOT_NULL(other_threads_cache(heap));
        CHECK_NULL(heap->caches.caches);
    }
    struct thread_cache *cache = heap_cache(heap);
    CHECK_EQ(heap->caches.caches, cache);
    CHECK_NE(other_threads_cache(heap), cache);
    CHECK_EQ(heap->caches.caches, cache);
    CHECK_EQ(list_length(heap->caches.caches), 1);
    for (unsigned i = 0; i < atomic_load(&heap->arenas.count); i++)
        CHECK_LE(heap->arenas.slots[i].threads, 1);
    heap_destroy(heap);
    region_pool_close(&pool);
}

/* What a thread has freed goes back to the arenas when it ends. */
static void *free_many(void *heap)
{
    void *objects[200];
    for (int i = 0; i < 200; i++)
        objects[i] = heap_malloc(heap, 64, 0);
    for (int i = 0; i < 200; i++)
        if (objects[i] != NULL)
            heap_free(heap, objects[i]);
    return NULL;
}

static void test_ended_threads_cache_is_empty(void)
{
    open_pool();
    struct memkind_heap *heap = make_heap(2);
    run_thread(free_many, heap);
    CHECK_EQ(heap_stat_snapshot(), 0);
    CHECK_EQ(heap_stat(heap, HEAP_ALLOCATED), 0);

    void *object = heap_malloc(heap, 1000, 0);
    REQUIRE_NOT_NULL(object);
    CHECK_EQ(heap_stat_snapshot(), 0);
    CHECK_EQ(heap_stat(heap, HEAP_ALLOCATED), heap_usable_size(heap, object));
    heap_free(heap, object);
    CHECK_EQ(heap_stat_snapshot(), 0);
    CHECK_EQ(heap_stat(heap, HEAP_ALLOCATED), 0);
    heap_destroy(heap);
    region_pool_close(&pool);
}

/* A buffer that is taken in holds a large object after many small ones. */
static void test_buffer_in_one_piece(void)
{
    enum { OBJECTS = 24 };
    const size_t size = 16 * MIB;
    void *objects[OBJECTS];
    char *buffer = aligned_alloc(64 * KIB, size); /* any jemalloc's page */
    REQUIRE_NOT_NULL(buffer);
    REQUIRE_EQ(region_pool_open_buffer(&pool, buffer, size, &owner), 0);
    struct memkind_heap *heap = make_heap(1);
    heap_fixed_adopt_pool(heap);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < OBJECTS; i++) {
            objects[i] = heap_malloc(heap, 512 * KIB, 0);
            REQUIRE_NOT_NULL(objects[i]);
            CHECK_NOT_NULL(region_pool_find(&pool, objects[i]));
            memset(objects[i], i, 512 * KIB);
        }
        for (int i = 0; i < OBJECTS; i++)
            heap_free(heap, objects[i]);
        void *large = heap_malloc(heap, 12 * MIB, 0);
        REQUIRE_NOT_NULL(large);
        memset(large, 1, 12 * MIB);
        CHECK_NULL(heap_malloc(heap, size, 0));
        heap_free(heap, large);
    }
    heap_destroy(heap);
    region_pool_close(&pool);
    free(buffer);
}

/* ---- heaps that go while threads know them ----------------------------- */

static struct {
    pthread_barrier_t step;
    struct memkind_heap *heap;
    bool right;
} stage;

/* Attaches to two heaps in turn; the first is destroyed in between. */
static void *outlive_set(void *unused)
{
    (void)unused;
    void *object = heap_malloc(stage.heap, 64, 0);
    uint64_t id = heap_cache(stage.heap)->place.id;
    heap_free(stage.heap, object);
    pthread_barrier_wait(&stage.step); /* the first heap is known */
    pthread_barrier_wait(&stage.step); /* the second is in its place */
    struct thread_cache *cache = heap_cache(stage.heap);
    object = heap_malloc(stage.heap, 64, JE_ZERO);
    stage.right = id != stage.heap->caches.place.id &&
                  cache->key == stage.heap &&
                  cache->place.id == stage.heap->caches.place.id &&
                  object != NULL && is_zero(object, 64);
    if (object != NULL)
        heap_free(stage.heap, object);
    return NULL;
}

/* Ends with a cache of a heap that is gone. */
static void *forget_set(void *unused)
{
    (void)unused;
    void *object = heap_malloc(stage.heap, 64, 0);
    stage.right = object != NULL;
    pthread_barrier_wait(&stage.step);
    pthread_barrier_wait(&stage.step);
    return NULL;
}

static void test_heap_goes_before_its_threads(void)
{
    pthread_t thread;
    open_pool();
    pthread_barrier_init(&stage.step, NULL, 2);
    struct numbers before = take_numbers();
    for (int i = 0; i < 40; i++) {
        stage.heap = make_heap(2);
        stage.right = false;
        unsigned slot = heap_slot(stage.heap);
        REQUIRE_EQ(pthread_create(&thread, NULL,
                                  i % 2 ? outlive_set : forget_set, NULL),
                   0);
        pthread_barrier_wait(&stage.step);
        CHECK_EQ(list_length(stage.heap->caches.caches), 1);
        heap_destroy(stage.heap);
        stage.heap = make_heap(2);
        CHECK_EQ(heap_slot(stage.heap), slot);
        pthread_barrier_wait(&stage.step);
        pthread_join(thread, NULL);
        CHECK(stage.right);
        /* A cache of the second heap waits for another thread. */
        CHECK_EQ(stage.heap->caches.spare_count, i % 2);
        CHECK_EQ(list_length(stage.heap->caches.caches), i % 2);
        CHECK_EQ(stage.heap->arenas.slots[0].threads, 0);
        heap_destroy(stage.heap);
    }
    CHECK(same_numbers(before));
    pthread_barrier_destroy(&stage.step);
    region_pool_close(&pool);
}

/* ---- the end of a thread ----------------------------------------------- */

static pthread_key_t late_key;
static bool late_right;
static void *early_object;

/* Whether an object is from the heap's arenas, if there is an object. A
 * jemalloc that is not our own would take it from an arena of its own. */
static bool is_served_rightly(const void *object)
{
#ifdef MEMKIND_JEMALLOC_EMBEDDED
    return object != NULL && region_pool_find(&pool, object) != NULL;
#else
    return object == NULL && errno == ENOMEM;
#endif
}

/* Runs after the thread's caches are gone, since the key is younger. */
static void use_late(void *set_pointer)
{
    struct memkind_heap *heap = set_pointer;
    errno = 0;
    late_right = thread_cache_table == NULL &&
                 heap_cache(heap) == &heap->caches.fallback;
    void *late = heap_malloc(heap, 64, 0);
    late_right = late_right && is_served_rightly(late);
    if (late != NULL)
        heap_free(heap, late);
    void *resized = heap_realloc(heap, early_object, 128);
    late_right = late_right && is_served_rightly(resized);
    if (resized != NULL)
        early_object = resized;
    late_right = late_right && test_check(early_object, 64, 3);
    heap_free(heap, early_object);
}

static void *leave_late_value(void *heap)
{
    pthread_setspecific(late_key, heap);
    early_object = heap_malloc(heap, 64, 0);
    test_fill(early_object, 64, 3);
    return report_cache(heap);
}

static void test_use_at_the_end_of_a_thread(void)
{
    open_pool();
    struct memkind_heap *heap = make_heap(2);
    REQUIRE_EQ(pthread_key_create(&late_key, use_late), 0);
    run_thread(leave_late_value, heap);
    CHECK(late_right);
    CHECK_EQ(heap_stat_snapshot(), 0);
    CHECK_EQ(heap_stat(heap, HEAP_ALLOCATED), 0);
    pthread_key_delete(late_key);
    heap_destroy(heap);
    region_pool_close(&pool);
}

/* ---- arenas ------------------------------------------------------------ */

#define MANY_THREADS 10
static pthread_barrier_t all_attached, all_seen;

static void *attach_and_wait(void *heap)
{
    heap_cache(heap);
    pthread_barrier_wait(&all_attached);
    pthread_barrier_wait(&all_seen);
    return NULL;
}

/* Attaches threads at once, and checks how they lie over the arenas. */
static void check_spread(struct memkind_heap *heap, unsigned arenas)
{
    pthread_t threads[MANY_THREADS];
    for (int i = 0; i < MANY_THREADS; i++)
        REQUIRE_EQ(pthread_create(&threads[i], NULL, attach_and_wait, heap), 0);
    pthread_barrier_wait(&all_attached);
    CHECK_EQ(atomic_load(&heap->arenas.count), arenas);
    unsigned sum = 0, least = MANY_THREADS, most = 0;
    for (unsigned i = 0; i < atomic_load(&heap->arenas.count); i++) {
        unsigned count = heap->arenas.slots[i].threads;
        sum += count;
        least = count < least ? count : least;
        most = count > most ? count : most;
    }
    CHECK_EQ(sum, MANY_THREADS);
    CHECK_LE(most - least, 1);
    CHECK_EQ(list_length(heap->caches.caches), MANY_THREADS);
    pthread_barrier_wait(&all_seen);
    for (int i = 0; i < MANY_THREADS; i++)
        pthread_join(threads[i], NULL);
    for (unsigned i = 0; i < atomic_load(&heap->arenas.count); i++)
        CHECK_EQ(heap->arenas.slots[i].threads, 0);
}

static void test_threads_spread_over_arenas(void)
{
    static const unsigned limits[] = {1, 3, 4, MANY_THREADS, 64};
    open_pool();
    pthread_barrier_init(&all_attached, NULL, MANY_THREADS + 1);
    pthread_barrier_init(&all_seen, NULL, MANY_THREADS + 1);
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        struct memkind_heap *heap = make_heap(limits[i]);
        CHECK_EQ(atomic_load(&heap->arenas.count), 1);
        unsigned arenas = limits[i] < MANY_THREADS ? limits[i] : MANY_THREADS;
        check_spread(heap, arenas);
        /* The places of threads that have gone are taken again. */
        check_spread(heap, arenas);
        heap_destroy(heap);
    }
    pthread_barrier_destroy(&all_attached);
    pthread_barrier_destroy(&all_seen);
    region_pool_close(&pool);
}

static void test_decay_of_arenas_to_come(void)
{
    open_pool();
    struct memkind_heap *heap = make_heap(2);
    CHECK_EQ(heap_set_decay(heap, 0), 0);
    CHECK_EQ(heap->arenas.dirty_decay_ms, 0);
    heap_cache(heap);
    other_threads_cache(heap);
    REQUIRE_EQ(atomic_load(&heap->arenas.count), 2);
    for (unsigned i = 0; i < 2; i++) {
        char name[64];
        ssize_t decay = 77;
        size_t length = sizeof decay;
        snprintf(name, sizeof name, "arena.%u.dirty_decay_ms",
                 heap->arenas.slots[i].index);
        CHECK_EQ(JE_NAME(mallctl)(name, &decay, &length, NULL, 0), 0);
        CHECK_EQ(decay, 0);
    }
    heap_destroy(heap);
    region_pool_close(&pool);
}

/* ---- numbers: jemalloc has 4,094 of each ------------------------------- */

#define CYCLES 6000

static void test_heaps_come_and_go(void)
{
    open_pool();
    struct numbers numbers = take_numbers();
    uint64_t last_id = 0;
    unsigned failures = 0;
    struct test_resources before, after;
    for (int i = 0; i < CYCLES; i++) {
        if (i == CYCLES / 10)
            layer_resources_take(&before);
        /* Blocks never go back to a pool. */
        if (i % 500 == 499) {
            region_pool_close(&pool);
            open_pool();
        }
        struct memkind_heap *heap = make_heap(2);
        failures += heap->caches.place.id <= last_id;
        last_id = heap->caches.place.id;
        void *object = heap_malloc(heap, 100, 0);
        failures += object == NULL;
        /* A block goes with the heap, freed or not. */
        if (object != NULL && i % 2)
            heap_free(heap, object);
        heap_destroy(heap);
    }
    layer_resources_take(&after);
    CHECK_EQ(failures, 0);
    CHECK(same_numbers(numbers));
    CHECK_EQ(after.fds, before.fds);
    /* Less than a page for each. */
    size_t growth = after.mapped_kib > before.mapped_kib
                        ? after.mapped_kib - before.mapped_kib
                        : 0;
    printf("%zu KiB of address space more ", growth);
    if (COUNT_MAPPINGS)
        CHECK_LT(growth, CYCLES * 9 / 10 * 4);
    region_pool_close(&pool);
}

static void test_threads_come_and_go(void)
{
    open_pool();
    struct numbers before = take_numbers();
    struct memkind_heap *a = make_heap(2), *b = make_heap(1);
    unsigned failures = 0;
    for (int i = 0; i < CYCLES; i++) {
        pthread_t thread;
        void *cache = NULL;
        if (pthread_create(&thread, NULL, report_cache, i % 2 ? a : b) != 0) {
            failures++;
            continue;
        }
        pthread_join(thread, &cache);
        failures += cache == NULL || cache == &a->caches.fallback ||
                    cache == &b->caches.fallback;
    }
    CHECK_EQ(failures, 0);
    /* One cache, which has gone from thread to thread, unless it has aged. */
    CHECK_LE(list_length(a->caches.caches), 1);
    CHECK_LE(list_length(b->caches.caches), 1);
    CHECK_EQ(list_length(a->caches.caches), a->caches.spare_count);
    CHECK_EQ(list_length(b->caches.caches), b->caches.spare_count);
    CHECK_EQ(heap_stat_snapshot(), 0);
    CHECK_EQ(heap_stat(a, HEAP_ALLOCATED), 0);
    heap_destroy(a);
    heap_destroy(b);
    CHECK(same_numbers(before));
    region_pool_close(&pool);
}

static void test_one_slot_for_each_heap(void)
{
    static struct memkind_heap *heaps[HEAP_SLOTS + 1];
    const struct heap_config config = {
        .arenas = {.pool = &pool, .address_owner = &owner, .limit = 1}};
    unsigned made = 0;
    int result = 0;
    open_pool();
    struct numbers before = take_numbers();
    while (made <= HEAP_SLOTS &&
           (result = heap_create(&config, &heaps[made])) == 0)
        made++;
    CHECK_EQ(made, HEAP_SLOTS);
    CHECK_EQ(result, -ENOSPC);
    void *object = heap_malloc(heaps[made - 1], 64, 0);
    CHECK_NOT_NULL(object);
    while (made > 0)
        heap_destroy(heaps[--made]);
    CHECK(same_numbers(before));
    region_pool_close(&pool);
}

/* One heap that wants all arenas leaves enough for the first arenas of
 * others. */
static void test_no_heap_takes_all_arenas(void)
{
    enum { ALL = 4094 };
    open_pool();
    struct numbers before = take_numbers();
    struct memkind_heap *greedy = make_heap(ALL);
    for (int i = 0; i < ALL; i++)
        heap_arenas_attach(&greedy->arenas, 0);
    CHECK_EQ(atomic_load(&greedy->arenas.count), ALL - HEAP_SLOTS + 1);
    struct memkind_heap *modest = make_heap(2);
    CHECK_EQ(heap_arenas_attach(&modest->arenas, 0), 0);
    CHECK_EQ(heap_arenas_attach(&modest->arenas, 0), 0);
    CHECK_EQ(modest->arenas.slots[0].threads, 2);
    heap_destroy(modest);
    heap_destroy(greedy);
    /* The number of arenas beyond the first is counted down. */
    modest = make_heap(2);
    heap_arenas_attach(&modest->arenas, 0);
    CHECK_EQ(heap_arenas_attach(&modest->arenas, 0), 1);
    heap_destroy(modest);
    CHECK(same_numbers(before));
    region_pool_close(&pool);
}

/* ---- all at once ------------------------------------------------------- */

#define CHURNERS 4
#define CHURN_ROUNDS 60
static atomic_uint churn_errors;

/* Makes and destroys heaps, each with a short-lived thread, while other threads
 * do so; slots pass from one heap to another. */
static void *churn_sets(void *unused)
{
    const struct heap_config config = {
        .arenas = {.pool = &pool, .address_owner = &owner, .limit = 2}};
    (void)unused;
    for (int i = 0; i < CHURN_ROUNDS; i++) {
        struct memkind_heap *heap;
        pthread_t thread;
        void *cache = NULL;
        if (heap_create(&config, &heap) != 0 ||
            pthread_create(&thread, NULL, report_cache, heap) != 0) {
            atomic_fetch_add(&churn_errors, 1);
            break;
        }
        if (report_cache(heap) == NULL)
            atomic_fetch_add(&churn_errors, 1);
        pthread_join(thread, &cache);
        if (cache == NULL)
            atomic_fetch_add(&churn_errors, 1);
        heap_purge(heap);
        heap_destroy(heap);
    }
    return NULL;
}

static void test_heaps_and_threads_at_once(void)
{
    pthread_t threads[CHURNERS];
    open_pool();
    for (int i = 0; i < CHURNERS; i++)
        REQUIRE_EQ(pthread_create(&threads[i], NULL, churn_sets, NULL), 0);
    for (int i = 0; i < CHURNERS; i++)
        pthread_join(threads[i], NULL);
    CHECK_EQ(atomic_load(&churn_errors), 0);
    region_pool_close(&pool);
}

static const struct test_case tests[] = {
    {"cache of each thread and heap", test_cache_of_each_thread_and_heap},
    {"caches go with their threads", test_caches_go_with_their_threads},
    {"ended thread's cache is empty", test_ended_threads_cache_is_empty},
    {"buffer in one piece", test_buffer_in_one_piece},
    {"heap goes before its threads", test_heap_goes_before_its_threads},
    {"use at the end of a thread", test_use_at_the_end_of_a_thread},
    {"threads spread over arenas", test_threads_spread_over_arenas},
    {"decay of arenas to come", test_decay_of_arenas_to_come},
    {"heaps come and go", test_heaps_come_and_go},
    {"threads come and go", test_threads_come_and_go},
    {"one slot for each heap", test_one_slot_for_each_heap},
    {"no heap takes all arenas", test_no_heap_takes_all_arenas},
    {"heaps and threads at once", test_heaps_and_threads_at_once},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("heap create", tests, argc, argv);
}
