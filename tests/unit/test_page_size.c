/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pools with pages that are larger than this system's: sysconf() reports
 * TEST_PAGE_SIZE bytes to them. (Larger pages are multiples of smaller ones:
 * what is right for them can be done here.) libpmem takes all for persistent
 * memory.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "layer_test.h"
#include "region_pool.h"

static int owner;
static struct memkind_region_pool pool;

static size_t page(void)
{
    return region_page_size();
}

/* What one entry of the last level but one maps. */
static size_t large_mapping(void)
{
    return page() / 8 * page();
}

static void test_the_size_is_taken_over(void)
{
    const char *asked = getenv("TEST_PAGE_SIZE");
    REQUIRE_NOT_NULL(asked);
    CHECK_EQ(page(), strtoul(asked, NULL, 10));
}

static size_t grain_with(size_t max_size)
{
    REQUIRE_EQ(region_pool_open_files(&pool, test_dir(), max_size, &owner), 0);
    size_t grain = pool.grain;
    CHECK_EQ(pool.regions[0].size % grain, 0);
    CHECK_EQ(grain % page(), 0);
    region_pool_close(&pool);
    return grain;
}

static void test_grains(void)
{
    if (!test_has_space(512 * MIB)) /* a small file system has small grains */
        return;
    const size_t large =
        large_mapping() <= 32 * MIB ? large_mapping() : 2 * MIB;
    CHECK_EQ(grain_with(16 * MIB), 2 * MIB);
    CHECK_EQ(grain_with(64 * large - page()), 2 * MIB);
    CHECK_EQ(grain_with(64 * large), large);
    CHECK_EQ(grain_with(1024 * GIB), large);
}

/* Commits and decommits parts of a block, whose file space comes and goes in
 * grains, and whose contents are as they should be. */
static void commit_and_decommit(size_t max_size)
{
    REQUIRE_EQ(region_pool_open_files(&pool, test_dir(), max_size, &owner), 0);
    const size_t grain = pool.grain, size = 4 * grain;
    bool commit = false, zeroed;
    char *block = region_pool_alloc(&pool, size, grain, &commit, &zeroed);
    REQUIRE_NOT_NULL(block);
    CHECK(!commit);
    CHECK_EQ(region_pool_commit(&pool, block, page()), 0);
    CHECK_EQ(region_pool_charged(&pool), grain);
    CHECK(is_zero(block, page()));
    test_fill(block, page(), 1);
    char *last = block + size - page();
    CHECK_EQ(region_pool_commit(&pool, last, page()), 0);
    CHECK_EQ(region_pool_charged(&pool), 2 * grain);
    CHECK_GE(file_bytes(pool.regions[0].fd), 2 * grain);
    CHECK_EQ(region_pool_commit(&pool, block + page(), size - 2 * page()), 0);
    CHECK_EQ(region_pool_charged(&pool), size);
    test_fill(block + page(), size - page(), 2);
    CHECK(test_check(block, page(), 1));
    CHECK_EQ(region_pool_decommit(&pool, block + page(), size - page()), 0);
    CHECK_EQ(region_pool_charged(&pool), grain);
    CHECK_EQ(region_pool_commit(&pool, block + page(), page()), 0);
    CHECK(is_zero(block + page(), page()));
    CHECK(test_check(block, page(), 1));
    CHECK_EQ(region_pool_decommit(&pool, block, 2 * page()), 0);
    CHECK_EQ(region_pool_charged(&pool), 0);
    CHECK_LT(file_bytes(pool.regions[0].fd), grain);
    region_pool_close(&pool);
}

static void test_space_in_small_pools(void)
{
    commit_and_decommit(32 * MIB);
}

static void test_space_in_large_pools(void)
{
    commit_and_decommit(0);
}

/* Takes all up to the last page of a limit that no grain fits into. */
static void test_single_pages(void)
{
    const size_t limit = 16 * MIB + page();
    REQUIRE_EQ(region_pool_open_files(&pool, test_dir(), limit, &owner), 0);
    bool commit = true, zeroed;
    size_t taken = 0;
    while (taken <= limit &&
           region_pool_alloc(&pool, page(), page(), &commit, &zeroed) != NULL)
        taken += page();
    CHECK_EQ(errno, ENOMEM);
    CHECK_EQ(taken, limit);
    CHECK_EQ(region_pool_charged(&pool), limit);
    region_pool_close(&pool);
}

/* Regions that follow the first are made of whole grains, too. */
static void test_regions_that_follow(void)
{
    REQUIRE_EQ(region_pool_open_files(&pool, test_dir(), 0, &owner), 0);
    bool commit = false, zeroed;
    char *block = NULL;
    for (unsigned i = 1; i < 4; i++) {
        pool.new_size = 0;
        size_t size = pool.regions[i - 1].size;
        /* More than what is left. */
        block = region_pool_alloc(&pool, size, page(), &commit, &zeroed);
        if (i == 1 || block == NULL)
            block =
                region_pool_alloc(&pool, size - pool.regions[0].used + page(),
                                  page(), &commit, &zeroed);
        REQUIRE_NOT_NULL(block);
        commit = false;
    }
    for (unsigned i = 0; i < atomic_load(&pool.count); i++)
        CHECK_EQ(pool.regions[i].size % pool.grain, 0);
    CHECK_EQ(region_pool_commit(&pool, block, page()), 0);
    memset(block, 1, page());
    region_pool_close(&pool);
}

/* A pool uses the whole pages of a buffer. */
static void test_buffers(void)
{
    const size_t size = 8 * MIB;
    char *buffer = aligned_alloc(512 * KIB, size);
    REQUIRE_NOT_NULL(buffer);
    REQUIRE_EQ(region_pool_open_buffer(&pool, buffer + 1, size - 2, &owner), 0);
    CHECK_EQ(region_pool_capacity(&pool), size - 2 * page());
    CHECK_EQ(pool.regions[0].base, buffer + page());
    region_pool_close(&pool);
    CHECK_EQ(region_pool_open_buffer(&pool, buffer + 1, 2 * page() - 2, &owner),
             -EINVAL);
    free(buffer);
}

static const struct test_case tests[] = {
    {"the size is taken over", test_the_size_is_taken_over},
    {"grains", test_grains},
    {"space in small pools", test_space_in_small_pools},
    {"space in large pools", test_space_in_large_pools},
    {"single pages", test_single_pages},
    {"regions that follow", test_regions_that_follow},
    {"buffers", test_buffers},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("larger pages", tests, argc, argv);
}
