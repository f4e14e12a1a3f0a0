/* SPDX-License-Identifier: BSD-2-Clause */
/* Commit and decommit of blocks, and what they may take of the budget. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>

#include "pool_test.h"
#include "sys_calls.h"

/* ---- budget ------------------------------------------------------------ */

static void test_budget_is_the_limit(void)
{
    const size_t budget = 16 * MIB;
    REQUIRE_EQ(region_pool_open_files(&pool, test_dir(), budget + 123, &owner),
               0);
    CHECK_EQ(region_pool_capacity(&pool), budget);
    char *block = reserve(2 * budget);
    CHECK_EQ(region_pool_charged(&pool), 0);
    unsigned long long random = 42;
    size_t at = 0;
    while (at < budget) {
        size_t size = (1 + test_random(&random) % 64) * page();
        int result = region_pool_commit(&pool, block + at, size);
        CHECK_EQ(result, at + size > budget ? -ENOMEM : 0);
        if (result != 0)
            break;
        at += size;
        CHECK_EQ(region_pool_charged(&pool), at);
    }
    /* What is left can still be taken, to the last page. */
    for (; at < budget; at += page())
        CHECK_EQ(region_pool_commit(&pool, block + at, page()), 0);
    CHECK_EQ(region_pool_commit(&pool, block + at, page()), -ENOMEM);
    CHECK_EQ(region_pool_charged(&pool), budget);
    CHECK(blocks_match_charge());

    CHECK_EQ(region_pool_decommit(&pool, block, 4 * page()), 0);
    CHECK_EQ(region_pool_commit(&pool, block + at, 5 * page()), -ENOMEM);
    CHECK_EQ(region_pool_commit(&pool, block + at, 4 * page()), 0);
    CHECK_EQ(region_pool_charged(&pool), budget);
    region_pool_close(&pool);
}

static void test_block_over_budget(void)
{
    bool commit = true, zeroed = false;
    REQUIRE_EQ(region_pool_open_files(&pool, test_dir(), 16 * MIB, &owner), 0);
    size_t used = pool.regions[0].used;
    errno = 0;
    CHECK_NULL(region_pool_alloc(&pool, 17 * MIB, page(), &commit, &zeroed));
    CHECK_EQ(errno, ENOMEM);
    CHECK_EQ(region_pool_charged(&pool), 0);
    CHECK_EQ(pool.regions[0].used, used);
    char *block = region_pool_alloc(&pool, 16 * MIB, page(), &commit, &zeroed);
    REQUIRE_NOT_NULL(block);
    CHECK(commit);
    CHECK(zeroed);
    CHECK_EQ(region_pool_charged(&pool), 16 * MIB);
    CHECK(is_zero(block, 16 * MIB));
    CHECK_NULL(region_pool_alloc(&pool, page(), page(), &commit, &zeroed));
    CHECK(blocks_match_charge());
    region_pool_close(&pool);
}

static void test_absurd_sizes(void)
{
    REQUIRE_EQ(region_pool_open_files(&pool, test_dir(), 16 * MIB, &owner), 0);
    const size_t top = (size_t)1 << 63;
    CHECK_NULL(alloc_block(top, page(), false));
    CHECK_NULL(alloc_block(SIZE_MAX - page() + 1, page(), false));
    CHECK_NULL(alloc_block(page(), top, false));
    CHECK_NULL(alloc_block(SIZE_MAX / 4 & ~(page() - 1), page(), false));
    CHECK_EQ(atomic_load(&pool.count), 1);
    CHECK_NOT_NULL(alloc_block(page(), page(), true));
    region_pool_close(&pool);
}

/* ---- commit and decommit ----------------------------------------------- */

static void check_commit_cycle(bool has_file)
{
    const size_t size = 4 * MIB;
    char *block = reserve(size);
    CHECK_EQ(region_pool_charged(&pool), 0);
    for (int round = 0; round < 3; round++) {
        REQUIRE_EQ(region_pool_commit(&pool, block, size), 0);
        CHECK_EQ(region_pool_charged(&pool), size);
        CHECK(is_zero(block, size));
        test_fill(block, size, 3);
        /* A part in the middle leaves the rest as it is. */
        CHECK_EQ(region_pool_decommit(&pool, block + MIB, MIB), 0);
        CHECK_EQ(region_pool_charged(&pool), size - MIB);
        if (has_file)
            CHECK(blocks_match_charge());
        CHECK(test_check(block, MIB, 3));
        REQUIRE_EQ(region_pool_commit(&pool, block + MIB, MIB), 0);
        CHECK(is_zero(block + MIB, MIB));
        CHECK(test_check(block, MIB, 3));
        CHECK_EQ(region_pool_charged(&pool), size);
        CHECK_EQ(region_pool_decommit(&pool, block, size), 0);
        CHECK_EQ(region_pool_charged(&pool), 0);
        if (has_file)
            CHECK(blocks_match_charge());
    }
}

