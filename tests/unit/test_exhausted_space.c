/* SPDX-License-Identifier: BSD-2-Clause */
/* What a heap without room does with what is freed: one object of the class
 * that is wanted is parked; and pages keep their space until it is needed
 * elsewhere. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <time.h>

#include "allocator_gate.h"
#include "arena_exchange.h"
#include "exhaustion.h"
#include "heap.h"
#include "heap_create.h"
#include "heap_stat.h"
#include "heap_struct.h"
#include "layer_test.h"
#include "region_owed.h"
#include "region_pool.h"
#include "sys_calls.h"

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#define LIMIT (16 * MIB)
#define MOST_OBJECTS (LIMIT / 64 + 1)

static int owner;
static struct memkind_region_pool pool;
static struct memkind_heap *heap;
static void *objects[MOST_OBJECTS];
static size_t count;

static struct sys_calls real;
static size_t allocated, removed; /* bytes, by system calls */

static int count_fallocate(int fd, int mode, off_t offset, off_t size)
{
    *((mode & FALLOC_FL_PUNCH_HOLE) != 0 ? &removed : &allocated) +=
        (size_t)size;
    return real.fallocate(fd, mode, offset, size);
}

static int count_madvise(void *addr, size_t size, int advice)
{
    if (advice == MADV_REMOVE)
        removed += size;
    else if (advice == MADV_POPULATE_WRITE)
        allocated += size;
    return real.madvise(addr, size, advice);
}

static void begin_with(ssize_t decay_ms)
{
    real = sys;
    sys.fallocate = count_fallocate;
    sys.madvise = count_madvise;
    REQUIRE_EQ(region_pool_open_files(&pool, test_dir(), LIMIT, &owner), 0);
    const struct heap_config config = {.arenas = {.pool = &pool,
                                                  .address_owner = &owner,
                                                  .limit = 2,
                                                  .dirty_decay_ms = decay_ms}};
    REQUIRE_EQ(heap_create(&config, &heap), 0);
    count = 0;
}

static void begin(void)
{
    begin_with(10000);
}

static void end(void)
{
    heap_destroy(heap);
    region_pool_close(&pool);
    sys = real;
}

/* With larger grains, other rules hold for what is owed. */
static bool begin_by_pages(void)
{
    begin();
    if (pool.grain == region_page_size())
        return true;
    puts("skipped: space is not taken by the page");
    end();
    return false;
}

static void *allocate(size_t size)
{
    return heap_malloc(heap, size, 0);
}

static void release(void *object)
{
    CHECK_EQ(heap_free(heap, object), HEAP_OK);
}

/* Fills the heap, and finds that there is no room for more. */
static void fill(size_t size)
{
    while (count < MOST_OBJECTS && (objects[count] = allocate(size)) != NULL)
        memset(objects[count++], 0x5a, size);
    REQUIRE(count > 0 && count < MOST_OBJECTS);
    CHECK_NULL(allocate(size));
    CHECK(arena_returns_are_counted(&heap->arenas.returns));
}

/* ---- a file system that is full ----------------------------------------- */

static bool has_one_page;
static unsigned asked;

static int fail_fallocate(int fd, int mode, off_t offset, off_t size)
{
    if (!has_one_page || (mode & FALLOC_FL_PUNCH_HOLE) != 0)
        return real.fallocate(fd, mode, offset, size);
    errno = ENOSPC;
    return -1;
}

static int fail_populate(void *addr, size_t size, int advice)
{
    if (!has_one_page || advice != MADV_POPULATE_WRITE)
        return real.madvise(addr, size, advice);
    errno = EFAULT;
    return -1;
}

static int count_fstatvfs(int fd, struct statvfs *st)
{
    int result = real.fstatvfs(fd, st);
    asked++;
    if (has_one_page)
        st->f_bfree = st->f_bavail = 4 * KIB / st->f_frsize;
    return result;
}

