/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * File space in grains of 2 MiB, as on persistent memory: the environment has
 * PMEM_IS_PMEM_FORCE=1, by which libpmem takes any file for it.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/statvfs.h>

#include "grain_tables.h"
#include "layer_test.h"
#include "region_pool.h"
#include "sys_calls.h"

#define GRAIN (2 * MIB)
#define BLOCKS_SLACK (256 * KIB)

static int owner;
static struct memkind_region_pool pool;

static size_t page(void)
{
    return region_page_size();
}

/* Opens the pool and takes a block of whole grains. */
static char *open_pool(size_t budget, size_t size)
{
    bool commit = false, zeroed = false;
    REQUIRE_EQ(region_pool_open_files(&pool, test_dir(), budget, &owner), 0);
    REQUIRE(region_pool_is_pmem(&pool));
    REQUIRE_EQ(pool.grain, GRAIN);
    char *block = region_pool_alloc(&pool, size, GRAIN, &commit, &zeroed);
    REQUIRE_NOT_NULL(block);
    CHECK(!commit);
    return block;
}

/* Checks that so many grains are charged, and that the file has so much
 * space. */
static bool holds(size_t grains)
{
    size_t charged = region_pool_charged(&pool);
    size_t held = file_bytes(pool.regions[0].fd);
    bool right = charged == grains * GRAIN && held >= charged &&
                 held <= charged + BLOCKS_SLACK;
    if (!right)
        fprintf(stderr, "%zu grains: %zu charged, %zu held\n", grains, charged,
                held);
    return right;
}

static void test_mapping_is_aligned(void)
{
    open_pool(64 * MIB, 16 * MIB);
    CHECK_EQ((uintptr_t)pool.regions[0].base % GRAIN, 0);
    CHECK_EQ(pool.regions[0].size % GRAIN, 0);
    region_pool_close(&pool);
}

static void test_space_is_taken_in_grains(void)
{
    char *block = open_pool(64 * MIB, 16 * MIB);
    CHECK(holds(0));
    CHECK_EQ(region_pool_commit(&pool, block, page()), 0);
    CHECK(holds(1));
    CHECK_EQ(region_pool_commit(&pool, block + GRAIN - page(), page()), 0);
    CHECK(holds(1));
    /* Over a border, into a grain that is held and one that is not. */
    CHECK_EQ(region_pool_commit(&pool, block + GRAIN - 2 * page(), page()), 0);
    CHECK(holds(1));
    CHECK_EQ(region_pool_commit(&pool, block + 2 * GRAIN - page(),
                                GRAIN + 2 * page()),
             0);
    CHECK(holds(4));
    /* Into a held one on each side. */
    CHECK_EQ(region_pool_commit(&pool, block + 3 * GRAIN + page(), GRAIN), 0);
    CHECK(holds(5));
    region_pool_close(&pool);
}

static void test_grain_goes_with_its_last_page(void)
{
    char *block = open_pool(64 * MIB, 16 * MIB);
    CHECK_EQ(region_pool_commit(&pool, block, 4 * GRAIN), 0);
    CHECK(holds(4));
    /* All of the inner grains, a page less than all of the outer ones. */
    CHECK_EQ(
        region_pool_decommit(&pool, block + page(), 4 * GRAIN - 2 * page()), 0);
    CHECK(holds(2));
    CHECK_EQ(region_pool_decommit(&pool, block, page()), 0);
    CHECK(holds(1));
    CHECK_EQ(region_pool_decommit(&pool, block + 4 * GRAIN - page(), page()),
             0);
    CHECK(holds(0));
    /* Its next pages need not be cleared. */
    CHECK(is_zero(pool.regions[0].grain_dirty,
                  pool.regions[0].size / GRAIN * sizeof(uint16_t)));

    /* In many pieces, from both sides. */
    CHECK_EQ(region_pool_commit(&pool, block, 2 * GRAIN), 0);
    for (size_t at = 0; at < GRAIN; at += 16 * page()) {
        CHECK(holds(2));
        CHECK_EQ(region_pool_decommit(&pool, block + at, 16 * page()), 0);
        CHECK_EQ(region_pool_decommit(
                     &pool, block + 2 * GRAIN - at - 16 * page(), 16 * page()),
                 0);
    }
    CHECK(holds(0));
    region_pool_close(&pool);
}

