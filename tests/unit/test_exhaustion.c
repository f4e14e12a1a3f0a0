/* SPDX-License-Identifier: BSD-2-Clause */
/* What a heap without room does: that it refuses quickly what it cannot have,
 * and refuses nothing for long that it could have. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include "heap.h"
#include "heap_create.h"
#include "layer_test.h"
#include "memory_barrier.h"
#include "page_traffic.h"
#include "region_pool.h"
#include "sys_calls.h"
#include "thread_cache.h"

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#define LIMIT (16 * MIB)
#define MOST_OBJECTS (LIMIT / 64 + 1)
#define SLEEPERS 8

static int owner;
static struct memkind_region_pool pool;
static struct memkind_heap *heap;
static void *objects[MOST_OBJECTS];
static size_t count;

static struct sys_calls real;
static unsigned barriers;

static int count_membarrier(int command)
{
    barriers++;
    return real.membarrier(command);
}

static void begin(size_t limit)
{
    real = sys;
    REQUIRE_EQ(region_pool_open_files(&pool, test_dir(), limit, &owner), 0);
    const struct heap_config config = {.arenas = {.pool = &pool,
                                                  .address_owner = &owner,
                                                  .limit = 2,
                                                  .dirty_decay_ms = 10000}};
    REQUIRE_EQ(heap_create(&config, &heap), 0);
    count = 0;
}

static void end(void)
{
    sys = real;
    heap_destroy(heap);
    region_pool_close(&pool);
}

/* Allocates until there is no room. Returns the bytes. */
static size_t fill(size_t size)
{
    size_t bytes = 0;
    while (count < MOST_OBJECTS &&
           (objects[count] = heap_malloc(heap, size, 0)) != NULL) {
        count++;
        bytes += size;
    }
    CHECK_LT(count, MOST_OBJECTS);
    return bytes;
}

static void *free_all(void *unused)
{
    for (size_t i = 0; i < count; i++)
        CHECK_EQ(heap_free(heap, objects[i]), HEAP_OK);
    count = 0;
    return unused;
}