static void test_committed_memory_is_zero(void)
{
    REQUIRE_EQ(region_pool_open_files(&pool, test_dir(), 16 * MIB, &owner), 0);
    check_commit_cycle(true);
    region_pool_close(&pool);

    int fd = make_empty_file();
    REQUIRE_EQ(region_pool_open_file(&pool, fd, 16 * MIB, &owner), 0);
    check_commit_cycle(true);
    region_pool_close(&pool);
    close(fd);

    REQUIRE_EQ(region_pool_open_memory(&pool, &owner), 0);
    check_commit_cycle(false);
    region_pool_close(&pool);
}

/* Blocks that are used one after another: what the kernel reads ahead of one
 * must not take file space for its neighbours, which would stay allocated. */
static void test_use_takes_no_space_beyond_the_block(void)
{
    const size_t size = 75 * page();
    size_t most = 0;
    REQUIRE_EQ(region_pool_open_files(&pool, test_dir(), 16 * MIB, &owner), 0);
    for (int i = 0; i < 100; i++) {
        char *block = reserve(size);
        REQUIRE_EQ(region_pool_commit(&pool, block, size), 0);
        CHECK(is_zero(block, size));
        test_fill(block, size, 1);
        size_t held = pool_file_bytes();
        most = held > most ? held : most;
        CHECK_EQ(region_pool_decommit(&pool, block, size), 0);
    }
    CHECK_LE(most, size + BLOCKS_SLACK);
    CHECK(blocks_match_charge());
    region_pool_close(&pool);
}

static void test_foreign_addresses(void)
{
    int here;
    REQUIRE_EQ(region_pool_open_files(&pool, test_dir(), 16 * MIB, &owner), 0);
    char *end = pool.regions[0].base + pool.regions[0].size;
    CHECK_EQ(region_pool_commit(&pool, &here, page()), -EINVAL);
    CHECK_EQ(region_pool_decommit(&pool, &here, page()), -EINVAL);
    CHECK_EQ(region_pool_commit(&pool, end, page()), -EINVAL);
    CHECK_EQ(region_pool_decommit(&pool, end, page()), -EINVAL);
    CHECK_EQ(region_pool_charged(&pool), 0);
    region_pool_close(&pool);
}

/* ---- calls that fail --------------------------------------------------- */

static int refused_error;
static unsigned refused_punches, refused_allocations;
static bool refuse_allocations;

static int refuse_some_fallocate(int fd, int mode, off_t offset, off_t len)
{
    bool punch = (mode & FALLOC_FL_PUNCH_HOLE) != 0;
    if (!punch && !refuse_allocations)
        return fallocate(fd, mode, offset, len);
    if (punch)
        refused_punches++;
    else
        refused_allocations++;
    errno = refused_error;
    return -1;
}

static int refuse_remove(void *addr, size_t size, int advice)
{
    if (advice != MADV_REMOVE)
        return madvise(addr, size, advice);
    errno = refused_error;
    return -1;
}

static void test_without_hole_punching(void)
{
    static const int answers[] = {EOPNOTSUPP, ENOSYS};
    const struct sys_calls real = sys;
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        REQUIRE_EQ(region_pool_open_files(&pool, test_dir(), 16 * MIB, &owner),
                   0);
        char *block = reserve(MIB);
        CHECK_EQ(region_pool_commit(&pool, block, MIB), 0);
        test_fill(block, MIB, 5);
        sys.fallocate = refuse_some_fallocate;
        sys.madvise = refuse_remove;
        refuse_allocations = false;
        refused_error = answers[i];
        refused_punches = 0;
        CHECK_NE(region_pool_decommit(&pool, block, MIB), 0);
        CHECK_NE(region_pool_decommit(&pool, block, page()), 0);
        /* The call is not made a second time. */
        CHECK_EQ(refused_punches, 1);
        CHECK(test_check(block, MIB, 5));
        CHECK_EQ(region_pool_charged(&pool), MIB);
        CHECK(blocks_match_charge());
        sys = real;
        region_pool_close(&pool);
    }
}

