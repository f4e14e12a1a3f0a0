/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * File space in memory: what is mapped at once, and grains of 2 MiB on a tmpfs
 * that gives huge pages (huge=advise). Such a one is mounted for each test;
 * that takes root.
 */
#include <sys/mount.h>
#include <sys/statvfs.h>

#include "pool_test.h"
#include "test_child.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

#define HUGE_PAGE (2 * MIB)
#define SAMPLE 64 /* bytes of a page that stand for all */
#define PLACE_SIZE (400 * MIB)

static char place[4096];

static bool mount_place(const char *options)
{
    static bool is_own;
    snprintf(place, sizeof place, "%s", test_path("mounted"));
    file_system_forget();
    is_own = is_own || mounts_become_own();
    if (is_own && test_has_memory(PLACE_SIZE + 100 * MIB)) {
        REQUIRE_EQ(mkdir(place, 0700), 0);
        if (mount_tmpfs(place, options))
            return true;
        rmdir(place);
    }
    printf("skipped: no tmpfs with %s can be mounted ", options);
    return false;
}

static void unmount_place(void)
{
    CHECK_EQ(umount(place), 0);
    CHECK_EQ(rmdir(place), 0);
}

/* Opens the pool there, and takes a block of so many bytes. NULL, with nothing
 * open, if the system gives no huge pages. */
static char *open_huge(size_t budget, size_t size)
{
    bool commit = false, zeroed;
    if (!mount_place("size=400m,huge=advise"))
        return NULL;
    REQUIRE_EQ(region_pool_open_files(&pool, place, budget, &owner), 0);
    if (!pool.file_system.has_huge_pages) {
        printf("skipped: no huge pages in a tmpfs here ");
        region_pool_close(&pool);
        unmount_place();
        return NULL;
    }
    char *block = region_pool_alloc(&pool, size, HUGE_PAGE, &commit, &zeroed);
    REQUIRE_NOT_NULL(block);
    return block;
}

static void close_huge(void)
{
    region_pool_close(&pool);
    struct statvfs st;
    CHECK_EQ(statvfs(place, &st), 0);
    CHECK_EQ(st.f_blocks, st.f_bfree);
    unmount_place();
}

/* Checks that so much is charged, and that the file has just that. */
static void check_holds(size_t bytes)
{
    CHECK_EQ(region_pool_charged(&pool), bytes);
    CHECK_EQ(pool_file_bytes(), bytes);
}

static void test_grains(void)
{
    char *block = open_huge(0, 16 * MIB);
    if (block == NULL)
        return;
    CHECK_EQ(pool.grain, HUGE_PAGE);
    REQUIRE_EQ(region_pool_commit(&pool, block, page()), 0);
    check_holds(HUGE_PAGE);
    block[0] = 1;
    REQUIRE_EQ(region_pool_commit(&pool, block + page(), HUGE_PAGE), 0);
    check_holds(2 * HUGE_PAGE);
    CHECK(is_zero(block + page(), HUGE_PAGE));
    test_fill(block + page(), HUGE_PAGE, 1);
    /* A grain that has a committed page keeps its space. */
    REQUIRE_EQ(region_pool_decommit(&pool, block + page(), HUGE_PAGE), 0);
    check_holds(HUGE_PAGE);
    CHECK_EQ(block[0], 1);
    REQUIRE_EQ(region_pool_commit(&pool, block + page(), page()), 0);
    CHECK(is_zero(block + page(), page()));
    REQUIRE_EQ(region_pool_decommit(&pool, block, 2 * page()), 0);
    check_holds(0);
    close_huge();
}

/* Many at once, and an object that cannot fit, which takes nothing. */
static void test_large_objects(void)
{
    char *block = open_huge(0, 1000 * MIB);
    if (block == NULL)
        return;
    REQUIRE_EQ(region_pool_commit(&pool, block, 100 * MIB), 0);
    check_holds(100 * MIB);
    test_fill(block, 100 * MIB, 2);
    CHECK_EQ(region_pool_commit(&pool, block + 100 * MIB, 500 * MIB), -ENOSPC);
    check_holds(100 * MIB);
    CHECK(test_check(block, 100 * MIB, 2));
    close_huge();
}

/* Commits parts at a distance from each other, and stores to their first page,
 * as far as there is space. Returns how many bytes. */
static size_t commit_sparsely(char *block, size_t size, size_t distance,
                              size_t from, size_t part)
{
    size_t sum = 0;
    for (size_t at = from; at < size; at += distance) {
        if (region_pool_commit(&pool, block + at, part) != 0)
            continue;
        test_fill(block + at, SAMPLE, (unsigned)(at / page()));
        sum += part;
    }
    return sum;
}

static bool is_kept(const char *block, size_t size, size_t distance)
{
    for (size_t at = 0; at < size; at += distance)
        if (!test_check(block + at, SAMPLE, (unsigned)(at / page())))
            return false;
    return true;
}