static void sleep_ms(long ms)
{
    const struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

/* ---- threads that have used the heap, and sleep ------------------------- */

static pthread_barrier_t meeting;
static bool have_freed;

static void *use_and_sleep(void *size)
{
    void *ptr = heap_malloc(heap, (size_t)(uintptr_t)size, 0);
    CHECK_NOT_NULL(ptr);
    pthread_barrier_wait(&meeting); /* all have a cache */
    pthread_barrier_wait(&meeting);
    if (ptr != NULL)
        CHECK_EQ(heap_free(heap, ptr), HEAP_OK);
    pthread_barrier_wait(&meeting); /* all have freed */
    pthread_barrier_wait(&meeting);
    return NULL;
}

static void start_sleepers(pthread_t *threads, size_t size)
{
    have_freed = false;
    pthread_barrier_init(&meeting, NULL, SLEEPERS + 1);
    for (int i = 0; i < SLEEPERS; i++)
        REQUIRE_EQ(pthread_create(&threads[i], NULL, use_and_sleep,
                                  (void *)(uintptr_t)size),
                   0);
    pthread_barrier_wait(&meeting);
}

static void let_sleepers_free(void)
{
    have_freed = true;
    pthread_barrier_wait(&meeting);
    pthread_barrier_wait(&meeting);
}

static void end_sleepers(const pthread_t *threads)
{
    if (!have_freed)
        let_sleepers_free();
    pthread_barrier_wait(&meeting);
    for (int i = 0; i < SLEEPERS; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&meeting);
}

/* ---- refused at once ---------------------------------------------------- */

/* How often memory was asked for in vain, and all caches were visited. */
static void check_refused_at_once(size_t size)
{
    const unsigned before = region_pool_refusals(&pool).lasting;
    barriers = 0;
    for (int i = 0; i < 1000; i++) {
        errno = 0;
        CHECK_NULL(heap_malloc(heap, size, 0));
        CHECK_EQ(errno, ENOMEM);
    }
    CHECK_LE(region_pool_refusals(&pool).lasting - before, 50);
    CHECK_LE(barriers, 50);
}

static void test_full_heap_refuses_at_once(void)
{
    pthread_t threads[SLEEPERS];
    begin(LIMIT);
    start_sleepers(threads, 64);
    fill(4096);
    sys.membarrier = count_membarrier;
    check_refused_at_once(4096);
    check_refused_at_once(100000);
    check_refused_at_once(4096);
    end_sleepers(threads);
    end();
}

/* Evicting one object of a class makes room for one. */
static void test_evicting_is_cheap(void)
{
    begin(LIMIT);
    fill(4096);
    const unsigned before = region_pool_refusals(&pool).lasting;
    for (size_t i = 0; i < 1000; i++) {
        CHECK_NULL(heap_malloc(heap, 4096, 0));
        CHECK_EQ(heap_free(heap, objects[i]), HEAP_OK);
        objects[i] = heap_malloc(heap, 4096, 0);
        REQUIRE_NOT_NULL(objects[i]);
    }
    CHECK_LE(region_pool_refusals(&pool).lasting - before, 50);
    free_all(NULL);
    end();
}

static void test_more_than_the_limit_is_not_looked_for(void)
{
    begin(LIMIT);
    const unsigned before = region_pool_refusals(&pool).lasting;
    const size_t used = pool.regions[0].used;
    CHECK_NULL(heap_malloc(heap, LIMIT + 1, 0));
    CHECK_NULL(heap_malloc(heap, SIZE_MAX / 2, 0));
    CHECK_EQ(region_pool_refusals(&pool).lasting, before);
    CHECK_EQ(pool.regions[0].used, used);
    end();
}

/* ---- not refused for long ----------------------------------------------- */

static void test_what_another_thread_frees_is_had(void)
{
    pthread_t threads[SLEEPERS];
    void *freed[SLEEPERS];
    begin(LIMIT);
    start_sleepers(threads, 4096);
    fill(4096);
    CHECK_NULL(heap_malloc(heap, 4096, 0));
    let_sleepers_free();
    for (int i = 0; i < SLEEPERS; i++)
        CHECK_NOT_NULL(freed[i] = heap_malloc(heap, 4096, 0));
    CHECK_NULL(heap_malloc(heap, 4096, 0));
    for (int i = 0; i < SLEEPERS; i++)
        CHECK_EQ(heap_free(heap, freed[i]), HEAP_OK);
    end_sleepers(threads);
    end();
}

static void test_all_that_is_freed_is_had_by_another_class(void)
{
    static const size_t sizes[] = {64, 4096, 1000, 100000, 14336, 2 * MIB};
    begin(LIMIT);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        CHECK_GE(fill(sizes[i]), LIMIT / 100 * 85);
        for (size_t j = 0; j < sizeof sizes / sizeof sizes[0]; j++)
            if (sizes[j] >= sizes[i])
                CHECK_NULL(heap_malloc(heap, sizes[j], 0));
        if (i % 2 == 0)
            (void)run_in_thread(free_all, NULL);
        else
            free_all(NULL);
    }
    end();
}

/* Neighbours are evicted for objects of another class: a small part of the
 * limit has to go before the first of them is had. */
static void test_another_class_is_had_soon(void)
{
    begin(LIMIT);
    fill(1024);
    size_t next = 0, before = 0;
    for (int i = 0; i < 1000; i++) {
        const size_t size = 100 + (size_t)i % 5 * 700;
        void *ptr;
        while ((ptr = heap_malloc(heap, size, 0)) == NULL) {
            REQUIRE(next < count);
            CHECK_EQ(heap_free(heap, objects[next++]), HEAP_OK);
        }
        if (next > before)
            CHECK_LE((next - before) * KIB, LIMIT / 32);
        before = next;
    }
    end();
}

/* Objects of many pages are refused no longer than until there is room. */
static void test_large_object_is_had_when_there_is_room(void)
{
    begin(LIMIT);
    fill(64 * KIB);
    size_t next = 0;
    while (heap_malloc(heap, MIB, 0) == NULL) {
        REQUIRE(next < count);
        CHECK_EQ(heap_free(heap, objects[next++]), HEAP_OK);
    }
    CHECK_LE(next * 64 * KIB, 2 * MIB);
    end();
}

static size_t ask(size_t size, int times)
{
    size_t had_now = 0;
    for (int i = 0; i < times; i++)
        had_now += heap_malloc(heap, size, 0) != NULL;
    return had_now;
}