static void test_without_fallocate(void)
{
    const struct sys_calls real = sys;
    REQUIRE_EQ(region_pool_open_files(&pool, test_dir(), 16 * MIB, &owner), 0);
    sys.fallocate = refuse_some_fallocate;
    refuse_allocations = true;
    refused_error = EOPNOTSUPP;
    refused_allocations = 0;
    char *block = reserve(MIB);
    for (size_t at = 0; at < MIB; at += MIB / 4)
        CHECK_EQ(region_pool_commit(&pool, block + at, MIB / 4), 0);
    CHECK_EQ(refused_allocations, 1);
    CHECK(is_zero(block, MIB));
    CHECK(blocks_match_charge());
    sys = real;
    region_pool_close(&pool);
}

static void test_full_file_system(void)
{
    const struct sys_calls real = sys;
    REQUIRE_EQ(region_pool_open_files(&pool, test_dir(), 16 * MIB, &owner), 0);
    char *block = reserve(4 * MIB);
    CHECK_EQ(region_pool_commit(&pool, block, MIB), 0);
    sys.fallocate = refuse_some_fallocate;
    refuse_allocations = true;
    refused_error = ENOSPC;
    CHECK_EQ(region_pool_commit(&pool, block + MIB, MIB), -ENOSPC);
    CHECK_EQ(region_pool_charged(&pool), MIB);
    errno = 0;
    CHECK_NULL(alloc_block(MIB, page(), true));
    CHECK_EQ(errno, ENOSPC);
    sys = real;
    CHECK_EQ(region_pool_commit(&pool, block + MIB, MIB), 0);
    CHECK_NOT_NULL(alloc_block(MIB, page(), true));
    CHECK_EQ(region_pool_charged(&pool), 3 * MIB);
    region_pool_close(&pool);
}

static unsigned allocations, populations;
static int populate_error; /* 0: none */

static int count_fallocate(int fd, int mode, off_t offset, off_t len)
{
    allocations += (mode & FALLOC_FL_PUNCH_HOLE) == 0;
    return fallocate(fd, mode, offset, len);
}

static int count_populate(void *addr, size_t size, int advice)
{
    if (advice != MADV_POPULATE_WRITE)
        return madvise(addr, size, advice);
    populations++;
    if (populate_error == 0)
        return madvise(addr, size, advice);
    errno = populate_error;
    return -1;
}

/* On a tmpfs, a few pages are taken by mapping them; by the descriptor if that
 * fails, and for good if the kernel does not know how. */
static void test_few_pages_are_mapped(void)
{
    const struct sys_calls real = sys;
    REQUIRE_EQ(region_pool_open_files(&pool, test_dir(), 16 * MIB, &owner), 0);
    if (!pool.file_system.is_memory || pool.grain > page() ||
        page() > 4 * KIB) {
        puts("skipped: no tmpfs with pages of 4 KiB");
        test_is_skipped();
        region_pool_close(&pool);
        return;
    }
    char *block = reserve(MIB);
    sys.fallocate = count_fallocate;
    sys.madvise = count_populate;
    allocations = populations = 0;
    populate_error = 0;
    CHECK_EQ(region_pool_commit(&pool, block, 2 * page()), 0);
    CHECK_EQ(allocations, 0);
    CHECK_EQ(populations, 1);
    populate_error = EFAULT;
    CHECK_EQ(region_pool_commit(&pool, block + 2 * page(), page()), 0);
    CHECK_EQ(allocations, 1);
    CHECK_EQ(populations, 2);
    populate_error = EINVAL;
    CHECK_EQ(region_pool_commit(&pool, block + 3 * page(), page()), 0);
    populate_error = 0;
    CHECK_EQ(region_pool_commit(&pool, block + 4 * page(), page()), 0);
    CHECK_EQ(allocations, 3);
    CHECK_EQ(populations, 3);
    CHECK(is_zero(block, 5 * page()));
    CHECK_EQ(region_pool_charged(&pool), 5 * page());
    CHECK(blocks_match_charge());
    sys = real;
    region_pool_close(&pool);
}

/* ---- persistence ------------------------------------------------------- */