static void test_full_file_system_is_asked_once(void)
{
    enum { CALLS = 20 };
    if (!begin_by_pages())
        return;
    sys.fallocate = fail_fallocate;
    sys.madvise = fail_populate;
    sys.fstatvfs = count_fstatvfs;
    CHECK_NOT_NULL(allocate(20 * KIB));
    has_one_page = true;
    while (allocate(20 * KIB) != NULL)
        continue;
    CHECK_NULL(allocate(20 * KIB));
    asked = 0;
    for (int i = 0; i < CALLS; i++)
        CHECK_NULL(allocate(20 * KIB));
    CHECK_EQ(asked, CALLS);
    has_one_page = false;
    CHECK_NOT_NULL(allocate(20 * KIB));
    end();
}

/* ---- parked objects ----------------------------------------------------- */

static void test_object_that_is_wanted_is_parked(void)
{
    begin();
    fill(4 * KIB);
    release(objects[0]);
    CHECK(arena_exchange_has_parked(&heap->arenas));
    CHECK_EQ(allocate(4 * KIB), objects[0]);
    CHECK(!arena_exchange_has_parked(&heap->arenas));
    CHECK_NULL(allocate(4 * KIB));
    release(objects[1]);
    release(objects[2]); /* goes back */
    CHECK_EQ(allocate(4 * KIB), objects[1]);
    CHECK_EQ(allocate(4 * KIB), objects[2]);
    CHECK_NULL(allocate(4 * KIB));
    end();
}

static void test_parked_object_is_cleared(void)
{
    begin();
    fill(4 * KIB);
    release(objects[0]);
    char *ptr = heap_calloc(heap, 4 * KIB);
    REQUIRE_EQ(ptr, objects[0]);
    for (size_t i = 0; i < 4 * KIB; i++)
        REQUIRE_EQ(ptr[i], 0);
    end();
}

static void *allocate_4k(void *unused)
{
    (void)unused;
    return allocate(4 * KIB);
}

static void test_another_thread_takes_what_is_parked(void)
{
    begin();
    fill(4 * KIB);
    release(objects[0]);
    CHECK_EQ(run_in_thread(allocate_4k, NULL), objects[0]);
    end();
}

/* The pages of a parked object are had by another class. */
static void test_another_class_gets_what_is_parked(void)
{
    static const size_t sizes[] = {64, 4096, 8192, 12288, 16384};
    begin();
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        fill(16 * KIB);
        CHECK_NULL(allocate(20 * KIB));
        CHECK_NULL(allocate(16 * KIB));
        release(objects[--count]);
        CHECK(arena_exchange_has_parked(&heap->arenas));
        void *ptr = allocate(sizes[i]);
        REQUIRE_NOT_NULL(ptr);
        release(ptr);
        while (count > 0)
            release(objects[--count]);
        heap_purge(heap);
        CHECK(!arena_exchange_has_parked(&heap->arenas));
    }
    end();
}

static void test_second_free_of_parked_object_is_seen(void)
{
    begin();
    fill(4 * KIB);
    release(objects[0]);
    CHECK_EQ(heap_free(heap, objects[0]), HEAP_DOUBLE_FREE);
    release(objects[1]);
    CHECK_EQ(heap_free(heap, objects[1]), HEAP_DOUBLE_FREE);
    CHECK_EQ(heap_free(heap, objects[0]), HEAP_DOUBLE_FREE);
    CHECK_EQ(allocate(4 * KIB), objects[0]);
    release(objects[0]);
    end();
}

/* Another class's reclaim may have given it back meanwhile. */
static void test_second_free_is_seen_after_reclaim(void)
{
    begin();
    fill(64);
    release(objects[0]);
    CHECK(arena_exchange_has_parked(&heap->arenas));
    CHECK_NULL(allocate(4 * KIB));
    CHECK(!arena_exchange_has_parked(&heap->arenas));
    CHECK_EQ(heap_free(heap, objects[0]), HEAP_DOUBLE_FREE);
    CHECK_EQ(allocate(64), objects[0]);
    release(objects[0]);
    end();
}

/* Each class has refusals of its own to count: what is asked for in between is
 * of no effect. */