static void test_recommitted_pages_are_zero(void)
{
    char *block = open_pool(64 * MIB, 16 * MIB);
    CHECK_EQ(region_pool_commit(&pool, block, 2 * GRAIN), 0);
    CHECK(is_zero(block, 2 * GRAIN));
    for (unsigned round = 0; round < 3; round++) {
        test_fill(block, 2 * GRAIN, round);
        /* The grains stay, through the pages that are left. */
        CHECK_EQ(region_pool_decommit(&pool, block + page(), GRAIN), 0);
        CHECK(holds(2));
        CHECK_EQ(region_pool_commit(&pool, block + page(), GRAIN / 2), 0);
        CHECK_EQ(
            region_pool_commit(&pool, block + page() + GRAIN / 2, GRAIN / 2),
            0);
        CHECK(is_zero(block + page(), GRAIN));
        CHECK(test_check(block, page(), round));
        /* Written before they went, and in a grain that went wholly. */
        memset(block, 0x5a, 2 * GRAIN);
        CHECK_EQ(region_pool_decommit(&pool, block, 2 * GRAIN), 0);
        CHECK(holds(0));
        CHECK_EQ(region_pool_commit(&pool, block + page(), page()), 0);
        CHECK_EQ(region_pool_commit(&pool, block, page()), 0);
        CHECK_EQ(region_pool_commit(&pool, block + 2 * page(),
                                    2 * GRAIN - 2 * page()),
                 0);
        CHECK(is_zero(block, 2 * GRAIN));
    }
    region_pool_close(&pool);
}

/* If no whole grain is left, single pages are taken: all of the budget can be
 * used. */
static void test_budget_is_used_up(void)
{
    const size_t budget = 16 * MIB + MIB;
    char *block = open_pool(budget, 32 * MIB);
    CHECK_EQ(region_pool_commit(&pool, block, 9 * GRAIN), -ENOMEM);
    CHECK(holds(0));
    for (size_t i = 0; i < 8; i++) {
        CHECK_EQ(region_pool_commit(&pool, block + i * GRAIN, page()), 0);
        test_fill(block + i * GRAIN, page(), (unsigned)i);
    }
    CHECK(holds(8));
    /* The ninth grain does not fit, a page of it does. */
    CHECK_EQ(region_pool_commit(&pool, block + 8 * GRAIN, page()), 0);
    CHECK_EQ(region_pool_charged(&pool), 8 * GRAIN + page());
    /* The idle pages of the others are needed. */
    CHECK_EQ(region_pool_commit(&pool, block + 8 * GRAIN + page(),
                                budget - 9 * page()),
             0);
    CHECK_EQ(region_pool_charged(&pool), budget);
    CHECK_EQ(region_pool_commit(&pool, block + page(), page()), -ENOMEM);
    CHECK_EQ(region_pool_charged(&pool), budget);
    for (size_t i = 0; i < 8; i++)
        CHECK(test_check(block + i * GRAIN, page(), (unsigned)i));
    /* A split grain gives page by page, and takes so while space is scarce. */
    CHECK_EQ(region_pool_decommit(
                 &pool, block + 8 * GRAIN + budget - 9 * page(), page()),
             0);
    CHECK_EQ(region_pool_charged(&pool), budget - page());
    CHECK_EQ(region_pool_commit(&pool, block + page(), page()), 0);
    CHECK_EQ(region_pool_charged(&pool), budget);
    CHECK(is_zero(block + page(), page()));
    CHECK_EQ(region_pool_decommit(&pool, block + page(), page()), 0);
    CHECK_EQ(region_pool_charged(&pool), budget - page());
    CHECK_EQ(
        region_pool_decommit(&pool, block + 8 * GRAIN, budget - 9 * page()), 0);
    CHECK_EQ(region_pool_charged(&pool), 8 * page());
    /* Now there is room: the grain is whole again, and keeps its space. */
    CHECK_EQ(region_pool_commit(&pool, block + page(), 2 * page()), 0);
    CHECK_EQ(region_pool_charged(&pool), GRAIN + 7 * page());
    CHECK(is_zero(block + page(), 2 * page()));
    CHECK_EQ(region_pool_decommit(&pool, block + 2 * page(), page()), 0);
    CHECK_EQ(region_pool_charged(&pool), GRAIN + 7 * page());
    CHECK_EQ(region_pool_decommit(&pool, block, 2 * page()), 0);
    CHECK_EQ(region_pool_charged(&pool), 7 * page());
    CHECK_EQ(region_pool_commit(&pool, block, page()), 0);
    CHECK_EQ(region_pool_charged(&pool), GRAIN + 7 * page());
    region_pool_close(&pool);
}