static void test_persist(void)
{
    int here;
    REQUIRE_EQ(region_pool_open_files(&pool, test_dir(), 16 * MIB, &owner), 0);
    char *block = alloc_block(MIB, page(), true);
    REQUIRE_NOT_NULL(block);
    test_fill(block, MIB, 2);
    char *end = pool.regions[0].base + pool.regions[0].size;
    CHECK_EQ(region_pool_persist(&pool, block, MIB), 0);
    CHECK_EQ(region_pool_persist(&pool, block + 7, 9), 0);
    CHECK_EQ(region_pool_persist(&pool, block, 0), 0);
    CHECK_EQ(region_pool_persist(&pool, &here, 1), -EINVAL);
    CHECK_EQ(region_pool_persist(&pool, end, 1), -EINVAL);
    CHECK_EQ(region_pool_persist(&pool, end - 8, 9), -EINVAL);
    CHECK_EQ(region_pool_persist(&pool, block, SIZE_MAX), -EINVAL);
    CHECK(test_check(block, MIB, 2));
    region_pool_close(&pool);

    REQUIRE_EQ(region_pool_open_memory(&pool, &owner), 0);
    CHECK_EQ(region_pool_persist(&pool, pool.regions[0].base, 1), -EINVAL);
    region_pool_close(&pool);
}

/* ---- pretended commits ------------------------------------------------- */

static void test_pretending(void)
{
    REQUIRE_EQ(region_pool_open_files(&pool, test_dir(), 16 * MIB, &owner), 0);
    CHECK(!region_pool_is_fixed(&pool));
    char *block = reserve(64 * MIB);
    region_pool_set_pretending(&pool, true);
    CHECK_EQ(region_pool_commit(&pool, block, 64 * MIB), 0);
    CHECK_EQ(region_pool_charged(&pool), 0);
    CHECK_EQ(region_pool_decommit(&pool, block, 64 * MIB), 0);
    CHECK_EQ(region_pool_charged(&pool), 0);
    CHECK(blocks_match_charge());
    region_pool_set_pretending(&pool, false);
    CHECK_EQ(region_pool_commit(&pool, block, 64 * MIB), -ENOMEM);
    check_usable(block, 1);
    CHECK_EQ(region_pool_charged(&pool), page());
    region_pool_close(&pool);
}

/* ---- several threads --------------------------------------------------- */

#define THREADS 4
#define THREAD_ROUNDS 300
static atomic_size_t thread_errors;

/* Takes blocks, and commits and decommits them under a budget that is too small
 * for all at once. */
static void *work_on_blocks(void *number)
{
    unsigned long long random = (uintptr_t)number + 1;
    const unsigned seed = (unsigned)(uintptr_t)number;
    for (int i = 0; i < THREAD_ROUNDS; i++) {
        size_t size = (1 + test_random(&random) % (MIB / page())) * page();
        char *block = alloc_block(size, page(), false);
        if (block == NULL) {
            atomic_fetch_add(&thread_errors, 1);
            continue;
        }
        if (region_pool_commit(&pool, block, size) != 0)
            continue;
        if (region_pool_charged(&pool) > pool.budget || !is_zero(block, size))
            atomic_fetch_add(&thread_errors, 1);
        test_fill(block, size, seed);
        if (region_pool_find(&pool, block) == NULL ||
            !test_check(block, size, seed) ||
            region_pool_decommit(&pool, block, size) != 0)
            atomic_fetch_add(&thread_errors, 1);
    }
    return NULL;
}

static void test_threads(void)
{
    const struct sys_calls real = sys;
    pthread_t threads[THREADS];
    /* Files that are small enough for the pool to grow meanwhile. */
    sys.ftruncate = ftruncate_small;
    ftruncate_most = 64 * MIB;
    REQUIRE_EQ(region_pool_open_files(&pool, test_dir(), 2 * MIB, &owner), 0);
    for (uintptr_t i = 0; i < THREADS; i++)
        REQUIRE_EQ(pthread_create(&threads[i], NULL, work_on_blocks, (void *)i),
                   0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    sys = real;
    CHECK_EQ(atomic_load(&thread_errors), 0);
    CHECK_EQ(region_pool_charged(&pool), 0);
    CHECK_GT(atomic_load(&pool.count), 1);
    CHECK_LE(pool_file_bytes(), atomic_load(&pool.count) * BLOCKS_SLACK);
    region_pool_close(&pool);
}

static const struct test_case tests[] = {
    {"budget is the limit", test_budget_is_the_limit},
    {"block over budget", test_block_over_budget},
    {"absurd sizes", test_absurd_sizes},
    {"committed memory is zero", test_committed_memory_is_zero},
    {"use takes no space beyond the block",
     test_use_takes_no_space_beyond_the_block},
    {"foreign addresses", test_foreign_addresses},
    {"without hole punching", test_without_hole_punching},
    {"few pages are mapped", test_few_pages_are_mapped},
    {"without fallocate", test_without_fallocate},
    {"full file system", test_full_file_system},
    {"persist", test_persist},
    {"pretending", test_pretending},
    {"threads", test_threads},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("pool commit", tests, argc, argv);
}
