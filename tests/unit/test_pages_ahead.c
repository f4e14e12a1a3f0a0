/* SPDX-License-Identifier: BSD-2-Clause */
/* What an arena takes ahead of need: a heap that grows takes space in steps,
 * and one that is small, is nearly full, or keeps nothing takes what it needs.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/statvfs.h>

#include "allocator_gate.h"
#include "exhaustion.h"
#include "heap.h"
#include "heap_create.h"
#include "heap_struct.h"
#include "jemalloc_ctl.h"
#include "jemalloc_private.h"
#include "layer_test.h"
#include "memory_marks.h"
#include "page_traffic.h"
#include "pages_ahead.h"
#include "region_pool.h"
#include "sys_calls.h"

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#define OBJECT (16 * KIB)
#define MOST_OBJECTS 4096

static int owner;
static struct memkind_region_pool pool;
static struct memkind_heap *heap;
static void *objects[MOST_OBJECTS];
static size_t count;
static struct sys_calls real;

/* False, and a word why, if nothing is ever taken ahead here. */
static bool begin(size_t limit, ssize_t decay_ms)
{
    count = 0;
    real = sys;
    REQUIRE_EQ(region_pool_open_files(&pool, test_dir(), limit, &owner), 0);
    const struct heap_config config = {.arenas = {.pool = &pool,
                                                  .address_owner = &owner,
                                                  .limit = 1,
                                                  .dirty_decay_ms = decay_ms}};
    REQUIRE_EQ(heap_create(&config, &heap), 0);
    if (PAGE_TRAFFIC_IS_SEEN && pool.file_system.is_memory &&
        pool.grain == region_page_size() && !memory_marks_are_wanted())
        return true;
    puts("skipped: not with this jemalloc, file system, or tool");
    heap_destroy(heap);
    region_pool_close(&pool);
    return false;
}

static void end(void)
{
    heap_destroy(heap);
    region_pool_close(&pool);
    sys = real;
}

static size_t charged(void)
{
    return region_pool_charged(&pool);
}

/* Stores to an object, and returns how much space that has taken (0 if it has
 * had some given back); SIZE_MAX: there is none. */
static size_t add(size_t size)
{
    const size_t before = charged();
    char *object = heap_malloc(heap, size, 0);
    if (object == NULL)
        return SIZE_MAX;
    REQUIRE_LT(count, MOST_OBJECTS);
    objects[count++] = object;
    memset(object, 1, size);
    return charged() > before ? charged() - before : 0;
}

struct growth {
    size_t steps; /* calls that have taken space */
    size_t most;  /* bytes by one */
};

static struct growth grow(size_t bytes, size_t size)
{
    struct growth growth = {0, 0};
    for (size_t had = 0; had < bytes; had += size) {
        const size_t taken = add(size);
        REQUIRE_NE(taken, SIZE_MAX);
        growth.steps += taken != 0;
        growth.most = taken > growth.most ? taken : growth.most;
    }
    return growth;
}

static void test_growing_takes_steps(void)
{
    if (!begin(0, 10000))
        return;
    (void)grow(16 * MIB, OBJECT);
    const struct growth growth = grow(16 * MIB, OBJECT);
    CHECK_LE(growth.steps, 16 * MIB / OBJECT / 6);
    CHECK_LE(growth.most, PAGES_AHEAD_MOST + 2 * OBJECT);
    CHECK_LE(charged(), 32 * MIB + 2 * PAGES_AHEAD_MOST);
    /* What is ahead can be had back like what was freed. */
    heap_purge(heap);
    CHECK_LE(charged(), 32 * MIB + 64 * KIB);
    end();
}

/* An eighth of what it has, at most. */
static void test_small_heap_takes_little(void)
{
    if (!begin(0, 10000))
        return;
    CHECK_LE(grow(256 * KIB, OBJECT).most, 2 * OBJECT);
    CHECK_LE(charged(), 256 * KIB + 64 * KIB);
    (void)grow(2 * MIB, OBJECT);
    CHECK_LE(charged(), (2 * MIB + 256 * KIB) / 8 * 9 + 64 * KIB);
    end();
}