/* If space is lacking, grains are split: single pages are charged then, and no
 * huge page takes more. */
static void fill_by_pages(size_t budget, size_t room)
{
    const size_t size = 2 * room, distance = 16 * page();
    char *block = open_huge(budget, size);
    if (block == NULL)
        return;
    CHECK_EQ(pool.grain, HUGE_PAGE);
    /* All grains together have no room as a whole, but by their pages. */
    const size_t sparse = commit_sparsely(block, size, distance, 0, page());
    CHECK_EQ(sparse, size / distance * page());
    CHECK_LE(region_pool_charged(&pool), room);
    CHECK_EQ(pool_file_bytes(), region_pool_charged(&pool));
    CHECK(is_kept(block, size, distance));
    /* And until nothing is left. */
    size_t rest =
        commit_sparsely(block, size, distance, page(), distance - page());
    rest += commit_sparsely(block + size - distance, distance, page(), page(),
                            page());
    CHECK_EQ(sparse + rest, room);
    check_holds(room);
    CHECK(is_kept(block, size, distance));
    for (size_t at = 0; at < size; at += distance)
        REQUIRE_EQ(region_pool_decommit(&pool, block + at, page()), 0);
    region_pool_pay(&pool);
    /* Whole grains keep what they have. */
    CHECK_GE(region_pool_charged(&pool), rest);
    CHECK_EQ(pool_file_bytes(), region_pool_charged(&pool));
    close_huge();
}

static void test_budget(void)
{
    fill_by_pages(256 * MIB, 256 * MIB);
}

static void test_full_place(void)
{
    fill_by_pages(0, PLACE_SIZE);
}

/* Too few grains for that: single pages. */
static void test_small_pool(void)
{
    char *block = open_huge(64 * MIB, 16 * MIB);
    if (block == NULL)
        return;
    CHECK_EQ(pool.grain, page());
    REQUIRE_EQ(region_pool_commit(&pool, block, page()), 0);
    check_holds(page());
    REQUIRE_EQ(region_pool_commit(&pool, block + HUGE_PAGE, HUGE_PAGE), 0);
    check_holds(page() + HUGE_PAGE);
    close_huge();
}

/* With huge=within_size only files that are large enough have huge pages, and
 * each page that is allocated is one. */
static void test_always(void)
{
    static const char *const options[] = {"size=400m,huge=always",
                                          "size=400m,huge=within_size"};
    bool commit = false, zeroed;
    for (size_t i = 0; i < 2; i++) {
        if (!mount_place(options[i]))
            return;
        REQUIRE_EQ(region_pool_open_files(&pool, place, 0, &owner), 0);
        char *block =
            region_pool_alloc(&pool, 16 * MIB, HUGE_PAGE, &commit, &zeroed);
        REQUIRE_NOT_NULL(block);
        REQUIRE_EQ(region_pool_commit(&pool, block, page()), 0);
        check_holds(pool.grain);
        REQUIRE_EQ(region_pool_commit(&pool, block + page(), HUGE_PAGE), 0);
        CHECK_EQ(pool_file_bytes(), region_pool_charged(&pool));
        close_huge();
    }
}

/* ---- what is mapped at once -------------------------------------------- */

static size_t populated;

static int count_populated(void *addr, size_t len, int advice)
{
    if (advice == MADV_POPULATE_WRITE)
        populated += len;
    return madvise(addr, len, advice);
}

static void check_populated(char *block, size_t size, bool expected)
{
    populated = 0;
    REQUIRE_EQ(region_pool_commit(&pool, block, size), 0);
    CHECK_EQ(populated, expected ? size : 0);
    check_holds(size);
    REQUIRE_EQ(region_pool_decommit(&pool, block, size), 0);
}

static void test_mapped_at_once(void)
{
    const struct sys_calls real = sys;
    bool commit = false, zeroed;
    if (!mount_place("size=400m"))
        return;
    REQUIRE_EQ(region_pool_open_files(&pool, place, 0, &owner), 0);
    CHECK_EQ(pool.grain, page());
    char *block =
        region_pool_alloc(&pool, 16 * MIB, HUGE_PAGE, &commit, &zeroed);
    REQUIRE_NOT_NULL(block);
    sys.madvise = count_populated;
    check_populated(block, page(), true);
    check_populated(block, 16 * KIB, true);
    check_populated(block, 32 * KIB, true);
    check_populated(block, 2 * MIB, true);
    /* Perhaps it stays empty. */
    check_populated(block, 2 * MIB + page(), false);
    sys = real;
    close_huge();
}

static const struct test_case tests[] = {
    {"grains", test_grains},
    {"large objects", test_large_objects},
    {"budget", test_budget},
    {"full place", test_full_place},
    {"small pool", test_small_pool},
    {"huge pages always", test_always},
    {"mapped at once", test_mapped_at_once},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("huge pages", tests, argc, argv);
}
