/* SPDX-License-Identifier: BSD-2-Clause */
/* Regions that a pool adds when those that it has are used up, and their sizes.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>

#include "address_table.h"
#include "pool_test.h"
#include "sys_calls.h"

/* ---- more regions ------------------------------------------------------ */

static void check_growth(size_t size)
{
    char *taken[8];
    unsigned count = 0;
    while (atomic_load(&pool.count) < 4) {
        REQUIRE_LT(count, sizeof taken / sizeof taken[0]);
        unsigned regions = atomic_load(&pool.count);
        taken[count] = reserve(size);
        check_usable(taken[count] + size - page(), count);
        count++;
        if (atomic_load(&pool.count) > regions)
            size = pool.regions[regions].size / 2 + page();
    }
    for (unsigned i = 0; i < 4; i++) {
        const struct region *region = &pool.regions[i];
        CHECK_EQ(region_pool_find(&pool, region->base), region);
        CHECK_EQ(address_table_find(region->base), &owner);
        if (i > 0)
            CHECK_GE(region->size, 2 * pool.regions[i - 1].size);
    }
    CHECK_EQ(region_pool_charged(&pool), count * page());
}

static void test_used_up_region_is_followed_by_another(void)
{
    struct test_resources before;
    layer_resources_take(&before);
    REQUIRE_EQ(region_pool_open_memory(&pool, &owner), 0);
    check_growth(pool.regions[0].size / 2 + page());
    region_pool_close(&pool);

    REQUIRE_EQ(region_pool_open_files(&pool, test_dir(), 16 * MIB, &owner), 0);
    check_growth(pool.regions[0].size / 2 + page());
    CHECK(blocks_match_charge());
    region_pool_close(&pool);
    CHECK(nothing_leaked(&before));
}

static size_t mmap_most; /* larger mappings are refused */

static void *mmap_small(void *addr, size_t len, int prot, int flags, int fd,
                        off_t offset)
{
    if (len > mmap_most) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    return mmap(addr, len, prot, flags, fd, offset);
}

static void use_up_all_regions(void)
{
    const struct sys_calls real = sys;
    sys.mmap = mmap_small;
    mmap_most = 16 * MIB;
    REQUIRE_EQ(region_pool_open_memory(&pool, &owner), 0);
    CHECK_EQ(pool.regions[0].size, 16 * MIB);
    unsigned taken = 0;
    while (alloc_block(8 * MIB, page(), false) != NULL)
        taken++;
    CHECK_EQ(errno, ENOMEM);
    CHECK_EQ(atomic_load(&pool.count), REGION_POOL_MAX_REGIONS);
    CHECK_EQ(taken, 2 * REGION_POOL_MAX_REGIONS);
    sys = real;
    region_pool_close(&pool);
}

static void test_regions_come_to_an_end(void)
{
    struct test_resources before;
    use_up_all_regions(); /* the address table keeps what it makes for it */
    layer_resources_take(&before);
    use_up_all_regions();
    CHECK(nothing_leaked(&before));
}

static int failing_openat(int dir, const char *name, int flags, mode_t mode)
{
    (void)dir, (void)name, (void)flags, (void)mode;
    errno = EMFILE;
    return -1;
}

static int failing_ftruncate(int fd, off_t length)
{
    (void)fd, (void)length;
    errno = EIO;
    return -1;
}

static void test_growth_that_fails_can_be_repeated(void)
{
    const struct sys_calls real = sys;
    REQUIRE_EQ(region_pool_open_files(&pool, test_dir(), 16 * MIB, &owner), 0);
    sys.openat = failing_openat;
    sys.ftruncate = failing_ftruncate;
    errno = 0;
    CHECK_NULL(alloc_block(2 * GIB, page(), false));
    CHECK_EQ(errno, EMFILE);
    CHECK_EQ(atomic_load(&pool.count), 1);
    /* A block that fits is not affected. */
    check_usable(reserve(page()), 1);
    sys = real;
    check_usable(reserve(2 * GIB), 2);
    CHECK_EQ(atomic_load(&pool.count), 2);
    region_pool_close(&pool);
}