/* Objects of which few would fit, or which would not be cut from so large a
 * piece. */
static void test_step_is_of_the_objects_size(void)
{
    if (!begin(0, 10000))
        return;
    (void)grow(8 * MIB, OBJECT);
    CHECK_LE(grow(4 * MIB, 320 * KIB).most, 320 * KIB + 64 * KIB);
    const size_t page = je_page_size();
    CHECK_LE(grow(MIB, 512).most, 34 * page);
    end();
}

/* What lies between such objects is not taken. */
static void test_aligned_objects_have_no_gaps(void)
{
    enum { ALIGNMENT_LOG = 16 };
    if (!begin(0, 10000))
        return;
    (void)grow(16 * MIB, OBJECT);
    const size_t before = charged();
    for (size_t had = 0; had < 16 * MIB; had += OBJECT) {
        void *object = heap_malloc(heap, OBJECT, JE_LG_ALIGN(ALIGNMENT_LOG));
        REQUIRE_NOT_NULL(object);
    }
    CHECK_LE(charged() - before, 16 * MIB + PAGES_AHEAD_MOST);
    end();
}

/* Nothing is left over that is too small for the next one. */
static void test_step_is_whole_objects(void)
{
    static const size_t sizes[] = {20 * KIB, 40 * KIB, 80 * KIB, 112 * KIB};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        if (!begin(0, 10000))
            return;
        (void)grow(64 * MIB, sizes[i]);
        CHECK_LE(charged(), 64 * MIB + PAGES_AHEAD_MOST + 256 * KIB);
        end();
    }
}

/* jemalloc would clear pages that have been taken ahead. */
static void test_nothing_for_zeroed_objects(void)
{
    if (!begin(0, 10000))
        return;
    (void)grow(16 * MIB, OBJECT);
    heap_purge(heap);
    for (size_t had = 0, before = charged(); had < 16 * MIB; had += 48 * KIB) {
        REQUIRE_NOT_NULL(heap_calloc(heap, 48 * KIB));
        CHECK_LE(charged() - before, had + 48 * KIB + 64 * KIB);
    }
    end();
}

static void test_shrunk_heap_takes_little(void)
{
    if (!begin(0, 10000))
        return;
    (void)grow(16 * MIB, OBJECT);
    while (count > 0)
        CHECK_EQ(heap_free(heap, objects[--count]), HEAP_OK);
    heap_purge(heap);
    CHECK_LE(grow(256 * KIB, OBJECT).most, 2 * OBJECT);
    end();
}

static size_t room(void)
{
    return region_pool_room_ahead(&pool, pool.regions[0].base, KIB, MIB);
}

static void test_space_that_is_not_to_be_had(void)
{
    if (!begin(0, 10000))
        return;
    atomic_bool *const flags[] = {&pool.pretending, &pool.has_failed,
                                  &pool.no_punch, &pool.no_fallocate,
                                  &pool.lacks_space};
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        CHECK_EQ(room(), MIB);
        atomic_store(flags[i], true);
        CHECK_EQ(room(), 0);
        atomic_store(flags[i], false);
    }
    atomic_store(&pool.regions[0].owed_pages, 1);
    CHECK_EQ(room(), 0);
    atomic_store(&pool.regions[0].owed_pages, 0);
    pool.regions[0].is_private = true;
    CHECK_EQ(room(), 0);
    pool.regions[0].is_private = false;
    CHECK_EQ(room(), MIB);
    end();
}

static void test_without_decay_nothing(void)
{
    if (!begin(0, 0))
        return;
    CHECK_LE(grow(16 * MIB, OBJECT).most, 2 * OBJECT);
    end();
}

/* Steps become smaller with the room that is left, and all of it is had. */
static void test_limit_is_approached_in_small_steps(void)
{
    const size_t limit = 32 * MIB;
    if (!begin(limit, 10000))
        return;
    size_t taken, had = 0, too_large = 0;
    for (size_t left = limit; (taken = add(OBJECT)) != SIZE_MAX;
         left = limit - charged(), had += OBJECT)
        too_large += taken > left / 64 + 2 * OBJECT;
    CHECK_EQ(too_large, 0);
    CHECK_GE(had, limit / 100 * 98);
    CHECK_LE(charged(), limit);
    end();
}

