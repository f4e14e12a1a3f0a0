/* SPDX-License-Identifier: BSD-2-Clause */
/* The memory of jemalloc's records of extents, which is taken ahead of need. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "heap.h"
#include "heap_create.h"
#include "jemalloc_private.h"
#include "layer_test.h"
#include "region_pool.h"
#include "sys_calls.h"

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#define STEP (64 * KIB)
#define RECORDS_OF_STEP 512
#define OBJECTS 1600       /* each has a record */
#define MANY_OBJECTS 18000 /* their records are more than a block of 2 MiB */
#define MOST_BLOCKS 64

static int owner;
static struct memkind_region_pool pool;
static struct memkind_heap *heap;
static struct sys_calls real;

/* Anonymous memory: that of the records and of other data. */
static struct {
    uintptr_t base, end;
} blocks[MOST_BLOCKS];
static unsigned block_count, steps, huge_blocks;
static bool is_old_kernel; /* or so it seems */

static void *noted_mmap(void *addr, size_t size, int prot, int flags, int fd,
                        off_t offset)
{
    void *base = real.mmap(addr, size, prot, flags, fd, offset);
    if (base != MAP_FAILED && (flags & MAP_ANONYMOUS) != 0 &&
        (prot & PROT_WRITE) != 0 && block_count < MOST_BLOCKS) {
        blocks[block_count].base = (uintptr_t)base;
        blocks[block_count++].end = (uintptr_t)base + size;
    }
    return base;
}

static bool is_in_a_block(uintptr_t from, size_t size)
{
    for (unsigned i = 0; i < block_count; i++)
        if (from >= blocks[i].base && from + size <= blocks[i].end)
            return true;
    return false;
}

/* File space is taken with the same advice. */
static int noted_madvise(void *addr, size_t size, int advice)
{
    const uintptr_t from = (uintptr_t)addr;
    if (advice == MADV_HUGEPAGE && is_in_a_block(from, size))
        huge_blocks++;
    if (advice != MADV_POPULATE_WRITE || !is_in_a_block(from, 1))
        return real.madvise(addr, size, advice);
    CHECK_EQ(size, STEP);
    CHECK_EQ(from % STEP, 0);
    CHECK(is_in_a_block(from, size));
    steps++;
    if (!is_old_kernel)
        is_old_kernel = real.madvise(addr, size, advice) != 0;
    if (!is_old_kernel)
        return 0;
    errno = EINVAL;
    return -1;
}

/* The size of a page of jemalloc's: an object of that size has a slab of its
 * own. */
static size_t object_size(void)
{
    size_t size = 0, length = sizeof size;
    REQUIRE_EQ(JE_NAME(mallctl)("arenas.page", &size, &length, NULL, 0), 0);
    return size;
}

/* False, and a word why, if nothing is ever taken ahead here. */
static bool begin(void)
{
    if (!JEMALLOC_IS_OWN) {
        puts("skipped: a shared jemalloc takes its memory itself");
        return false;
    }
    /* Pages that the system makes huge unasked would have fewer faults. */
    REQUIRE_EQ(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0), 0);
    real = sys;
    sys.mmap = noted_mmap;
    sys.madvise = noted_madvise;
    block_count = steps = huge_blocks = 0;
    is_old_kernel = false;
    REQUIRE_EQ(region_pool_open_files(&pool, test_dir(), 128 * MIB, &owner), 0);
    const struct heap_config config = {.arenas = {.pool = &pool,
                                                  .address_owner = &owner,
                                                  .limit = 1,
                                                  .dirty_decay_ms = 10000}};
    REQUIRE_EQ(heap_create(&config, &heap), 0);
    return true;
}

static void end(void)
{
    heap_destroy(heap);
    region_pool_close(&pool);
    sys = real;
}

static long faults(void)
{
    struct rusage usage;
    REQUIRE_EQ(getrusage(RUSAGE_SELF, &usage), 0);
    return usage.ru_minflt;
}

/* Allocates objects that nothing is stored to, and returns how many faults that
 * has taken. */
static long fill(size_t count)
{
    const size_t size = object_size();
    const long before = faults();
    for (size_t i = 0; i < count; i++)
        REQUIRE_NOT_NULL(heap_malloc(heap, size, 0));
    return faults() - before;
}

static void test_records_have_memory_before_they_are_made(void)
{
    if (!begin())
        return;
    (void)fill(OBJECTS);
    /* The first step of a block is not taken ahead. */
    CHECK(steps >= OBJECTS / RECORDS_OF_STEP - 2);
    CHECK(steps <= OBJECTS / RECORDS_OF_STEP + 1);
    end();
}

/* Two faults for a page become one, which the kernel counts for memory taken
 * ahead as well. */
static void test_that_saves_faults(void)
{
    if (!begin())
        return;
    const long ahead = fill(OBJECTS);
    const unsigned saved = steps * (unsigned)(STEP / region_page_size());
    const bool is_taken = !is_old_kernel;
    end();
    if (!is_taken) {
        puts("skipped: this kernel takes no memory ahead");
        return;
    }
    REQUIRE(begin());
    is_old_kernel = true;
    const long on_demand = fill(OBJECTS);
    CHECK(saved > 0);
    CHECK(on_demand - ahead > (long)saved / 2);
    end();
}

static void test_a_small_heap_takes_none(void)
{
    if (!begin())
        return;
    (void)fill(RECORDS_OF_STEP / 4);
    CHECK_EQ(steps, 0);
    end();
}

static void test_many_records_have_huge_pages(void)
{
    if (!begin())
        return;
    (void)fill(OBJECTS);
    CHECK_EQ(huge_blocks, 0);
    end();
    REQUIRE(begin());
    if (MANY_OBJECTS * object_size() > 128 * MIB) {
        puts("skipped: jemalloc's pages are too large for so many objects");
        end();
        return;
    }
    (void)fill(MANY_OBJECTS);
    /* If the kernel maps a block at an odd address, jemalloc tries again. */
    CHECK(huge_blocks == 1 || huge_blocks == 2);
    CHECK(steps > 2 * MIB / STEP - 3);
    end();
}

static const struct test_case tests[] = {
    {"records have memory before they are made",
     test_records_have_memory_before_they_are_made},
    {"that saves faults", test_that_saves_faults},
    {"many records have huge pages", test_many_records_have_huge_pages},
    {"a small heap takes none", test_a_small_heap_takes_none},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("records_ahead", tests, argc, argv);
}