static void test_the_callers_file_grows(void)
{
    struct stat st;
    int fd = make_empty_file();
    REQUIRE_EQ(region_pool_open_file(&pool, fd, 16 * MIB, &owner), 0);
    check_growth(pool.regions[0].size / 2 + page());
    const struct region *last = &pool.regions[atomic_load(&pool.count) - 1];
    CHECK_EQ(fstat(fd, &st), 0);
    CHECK_EQ((size_t)st.st_size, last->file_offset + last->size);
    CHECK(blocks_match_charge());
    region_pool_close(&pool);
    CHECK_EQ(fstat(fd, &st), 0);
    CHECK_EQ(st.st_size, 0);
    close(fd);
}

/* ---- sizes by the file system ------------------------------------------ */

static size_t system_size; /* what the file system is said to hold */

static int fstatvfs_of_size(int fd, struct statvfs *st)
{
    int result = fstatvfs(fd, st);
    st->f_blocks = system_size / st->f_frsize;
    return result;
}

/* More than the place can hold is not reserved. */
static void test_reserved_by_what_the_file_system_holds(void)
{
    static const struct {
        size_t holds, limit, least, most;
    } cases[] = {
        {64 * MIB, 0, GIB, GIB},          {256 * MIB, 0, GIB, GIB},
        {256 * MIB, 100 * GIB, GIB, GIB}, {3 * GIB, 0, 3 * GIB, 16 * GIB},
        {3 * GIB, 64 * MIB, GIB, GIB},    {100 * GIB, 0, 64 * GIB, 64 * GIB},
        {0, 0, 64 * GIB, 64 * GIB}, /* not known */
    };
    const struct sys_calls real = sys;
    sys.fstatvfs = fstatvfs_of_size;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        system_size = cases[i].holds;
        REQUIRE_EQ(
            region_pool_open_files(&pool, test_dir(), cases[i].limit, &owner),
            0);
        CHECK_GE(pool.regions[0].size, cases[i].least);
        CHECK_LE(pool.regions[0].size, cases[i].most);
        region_pool_close(&pool);
    }
    sys = real;
}

/* ---- limits of the process --------------------------------------------- */

static size_t process_size(void)
{
    struct test_resources now;
    layer_resources_take(&now);
    return now.mapped_kib * KIB;
}

static void with_address_space(size_t room, size_t max_size)
{
    struct rlimit before;
    REQUIRE_EQ(getrlimit(RLIMIT_AS, &before), 0);
    struct rlimit limit = {process_size() + room, before.rlim_max};
    REQUIRE_EQ(setrlimit(RLIMIT_AS, &limit), 0);
    int result = max_size == 0 ? region_pool_open_memory(&pool, &owner)
                               : region_pool_open_files(&pool, test_dir(),
                                                        max_size, &owner);
    setrlimit(RLIMIT_AS, &before);
    REQUIRE_EQ(result, 0);
    /* Something is left for others. */
    CHECK_LE(pool.regions[0].size, room / 2);
    CHECK_GE(pool.regions[0].size, (max_size == 0 ? 64 * MIB : room / 8));
    char *block = reserve(4 * MIB);
    CHECK_EQ(region_pool_commit(&pool, block, 4 * MIB), 0);
    test_fill(block, 4 * MIB, 1);
    CHECK(test_check(block, 4 * MIB, 1));
    region_pool_close(&pool);
}

static void test_little_address_space_makes_small_regions(void)
{
    struct test_resources before;
    layer_resources_take(&before);
    with_address_space(4 * GIB, 0);
    with_address_space(300 * MIB, 0);
    with_address_space(4 * GIB, 32 * GIB);
    with_address_space(300 * MIB, 16 * MIB);
    CHECK(nothing_leaked(&before));
}

static void test_no_address_space(void)
{
    const struct sys_calls real = sys;
    struct test_resources before;
    layer_resources_take(&before);
    sys.mmap = mmap_small;
    mmap_most = MIB;
    CHECK_EQ(region_pool_open_memory(&pool, &owner), -ENOMEM);
    sys = real;
    CHECK(nothing_leaked(&before));
}