static size_t free_space;

static int little_is_free(int fd, struct statvfs *st)
{
    const int result = real.fstatvfs(fd, st);
    st->f_bfree = st->f_bavail = free_space / st->f_frsize;
    return result;
}

static void test_full_file_system(void)
{
    if (!begin(0, 10000))
        return;
    sys.fstatvfs = little_is_free;
    free_space = 4 * MIB;
    CHECK_LE(grow(16 * MIB, OBJECT).most, 64 * KIB + 2 * OBJECT);
    free_space = 64 * KIB;
    CHECK_LE(grow(4 * MIB, OBJECT).most, 2 * OBJECT);
    end();
}

static size_t refused;

static int refuse_large_madvise(void *addr, size_t size, int advice)
{
    if (advice != MADV_POPULATE_WRITE || size <= 2 * OBJECT)
        return real.madvise(addr, size, advice);
    errno = EFAULT;
    return -1;
}

static int refuse_large(int fd, int mode, off_t offset, off_t size)
{
    if ((size_t)size <= 2 * OBJECT)
        return real.fallocate(fd, mode, offset, size);
    refused++;
    errno = ENOSPC;
    return -1;
}

/* Space that cannot be had is not asked for time and again, and its lack is
 * nothing that a caller sees. */
static void test_failure_is_not_seen(void)
{
    if (!begin(0, 10000))
        return;
    sys.madvise = refuse_large_madvise;
    sys.fallocate = refuse_large;
    refused = 0;
    CHECK_LE(grow(16 * MIB, OBJECT).most, 2 * OBJECT);
    /* Once for each 512 KiB that the heap grows by, by a few calls. */
    CHECK_LE(refused, 16 * 2 * 4 + 4);
    CHECK_LE(pool.regions[0].used, 64 * MIB);
    CHECK(!exhaustion_holds(heap));
    end();
}

static void begin_to_count(void)
{
    REQUIRE(allocator_enter());
    exhaustion_begin(heap);
    allocator_leave();
}

/* An exhausted heap knows of all pages that are free. */
static void test_exhausted_heap_knows(void)
{
    if (!begin(256 * MIB, 10000))
        return;
    (void)grow(16 * MIB, OBJECT);
    heap_purge(heap);
    size_t free_pages = 0;
    for (int i = 0; i < 1000; i++) {
        begin_to_count();
        const size_t before = arena_returns_free_pages(&heap->arenas.returns);
        const size_t taken = add(OBJECT);
        REQUIRE_NE(taken, SIZE_MAX);
        REQUIRE(exhaustion_holds(heap));
        free_pages = arena_returns_free_pages(&heap->arenas.returns) - before;
        if (taken > 2 * OBJECT) {
            CHECK_GE(free_pages, taken - OBJECT);
            end();
            return;
        }
    }
    CHECK(count == 0); /* nothing was taken ahead */
    end();
}

static const struct test_case tests[] = {
    {"growing takes steps", test_growing_takes_steps},
    {"a small heap takes little", test_small_heap_takes_little},
    {"a step is of the objects' size", test_step_is_of_the_objects_size},
    {"aligned objects have no gaps", test_aligned_objects_have_no_gaps},
    {"a step is whole objects", test_step_is_whole_objects},
    {"nothing for zeroed objects", test_nothing_for_zeroed_objects},
    {"a heap that has shrunk takes little", test_shrunk_heap_takes_little},
    {"space that is not to be had", test_space_that_is_not_to_be_had},
    {"without decay nothing", test_without_decay_nothing},
    {"a limit is approached in small steps",
     test_limit_is_approached_in_small_steps},
    {"a full file system", test_full_file_system},
    {"a failure is not seen", test_failure_is_not_seen},
    {"an exhausted heap knows", test_exhausted_heap_knows},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("pages_ahead", tests, argc, argv);
}
