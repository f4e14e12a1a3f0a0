/* SPDX-License-Identifier: BSD-2-Clause */
/* Magazines, and how other threads get at them while their thread is at
 * work. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#include "allocator_gate.h"
#include "cache_visit.h"
#include "heap.h"
#include "heap_create.h"
#include "heap_resize.h"
#include "heap_stat.h"
#include "layer_test.h"
#include "magazine.h"
#include "memory_barrier.h"
#include "region_pool.h"
#include "sys_calls.h"
#include "test_membarrier.h"
#include "thread_cache.h"

static int owner;
static struct memkind_region_pool pool;
static struct memkind_heap *heap;

/* Visits are made inside the allocator. */
static bool visit(struct thread_cache *cache, magazine_visit_fn *function)
{
    const bool entered = allocator_enter();
    const bool alone = cache_visit(cache, function);
    if (entered)
        allocator_leave();
    return alone;
}

static void visit_all(magazine_visit_fn *function)
{
    const bool entered = allocator_enter();
    cache_visit_all(&heap->caches, function);
    if (entered)
        allocator_leave();
}

/* The calling thread's cache. Tests look at what it holds: no upkeep takes any
 * of that away meanwhile, however long a test takes. */
static struct thread_cache *kept_cache(void)
{
    struct thread_cache *cache = heap_cache(heap);
    cache->ticks = INT32_MAX;
    return cache;
}

static void open_set_with(ssize_t decay_ms)
{
    REQUIRE_EQ(region_pool_open_memory(&pool, &owner), 0);
    const struct heap_config config = {.arenas = {.pool = &pool,
                                                  .address_owner = &owner,
                                                  .limit = 4,
                                                  .dirty_decay_ms = decay_ms},
                                       .direct_owner = &owner};
    REQUIRE_EQ(heap_create(&config, &heap), 0);
    (void)kept_cache();
}

static void open_set(void)
{
    open_set_with(10000);
}

static void close_set(void)
{
    heap_destroy(heap);
    region_pool_close(&pool);
}

static uint32_t held(const struct thread_cache *cache, size_t size)
{
    unsigned class = size_class_of(size);
    return (uint32_t)(cache->magazines.tops[class] -
                      cache->magazines.bases[class]);
}

static uint32_t room(const struct thread_cache *cache, size_t size)
{
    unsigned class = size_class_of(size);
    return (uint32_t)(cache->magazines.ends[class] -
                      cache->magazines.bases[class]);
}

static size_t allocated(void)
{
    CHECK_EQ(heap_stat_snapshot(), 0);
    return heap_stat(heap, HEAP_ALLOCATED);
}

/* ---- one thread --------------------------------------------------------- */

static void test_freed_last_is_taken_first(void)
{
    open_set();
    char *first = heap_malloc(heap, 100, 0);
    REQUIRE_NOT_NULL(first);
    CHECK_EQ(heap_free(heap, first), HEAP_OK);
    struct thread_cache *cache = heap_cache(heap);
    uint32_t before = held(cache, 100);
    CHECK_GE(before, 1);
    CHECK_EQ(heap_malloc_fast(cache, 97), first);
    CHECK_EQ(held(cache, 100), before - 1);
    CHECK(heap_free_fast(cache, first));
    CHECK_EQ(held(cache, 100), before);
    CHECK_EQ(heap_malloc_direct(&owner, 112), first);
    CHECK(heap_free_direct(NULL, first));
    CHECK_NULL(heap_malloc_direct(&pool, 112));
    CHECK(!heap_free_direct(&pool, first));
    close_set();
}