static int open_files_below(size_t file_size)
{
    struct rlimit before;
    REQUIRE_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
    struct rlimit limit = {file_size, before.rlim_max};
    REQUIRE_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
    int result = region_pool_open_files(&pool, test_dir(), 16 * MIB, &owner);
    setrlimit(RLIMIT_FSIZE, &before);
    return result;
}

static void test_small_files_make_small_regions(void)
{
    struct test_resources before;
    layer_resources_take(&before);
    REQUIRE_EQ(open_files_below(100 * MIB), 0);
    CHECK_LE(pool.regions[0].size, 100 * MIB);
    CHECK_GE(pool.regions[0].size, 32 * MIB);
    check_usable(reserve(MIB), 1);
    region_pool_close(&pool);
    CHECK_EQ(open_files_below(MIB), -EFBIG);
    CHECK(nothing_leaked(&before));
}

/* File systems have a greatest file size. */
static void test_very_large_pools(void)
{
    static const size_t sizes[] = {
        100 * GIB,       1024 * GIB,      100003 * GIB,    (size_t)1 << 47,
        (size_t)1 << 50, (size_t)1 << 62, (size_t)1 << 63, SIZE_MAX - 1};
    const struct sys_calls real = sys;
    struct test_resources before;
    layer_resources_take(&before);
    sys.ftruncate = ftruncate_small;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        ftruncate_most = i % 2 == 0 ? 2048 * GIB : 16 * GIB;
        REQUIRE_EQ(region_pool_open_files(&pool, test_dir(), sizes[i], &owner),
                   0);
        CHECK_EQ(region_pool_capacity(&pool), sizes[i] & ~(page() - 1));
        CHECK_EQ(pool.regions[0].size % page(), 0);
        CHECK_GE(pool.regions[0].size, 16 * MIB);
        check_usable(reserve(MIB), 1);
        region_pool_close(&pool);
    }
    sys = real;
    CHECK(nothing_leaked(&before));
}

/* ---- grains of further regions ------------------------------------------- */

static int unknown_file_system(int fd, struct statfs *fs)
{
    int result = fstatfs(fd, fs);
    fs->f_type = 0x1234;
    return result;
}

/* What may have been read ahead into a grain is dropped by a punch before the
 * grain gets a part of its space: in its own place of the file. */
static void test_grains_of_a_further_region(void)
{
    const struct sys_calls real = sys;
    sys.fstatfs = unknown_file_system;
    REQUIRE_EQ(region_pool_open_files(&pool, test_dir(), 4 * GIB, &owner), 0);
    const size_t grain = pool.grain;
    if (grain == page()) {
        printf("skipped: a grain is a page ");
    } else {
        char *first = alloc_block(8 * grain, grain, false);
        REQUIRE_NOT_NULL(first);
        REQUIRE_EQ(region_pool_commit(&pool, first, 4 * grain), 0);
        test_fill(first, 4 * grain, 3);
        while (atomic_load(&pool.count) < 2)
            REQUIRE_NOT_NULL(alloc_block(4 * GIB, grain, false));
        const struct region *further = &pool.regions[1];
        CHECK_EQ(further->fd, pool.regions[0].fd);
        pool.budget = 4 * grain + 2 * page();
        CHECK_EQ(region_pool_commit(&pool, further->base, page()), 0);
        CHECK_EQ(region_pool_commit(&pool, further->base + 2 * grain, page()),
                 0);
        CHECK_EQ(region_pool_charged(&pool), pool.budget);
        CHECK(test_check(first, 4 * grain, 3));
    }
    sys = real;
    region_pool_close(&pool);
}

static const struct test_case tests[] = {
    {"used up region is followed by another",
     test_used_up_region_is_followed_by_another},
    {"regions come to an end", test_regions_come_to_an_end},
    {"growth that fails can be repeated",
     test_growth_that_fails_can_be_repeated},
    {"the caller's file grows", test_the_callers_file_grows},
    {"reserved by what the file system holds",
     test_reserved_by_what_the_file_system_holds},
    {"little address space makes small regions",
     test_little_address_space_makes_small_regions},
    {"no address space", test_no_address_space},
    {"small files make small regions", test_small_files_make_small_regions},
    {"very large pools", test_very_large_pools},
    {"grains of a further region", test_grains_of_a_further_region},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("pool growth", tests, argc, argv);
}