/* The pages beside a new slab are used up by another class. */
static void test_new_slab_serves_its_class(void)
{
    begin(LIMIT);
    fill(16 * KIB);
    void *last = objects[count / 2];
    ask(64, 1000); /* in vain at the end, which is noted */
    CHECK_EQ(heap_free(heap, last), HEAP_OK);
    CHECK_EQ(ask(64, 1), 1);
    CHECK_EQ(ask(4096, 100), 3);
    CHECK_EQ(ask(64, 100), 63);
    end();
}

/* What is freed while the heap is not exhausted is not counted. */
static void test_next_exhaustion_knows_nothing(void)
{
    static void *small[1000];
    begin(LIMIT);
    for (size_t i = 0; i < 1000; i++)
        REQUIRE_NOT_NULL(small[i] = heap_malloc(heap, 64, 0));
    fill(16 * KIB);
    ask(64, 1000);
    for (size_t i = 0; i < 1000; i++) {
        CHECK_EQ(heap_free(heap, objects[i % count]), HEAP_OK);
        REQUIRE_NOT_NULL(objects[i % count] = heap_malloc(heap, 16 * KIB, 0));
    }
    CHECK(!arena_returns_are_counted(&heap->arenas.returns));
    for (size_t i = 0; i < 1000; i += 2)
        CHECK_EQ(heap_free(heap, small[i]), HEAP_OK);
    heap_purge(heap); /* so that no magazine has them */
    CHECK_EQ(ask(16 * KIB, 1), 0);
    CHECK_EQ(ask(64, 500), 500);
    end();
}

/* Threads that share an arena make a slab each at the same time; jemalloc keeps
 * one, and the pages of the others are free. */
#define MAKERS 4

static pthread_barrier_t making;
static void *made[MAKERS];
static atomic_bool are_done;

static void *make(void *place)
{
    for (;;) {
        pthread_barrier_wait(&making);
        if (atomic_load(&are_done))
            return NULL;
        *(void **)place = heap_malloc(heap, 3584, 0);
        pthread_barrier_wait(&making);
    }
}

static void free_some(void **some, size_t of)
{
    for (size_t i = 0; i < of; i++)
        if (some[i] != NULL) {
            CHECK_EQ(heap_free(heap, some[i]), HEAP_OK);
            some[i] = NULL;
        }
}

/* Takes all that is left: what is refused once is refused again. */
static void check_rest(void)
{
    static void *rest[64];
    size_t of = 0;
    while (of < 64 && (rest[of] = heap_malloc(heap, 16 * KIB, 0)) != NULL)
        of++;
    CHECK_EQ(ask(16 * KIB, 20), 0);
    free_some(rest, of);
}

static void test_slabs_made_at_once(void)
{
    pthread_t threads[MAKERS];
    begin(LIMIT);
    pthread_barrier_init(&making, NULL, MAKERS + 1);
    atomic_store(&are_done, false);
    for (int i = 0; i < MAKERS; i++)
        REQUIRE_EQ(pthread_create(&threads[i], NULL, make, &made[i]), 0);
    fill(16 * KIB);
    for (int round = 0; round < 100; round++) {
        for (size_t i = 64; i < 96; i += 2)
            free_some(&objects[i], 1);
        /* The pages are not neighbours: they are purged for this one. */
        void *large = heap_malloc(heap, 32 * KIB, 0);
        pthread_barrier_wait(&making);
        pthread_barrier_wait(&making);
        check_rest();
        free_some(made, MAKERS);
        free_some(&large, 1);
        for (size_t i = 64; i < 96; i += 2)
            objects[i] = heap_malloc(heap, 16 * KIB, 0);
    }
    atomic_store(&are_done, true);
    pthread_barrier_wait(&making);
    for (int i = 0; i < MAKERS; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&making);
    end();
}

static int no_space(int fd, int mode, off_t offset, off_t size)
{
    if ((mode & FALLOC_FL_PUNCH_HOLE) != 0)
        return real.fallocate(fd, mode, offset, size);
    errno = ENOSPC;
    return -1;
}

static int no_space_to_map(void *addr, size_t size, int advice)
{
    if (advice != MADV_POPULATE_WRITE)
        return real.madvise(addr, size, advice);
    errno = EFAULT;
    return -1;
}