static void *free_first(void *argument)
{
    char **strangers = argument, *object = strangers[0];
    struct thread_cache *cache = kept_cache();
    errno = 77;
    CHECK_EQ(heap_free(heap, object), HEAP_OK);
    CHECK_EQ(errno, 77);
    /* The next one is of the thread's own, and the other one is known. */
    CHECK_EQ(held(cache, 16), 2);
    CHECK(!heap_free_fast(cache, object));
    CHECK_EQ(heap_free(heap, object), HEAP_DOUBLE_FREE);
    CHECK_NULL(heap_realloc_direct(&owner, object, 16));
    CHECK_NULL(heap_realloc(heap, object, 16));
    CHECK_NULL(heap_realloc(heap, object, 100));
    CHECK_NULL(heap_defragment(heap, object));
    CHECK_EQ(held(cache, 16), 2);
    char *own = heap_malloc(heap, 16, 0);
    CHECK(own != NULL && own != object);
    CHECK(!heap_free_fast(cache, object));
    CHECK_EQ(heap_free(heap, object), HEAP_DOUBLE_FREE);
    CHECK(heap_free_fast(cache, own));
    CHECK_EQ(heap_malloc(heap, 16, 0), own);
    CHECK_EQ(heap_malloc(heap, 16, 0), object);
    /* There is room again, and no other is covered. */
    CHECK_EQ(heap_free(heap, object), HEAP_OK);
    CHECK_EQ(heap_free(heap, own), HEAP_OK);
    CHECK_EQ(held(cache, 16), 2);
    CHECK_EQ(heap_malloc(heap, 16, 0), own);
    CHECK_EQ(heap_malloc(heap, 16, 0), object);
    char *more = heap_malloc(heap, 16, 0);
    CHECK_EQ(heap_free(heap, object), HEAP_OK);
    CHECK_EQ(heap_free(heap, own), HEAP_OK);
    CHECK_EQ(heap_free(heap, more), HEAP_OK);
    /* The thread's own objects are not covered, and no larger ones. */
    char *mine = heap_malloc(heap, 32, 0);
    CHECK_EQ(heap_free(heap, mine), HEAP_OK);
    CHECK_EQ(heap_malloc(heap, 32, 0), mine);
    CHECK_EQ(heap_free(heap, mine), HEAP_OK);
    CHECK_EQ(heap_free(heap, strangers[1]), HEAP_OK);
    CHECK_EQ(held(cache, 1024), 1);
    CHECK_EQ(heap_malloc(heap, 1024, 0), strangers[1]);
    CHECK_EQ(heap_free(heap, strangers[1]), HEAP_OK);
    return NULL;
}

/* The thread has a spare cache with an object in it. */
static void *free_above(void *argument)
{
    char **strangers = argument;
    struct thread_cache *cache = kept_cache();
    REQUIRE_EQ(held(cache, 16), 2);
    CHECK_EQ(heap_free(heap, strangers[0]), HEAP_OK);
    CHECK_EQ(held(cache, 16), 3);
    CHECK(!heap_free_fast(cache, strangers[0]));
    CHECK_EQ(heap_free(heap, strangers[0]), HEAP_DOUBLE_FREE);
    CHECK_NULL(heap_realloc(heap, strangers[0], 16));
    CHECK_EQ(heap_malloc(heap, 16, 0), strangers[1]);
    CHECK_EQ(heap_malloc(heap, 16, 0), strangers[0]);
    CHECK_EQ(heap_free(heap, strangers[0]), HEAP_OK);
    CHECK_EQ(heap_free(heap, strangers[1]), HEAP_OK);
    return NULL;
}

static void *free_one(void *argument)
{
    char **own = argument;
    struct thread_cache *cache = kept_cache();
    CHECK_EQ(heap_free(heap, own[0]), HEAP_OK);
    own[1] = cache->magazines.tops[size_class_of(16)][-1];
    CHECK_NE(own[1], own[0]);
    return NULL;
}

static void test_spare_caches_take_none_more(void)
{
    open_set();
    char *objects[] = {heap_malloc(heap, 16, 0), NULL};
    (void)run_in_thread(free_one, objects);
    objects[0] = heap_malloc(heap, 16, 0);
    (void)run_in_thread(free_above, objects);
    visit_all(magazine_drop_all);
    CHECK_EQ(allocated(), 0);
    close_set();
}

/* Two threads that write to objects of one cache line wait for each other. */
static void test_anothers_object_is_not_taken_first(void)
{
    open_set();
    for (int i = 0; i < 2; i++) { /* the second one gets a spare cache */
        char *strangers[] = {heap_malloc(heap, 16, 0),
                             heap_malloc(heap, 1024, 0)};
        REQUIRE(strangers[0] != NULL && strangers[1] != NULL);
        (void)run_in_thread(free_first, strangers);
        visit_all(magazine_drop_all);
        CHECK_EQ(allocated(), 0);
    }
    close_set();
}