static void test_each_class_is_tried_again(void)
{
    enum { RETRY = 1024 };
    begin();
    fill(4 * KIB);
    CHECK_NULL(allocate(20 * KIB));
    const unsigned before = region_pool_refusals(&pool).lasting;
    for (int i = 0; i < 2 * RETRY; i++) {
        CHECK_NULL(allocate(4 * KIB));
        CHECK_NULL(allocate(20 * KIB));
        CHECK_NULL(allocate(20 * KIB));
        CHECK_NULL(allocate(20 * KIB));
    }
    const struct return_tally *tally = &heap->arenas.returns.first;
    CHECK_GE(atomic_load(&tally->classes[size_class_of(4 * KIB)].refusals),
             RETRY);
    CHECK_GT(region_pool_refusals(&pool).lasting, before);
    end();
}

/* Objects that went back and are in use again are no reason to ask the arenas.
 */
static void test_what_is_in_use_again_is_not_looked_for(void)
{
    enum { ROUNDS = 5 };
    if (!begin_by_pages())
        return;
    fill(64);
    const unsigned before = region_pool_refusals(&pool).lasting;
    for (int i = 0; i < ROUNDS; i++) {
        release(objects[0]); /* is parked */
        release(objects[1]); /* goes back */
        objects[0] = allocate(64);
        objects[1] = allocate(64);
        CHECK_NOT_NULL(objects[0]);
        CHECK_NOT_NULL(objects[1]);
        CHECK_NULL(allocate(64));
    }
    CHECK_EQ(region_pool_refusals(&pool).lasting, before);
    end();
}

/* A new slab has more objects than the one that was fetched, even if as many
 * have gone back as were fetched. */
static void test_all_of_a_new_slab_is_found(void)
{
    enum { OF_A_SLAB = 4096 / 64 };
    if (!begin_by_pages())
        return;
    void *page = allocate(4 * KIB);
    REQUIRE(page != NULL);
    fill(64);
    release(page);
    CHECK_NOT_NULL(allocate(64)); /* of a new slab */
    release(objects[0]);          /* is parked */
    release(objects[1]);          /* goes back */
    CHECK_NOT_NULL(allocate(64));
    for (int i = 0; i < OF_A_SLAB; i++)
        CHECK_NOT_NULL(allocate(64));
    CHECK_NULL(allocate(64));
    end();
}

static void test_nothing_stays_parked_when_there_is_room(void)
{
    enum { CALLS = 600 };
    begin();
    fill(4 * KIB);
    release(objects[0]);
    CHECK(arena_exchange_has_parked(&heap->arenas));
    for (size_t i = 1; i < CALLS; i++)
        release(objects[i]);
    CHECK(!arena_returns_are_counted(&heap->arenas.returns));
    CHECK(!arena_exchange_has_parked(&heap->arenas));
    end();
}

static void test_statistics_leave_parked_objects_out(void)
{
    begin();
    fill(4 * KIB);
    REQUIRE_EQ(heap_stat_snapshot(), 0);
    const size_t before = heap_stat(heap, HEAP_ALLOCATED);
    release(objects[0]);
    CHECK(arena_exchange_has_parked(&heap->arenas));
    REQUIRE_EQ(heap_stat_snapshot(), 0);
    CHECK_EQ(heap_stat(heap, HEAP_ALLOCATED), before - 4 * KIB);
    CHECK_EQ(allocate(4 * KIB), objects[0]);
    end();
}

/* Without decay nothing that has pages of its own is kept. */
static void test_large_objects_are_not_parked_without_decay(void)
{
    begin_with(0);
    fill(64 * KIB);
    const size_t before = region_pool_charged(&pool);
    release(objects[0]);
    CHECK(!arena_exchange_has_parked(&heap->arenas));
    CHECK_EQ(region_pool_charged(&pool), before - 64 * KIB);
    end();
}

/* ---- space that is owed ------------------------------------------------- */

static size_t owed(void)
{
    return atomic_load(&pool.regions[0].owed_pages) * region_page_size();
}