/* Others may make room in the file system, which is not told to anyone. */
static void test_file_system_gets_room(void)
{
    begin(0);
    void *first = heap_malloc(heap, 100, 0);
    CHECK_NOT_NULL(first);
    for (int i = 0; i < 5; i++) {
        sys.fallocate = no_space;
        sys.madvise = no_space_to_map;
        fill(4096);
        for (int j = 0; j < 100; j++)
            CHECK_NULL(heap_malloc(heap, 4096, 0));
        sys.fallocate = real.fallocate;
        sys.madvise = real.madvise;
        sleep_ms(50);
        CHECK_NOT_NULL(heap_malloc(heap, 4096, 0));
    }
    end();
}

static atomic_bool is_giving_back;

static void give_back_slowly(void)
{
    if (!atomic_exchange(&is_giving_back, true))
        sleep_ms(50);
}

static int slow_fallocate(int fd, int mode, off_t offset, off_t size)
{
    if ((mode & FALLOC_FL_PUNCH_HOLE) != 0)
        give_back_slowly();
    return real.fallocate(fd, mode, offset, size);
}

static int slow_madvise(void *addr, size_t size, int advice)
{
    if (advice == MADV_REMOVE)
        give_back_slowly();
    return real.madvise(addr, size, advice);
}

static void *take_one(void *size)
{
    return heap_malloc(heap, (size_t)(uintptr_t)size, 0);
}

/* One thread gives pages back, slowly, while another one needs them. */
static void test_what_is_being_reclaimed_is_had(void)
{
    pthread_t thread;
    void *ptr;
    begin(LIMIT);
    fill(64 * KIB);
    for (size_t i = 0; i < count; i += 2)
        CHECK_EQ(heap_free(heap, objects[i]), HEAP_OK);
    atomic_store(&is_giving_back, false);
    sys.fallocate = slow_fallocate;
    sys.madvise = slow_madvise;
    REQUIRE_EQ(
        pthread_create(&thread, NULL, take_one, (void *)(uintptr_t)(256 * KIB)),
        0);
    for (int i = 0; i < 10000 && !atomic_load(&is_giving_back); i++)
        sleep_ms(1);
    CHECK(atomic_load(&is_giving_back));
    CHECK_NOT_NULL(heap_malloc(heap, 256 * KIB, 0));
    pthread_join(thread, &ptr);
    CHECK_NOT_NULL(ptr);
    end();
}

/* Small objects are had, with some to spare, while another thread asks for more
 * than there is. */
static atomic_bool is_asking;

static void *ask_in_vain(void *unused)
{
    while (atomic_load(&is_asking))
        CHECK_NULL(heap_malloc(heap, LIMIT - MIB, 0));
    return unused;
}

static void test_hopeless_requests_do_no_harm(void)
{
    pthread_t thread;
    void *first;
    begin(LIMIT);
    CHECK_NOT_NULL(first = heap_malloc(heap, 2 * MIB, 0));
    fill(64 * KIB);
    CHECK_EQ(heap_free(heap, first), HEAP_OK);
    atomic_store(&is_asking, true);
    REQUIRE_EQ(pthread_create(&thread, NULL, ask_in_vain, NULL), 0);
    for (unsigned i = 0; i < 100000; i++) {
        void *ptr = heap_malloc(heap, 1000 + i % 3 * 1000, 0);
        REQUIRE_NOT_NULL(ptr);
        CHECK_EQ(heap_free(heap, ptr), HEAP_OK);
    }
    atomic_store(&is_asking, false);
    pthread_join(thread, NULL);
    end();
}

/* ---- a second free ------------------------------------------------------ */

static void *had[6];
static size_t had_count;

/* Whether an object is had twice. */
static bool are_distinct(void)
{
    for (size_t i = 0; i < had_count; i++)
        for (size_t j = 0; j < i; j++)
            if (had[i] == had[j])
                return false;
    return true;
}