static void test_resized_the_fast_way(void)
{
    char stranger[64];
    open_set();
    struct thread_cache *cache = heap_cache(heap);
    char *object = heap_malloc(heap, 100, 0),
         *other = heap_malloc(heap, 700, 0);
    REQUIRE(object != NULL && other != NULL);
    memset(object, 'o', 100);
    CHECK_EQ(heap_free(heap, other), HEAP_OK);
    /* Its class remains. */
    CHECK_EQ(heap_realloc_direct(&owner, object, 97), object);
    CHECK_EQ(heap_realloc_direct(NULL, object, 112), object);
    /* It moves to an object that the thread has cached, and is cached. */
    CHECK_EQ(heap_realloc_direct(&owner, object, 641), other);
    unsigned wrong = 0;
    for (int i = 0; i < 100; i++)
        wrong += other[i] != 'o';
    CHECK_EQ(wrong, 0);
    CHECK_EQ(heap_malloc_fast(cache, 100), object);
    /* It shrinks. */
    CHECK(heap_free_fast(cache, object));
    CHECK_EQ(heap_realloc_direct(&owner, other, 100), object);
    CHECK_EQ(memcmp(object, "oooo", 4), 0);
    /* What is free, or no object's start, is left to the slower functions; so
     * is what is not cached, and what has no class of a slab. */
    CHECK_NULL(heap_realloc_direct(&owner, other, 650));
    CHECK_NULL(heap_realloc_direct(&owner, object + 16, 100));
    CHECK_NULL(heap_realloc_direct(&owner, stranger, 100));
    char *volatile nothing = NULL; /* what gcc 14 cannot see */
    CHECK_NULL(heap_realloc_direct(&owner, nothing, 100));
    CHECK_NULL(heap_realloc_direct(&pool, object, 100));
    CHECK_NULL(heap_realloc_direct(&owner, object, 0));
    CHECK_EQ(held(cache, 5000), 0);
    CHECK_NULL(heap_realloc_direct(&owner, object, 5000));
    CHECK_NULL(heap_realloc_direct(&owner, object, MIB));
    CHECK_EQ(memcmp(object, "oooo", 4), 0);
    char *large = heap_malloc(heap, 40 * KIB, 0);
    REQUIRE_NOT_NULL(large);
    CHECK_NULL(heap_realloc_direct(&owner, large, 40 * KIB));
    CHECK_NULL(heap_realloc_direct(&owner, large, 100));
    /* There is no room for what it leaves. */
    char *more[200];
    for (int i = 0; i < 200; i++)
        more[i] = heap_malloc(heap, 100, 0);
    for (int i = 0; i < 200 && held(cache, 100) < room(cache, 100); i++)
        CHECK_EQ(heap_free(heap, more[i]), HEAP_OK);
    CHECK_EQ(held(cache, 100), room(cache, 100));
    CHECK_EQ(heap_free(heap, heap_malloc(heap, 700, 0)), HEAP_OK);
    other = heap_realloc_direct(&owner, object, 700);
    REQUIRE_NOT_NULL(other);
    CHECK_EQ(memcmp(other, "oooo", 4), 0);
    CHECK_EQ(heap_malloc_fast(cache, 100), object);
    close_set();
}

static void test_what_does_not_go_the_fast_way(void)
{
    char stranger[64];
    open_set();
    char *object = heap_malloc(heap, 64, 0);
    struct thread_cache *cache = heap_cache(heap);
    CHECK_NULL(heap_malloc_fast(cache, 0));
    CHECK_NULL(heap_malloc_fast(cache, 9 * MIB));
    CHECK_NULL(heap_malloc_fast(cache, SIZE_MAX));
    CHECK(!heap_free_fast(cache, NULL));
    CHECK(!heap_free_fast(cache, stranger));
    CHECK(!heap_free_fast(cache, object + 1));
    CHECK(!heap_free_fast(cache, object + 16));
    CHECK(heap_free_fast(cache, object));
    CHECK(!heap_free_fast(cache, object)); /* once more */
    CHECK_EQ(heap_free(heap, object), HEAP_DOUBLE_FREE);
    close_set();
}

static void test_wrong_addresses_are_refused(void)
{
    static const size_t sizes[] = {8,    48,    80,       224,     1792,
                                   7168, 14336, 64 * KIB, 3 * MIB, 20 * MIB};
    open_set();
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char *object = heap_malloc(heap, sizes[i], JE_ZERO);
        REQUIRE_NOT_NULL(object);
        CHECK_EQ(heap_usable_size(heap, object), sizes[i]);
        size_t step = sizes[i] > 100000 ? 4096 : 1;
        unsigned accepted = 0;
        for (size_t inside = step; inside < sizes[i]; inside += step)
            accepted += heap_free(heap, object + inside) == HEAP_OK ||
                        heap_usable_size(heap, object + inside) != 0;
        CHECK_EQ(accepted, 0);
        errno = 0;
        CHECK_NULL(heap_realloc(heap, object + 4, 100));
        CHECK_EQ(errno, EINVAL);
        CHECK(is_zero(object, sizes[i]));
        CHECK_EQ(heap_free(heap, object), HEAP_OK);
    }
    /* An address at which nothing was ever allocated. */
    char *end = pool.regions[0].base + pool.regions[0].size;
    CHECK_EQ(heap_free(heap, end - 4096), HEAP_NO_OBJECT);
    CHECK_EQ(allocated(), 0);
    close_set();
}