/* Blocks in one grain: each is charged once, and goes with the other. */
static void test_blocks_that_share_a_grain(void)
{
    open_pool(64 * MIB, GRAIN);
    bool commit = false, zeroed;
    char *a = region_pool_alloc(&pool, 64 * KIB, page(), &commit, &zeroed);
    char *b = region_pool_alloc(&pool, 64 * KIB, page(), &commit, &zeroed);
    REQUIRE_NOT_NULL(a);
    REQUIRE_NOT_NULL(b);
    size_t grains = (uintptr_t)a / GRAIN == (uintptr_t)b / GRAIN ? 1 : 2;
    CHECK_EQ(region_pool_commit(&pool, a, 64 * KIB), 0);
    CHECK_EQ(region_pool_commit(&pool, b, 64 * KIB), 0);
    CHECK(holds(grains));
    test_fill(b, 64 * KIB, 4);
    CHECK_EQ(region_pool_decommit(&pool, a, 64 * KIB), 0);
    CHECK(holds(1));
    CHECK(test_check(b, 64 * KIB, 4));
    CHECK_EQ(region_pool_decommit(&pool, b, 64 * KIB), 0);
    CHECK(holds(0));
    region_pool_close(&pool);
}

static void test_tables_are_unmapped(void)
{
    struct test_resources before;
    open_pool(64 * MIB, 16 * MIB);
    region_pool_close(&pool);
    layer_resources_take(&before);
    for (int i = 0; i < 10; i++) {
        char *block = open_pool(64 * MIB, 16 * MIB);
        bool commit = false, zeroed;
        CHECK_EQ(region_pool_commit(&pool, block, 3 * page()), 0);
        /* A further region has tables of its own. */
        char *far = region_pool_alloc(&pool, 8 * GIB, page(), &commit, &zeroed);
        REQUIRE_NOT_NULL(far);
        CHECK_EQ(atomic_load(&pool.count), 2);
        CHECK_EQ(region_pool_commit(&pool, far + 8 * GIB - page(), page()), 0);
        CHECK_EQ(region_pool_charged(&pool), 2 * GRAIN);
        region_pool_close(&pool);
    }
    CHECK(nothing_leaked(&before));
}

/* ---- failures ---------------------------------------------------------- */

static int punch_error, allocate_error;

static int failing_fallocate(int fd, int mode, off_t offset, off_t len)
{
    int error = mode & FALLOC_FL_PUNCH_HOLE ? punch_error : allocate_error;
    if (error == 0)
        return fallocate(fd, mode, offset, len);
    errno = error;
    return -1;
}

static int failing_remove(void *addr, size_t size, int advice)
{
    if (advice != MADV_REMOVE || punch_error == 0)
        return madvise(addr, size, advice);
    errno = punch_error;
    return -1;
}

/* What cannot be done at all; what fails for now is in test_region_owed.c. */
static void test_refused_punch(void)
{
    static const int answers[] = {EOPNOTSUPP, ENOSYS};
    const struct sys_calls real = sys;
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        char *block = open_pool(64 * MIB, 16 * MIB);
        size_t size = 2 * GRAIN + 5 * page();
        CHECK_EQ(region_pool_commit(&pool, block, size), 0);
        test_fill(block, size, 6);
        sys.fallocate = failing_fallocate;
        sys.madvise = failing_remove;
        punch_error = answers[i];
        CHECK_NE(region_pool_decommit(&pool, block, size), 0);
        CHECK(holds(3));
        CHECK(test_check(block, size, 6));
        CHECK_NE(region_pool_decommit(&pool, block + page(), 2 * GRAIN), 0);
        CHECK(test_check(block, size, 6));
        /* Committed as before: the rest of the last grain is free to take. */
        CHECK_EQ(region_pool_commit(&pool, block + size, GRAIN - 5 * page()),
                 0);
        CHECK(holds(3));
        sys = real;
        region_pool_close(&pool);
    }
    punch_error = 0;
}

static void test_full_file_system(void)
{
    const struct sys_calls real = sys;
    char *block = open_pool(64 * MIB, 16 * MIB);
    CHECK_EQ(region_pool_commit(&pool, block, page()), 0);
    test_fill(block, page(), 8);
    sys.fallocate = failing_fallocate;
    allocate_error = ENOSPC;
    CHECK_EQ(region_pool_commit(&pool, block + page(), GRAIN), -ENOSPC);
    /* All that is idle is a part of what is wanted: nothing can be gained. */
    CHECK(holds(1));
    CHECK_EQ(region_pool_commit(&pool, block + 2 * GRAIN, page()), -ENOSPC);
    /* The page that is in use has kept its space, the free ones were given
     * back in the hope of room. */
    CHECK_EQ(region_pool_charged(&pool), page());
    CHECK_EQ(region_pool_commit(&pool, block + 2 * GRAIN, page()), -ENOSPC);
    CHECK_EQ(region_pool_charged(&pool), page());
    CHECK(test_check(block, page(), 8));
    allocate_error = 0;
    CHECK_EQ(region_pool_commit(&pool, block + page(), GRAIN - page()), 0);
    CHECK(holds(1));
    sys = real;
    allocate_error = 0;
    CHECK(is_zero(block + page(), GRAIN - page()));
    CHECK(test_check(block, page(), 8));
    CHECK_EQ(region_pool_decommit(&pool, block, GRAIN), 0);
    CHECK(holds(0));
    region_pool_close(&pool);
}