static void test_second_free_is_seen(void)
{
    static const size_t sizes[] = {64, 1000, 4096, 14336};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        begin(LIMIT);
        fill(sizes[i]);
        void **some = objects + count / 2;
        for (int j = 0; j < 5; j++)
            CHECK_EQ(heap_free(heap, some[j]), HEAP_OK);
        for (int j = 0; j < 5; j++)
            CHECK_EQ(heap_free(heap, some[j]), HEAP_DOUBLE_FREE);
        errno = 0;
        CHECK_NULL(heap_realloc(heap, some[3], sizes[i] - 1));
        CHECK_EQ(errno, EINVAL);
        for (had_count = 0; had_count < 6; had_count++)
            if ((had[had_count] = heap_malloc(heap, sizes[i], 0)) == NULL)
                break;
        CHECK_EQ(had_count, 5);
        CHECK(are_distinct());
        /* They live again. */
        for (int j = 0; j < 5; j++)
            CHECK_EQ(heap_free(heap, some[j]), HEAP_OK);
        end();
    }
}

/* The object goes back as one of the large class, is had as one of the small
 * class, and grows. */
static void test_object_that_has_grown_is_no_second_free(void)
{
    begin(LIMIT);
    fill(32 * KIB);
    void *ptr = objects[count / 2];
    CHECK_EQ(heap_free(heap, ptr), HEAP_OK);
    CHECK_EQ(heap_malloc(heap, 28 * KIB, 0), ptr);
    CHECK_EQ(heap_realloc(heap, ptr, 32 * KIB), ptr);
    errno = 0;
    CHECK_NULL(heap_realloc(heap, ptr, 33 * KIB));
    CHECK_EQ(errno, ENOMEM);
    CHECK_EQ(heap_free(heap, ptr), HEAP_OK);
    CHECK_EQ(heap_malloc(heap, 32 * KIB, 0), ptr);
    end();
}

/* ---- visits to caches --------------------------------------------------- */

static void purge(void)
{
    barriers = 0;
    heap_purge(heap);
}

static void test_one_barrier_for_all_caches(void)
{
    pthread_t threads[SLEEPERS];
    begin(LIMIT);
    if (!memory_barrier_is_asymmetric()) {
        end();
        return;
    }
    start_sleepers(threads, 64);
    sys.membarrier = count_membarrier;
    purge();
    CHECK_EQ(barriers, 1);
    /* The caches hold nothing. */
    CHECK_NULL(atomic_load(&heap->caches.active));
    purge();
    CHECK_EQ(barriers, 0);
    let_sleepers_free();
    purge();
    CHECK_EQ(barriers, 1);
    purge();
    CHECK_EQ(barriers, 0);
    end_sleepers(threads);
    end();
}

static void *allocate_and_end(void *unused)
{
    CHECK_EQ(heap_free(heap, heap_malloc(heap, 500, 0)), HEAP_OK);
    return unused;
}

/* Threads end while their caches are active, in any order. No cache is kept for
 * the next thread if pages are not. */
static void test_ended_threads_are_in_no_list(void)
{
    pthread_t threads[SLEEPERS];
    begin(LIMIT);
    CHECK_EQ(heap_set_decay(heap, 0), 0);
    for (int round = 0; round < 50; round++) {
        for (int i = 0; i < SLEEPERS; i++)
            REQUIRE_EQ(
                pthread_create(&threads[i], NULL, allocate_and_end, NULL), 0);
        if (round % 3 == 0)
            purge();
        for (int i = 0; i < SLEEPERS; i++)
            pthread_join(threads[i], NULL);
        CHECK_NULL(atomic_load(&heap->caches.active));
        CHECK_NULL(heap->caches.caches);
    }
    end();
}

/* ---- what a thread has freed itself ------------------------------------- */

enum { SWAPPERS = 2 };

static struct swapper {
    void **objects; /* its own */
    size_t count, rounds, missing;
    uint32_t random;
} swappers[SWAPPERS];

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Frees some objects and takes as many. A request that cannot be served makes
 * for purges. */