/* Objects whose slab has gone are no objects any more; nor is what is in two
 * places of a magazine given back a second time then. */
static void test_slabs_that_have_gone(void)
{
    enum { COUNT = 1000 };
    static char *objects[COUNT];
    open_set();
    for (int i = 0; i < COUNT; i++)
        REQUIRE_NOT_NULL(objects[i] = heap_malloc(heap, 64, 0));
    for (int i = 0; i < COUNT; i++)
        CHECK_EQ(heap_free(heap, objects[i]), HEAP_OK);
    visit_all(magazine_drain_all);
    CHECK_EQ(allocated(), 0);
    unsigned seen = 0;
    for (int i = 0; i < COUNT; i++)
        seen += heap_free(heap, objects[i]) == HEAP_DOUBLE_FREE;
    CHECK_EQ(seen, COUNT);
    CHECK_EQ(heap_free(heap, objects[100] + 5), HEAP_NO_OBJECT);
    /* Too many others are in between for the second free to be seen. */
    for (int i = 0; i < COUNT; i++)
        REQUIRE_NOT_NULL(objects[i] = heap_malloc(heap, 64, 0));
    for (int i = 0; i < COUNT; i++)
        CHECK_EQ(heap_free(heap, objects[i]), HEAP_OK);
    const enum heap_error second = heap_free(heap, objects[100]);
    visit_all(magazine_drain_all);
    CHECK(second != HEAP_OK || allocated() == 0);
    for (int i = 0; i < COUNT; i++)
        REQUIRE_NOT_NULL(objects[i] = heap_malloc(heap, 64, 0));
    close_set();
}

static void allocate_and_free(size_t size, void **objects, size_t count)
{
    for (size_t i = 0; i < count; i++)
        REQUIRE_NOT_NULL(objects[i] = heap_malloc(heap, size, 0));
    for (size_t i = 0; i < count; i++)
        REQUIRE_EQ(heap_free(heap, objects[i]), HEAP_OK);
}

/* What is freed for good does not stay. */
static void test_magazines_grow_if_they_were_missed(void)
{
    enum { COUNT = 2000, SIZE = 128, UNMISSED = 32 * KIB };
    void *objects[COUNT];
    open_set();
    allocate_and_free(SIZE, objects, COUNT);
    const struct thread_cache *cache = kept_cache();
    CHECK_LE(held(cache, SIZE) * SIZE, UNMISSED);
    CHECK_GE(held(cache, SIZE) * SIZE, UNMISSED / 2);
    CHECK_EQ(room(cache, SIZE) * SIZE, UNMISSED);
    /* As much as the magazine has is no more than that. */
    const size_t kept = held(cache, SIZE);
    REQUIRE_LE(kept, COUNT);
    allocate_and_free(SIZE, objects, kept);
    CHECK_EQ(room(cache, SIZE) * SIZE, UNMISSED);
    allocate_and_free(SIZE, objects, COUNT);
    CHECK_GE(held(cache, SIZE), COUNT);
    /* Arrays that grow; each size is needed once. */
    for (size_t size = 160; size <= 1280; size += size / 4) {
        allocate_and_free(size, objects, COUNT);
        CHECK_LE(held(cache, size) * size, UNMISSED);
    }
    close_set();
}

/* What overflows is for those that want it, as long as they do. */
static void test_magazines_grow_if_others_want(void)
{
    enum { COUNT = 2000, SIZE = 128, UNMISSED = 32 * KIB };
    static const char other;
    void *objects[COUNT];
    open_set();
    struct thread_cache *cache = kept_cache();
    struct depot *depot = cache->magazines.depot;
    for (size_t i = 0; i < COUNT; i++)
        REQUIRE_NOT_NULL(objects[i] = heap_malloc(heap, SIZE, 0));
    atomic_store(&depot->wanted_by[size_class_of(SIZE)], &other);
    for (size_t i = 0; i < COUNT; i++)
        REQUIRE_EQ(heap_free(heap, objects[i]), HEAP_OK);
    CHECK_GT(held(cache, SIZE) * SIZE, UNMISSED);
    close_set();
}