/* ---- which grains are split ---------------------------------------------- */

/* New in Linux 5.14; headers may not have it. */
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif

static size_t punches, mapped_small;

static int counted_remove(void *addr, size_t size, int advice)
{
    punches += advice == MADV_REMOVE;
    /* Before anything is punched. */
    mapped_small += advice == MADV_POPULATE_READ && punches == 0;
    return madvise(addr, size, advice);
}

static int full_file_system(int fd, struct statvfs *st)
{
    int result = fstatvfs(fd, st);
    st->f_bfree = st->f_bavail = 0;
    return result;
}

/* Opens a pool of which each grain within the budget has one page in use. */
static char *open_with_idle_pages(size_t grains)
{
    char *block = open_pool(grains * GRAIN, 2 * grains * GRAIN);
    for (size_t i = 0; i < grains; i++)
        CHECK_EQ(region_pool_commit(&pool, block + i * GRAIN, page()), 0);
    CHECK(holds(grains));
    punches = mapped_small = 0;
    sys.madvise = counted_remove;
    return block;
}

static void test_no_grain_is_split_in_vain(void)
{
    const struct sys_calls real = sys;
    const size_t idle = 8 * (GRAIN - page());
    char *block = open_with_idle_pages(8);
    /* A page more than there are. */
    CHECK_EQ(region_pool_commit(&pool, block + 8 * GRAIN, idle + page()),
             -ENOMEM);
    CHECK(holds(8));
    CHECK_EQ(punches, 0);
    /* Including those of the range itself. */
    CHECK_EQ(
        region_pool_commit(&pool, block + 7 * GRAIN + page(), idle + page()),
        -ENOMEM);
    CHECK(holds(8));
    CHECK_EQ(punches, 0);
    /* The file system has no more, either. */
    sys.fallocate = failing_fallocate;
    sys.fstatvfs = full_file_system;
    pool.budget *= 2;
    allocate_error = ENOSPC;
    CHECK_EQ(region_pool_commit(&pool, block + 8 * GRAIN, idle + page()),
             -ENOSPC);
    CHECK(holds(8));
    CHECK_EQ(punches, 0);
    pool.budget /= 2;
    allocate_error = 0;
    CHECK_EQ(region_pool_commit(&pool, block + 8 * GRAIN, idle), 0);
    CHECK_EQ(region_pool_charged(&pool), 8 * GRAIN);
    CHECK_EQ(punches, 8);
    sys = real;
    region_pool_close(&pool);
}

static void test_as_many_grains_as_needed_are_split(void)
{
    const struct sys_calls real = sys;
    const size_t idle = GRAIN - page();
    char *block = open_with_idle_pages(8), *more = block + 8 * GRAIN;
    CHECK_EQ(region_pool_commit(&pool, more, page()), 0);
    CHECK_EQ(punches, 1);
    CHECK_EQ(mapped_small, 1);
    CHECK_EQ(region_pool_charged(&pool), 7 * GRAIN + 2 * page());
    /* The rest of that grain, and then another one. */
    CHECK_EQ(region_pool_commit(&pool, more + page(), idle - page()), 0);
    CHECK_EQ(punches, 1);
    CHECK_EQ(region_pool_charged(&pool), 8 * GRAIN);
    CHECK_EQ(region_pool_commit(&pool, more + idle, page()), 0);
    CHECK_EQ(punches, 2);
    /* Pages of a grain that is split come first. */
    CHECK_EQ(region_pool_commit(&pool, more + GRAIN, idle - page()), 0);
    CHECK_EQ(region_pool_charged(&pool), 8 * GRAIN);
    CHECK_EQ(punches, 2);
    CHECK_EQ(region_pool_commit(&pool, more + 3 * GRAIN, 2 * idle), 0);
    CHECK_EQ(punches, 4);
    CHECK_EQ(region_pool_charged(&pool), 8 * GRAIN);
    sys = real;
    region_pool_close(&pool);
}