static int by_address(const void *a, const void *b)
{
    const char *first = *(char *const *)a, *second = *(char *const *)b;
    return (first > second) - (first < second);
}

/* Frees every second object, by their places. */
static size_t free_half(size_t size)
{
    size_t freed = 0;
    qsort(objects, count, sizeof objects[0], by_address);
    for (size_t i = 0; i < count; i += 2, freed += size)
        release(objects[i]);
    return freed;
}

static void test_space_is_given_back_as_it_is_needed(void)
{
    if (!begin_by_pages())
        return;
    fill(16 * KIB);
    const size_t freed = free_half(16 * KIB);
    removed = allocated = 0;
    CHECK_NOT_NULL(allocate(20 * KIB));
    CHECK_LE(removed, 64 * KIB);
    CHECK_LE(allocated, 64 * KIB);
    /* All of it can be had, here or there. */
    size_t had = 20 * KIB;
    for (size_t size = 40 * KIB; size >= 16 * KIB; size -= 4 * KIB)
        for (void *ptr; (ptr = allocate(size)) != NULL; had += size)
            memset(ptr, 1, size);
    CHECK_GE(had, freed - 16 * KIB);
    CHECK_LE(region_pool_charged(&pool), LIMIT);
    CHECK_LE(owed(), 16 * KIB);
    end();
}

/* What is owed and is committed anew needs no system call, and is cleared.
 * Arenas use what comes first again; what comes last is given back. */
static void test_what_is_owed_is_used_again(void)
{
    if (!begin_by_pages())
        return;
    fill(16 * KIB);
    free_half(16 * KIB);
    CHECK_NOT_NULL(allocate(20 * KIB));
    const size_t before = owed();
    CHECK_GE(before, 7 * MIB);
    removed = allocated = 0;
    for (size_t had = 0; had < 2 * MIB; had += 16 * KIB) {
        CHECK_NULL(allocate(LIMIT)); /* or upkeep would give it back */
        char *ptr = heap_calloc(heap, 16 * KIB);
        REQUIRE_NOT_NULL(ptr);
        for (size_t i = 0; i < 16 * KIB; i++)
            REQUIRE_EQ(ptr[i], 0);
        memset(ptr, 1, 16 * KIB);
    }
    CHECK_LE(allocated, 128 * KIB);
    CHECK_LE(removed, 64 * KIB);
    end();
}

static int refuse_madvise(void *addr, size_t size, int advice)
{
    if (advice != MADV_REMOVE)
        return count_madvise(addr, size, advice);
    errno = EIO;
    return -1;
}

static int refuse_to_punch(int fd, int mode, off_t offset, off_t size)
{
    if ((mode & FALLOC_FL_PUNCH_HOLE) == 0)
        return count_fallocate(fd, mode, offset, size);
    errno = EIO;
    return -1;
}

/* A hole that could not be punched may be there in part: then its space is
 * taken again, though it is charged. */
static void test_space_is_made_sure_of_after_a_failure(void)
{
    if (!begin_by_pages())
        return;
    fill(16 * KIB);
    free_half(16 * KIB);
    sys.madvise = refuse_madvise;
    sys.fallocate = refuse_to_punch;
    CHECK_NULL(allocate(20 * KIB));
    const size_t before = owed();
    CHECK_GE(before, 7 * MIB);
    allocated = 0;
    CHECK_NOT_NULL(allocate(16 * KIB));
    CHECK_EQ(allocated, 16 * KIB);
    CHECK_EQ(owed(), before - 16 * KIB);
    end();
}

/* Pages that cannot be given back, the last ones of all, are in the way of no
 * other. */
#define STUCK 40
static char *stuck_from;

static int refuse_last_madvise(void *addr, size_t size, int advice)
{
    if (advice != MADV_REMOVE || (char *)addr + size <= stuck_from)
        return count_madvise(addr, size, advice);
    errno = EIO;
    return -1;
}

static int refuse_last_punch(int fd, int mode, off_t offset, off_t size)
{
    if ((mode & FALLOC_FL_PUNCH_HOLE) == 0 ||
        pool.regions[0].base + offset + size <= stuck_from)
        return count_fallocate(fd, mode, offset, size);
    errno = EIO;
    return -1;
}