/* What was missed more than a second ago says nothing of what is freed now. */
static void test_ageing_forgets_what_was_missed(void)
{
    enum { COUNT = 2000, SIZE = 128, UNMISSED = 32 * KIB };
    void *objects[COUNT];
    open_set();
    struct thread_cache *cache = kept_cache();
    for (int rounds = 1; rounds <= 2; rounds++) {
        for (int round = 0; round < rounds; round++)
            allocate_and_free(SIZE, objects, COUNT);
        for (int i = 0; i < 20; i++)
            visit(cache, magazine_age_all);
        CHECK_EQ(held(cache, SIZE), 0);
        allocate_and_free(SIZE, objects, COUNT);
        CHECK_LE(held(cache, SIZE) * SIZE, UNMISSED);
    }
    close_set();
}

static bool is_marked(const uint64_t *marks, size_t size)
{
    const unsigned size_class = size_class_of(size);
    return (marks[size_class / 64] >> size_class % 64 & 1) != 0;
}

/* A magazine that is at its limit overflows again, and so is not missed. */
static void test_marks_are_of_one_class(void)
{
    static const size_t sizes[] = {128, 2 * MIB};
    void *objects[200];
    open_set();
    struct thread_cache *cache = kept_cache();
    struct magazines *magazines = &cache->magazines;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        const size_t size = sizes[i], other = sizes[1 - i];
        const size_t count = size == 128 ? 200 : 8;
        /* 200 objects of 128 bytes are less than a magazine may hold. */
        allocate_and_free(size, objects, count);
        CHECK_EQ(is_marked(magazines->overflowed, size), size != 128);
        magazine_drop_all(magazines);
        memset(magazines->overflowed, 0xff, sizeof magazines->overflowed);
        memset(magazines->missed, 0, sizeof magazines->missed);
        void *object = heap_malloc(heap, size, 0);
        REQUIRE_NOT_NULL(object);
        CHECK(is_marked(magazines->missed, size));
        CHECK(!is_marked(magazines->missed, other));
        CHECK(!is_marked(magazines->missed, 2 * size));
        CHECK(!is_marked(magazines->overflowed, size));
        CHECK(is_marked(magazines->overflowed, other));
        CHECK_EQ(heap_free(heap, object), HEAP_OK);
        CHECK(is_marked(magazines->missed, size));
    }
    memset(magazines->overflowed, 0, sizeof magazines->overflowed);
    memset(magazines->missed, 0xff, sizeof magazines->missed);
    const size_t more = heap->caches.cache_limit / (2 * MIB) + 2;
    REQUIRE_LE(more, 200);
    allocate_and_free(2 * MIB, objects, more);
    CHECK(!is_marked(magazines->missed, 2 * MIB));
    CHECK(is_marked(magazines->missed, 128));
    CHECK(is_marked(magazines->missed, 4 * MIB));
    CHECK(is_marked(magazines->overflowed, 2 * MIB));
    CHECK(!is_marked(magazines->overflowed, 128));
    CHECK(!is_marked(magazines->overflowed, 4 * MIB));
    /* It is the class's own mark that lets a magazine grow. */
    magazine_drop_all(magazines);
    for (size_t i = 0; i < 40; i++)
        magazine_age_all(magazines);
    magazines->missed[size_class_of(2 * MIB) / 64] = UINT64_MAX;
    allocate_and_free(2 * MIB, objects, 2);
    CHECK_EQ(held(cache, 2 * MIB), 2);
    close_set();
}

/* Objects with pages of their own are fetched one by one. */
static void test_magazines_of_large_objects_grow_if_missed(void)
{
    enum { COUNT = 20, SIZE = 32 * KIB };
    void *objects[COUNT];
    open_set();
    const struct thread_cache *cache = kept_cache();
    allocate_and_free(SIZE, objects, COUNT);
    CHECK_EQ(held(cache, SIZE), 1);
    allocate_and_free(SIZE, objects, COUNT);
    CHECK_GE(held(cache, SIZE), COUNT / 2);
    close_set();
}

static void test_magazines_keep_to_the_limit(void)
{
    static const size_t sizes[] = {16, 100, 1000, 9000, 100 * KIB, MIB};
    open_set();
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        const size_t count = 2 * heap->caches.cache_limit / sizes[i] < 20000
                                 ? 2 * heap->caches.cache_limit / sizes[i]
                                 : 20000;
        void **objects = malloc(count * sizeof *objects);
        REQUIRE_NOT_NULL(objects);
        for (int round = 0; round < 2; round++)
            allocate_and_free(sizes[i], objects, count);
        const struct thread_cache *cache = heap_cache(heap);
        CHECK_GE(held(cache, sizes[i]), 1);
        CHECK_LE(held(cache, sizes[i]), 8192);
        CHECK_LE(magazine_bytes(&cache->magazines), cache->magazines.reserved);
        CHECK_LE(cache->magazines.reserved, heap->caches.cache_limit);
        free(objects);
    }
    CHECK_EQ(allocated(), 0);
    close_set();
}