static size_t large_pages;     /* advice against them */
static int advice_error = -1;  /* advice that fails */
static size_t mapping_borders; /* that are there at the moment */

static int advised(void *addr, size_t size, int advice)
{
    if (advice_error == advice) {
        errno = ENOMEM;
        return -1;
    }
    large_pages += advice == MADV_NOHUGEPAGE;
    if (advice == MADV_RANDOM) {
        CHECK_EQ((uintptr_t)addr % GRAIN, 0);
        CHECK_EQ(size, page());
        mapping_borders++;
    } else if (advice == MADV_NORMAL) {
        mapping_borders--;
    } else if (advice == MADV_POPULATE_READ) {
        CHECK_EQ(mapping_borders, 1);
        mapped_small++;
    }
    return madvise(addr, size, advice);
}

/* A grain that gets its first pages alone is mapped by small pages then, once;
 * one that is taken as a whole is not. */
static void test_parts_are_mapped_by_small_pages(void)
{
    const struct sys_calls real = sys;
    mapped_small = large_pages = mapping_borders = 0;
    sys.madvise = advised;
    char *block = open_pool(2 * GRAIN, 8 * GRAIN);
    CHECK_EQ(region_pool_commit(&pool, block, 2 * GRAIN - 3 * page()), 0);
    CHECK_EQ(mapped_small, 0);
    CHECK_EQ(region_pool_commit(&pool, block + 3 * GRAIN, page()), 0);
    CHECK_EQ(mapped_small, 2); /* the grain that is split, and this one */
    CHECK_EQ(region_pool_commit(&pool, block + 3 * GRAIN + page(), page()), 0);
    CHECK_EQ(mapped_small, 2);
    /* Over a border; the first of the two has pages already. */
    CHECK_EQ(region_pool_decommit(&pool, block, page()), 0);
    CHECK_EQ(region_pool_decommit(&pool, block + 3 * GRAIN + page(), page()),
             0);
    CHECK_EQ(region_pool_commit(&pool, block + 4 * GRAIN - page(), 2 * page()),
             0);
    CHECK_EQ(mapped_small, 3);
    CHECK_EQ(mapping_borders, 0);
    /* If it fails, the commit does not. */
    CHECK_EQ(region_pool_decommit(&pool, block + page(), 2 * page()), 0);
    advice_error = MADV_RANDOM;
    CHECK_EQ(region_pool_commit(&pool, block + 5 * GRAIN, page()), 0);
    advice_error = MADV_POPULATE_READ;
    CHECK_EQ(region_pool_commit(&pool, block + 6 * GRAIN, page()), 0);
    advice_error = -1;
    CHECK_EQ(mapped_small, 3);
    CHECK_EQ(mapping_borders, 0);
    /* Those are for grains that are smaller than large pages. */
    CHECK_EQ(large_pages != 0, region_large_page_size() > GRAIN);
    sys = real;
    region_pool_close(&pool);
}

/* A grain that was split has all of its space again when there is plenty, and
 * not before: it would be split again at once. */
static void test_split_grains_become_whole(void)
{
    char *block = open_pool(16 * GRAIN, 32 * GRAIN);
    CHECK_EQ(region_pool_commit(&pool, block, page()), 0);
    CHECK_EQ(region_pool_commit(&pool, block + GRAIN, 15 * GRAIN), 0);
    CHECK_EQ(region_pool_commit(&pool, block + 16 * GRAIN, page()), 0);
    CHECK_EQ(region_pool_charged(&pool), 15 * GRAIN + 2 * page());
    CHECK_EQ(region_pool_commit(&pool, block + page(), page()), 0);
    CHECK_EQ(region_pool_charged(&pool), 15 * GRAIN + 3 * page());
    CHECK_EQ(region_pool_decommit(&pool, block + GRAIN, GRAIN), 0);
    CHECK_EQ(region_pool_commit(&pool, block + 2 * page(), page()), 0);
    CHECK_EQ(region_pool_charged(&pool), 14 * GRAIN + 4 * page());
    CHECK_EQ(region_pool_decommit(&pool, block + 2 * GRAIN, 3 * GRAIN), 0);
    CHECK_EQ(region_pool_commit(&pool, block + 3 * page(), page()), 0);
    CHECK_EQ(region_pool_charged(&pool), 12 * GRAIN + page());
    CHECK(is_zero(block + 3 * page(), page()));
    /* Each on its own. */
    CHECK_EQ(region_pool_commit(&pool, block + 16 * GRAIN + page(), page()), 0);
    CHECK_EQ(region_pool_charged(&pool), 13 * GRAIN);
    region_pool_close(&pool);

    /* There is plenty as well if more is held than when space was lacking. */
    block = open_pool(4 * GRAIN, 32 * GRAIN);
    CHECK_EQ(region_pool_commit(&pool, block, page()), 0);
    CHECK_EQ(region_pool_commit(&pool, block + GRAIN, 3 * GRAIN), 0);
    CHECK_EQ(region_pool_commit(&pool, block + 4 * GRAIN, page()), 0);
    pool.budget = 16 * GRAIN;
    CHECK_EQ(region_pool_commit(&pool, block + page(), page()), 0);
    CHECK_EQ(region_pool_charged(&pool), 3 * GRAIN + 3 * page());
    CHECK_EQ(region_pool_commit(&pool, block + 5 * GRAIN, GRAIN), 0);
    CHECK_EQ(region_pool_commit(&pool, block + 2 * page(), page()), 0);
    CHECK_EQ(region_pool_charged(&pool), 5 * GRAIN + page());
    region_pool_close(&pool);
}