static void test_stuck_pages_are_in_no_others_way(void)
{
    if (!begin_by_pages())
        return;
    fill(16 * KIB);
    qsort(objects, count, sizeof objects[0], by_address);
    stuck_from = objects[(count - STUCK) / 2 * 2];
    sys.madvise = refuse_last_madvise;
    sys.fallocate = refuse_last_punch;
    const size_t freed = free_half(16 * KIB);
    size_t had = 0;
    while (allocate(20 * KIB) != NULL)
        had += 20 * KIB;
    CHECK_GE(had, freed - (STUCK / 2 + 4) * 16 * KIB);
    CHECK_LE(owed(), (STUCK / 2 + 2) * 16 * KIB);
    end();
}

/* Upkeep gives it back when no allocation fails any more, though the heap is
 * exhausted still. */
static void test_upkeep_gives_it_back_after_failures(void)
{
    enum { STEP_MS = 1, MOST_STEPS = 5000 };
    begin();
    fill(16 * KIB);
    free_half(16 * KIB);
    CHECK_NOT_NULL(allocate(20 * KIB));
    atomic_store(&heap->arenas.returns.first.wanted, size_class_of(1 * KIB));
    release(allocate(1 * KIB));
    CHECK(arena_exchange_has_parked(&heap->arenas));
    for (int i = 0; (owed() != 0 || arena_exchange_has_parked(&heap->arenas)) &&
                    i < MOST_STEPS;
         i++) {
        const struct timespec step = {0, STEP_MS * 1000000};
        nanosleep(&step, NULL);
        exhaustion_begin(heap);
        release(allocate(64));
    }
    CHECK_EQ(owed(), 0);
    CHECK(!arena_exchange_has_parked(&heap->arenas));
    end();
}

/* A purge of the program's gives all of it back. */
static void test_purge_gives_all_of_it_back(void)
{
    begin();
    fill(16 * KIB);
    const size_t freed = free_half(16 * KIB);
    CHECK_NOT_NULL(allocate(20 * KIB));
    heap_purge(heap);
    CHECK_EQ(owed(), 0);
    CHECK_LE(region_pool_charged(&pool),
             LIMIT - freed + 20 * KIB + 2 * pool.grain);
    end();
}

/* ---- pages that are counted --------------------------------------------- */

/* Returns and fetches of small objects count pages only when a slab comes or
 * goes. */
static void test_pages_are_counted_exactly(void)
{
    enum { PER_SLAB = 4 }; /* objects of 1 KiB in a page */
    begin();
    fill(1 * KIB);
    CHECK_NULL(allocate(16 * KIB));
    struct arena_returns *returns = &heap->arenas.returns;
    REQUIRE_EQ(arena_returns_spare(returns), 0);
    if (!PAGE_TRAFFIC_IS_SEEN) {
        end();
        return;
    }
    size_t first = 0; /* of a slab that is full */
    while ((uintptr_t)objects[first] % (4 * KIB) != 0)
        first++;
    for (size_t i = 0; i < PER_SLAB; i++)
        REQUIRE_EQ(objects[first + i], (char *)objects[first] + i * KIB);
    for (size_t i = 0; i + 1 < PER_SLAB; i++) {
        release(objects[first + i]);
        CHECK_EQ(arena_returns_spare(returns), 0);
    }
    release(objects[first + PER_SLAB - 1]);
    CHECK_EQ(arena_returns_spare(returns), 4 * KIB);
    void *ptr = allocate(64);
    REQUIRE_NOT_NULL(ptr);
    CHECK_EQ(arena_returns_spare(returns), 0);
    release(ptr);
    CHECK_EQ(arena_returns_spare(returns), 4 * KIB);
    end();
}

/* ---- tallies ------------------------------------------------------------ */

static void *use_heap(void *unused)
{
    release(allocate(64));
    return unused;
}

/* Frees an object, takes it again, and frees it when there is no room for more:
 * then it is parked. */