static void test_ageing_empties_magazines(void)
{
    enum { COUNT = 1000 };
    void *objects[COUNT];
    open_set();
    for (int round = 0; round < 2; round++)
        allocate_and_free(64, objects, COUNT);
    struct thread_cache *cache = heap_cache(heap);
    uint32_t before = held(cache, 64);
    CHECK_GE(before, COUNT);
    visit(cache, magazine_age_all);
    CHECK_EQ(held(cache, 64), before / 2);
    for (int i = 0; i < 20; i++)
        visit(cache, magazine_age_all);
    CHECK_EQ(held(cache, 64), 0);
    CHECK_EQ(room(cache, 64), 0);
    CHECK_EQ(cache->magazines.reserved, 0);
    void *object = heap_malloc(heap, 64, 0);
    CHECK_NOT_NULL(object);
    heap_free(heap, object);
    close_set();
}

/* If pages go back at once, whole pages are not kept. */
static void test_no_pages_are_kept_without_decay(void)
{
    open_set_with(0);
    void *large = heap_malloc(heap, 100 * KIB, 0);
    void *small = heap_malloc(heap, 100, 0);
    heap_free(heap, large);
    heap_free(heap, small);
    const struct thread_cache *cache = heap_cache(heap);
    CHECK_EQ(room(cache, 100 * KIB), 0);
    CHECK_GE(held(cache, 100), 1);
    /* Later on, too. */
    CHECK_EQ(heap_set_decay(heap, 10000), 0);
    heap_free(heap, heap_malloc(heap, 100 * KIB, 0));
    CHECK_EQ(held(cache, 100 * KIB), 1);
    CHECK_EQ(heap_set_decay(heap, 0), 0);
    CHECK_EQ(room(cache, 100 * KIB), 0);
    CHECK_EQ(magazine_bytes(&cache->magazines), 0);
    close_set();
}

static void test_cleared_if_asked(void)
{
    static const size_t sizes[] = {8, 100, 5000, 16 * KIB, 300 * KIB, 9 * MIB};
    open_set();
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        for (int round = 0; round < 3; round++) {
            char *object = heap_malloc(heap, sizes[i], JE_ZERO);
            REQUIRE_NOT_NULL(object);
            CHECK(is_zero(object, sizes[i]));
            memset(object, 0xa5, sizes[i]);
            heap_free(heap, object);
        }
    close_set();
}

static void test_alignments(void)
{
    open_set();
    for (int log = 3; log <= 16; log++)
        for (size_t size = 1; size < 200000; size = size * 5 / 3 + 1)
            for (int round = 0; round < 2; round++) {
                char *object = heap_malloc(heap, size, JE_LG_ALIGN(log));
                REQUIRE_NOT_NULL(object);
                CHECK_EQ((uintptr_t)object % ((size_t)1 << log), 0);
                CHECK_GE(heap_usable_size(heap, object), size);
                memset(object, 1, size);
                CHECK_EQ(heap_free(heap, object), HEAP_OK);
            }
    CHECK_EQ(allocated(), 0);
    close_set();
}

static void test_realloc_keeps_contents(void)
{
    unsigned long long random = test_seed(4);
    open_set();
    size_t size = 100;
    char *object = heap_malloc(heap, size, 0);
    test_fill(object, size, 1);
    for (int i = 0; i < 3000; i++) {
        size_t most = (size_t)32 << test_random(&random) % 18;
        size_t next = 1 + test_random(&random) % most;
        object = heap_realloc(heap, object, next);
        REQUIRE_NOT_NULL(object);
        REQUIRE_GE(heap_usable_size(heap, object), next);
        REQUIRE(test_check(object, size < next ? size : next, (unsigned)i + 1));
        size = next;
        test_fill(object, size, (unsigned)i + 2);
    }
    heap_free(heap, object);
    CHECK_EQ(allocated(), 0);
    close_set();
}

/* ---- visits while the thread is at work -------------------------------- */

static atomic_bool running;
static atomic_uint mistakes;
static atomic_size_t rounds;