/* ---- regions of any size ------------------------------------------------- */

static int large_file_system(int fd, struct statvfs *st)
{
    int result = fstatvfs(fd, st);
    st->f_blocks = st->f_bfree = st->f_bavail = TIB / st->f_frsize;
    return result;
}

/* The whole pages of a table that are about grains of [first, end). */
static int protect_table(const uint16_t *table, size_t first, size_t end,
                         int protection)
{
    const size_t in_page = (size_t)sysconf(_SC_PAGESIZE) / sizeof *table;
    first = (first + in_page - 1) / in_page * in_page;
    end = end / in_page * in_page;
    return mprotect((void *)(uintptr_t)(table + first),
                    (end - first) * sizeof *table, protection);
}

static void protect_tables(size_t first, size_t end, int protection)
{
    const struct region *region = &pool.regions[0];
    REQUIRE_EQ(protect_table(region->grain_space, first, end, protection), 0);
    REQUIRE_EQ(protect_table(region->grain_live, first, end, protection), 0);
    REQUIRE_EQ(protect_table(region->grain_dirty, first, end, protection), 0);
}

/* Whatever is done, what the tables say of the grains between is not even
 * read: it would be SIGSEGV. */
static void test_no_walk_over_a_region(void)
{
    const struct sys_calls real = sys;
    const size_t size = TIB / 2;
    if (page() > 4 * KIB) {
        printf("skipped: grains of so large a pool are larger ");
        return;
    }
    sys.fstatvfs = large_file_system;
    bool commit = false, zeroed = false;
    REQUIRE_EQ(region_pool_open_files(&pool, test_dir(), TIB, &owner), 0);
    char *block = region_pool_alloc(&pool, size, GRAIN, &commit, &zeroed);
    if (block == NULL || region_pool_find(&pool, block) != &pool.regions[0]) {
        printf("skipped: no region of TiB ");
        sys = real;
        region_pool_close(&pool);
        return;
    }
    const size_t first = (size_t)(block - pool.regions[0].base) / GRAIN;
    char *far = block + size - GRAIN, *more = block + 4 * GRAIN;
    CHECK_EQ(region_pool_commit(&pool, block, page()), 0);
    CHECK_EQ(region_pool_commit(&pool, far, page()), 0);
    CHECK(holds(2));
    protect_tables(first + 16, first + size / GRAIN - 16, PROT_NONE);

    pool.budget = 2 * GRAIN;
    CHECK_EQ(region_pool_commit(&pool, more, 2 * GRAIN), -ENOMEM);
    CHECK(holds(2));
    CHECK_EQ(region_pool_commit(&pool, more, 2 * GRAIN - 2 * page()), 0);
    CHECK_EQ(region_pool_charged(&pool), 2 * GRAIN);
    CHECK_EQ(region_pool_commit(&pool, more + 2 * GRAIN, page()), -ENOMEM);
    region_pool_pay(&pool);
    CHECK_EQ(region_pool_decommit(&pool, more, 2 * GRAIN - 2 * page()), 0);
    CHECK_EQ(region_pool_charged(&pool), 2 * page());

    /* The last idle page is the farthest one. */
    CHECK_EQ(region_pool_decommit(&pool, far, page()), 0);
    pool.budget = GRAIN + page();
    CHECK_EQ(region_pool_commit(&pool, far, page()), 0);
    CHECK_EQ(region_pool_charged(&pool), GRAIN + page());
    CHECK_EQ(region_pool_commit(&pool, more, GRAIN - page()), 0);
    CHECK_EQ(region_pool_charged(&pool), GRAIN + page());

    protect_tables(first + 16, first + size / GRAIN - 16,
                   PROT_READ | PROT_WRITE);
    sys = real;
    region_pool_close(&pool);
}