static void *park(void *object)
{
    size_t size = heap_usable_size(heap, object);
    release(object);
    CHECK_EQ(allocate(size), object);
    CHECK_NULL(allocate(size));
    release(object);
    return NULL;
}

static void *release_again(void *object)
{
    CHECK_EQ(heap_free(heap, object), HEAP_DOUBLE_FREE);
    return NULL;
}

/* A heap that is full, with a cache for the threads to come. */
static void begin_with_two(size_t size)
{
    begin();
    CHECK_NOT_NULL(allocate(64));
    run_in_thread(use_heap, NULL);
    fill(size);
    CHECK_EQ(atomic_load(&heap->arenas.returns.tally_count), 2);
}

static void test_each_tally_parks_one(void)
{
    begin_with_two(4 * KIB);
    run_in_thread(park, objects[1]);
    release(objects[0]);
    for (unsigned i = 0; i < 2; i++)
        CHECK(atomic_load(
                  &arena_returns_tally(&heap->arenas.returns, i)->parked) != 0);
    CHECK_EQ(allocate(4 * KIB), objects[0]);
    CHECK_EQ(allocate(4 * KIB), objects[1]);
    CHECK_NULL(allocate(4 * KIB));
    CHECK(!arena_exchange_has_parked(&heap->arenas));
    end();
}

static void test_another_tallys_object_is_had_by_another_class(void)
{
    begin_with_two(16 * KIB);
    run_in_thread(park, objects[0]);
    CHECK(arena_exchange_find_parked(&heap->arenas, size_class_of(64)).others);
    CHECK_NOT_NULL(allocate(64));
    end();
}

/* What is parked of the class itself hides nothing. */
static void test_all_that_is_parked_is_found(void)
{
    const unsigned small = size_class_of(1 * KIB),
                   large = size_class_of(16 * KIB);
    begin_with_two(16 * KIB);
    run_in_thread(park, objects[0]);
    atomic_store(&heap->arenas.returns.first.wanted, small);
    CHECK(arena_exchange_park(&heap->arenas, 0, small, objects[1]));
    for (int i = 0; i < 2; i++) {
        const struct parked parked =
            arena_exchange_find_parked(&heap->arenas, i == 0 ? small : large);
        CHECK(parked.wanted);
        CHECK(parked.others);
        CHECK(exhaustion_reclaim_may_help(heap, i == 0 ? small : large, 1));
    }
    CHECK_EQ(arena_exchange_take_parked(&heap->arenas, 1, RETURN_TALLIES_MOST,
                                        small),
             objects[1]);
    end();
}

static void test_second_free_by_another_tally_is_seen(void)
{
    begin_with_two(4 * KIB);
    run_in_thread(park, objects[1]);
    release(objects[0]);
    CHECK_EQ(heap_free(heap, objects[1]), HEAP_DOUBLE_FREE);
    run_in_thread(release_again, objects[0]);
    end();
}

/* What another thread has taken is no object that was freed lately. */
static void test_object_may_be_freed_after_another_thread_took_it(void)
{
    enum { ROUNDS = 8, TAKEN = 3 };
    begin_with_two(4 * KIB);
    for (int i = 0; i < ROUNDS; i++) {
        for (int j = 0; j < TAKEN; j++)
            release(objects[j]); /* one is parked, others go back */
        for (int j = 0; j < TAKEN; j++)
            REQUIRE_NOT_NULL(objects[j] = run_in_thread(allocate_4k, NULL));
        CHECK_NULL(allocate(4 * KIB));
    }
    release(objects[TAKEN]);
    CHECK_EQ(heap_free(heap, objects[TAKEN]), HEAP_DOUBLE_FREE);
    end();
}