/* Each object holds its own address while it is allocated. */
static void work_on(unsigned long long random, bool fast)
{
    enum { OBJECTS = 64 };
    uintptr_t *objects[OBJECTS] = {NULL};
    while (atomic_load(&running)) {
        size_t i = test_random(&random) % OBJECTS;
        if (objects[i] != NULL) {
            if (*objects[i] != (uintptr_t)objects[i])
                atomic_fetch_add(&mistakes, 1);
            *objects[i] = 0;
            if (!(fast && heap_free_fast(heap_cache_known(heap), objects[i])) &&
                heap_free(heap, objects[i]) != HEAP_OK)
                atomic_fetch_add(&mistakes, 1);
        }
        size_t size = 8 + test_random(&random) % 600;
        objects[i] =
            fast ? heap_malloc_fast(heap_cache_known(heap), size) : NULL;
        if (objects[i] == NULL)
            objects[i] = heap_malloc(heap, size, 0);
        if (objects[i] == NULL) {
            atomic_fetch_add(&mistakes, 1);
            break;
        }
        *objects[i] = (uintptr_t)objects[i];
        atomic_fetch_add_explicit(&rounds, 1, memory_order_relaxed);
    }
    for (int i = 0; i < OBJECTS; i++)
        if (objects[i] != NULL)
            heap_free(heap, objects[i]);
}

static void *work(void *seed)
{
    work_on((uintptr_t)seed, true);
    return NULL;
}

/* The thread takes the lock each time. */
static void *work_slowly(void *seed)
{
    work_on((uintptr_t)seed, false);
    return NULL;
}

static void visit_workers(void)
{
    enum { WORKERS = 3, VISITS = 300 };
    pthread_t workers[WORKERS];
    open_set();
    atomic_store(&running, true);
    atomic_store(&mistakes, 0);
    atomic_store(&rounds, 0);
    for (int i = 0; i < WORKERS; i++)
        REQUIRE_EQ(
            pthread_create(&workers[i], NULL, work, (void *)(uintptr_t)(i + 1)),
            0);
    for (int i = 0; i < VISITS || atomic_load(&rounds) < 10000; i++) {
        if (i % 3 == 0)
            heap_purge(heap);
        else if (i % 3 == 1)
            visit_all(magazine_age_all);
        else
            CHECK_EQ(heap_stat_snapshot(), 0);
    }
    atomic_store(&running, false);
    for (int i = 0; i < WORKERS; i++)
        pthread_join(workers[i], NULL);
    CHECK_EQ(atomic_load(&mistakes), 0);
    CHECK_EQ(allocated(), 0);
    close_set();
}

static void test_visits_while_threads_work(void)
{
    visit_workers();
}

static void test_without_membarrier(void)
{
    struct sys_calls real = sys;
    sys.membarrier = no_membarrier;
    memory_barrier_register();
    CHECK(!memory_barrier_is_asymmetric());
    visit_workers();
    open_set();
    void *object = heap_malloc(heap, 64, 0);
    struct thread_cache *cache = heap_cache(heap);
    CHECK(!heap_free_fast(cache, object));
    CHECK_EQ(heap_free(heap, object), HEAP_OK);
    CHECK_EQ(held(cache, 64), 1);
    CHECK_NULL(heap_malloc_fast(cache, 64));
    CHECK_EQ(heap_malloc(heap, 64, 0), object);
    close_set();
    sys = real;
    memory_barrier_register();
    CHECK(memory_barrier_is_asymmetric());
}

/* A visit does not wait for ever for a thread that is held up. */
static void test_a_thread_that_stays_inside(void)
{
    open_set();
    void *object = heap_malloc(heap, 64, 0);
    heap_free(heap, object);
    struct thread_cache *cache = heap_cache(heap);
    REQUIRE(thread_cache_enter(cache));
    CHECK(!visit(cache, magazine_drain_all));
    CHECK(!thread_cache_enter(cache)); /* nor may a handler get in */
    thread_cache_leave(cache);
    CHECK_GE(held(cache, 64), 1);
    CHECK(visit(cache, magazine_drain_all));
    CHECK_EQ(held(cache, 64), 0);
    close_set();
}

/* A handler that interrupts its thread in the middle goes past the
 * magazines. */