/* ---- against a model --------------------------------------------------- */

#define MODEL_GRAINS 12
#define MODEL_BUDGET 8
#define MODEL_ROUNDS 6000

/* What is written at the start of each page; 0: not committed. */
static unsigned *model;
static size_t model_pages, grain_pages;

static size_t model_live_pages(void)
{
    size_t live = 0;
    for (size_t i = 0; i < model_pages; i++)
        live += model[i] != 0;
    return live;
}

/* How far pages from `first` on are alike, at most `most` of them. */
static size_t model_run(size_t first, size_t most)
{
    size_t end = first;
    while (end < model_pages && end - first < most &&
           (model[end] != 0) == (model[first] != 0))
        end++;
    return end - first;
}

/* Counts, and which grains have idle pages, are as the pages say. */
static bool tables_are_sound(void)
{
    struct region *region = &pool.regions[0];
    ranked_lock_take(&region->grain_lock);
    bool sound =
        grain_tables_are_sound(&pool, region) &&
        grain_tables_space(&pool, region) == region_pool_charged(&pool);
    ranked_lock_release(&region->grain_lock);
    return sound;
}

static bool page_holds(const char *block, size_t number, unsigned value)
{
    const unsigned *words = (const void *)(block + number * page());
    const size_t last = page() / sizeof *words - 1;
    return words[0] == value && words[last / 2] == value &&
           words[last] == value;
}

static void page_write(char *block, size_t number, unsigned value)
{
    unsigned *words = (void *)(block + number * page());
    const size_t last = page() / sizeof *words - 1;
    words[0] = words[last / 2] = words[last] = value;
}

/* 0 if the pool did as it should. */
static int model_step(char *block, unsigned long long *random, unsigned value)
{
    size_t first = test_random(random) % model_pages;
    size_t most = 1 + test_random(random) %
                          (test_random(random) % 4 == 0 ? 3 * grain_pages : 40);
    size_t count = model_run(first, most);
    bool was_live = model[first] != 0;
    bool wrong = false;
    /* A tenth of the calls finds the file system in trouble. */
    bool fault = test_random(random) % 10 == 0;
    punch_error = allocate_error = fault ? EIO : 0;

    static unsigned saved[MODEL_GRAINS * 2 * MIB / 4096];
    memcpy(saved, &model[first], count * sizeof *saved);
    for (size_t i = first; i < first + count; i++)
        model[i] = was_live ? 0 : value;

    /* All that is not in use can be had, in pages if need be. */
    int expected = 0;
    if (!was_live && model_live_pages() * page() > MODEL_BUDGET * GRAIN)
        expected = -ENOMEM;
    int result = was_live ? region_pool_decommit(&pool, block + first * page(),
                                                 count * page())
                          : region_pool_commit(&pool, block + first * page(),
                                               count * page());
    punch_error = allocate_error = 0;
    if (result != expected && !(fault && result != 0))
        wrong = true;
    if (result != 0)
        memcpy(&model[first], saved, count * sizeof *saved);
    for (size_t i = first; i < first + count; i++) {
        if (result == 0 && !was_live) {
            wrong = wrong || !is_zero(block + i * page(), page());
            page_write(block, i, value);
        } else if (result != 0 && was_live) {
            wrong = wrong || !page_holds(block, i, model[i]);
        }
    }
    size_t charged = region_pool_charged(&pool);
    wrong = wrong || (value % 4 == 0 && !tables_are_sound());
    wrong = wrong || charged < model_live_pages() * page();
    /* A punch that failed may have left space in a grain that is empty. */
    wrong = wrong || charged > MODEL_BUDGET * GRAIN;
    return wrong;
}