static void test_tallies_are_summed(void)
{
    enum { ARENAS = 40, CLASS = 5, BEFORE = 3, LATER = 7 };
    static struct arena_returns returns;
    memset(&returns, 0, sizeof returns);
    arena_returns_init(&returns, ARENAS, 0);
    CHECK_EQ(arena_returns_tally_of(&returns, RETURN_TALLIES_MOST + 2), 2);
    arena_returns_open_tally(&returns, BEFORE);
    CHECK_EQ(atomic_load(&returns.tally_count), 1);
    REQUIRE(allocator_enter());
    arena_returns_begin(&returns);
    allocator_leave();
    CHECK_EQ(atomic_load(&returns.tally_count), BEFORE + 1);
    const uint64_t lives = arena_returns_lives(&returns, CLASS, &returns);
    arena_returns_note_fetched(&returns, BEFORE, CLASS, &returns);
    CHECK(arena_returns_lives(&returns, CLASS, &returns) != lives);
    arena_returns_open_tally(&returns, LATER);
    arena_returns_open_tally(&returns, 1);
    CHECK_EQ(atomic_load(&returns.tally_count), LATER + 1);
    arena_returns_note_fetched(&returns, LATER, CLASS, &returns);
    arena_returns_note_renewed(&returns, LATER, CLASS);
    arena_returns_note_failure(&returns, LATER, CLASS);
    arena_returns_note_failure(&returns, 0, CLASS);
    atomic_store(&arena_returns_tally(&returns, 1)->free_pages, 4 * KIB);
    atomic_store(&arena_returns_tally(&returns, 2)->classes[CLASS].objects, 4);
    const struct class_returns sum = arena_returns_of_class(&returns, CLASS);
    CHECK_EQ(sum.fetched, 2);
    CHECK_EQ(sum.renewed, 1);
    CHECK_EQ(sum.objects, 4);
    CHECK_EQ(arena_returns_failures(&returns), 2);
    CHECK_EQ(arena_returns_free_pages(&returns) -
                 atomic_load(&returns.first.free_pages),
             4 * KIB);
    REQUIRE(allocator_enter());
    arena_returns_fini(&returns);
    allocator_leave();
}

static const struct test_case tests[] = {
    {"an object that is wanted is parked",
     test_object_that_is_wanted_is_parked},
    {"a parked object is cleared", test_parked_object_is_cleared},
    {"another thread takes what is parked",
     test_another_thread_takes_what_is_parked},
    {"another class gets what is parked",
     test_another_class_gets_what_is_parked},
    {"a second free of a parked object is seen",
     test_second_free_of_parked_object_is_seen},
    {"a second free is seen after a reclaim",
     test_second_free_is_seen_after_reclaim},
    {"each class is tried again", test_each_class_is_tried_again},
    {"a full file system is asked once", test_full_file_system_is_asked_once},
    {"what is in use again is not looked for",
     test_what_is_in_use_again_is_not_looked_for},
    {"all of a new slab is found", test_all_of_a_new_slab_is_found},
    {"nothing stays parked when there is room",
     test_nothing_stays_parked_when_there_is_room},
    {"statistics leave parked objects out",
     test_statistics_leave_parked_objects_out},
    {"large objects are not parked without decay",
     test_large_objects_are_not_parked_without_decay},
    {"space is given back as it is needed",
     test_space_is_given_back_as_it_is_needed},
    {"what is owed is used again", test_what_is_owed_is_used_again},
    {"space is made sure of after a failure",
     test_space_is_made_sure_of_after_a_failure},
    {"stuck pages are in no other's way",
     test_stuck_pages_are_in_no_others_way},
    {"upkeep gives it back after failures",
     test_upkeep_gives_it_back_after_failures},
    {"a purge gives all of it back", test_purge_gives_all_of_it_back},
    {"pages are counted exactly", test_pages_are_counted_exactly},
    {"each tally parks one", test_each_tally_parks_one},
    {"another tally's object is had by another class",
     test_another_tallys_object_is_had_by_another_class},
    {"all that is parked is found", test_all_that_is_parked_is_found},
    {"a second free by another tally's thread is seen",
     test_second_free_by_another_tally_is_seen},
    {"an object may be freed after another thread took it",
     test_object_may_be_freed_after_another_thread_took_it},
    {"tallies are summed", test_tallies_are_summed},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("exhausted_space", tests, argc, argv);
}