static void *swap(void *argument)
{
    enum { FOR_MS = 1000, MOST = 4, HOPELESS_EACH = 64 };
    struct swapper *swapper = argument;
    const int64_t end_ms = now_ms() + FOR_MS;
    for (; now_ms() < end_ms && swapper->missing == 0; swapper->rounds++) {
        swapper->random = swapper->random * 1664525 + 1013904223;
        const size_t some = (swapper->random >> 24) % MOST + 1;
        const size_t first =
            (swapper->random >> 8) % (swapper->count - MOST + 1);
        if (swapper->rounds % HOPELESS_EACH == 0)
            CHECK_NULL(heap_malloc(heap, 4 * MIB, 0));
        for (size_t i = first; i < first + some; i++)
            CHECK_EQ(heap_free(heap, swapper->objects[i]), HEAP_OK);
        for (size_t i = first; i < first + some; i++) {
            swapper->objects[i] = heap_malloc(heap, 20 * KIB, 0);
            swapper->missing += swapper->objects[i] == NULL;
        }
    }
    return NULL;
}

/* Pages that two threads free and take are split and merged all the time, which
 * hides them from a purge for a moment. */
static void test_each_thread_gets_what_it_has_freed(void)
{
    pthread_t threads[SWAPPERS];
    if (!PAGE_TRAFFIC_IS_SEEN) {
        puts("skipped: a shared jemalloc does not show its pages");
        return;
    }
    begin(LIMIT);
    fill(20 * KIB);
    for (size_t i = 0; i < SWAPPERS; i++) {
        swappers[i] = (struct swapper){
            .objects = objects + i * (count / SWAPPERS),
            .count = count / SWAPPERS,
            .random = (uint32_t)i,
        };
        REQUIRE_EQ(pthread_create(&threads[i], NULL, swap, &swappers[i]), 0);
    }
    for (size_t i = 0; i < SWAPPERS; i++) {
        pthread_join(threads[i], NULL);
        CHECK_EQ(swappers[i].missing, 0);
        CHECK_GT(swappers[i].rounds, 0);
    }
    end();
}

/* What is parked is given back by requests for something else, and in no arena
 * meanwhile. */
static void test_what_is_on_its_way_back_is_had(void)
{
    enum { FOR_MS = 1000, BATCH = 2, SIZE = 320, ROUNDS = 100 };
    pthread_t thread;
    size_t missing = 0;
    begin(LIMIT);
    fill(SIZE);
    atomic_store(&is_asking, true);
    REQUIRE_EQ(pthread_create(&thread, NULL, ask_in_vain, NULL), 0);
    for (const int64_t end_ms = now_ms() + FOR_MS;
         now_ms() < end_ms && missing == 0;)
        for (size_t i = 0; i < ROUNDS * BATCH; i += BATCH) {
            for (size_t j = i; j < i + BATCH; j++)
                CHECK_EQ(heap_free(heap, objects[j]), HEAP_OK);
            for (size_t j = i; j < i + BATCH; j++) {
                objects[j] = heap_malloc(heap, SIZE, 0);
                missing += objects[j] == NULL;
            }
        }
    CHECK_EQ(missing, 0);
    atomic_store(&is_asking, false);
    pthread_join(thread, NULL);
    end();
}

static const struct test_case tests[] = {
    {"a full heap refuses at once", test_full_heap_refuses_at_once},
    {"evicting is cheap", test_evicting_is_cheap},
    {"more than the limit is not looked for",
     test_more_than_the_limit_is_not_looked_for},
    {"what another thread frees is had", test_what_another_thread_frees_is_had},
    {"all that is freed is had by another class",
     test_all_that_is_freed_is_had_by_another_class},
    {"another class is had soon", test_another_class_is_had_soon},
    {"a large object is had when there is room",
     test_large_object_is_had_when_there_is_room},
    {"a new slab serves its class", test_new_slab_serves_its_class},
    {"the next exhaustion knows nothing", test_next_exhaustion_knows_nothing},
    {"slabs made at once", test_slabs_made_at_once},
    {"the file system gets room", test_file_system_gets_room},
    {"what is being reclaimed is had", test_what_is_being_reclaimed_is_had},
    {"hopeless requests do no harm", test_hopeless_requests_do_no_harm},
    {"a second free is seen", test_second_free_is_seen},
    {"an object that has grown is no second free",
     test_object_that_has_grown_is_no_second_free},
    {"one barrier for all caches", test_one_barrier_for_all_caches},
    {"each thread gets what it has freed",
     test_each_thread_gets_what_it_has_freed},
    {"what is on its way back is had", test_what_is_on_its_way_back_is_had},
    {"ended threads are in no list", test_ended_threads_are_in_no_list},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("exhaustion", tests, argc, argv);
}