static void test_random_against_model(void)
{
    const struct sys_calls real = sys;
    unsigned long long random = test_seed(20240611);
    char *block = open_pool(MODEL_BUDGET * GRAIN, MODEL_GRAINS * GRAIN);
    grain_pages = GRAIN / page();
    model_pages = MODEL_GRAINS * grain_pages;
    model = calloc(model_pages, sizeof *model);
    REQUIRE_NOT_NULL(model);
    sys.fallocate = failing_fallocate;
    unsigned wrong_at = 0;
    for (unsigned i = 1; i <= MODEL_ROUNDS && wrong_at == 0; i++) {
        if (model_step(block, &random, i) != 0)
            wrong_at = i;
        /* ext4 counts its own tables of the file as well. */
        size_t held = file_bytes(pool.regions[0].fd);
        size_t charged = region_pool_charged(&pool);
        if (i % 500 == 0 && (held < charged || held > charged + 256 * 1024))
            wrong_at = i;
    }
    CHECK_EQ(wrong_at, 0);
    unsigned lost = 0; /* pages whose contents are not what was written */
    for (size_t i = 0; i < model_pages; i++)
        lost += model[i] != 0 && !page_holds(block, i, model[i]);
    CHECK_EQ(lost, 0);
    for (size_t i = 0; i < model_pages;) {
        size_t count = model_run(i, model_pages);
        if (model[i] != 0)
            CHECK_EQ(
                region_pool_decommit(&pool, block + i * page(), count * page()),
                0);
        i += count;
    }
    sys = real;
    CHECK(holds(0));
    region_pool_close(&pool);
    free(model);
}

/* ---- several threads --------------------------------------------------- */

#define THREADS 4
#define THREAD_ROUNDS 2500
#define SHARED_GRAINS 2
#define STRIPE 3 /* pages: grains have pages of every thread */

static char *shared_block;
static atomic_size_t thread_errors;

/* Commits and decommits its own stripes, which lie between those of others. */
static void *work_on_stripes(void *argument)
{
    const size_t number = (uintptr_t)argument;
    const size_t stripes = SHARED_GRAINS * GRAIN / page() / STRIPE / THREADS;
    const size_t size = STRIPE * page();
    unsigned long long random = number + 77;
    unsigned char *live = calloc(stripes, 1);
    size_t errors = live == NULL;
    for (int i = 0; i < THREAD_ROUNDS && errors == 0; i++) {
        size_t which = test_random(&random) % stripes;
        char *at = shared_block + (which * THREADS + number) * size;
        unsigned seed = (unsigned)(which * THREADS + number);
        if (live[which]) {
            errors += !test_check(at, size, seed);
            errors += region_pool_decommit(&pool, at, size) != 0;
        } else {
            errors += region_pool_commit(&pool, at, size) != 0;
            errors += !is_zero(at, size);
            test_fill(at, size, seed);
        }
        live[which] = !live[which];
        /* Now and then all goes, so that grains become free. */
        for (size_t j = 0; i % 250 == 249 && j < stripes; j++) {
            at = shared_block + (j * THREADS + number) * size;
            seed = (unsigned)(j * THREADS + number);
            if (!live[j])
                continue;
            errors += !test_check(at, size, seed);
            errors += region_pool_decommit(&pool, at, size) != 0;
            live[j] = 0;
        }
    }
    free(live);
    atomic_fetch_add(&thread_errors, errors);
    return NULL;
}

static void test_threads_share_grains(void)
{
    pthread_t threads[THREADS];
    shared_block = open_pool(64 * MIB, SHARED_GRAINS * GRAIN);
    for (uintptr_t i = 0; i < THREADS; i++)
        REQUIRE_EQ(
            pthread_create(&threads[i], NULL, work_on_stripes, (void *)i), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    CHECK_EQ(atomic_load(&thread_errors), 0);
    CHECK(holds(0));
    region_pool_close(&pool);
}

static void test_persist(void)
{
    char *block = open_pool(64 * MIB, 16 * MIB);
    CHECK_EQ(region_pool_commit(&pool, block, page()), 0);
    test_fill(block, page(), 3);
    CHECK_EQ(region_pool_persist(&pool, block + 1, page() - 1), 0);
    CHECK(test_check(block, page(), 3));
    region_pool_close(&pool);
}

static const struct test_case tests[] = {
    {"mapping is aligned", test_mapping_is_aligned},
    {"space is taken in grains", test_space_is_taken_in_grains},
    {"grain goes with its last page", test_grain_goes_with_its_last_page},
    {"recommitted pages are zero", test_recommitted_pages_are_zero},
    {"budget is used up", test_budget_is_used_up},
    {"blocks that share a grain", test_blocks_that_share_a_grain},
    {"tables are unmapped", test_tables_are_unmapped},
    {"refused punch", test_refused_punch},
    {"full file system", test_full_file_system},
    {"no grain is split in vain", test_no_grain_is_split_in_vain},
    {"as many grains as needed are split",
     test_as_many_grains_as_needed_are_split},
    {"parts are mapped by small pages", test_parts_are_mapped_by_small_pages},
    {"split grains become whole", test_split_grains_become_whole},
    {"no walk over a region", test_no_walk_over_a_region},
    {"random against model", test_random_against_model},
    {"threads share grains", test_threads_share_grains},
    {"persist", test_persist},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("region grains", tests, argc, argv);
}