static void test_past_magazines_in_use(void)
{
    open_set();
    void *object = heap_malloc(heap, 64, 0);
    CHECK_EQ(heap_free(heap, object), HEAP_OK);
    struct thread_cache *cache = heap_cache(heap);
    const uint32_t before = held(cache, 64);
    REQUIRE(thread_cache_enter(cache));
    void *other = heap_malloc(heap, 64, JE_ZERO);
    REQUIRE_NOT_NULL(other);
    CHECK_NE(other, object);
    CHECK_EQ(held(cache, 64), before);
    CHECK_EQ(heap_free(heap, other), HEAP_OK);
    CHECK_EQ(held(cache, 64), before);
    thread_cache_leave(cache);
    CHECK_EQ(heap_malloc_fast(cache, 64), object);
    heap_free(heap, object);
    close_set();
}

/* ---- signal handlers ---------------------------------------------------- */

static atomic_int handled, refused;

static void allocate_in_handler(int signal)
{
    (void)signal;
    int saved_errno = errno;
    for (size_t size = 8; size < 3000; size *= 4) {
        uintptr_t *object = heap_malloc(heap, size, 0);
        if (object == NULL) {
            atomic_fetch_add(&refused, 1);
            continue;
        }
        *object = (uintptr_t)object;
        enum heap_error error = heap_free(heap, object);
        if (error != HEAP_OK && error != HEAP_REENTERED)
            atomic_fetch_add(&mistakes, 1);
    }
    atomic_fetch_add(&handled, 1);
    errno = saved_errno;
}

/* Waits until the handler has run, and what it has interrupted has got on: if
 * signals came faster than a slow machine handles them, all of them would meet
 * the worker at one place. */
static void interrupt_once(pthread_t worker)
{
    const int handled_before = atomic_load(&handled);
    const size_t rounds_before = atomic_load(&rounds);
    pthread_kill(worker, SIGUSR1);
    while (atomic_load(&mistakes) == 0 &&
           (atomic_load(&handled) == handled_before ||
            atomic_load(&rounds) == rounds_before))
        sched_yield();
}

static void interrupt(void *(*run)(void *))
{
    pthread_t worker;
    open_set();
    atomic_store(&rounds, 0);
    atomic_store(&handled, 0);
    atomic_store(&refused, 0);
    atomic_store(&running, true);
    atomic_store(&mistakes, 0);
    REQUIRE_EQ(pthread_create(&worker, NULL, run, (void *)7), 0);
    while (atomic_load(&handled) < 3000 && atomic_load(&mistakes) == 0)
        interrupt_once(worker);
    atomic_store(&running, false);
    pthread_join(worker, NULL);
    printf("[%d handlers ran, %d allocations refused] ", atomic_load(&handled),
           atomic_load(&refused));
    CHECK_EQ(atomic_load(&mistakes), 0);
    CHECK_LT(atomic_load(&refused),
             atomic_load(&handled) * 5); /* not all of them */
    close_set();
}

static void test_signal_handlers(void)
{
    struct sigaction action = {.sa_handler = allocate_in_handler}, before;
    sigaction(SIGUSR1, &action, &before);
    interrupt(work);
    interrupt(work_slowly);
    sigaction(SIGUSR1, &before, NULL);
}

static const struct test_case tests[] = {
    {"freed last is taken first", test_freed_last_is_taken_first},
    {"another's object is not taken first",
     test_anothers_object_is_not_taken_first},
    {"spare caches take none more", test_spare_caches_take_none_more},
    {"resized the fast way", test_resized_the_fast_way},
    {"what does not go the fast way", test_what_does_not_go_the_fast_way},
    {"wrong addresses are refused", test_wrong_addresses_are_refused},
    {"slabs that have gone", test_slabs_that_have_gone},
    {"magazines grow if they were missed",
     test_magazines_grow_if_they_were_missed},
    {"magazines grow if others want", test_magazines_grow_if_others_want},
    {"ageing forgets what was missed", test_ageing_forgets_what_was_missed},
    {"marks are of one class", test_marks_are_of_one_class},
    {"magazines of large objects grow if missed",
     test_magazines_of_large_objects_grow_if_missed},
    {"magazines keep to the limit", test_magazines_keep_to_the_limit},
    {"ageing empties magazines", test_ageing_empties_magazines},
    {"no pages are kept without decay", test_no_pages_are_kept_without_decay},
    {"cleared if asked", test_cleared_if_asked},
    {"alignments", test_alignments},
    {"realloc keeps contents", test_realloc_keeps_contents},
    {"visits while threads work", test_visits_while_threads_work},
    {"without membarrier", test_without_membarrier},
    {"a thread that stays inside", test_a_thread_that_stays_inside},
    {"past magazines in use", test_past_magazines_in_use},
    {"signal handlers", test_signal_handlers},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("magazines", tests, argc, argv);
}
