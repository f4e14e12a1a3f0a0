/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/statvfs.h>

#include "address_table.h"
#include "layer_test.h"
#include "region_pool.h"
#include "sys_calls.h"

/* A file system's own blocks, for instance of the extent tree. */
#define BLOCKS_SLACK (256 * KIB)

static int owner;
static struct memkind_region_pool pool; /* large: not on the stack */

static size_t page(void)
{
    return region_page_size();
}

static int make_empty_file(void)
{
    int fd = open(test_dir(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    CU_ASSERT_FATAL(fd >= 0);
    return fd;
}

/* At a page's start, also if that is one of the larger pages of larger_pages.c.
 */
static char *make_buffer(size_t size)
{
    char *buffer = mmap(NULL, size + page(), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CU_ASSERT_FATAL(buffer != MAP_FAILED);
    size_t before = -(uintptr_t)buffer & (page() - 1);
    if (before != 0)
        munmap(buffer, before);
    munmap(buffer + before + size, page() - before);
    return buffer + before;
}

/* Of all the pool's files together. */
static size_t pool_file_bytes(void)
{
    size_t sum = 0;
    for (unsigned i = 0; i < atomic_load(&pool.count); i++)
        if (pool.regions[i].owns_file)
            sum += file_bytes(pool.regions[i].fd);
    return sum;
}

static bool blocks_match_charge(void)
{
    size_t charged = region_pool_charged(&pool);
    size_t held = pool_file_bytes();
    return held >= charged && held <= charged + BLOCKS_SLACK;
}

static void *alloc_block(size_t size, size_t alignment, bool commit)
{
    bool zeroed = false;
    void *block = region_pool_alloc(&pool, size, alignment, &commit, &zeroed);
    return block;
}

/* A block that has to be there, uncommitted. */
static char *reserve(size_t size)
{
    bool commit = false, zeroed = false;
    char *block = region_pool_alloc(&pool, size, page(), &commit, &zeroed);
    CU_ASSERT_PTR_NOT_NULL_FATAL(block);
    CU_ASSERT_FALSE(commit);
    return block;
}

/* ---- opening and closing
 * ------------------------------------------------------ */

static void check_open_pool(enum region_backing backing)
{
    CU_ASSERT_EQUAL(pool.backing, backing);
    CU_ASSERT_EQUAL_FATAL(atomic_load(&pool.count), 1);
    const struct region *region = &pool.regions[0];
    char *last = region->base + region->size - 1;
    CU_ASSERT_PTR_EQUAL(address_table_find(region->base), &owner);
    CU_ASSERT_PTR_EQUAL(address_table_find(last), &owner);
    CU_ASSERT_PTR_NULL(address_table_find(last + 1));
    CU_ASSERT_PTR_NULL(address_table_find(region->base - 1));
    CU_ASSERT_PTR_EQUAL(region_pool_find(&pool, region->base), region);
    CU_ASSERT_PTR_EQUAL(region_pool_find(&pool, last), region);
    CU_ASSERT_PTR_NULL(region_pool_find(&pool, last + 1));
    CU_ASSERT_PTR_NULL(region_pool_find(&pool, NULL));
    CU_ASSERT_EQUAL(region_pool_charged(&pool), 0);
    CU_ASSERT_FALSE(region_pool_is_pmem(&pool));
    char *base = region->base;
    region_pool_close(&pool);
    CU_ASSERT_PTR_NULL(address_table_find(base));
}

static void open_and_close_each(void)
{
    CU_ASSERT_EQUAL(region_pool_open_files(&pool, test_dir(), 32 * MIB, &owner),
                    0);
    CU_ASSERT_EQUAL(region_pool_capacity(&pool), 32 * MIB);
    check_open_pool(REGION_FILES);

    CU_ASSERT_EQUAL(region_pool_open_files(&pool, test_dir(), 0, &owner), 0);
    CU_ASSERT_TRUE(region_pool_capacity(&pool) > 0);
    check_open_pool(REGION_FILES);

    int fd = make_empty_file();
    CU_ASSERT_EQUAL(region_pool_open_file(&pool, fd, 32 * MIB, &owner), 0);
    CU_ASSERT_EQUAL(region_pool_capacity(&pool), 32 * MIB);
    check_open_pool(REGION_FILE);
    close(fd);

    char *buffer = make_buffer(MIB);
    CU_ASSERT_EQUAL(region_pool_open_buffer(&pool, buffer, MIB, &owner), 0);
    CU_ASSERT_EQUAL(region_pool_capacity(&pool), MIB);
    check_open_pool(REGION_BUFFER);
    munmap(buffer, MIB);

    CU_ASSERT_EQUAL(region_pool_open_memory(&pool, &owner), 0);
    CU_ASSERT_TRUE(region_pool_capacity(&pool) > MIB);
    check_open_pool(REGION_MEMORY);
}

static void test_every_backing_opens_and_closes(void)
{
    struct test_resources before;
    open_and_close_each(); /* what is made once, and kept */
    test_resources_take(&before);
    for (int i = 0; i < 20; i++)
        open_and_close_each();
    CU_ASSERT_TRUE(nothing_leaked(&before));
}

static void test_bad_directories_leave_nothing(void)
{
    struct test_resources before;
    test_resources_take(&before);
    CU_ASSERT_EQUAL(
        region_pool_open_files(&pool, test_path("missing"), 0, &owner),
        -ENOENT);
    CU_ASSERT_EQUAL(region_pool_open_files(&pool, "", 0, &owner), -ENOENT);
    CU_ASSERT_EQUAL(region_pool_open_files(&pool, "/dev/null", 0, &owner),
                    -ENOTDIR);
    CU_ASSERT_TRUE(nothing_leaked(&before));
}

/* Its regions come from the same place when the process has moved. */
static void test_relative_directory(void)
{
    int here = open(".", O_DIRECTORY | O_CLOEXEC);
    CU_ASSERT_EQUAL_FATAL(chdir(test_dir()), 0);
    CU_ASSERT_EQUAL(region_pool_open_files(&pool, ".", 16 * MIB, &owner), 0);
    CU_ASSERT_EQUAL_FATAL(chdir("/proc"), 0);
    CU_ASSERT_PTR_NOT_NULL(alloc_block(4 * GIB, page(), false));
    CU_ASSERT_EQUAL(atomic_load(&pool.count), 2);
    region_pool_close(&pool);
    CU_ASSERT_EQUAL_FATAL(fchdir(here), 0);
    close(here);
}

/* ---- budget
 * ------------------------------------------------------------------- */

static void test_budget_is_the_limit(void)
{
    const size_t budget = 16 * MIB;
    CU_ASSERT_EQUAL_FATAL(
        region_pool_open_files(&pool, test_dir(), budget + 123, &owner), 0);
    CU_ASSERT_EQUAL(region_pool_capacity(&pool), budget);
    char *block = reserve(2 * budget);
    CU_ASSERT_EQUAL(region_pool_charged(&pool), 0);
    unsigned long long random = 42;
    size_t at = 0;
    while (at < budget) {
        size_t size = (1 + test_random(&random) % 64) * page();
        int result = region_pool_commit(&pool, block + at, size);
        CU_ASSERT_EQUAL(result, at + size > budget ? -ENOMEM : 0);
        if (result != 0)
            break;
        at += size;
        CU_ASSERT_EQUAL(region_pool_charged(&pool), at);
    }
    /* What is left is still to be had, to the last page. */
    for (; at < budget; at += page())
        CU_ASSERT_EQUAL(region_pool_commit(&pool, block + at, page()), 0);
    CU_ASSERT_EQUAL(region_pool_commit(&pool, block + at, page()), -ENOMEM);
    CU_ASSERT_EQUAL(region_pool_charged(&pool), budget);
    CU_ASSERT_TRUE(blocks_match_charge());

    CU_ASSERT_EQUAL(region_pool_decommit(&pool, block, 4 * page()), 0);
    CU_ASSERT_EQUAL(region_pool_commit(&pool, block + at, 5 * page()), -ENOMEM);
    CU_ASSERT_EQUAL(region_pool_commit(&pool, block + at, 4 * page()), 0);
    CU_ASSERT_EQUAL(region_pool_charged(&pool), budget);
    region_pool_close(&pool);
}

static void test_block_over_budget(void)
{
    bool commit = true, zeroed = false;
    CU_ASSERT_EQUAL_FATAL(
        region_pool_open_files(&pool, test_dir(), 16 * MIB, &owner), 0);
    size_t used = pool.regions[0].used;
    errno = 0;
    CU_ASSERT_PTR_NULL(
        region_pool_alloc(&pool, 17 * MIB, page(), &commit, &zeroed));
    CU_ASSERT_EQUAL(errno, ENOMEM);
    CU_ASSERT_EQUAL(region_pool_charged(&pool), 0);
    CU_ASSERT_EQUAL(pool.regions[0].used, used);
    char *block = region_pool_alloc(&pool, 16 * MIB, page(), &commit, &zeroed);
    CU_ASSERT_PTR_NOT_NULL_FATAL(block);
    CU_ASSERT_TRUE(commit);
    CU_ASSERT_TRUE(zeroed);
    CU_ASSERT_EQUAL(region_pool_charged(&pool), 16 * MIB);
    CU_ASSERT_TRUE(is_zero(block, 16 * MIB));
    CU_ASSERT_PTR_NULL(
        region_pool_alloc(&pool, page(), page(), &commit, &zeroed));
    CU_ASSERT_TRUE(blocks_match_charge());
    region_pool_close(&pool);
}

static void test_absurd_sizes(void)
{
    CU_ASSERT_EQUAL_FATAL(
        region_pool_open_files(&pool, test_dir(), 16 * MIB, &owner), 0);
    const size_t top = (size_t)1 << 63;
    CU_ASSERT_PTR_NULL(alloc_block(top, page(), false));
    CU_ASSERT_PTR_NULL(alloc_block(SIZE_MAX - page() + 1, page(), false));
    CU_ASSERT_PTR_NULL(alloc_block(page(), top, false));
    CU_ASSERT_PTR_NULL(
        alloc_block(SIZE_MAX / 4 & ~(page() - 1), page(), false));
    CU_ASSERT_EQUAL(atomic_load(&pool.count), 1);
    CU_ASSERT_PTR_NOT_NULL(alloc_block(page(), page(), true));
    region_pool_close(&pool);
}

/* ---- commit and decommit
 * -------------------------------------------------------- */

static void check_commit_cycle(bool has_file)
{
    const size_t size = 4 * MIB;
    char *block = reserve(size);
    CU_ASSERT_EQUAL(region_pool_charged(&pool), 0);
    for (int round = 0; round < 3; round++) {
        CU_ASSERT_EQUAL_FATAL(region_pool_commit(&pool, block, size), 0);
        CU_ASSERT_EQUAL(region_pool_charged(&pool), size);
        CU_ASSERT_TRUE(is_zero(block, size));
        test_fill(block, size, 3);
        /* A part in the middle leaves the rest as it is. */
        CU_ASSERT_EQUAL(region_pool_decommit(&pool, block + MIB, MIB), 0);
        CU_ASSERT_EQUAL(region_pool_charged(&pool), size - MIB);
        if (has_file)
            CU_ASSERT_TRUE(blocks_match_charge());
        CU_ASSERT_TRUE(test_check(block, MIB, 3));
        CU_ASSERT_EQUAL_FATAL(region_pool_commit(&pool, block + MIB, MIB), 0);
        CU_ASSERT_TRUE(is_zero(block + MIB, MIB));
        CU_ASSERT_TRUE(test_check(block, MIB, 3));
        CU_ASSERT_EQUAL(region_pool_charged(&pool), size);
        CU_ASSERT_EQUAL(region_pool_decommit(&pool, block, size), 0);
        CU_ASSERT_EQUAL(region_pool_charged(&pool), 0);
        if (has_file)
            CU_ASSERT_TRUE(blocks_match_charge());
    }
}

static void test_committed_memory_is_zero(void)
{
    CU_ASSERT_EQUAL_FATAL(
        region_pool_open_files(&pool, test_dir(), 16 * MIB, &owner), 0);
    check_commit_cycle(true);
    region_pool_close(&pool);

    int fd = make_empty_file();
    CU_ASSERT_EQUAL_FATAL(region_pool_open_file(&pool, fd, 16 * MIB, &owner),
                          0);
    check_commit_cycle(true);
    region_pool_close(&pool);
    close(fd);

    CU_ASSERT_EQUAL_FATAL(region_pool_open_memory(&pool, &owner), 0);
    check_commit_cycle(false);
    region_pool_close(&pool);
}

/* Blocks that are used one after another: what the kernel reads ahead of one
 * must not take file space for its neighbours, which nobody would give back. */
static void test_use_takes_no_space_beyond_the_block(void)
{
    const size_t size = 75 * page();
    size_t most = 0;
    CU_ASSERT_EQUAL_FATAL(
        region_pool_open_files(&pool, test_dir(), 16 * MIB, &owner), 0);
    for (int i = 0; i < 100; i++) {
        char *block = reserve(size);
        CU_ASSERT_EQUAL_FATAL(region_pool_commit(&pool, block, size), 0);
        CU_ASSERT_TRUE(is_zero(block, size));
        test_fill(block, size, 1);
        size_t held = pool_file_bytes();
        most = held > most ? held : most;
        CU_ASSERT_EQUAL(region_pool_decommit(&pool, block, size), 0);
    }
    CU_ASSERT_TRUE(most <= size + BLOCKS_SLACK);
    CU_ASSERT_TRUE(blocks_match_charge());
    region_pool_close(&pool);
}

static void test_foreign_addresses(void)
{
    int here;
    CU_ASSERT_EQUAL_FATAL(
        region_pool_open_files(&pool, test_dir(), 16 * MIB, &owner), 0);
    char *end = pool.regions[0].base + pool.regions[0].size;
    CU_ASSERT_EQUAL(region_pool_commit(&pool, &here, page()), -EINVAL);
    CU_ASSERT_EQUAL(region_pool_decommit(&pool, &here, page()), -EINVAL);
    CU_ASSERT_EQUAL(region_pool_commit(&pool, end, page()), -EINVAL);
    CU_ASSERT_EQUAL(region_pool_decommit(&pool, end, page()), -EINVAL);
    CU_ASSERT_EQUAL(region_pool_charged(&pool), 0);
    region_pool_close(&pool);
}

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
        CU_ASSERT_EQUAL_FATAL(
            region_pool_open_files(&pool, test_dir(), 16 * MIB, &owner), 0);
        char *block = reserve(MIB);
        CU_ASSERT_EQUAL(region_pool_commit(&pool, block, MIB), 0);
        test_fill(block, MIB, 5);
        sys.fallocate = refuse_some_fallocate;
        sys.madvise = refuse_remove;
        refuse_allocations = false;
        refused_error = answers[i];
        refused_punches = 0;
        CU_ASSERT_NOT_EQUAL(region_pool_decommit(&pool, block, MIB), 0);
        CU_ASSERT_NOT_EQUAL(region_pool_decommit(&pool, block, page()), 0);
        /* It is not asked a second time. */
        CU_ASSERT_EQUAL(refused_punches, 1);
        CU_ASSERT_TRUE(test_check(block, MIB, 5));
        CU_ASSERT_EQUAL(region_pool_charged(&pool), MIB);
        CU_ASSERT_TRUE(blocks_match_charge());
        sys = real;
        region_pool_close(&pool);
    }
}

static void test_without_fallocate(void)
{
    const struct sys_calls real = sys;
    CU_ASSERT_EQUAL_FATAL(
        region_pool_open_files(&pool, test_dir(), 16 * MIB, &owner), 0);
    sys.fallocate = refuse_some_fallocate;
    refuse_allocations = true;
    refused_error = EOPNOTSUPP;
    refused_allocations = 0;
    char *block = reserve(MIB);
    for (size_t at = 0; at < MIB; at += MIB / 4)
        CU_ASSERT_EQUAL(region_pool_commit(&pool, block + at, MIB / 4), 0);
    CU_ASSERT_EQUAL(refused_allocations, 1);
    CU_ASSERT_TRUE(is_zero(block, MIB));
    CU_ASSERT_TRUE(blocks_match_charge());
    sys = real;
    region_pool_close(&pool);
}

static void test_full_file_system(void)
{
    const struct sys_calls real = sys;
    CU_ASSERT_EQUAL_FATAL(
        region_pool_open_files(&pool, test_dir(), 16 * MIB, &owner), 0);
    char *block = reserve(4 * MIB);
    CU_ASSERT_EQUAL(region_pool_commit(&pool, block, MIB), 0);
    sys.fallocate = refuse_some_fallocate;
    refuse_allocations = true;
    refused_error = ENOSPC;
    CU_ASSERT_EQUAL(region_pool_commit(&pool, block + MIB, MIB), -ENOSPC);
    CU_ASSERT_EQUAL(region_pool_charged(&pool), MIB);
    errno = 0;
    CU_ASSERT_PTR_NULL(alloc_block(MIB, page(), true));
    CU_ASSERT_EQUAL(errno, ENOSPC);
    sys = real;
    CU_ASSERT_EQUAL(region_pool_commit(&pool, block + MIB, MIB), 0);
    CU_ASSERT_PTR_NOT_NULL(alloc_block(MIB, page(), true));
    CU_ASSERT_EQUAL(region_pool_charged(&pool), 3 * MIB);
    region_pool_close(&pool);
}

/* ---- blocks
 * ---------------------------------------------------------------------- */

#define BLOCKS_MAX 128
static struct {
    char *base;
    size_t size;
} blocks[BLOCKS_MAX];
static size_t block_count;

static void note_block(char *base, size_t size)
{
    for (size_t i = 0; i < block_count; i++)
        CU_ASSERT_TRUE(base + size <= blocks[i].base ||
                       blocks[i].base + blocks[i].size <= base);
    CU_ASSERT_FATAL(block_count < BLOCKS_MAX);
    blocks[block_count].base = base;
    blocks[block_count].size = size;
    block_count++;
}

static void check_alignments(size_t most)
{
    block_count = 0;
    for (size_t alignment = page(); alignment <= most; alignment *= 2) {
        for (size_t pages = 1; pages <= 3; pages++) {
            char *block = alloc_block(pages * page(), alignment, false);
            CU_ASSERT_PTR_NOT_NULL_FATAL(block);
            CU_ASSERT_EQUAL((uintptr_t)block % alignment, 0);
            note_block(block, pages * page());
            struct region *region = region_pool_find(&pool, block);
            CU_ASSERT_PTR_NOT_NULL_FATAL(region);
            CU_ASSERT_TRUE(region_contains(region, block + pages * page() - 1));
            CU_ASSERT_PTR_EQUAL(address_table_find(block), &owner);
        }
    }
}

static void test_blocks_are_aligned_and_apart(void)
{
    CU_ASSERT_EQUAL_FATAL(
        region_pool_open_files(&pool, test_dir(), 16 * MIB, &owner), 0);
    check_alignments(GIB);
    region_pool_close(&pool);
    CU_ASSERT_EQUAL_FATAL(region_pool_open_memory(&pool, &owner), 0);
    check_alignments(GIB);
    region_pool_close(&pool);
    /* A file of 8 GiB or more of address space. */
    int fd = make_empty_file();
    CU_ASSERT_EQUAL_FATAL(region_pool_open_file(&pool, fd, 8 * GIB, &owner), 0);
    check_alignments(GIB);
    region_pool_close(&pool);
    close(fd);
    char *buffer = make_buffer(4 * GIB);
    CU_ASSERT_EQUAL_FATAL(
        region_pool_open_buffer(&pool, buffer, 4 * GIB, &owner), 0);
    check_alignments(256 * MIB);
    region_pool_close(&pool);
    munmap(buffer, 4 * GIB);
}

/* Whether a page can be had, and keeps what is written. */
static void check_usable(char *at, unsigned seed)
{
    CU_ASSERT_EQUAL_FATAL(region_pool_commit(&pool, at, page()), 0);
    CU_ASSERT_TRUE(is_zero(at, page()));
    test_fill(at, page(), seed);
}

static void check_growth(size_t size)
{
    char *taken[8];
    unsigned count = 0;
    while (atomic_load(&pool.count) < 4) {
        CU_ASSERT_FATAL(count < sizeof taken / sizeof taken[0]);
        unsigned regions = atomic_load(&pool.count);
        taken[count] = reserve(size);
        check_usable(taken[count] + size - page(), count);
        count++;
        if (atomic_load(&pool.count) > regions)
            size = pool.regions[regions].size / 2 + page();
    }
    for (unsigned i = 0; i < 4; i++) {
        const struct region *region = &pool.regions[i];
        CU_ASSERT_PTR_EQUAL(region_pool_find(&pool, region->base), region);
        CU_ASSERT_PTR_EQUAL(address_table_find(region->base), &owner);
        if (i > 0)
            CU_ASSERT_TRUE(region->size >= 2 * pool.regions[i - 1].size);
    }
    CU_ASSERT_EQUAL(region_pool_charged(&pool), count * page());
}

static void test_used_up_region_is_followed_by_another(void)
{
    struct test_resources before;
    test_resources_take(&before);
    CU_ASSERT_EQUAL_FATAL(region_pool_open_memory(&pool, &owner), 0);
    check_growth(pool.regions[0].size / 2 + page());
    region_pool_close(&pool);

    CU_ASSERT_EQUAL_FATAL(
        region_pool_open_files(&pool, test_dir(), 16 * MIB, &owner), 0);
    check_growth(pool.regions[0].size / 2 + page());
    CU_ASSERT_TRUE(blocks_match_charge());
    region_pool_close(&pool);
    CU_ASSERT_TRUE(nothing_leaked(&before));
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

static void test_regions_come_to_an_end(void)
{
    const struct sys_calls real = sys;
    struct test_resources before;
    test_resources_take(&before);
    sys.mmap = mmap_small;
    mmap_most = 16 * MIB;
    CU_ASSERT_EQUAL_FATAL(region_pool_open_memory(&pool, &owner), 0);
    CU_ASSERT_EQUAL(pool.regions[0].size, 16 * MIB);
    unsigned taken = 0;
    while (alloc_block(8 * MIB, page(), false) != NULL)
        taken++;
    CU_ASSERT_EQUAL(errno, ENOMEM);
    CU_ASSERT_EQUAL(atomic_load(&pool.count), REGION_POOL_MAX_REGIONS);
    CU_ASSERT_EQUAL(taken, 2 * REGION_POOL_MAX_REGIONS);
    sys = real;
    region_pool_close(&pool);
    CU_ASSERT_TRUE(nothing_leaked(&before));
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
    CU_ASSERT_EQUAL_FATAL(
        region_pool_open_files(&pool, test_dir(), 16 * MIB, &owner), 0);
    sys.openat = failing_openat;
    sys.ftruncate = failing_ftruncate;
    errno = 0;
    CU_ASSERT_PTR_NULL(alloc_block(2 * GIB, page(), false));
    CU_ASSERT_EQUAL(errno, EMFILE);
    CU_ASSERT_EQUAL(atomic_load(&pool.count), 1);
    /* What fits is not touched by it. */
    check_usable(reserve(page()), 1);
    sys = real;
    check_usable(reserve(2 * GIB), 2);
    CU_ASSERT_EQUAL(atomic_load(&pool.count), 2);
    region_pool_close(&pool);
}

static void test_the_callers_file_grows(void)
{
    struct stat st;
    int fd = make_empty_file();
    CU_ASSERT_EQUAL_FATAL(region_pool_open_file(&pool, fd, 16 * MIB, &owner),
                          0);
    check_growth(pool.regions[0].size / 2 + page());
    const struct region *last = &pool.regions[atomic_load(&pool.count) - 1];
    CU_ASSERT_EQUAL(fstat(fd, &st), 0);
    CU_ASSERT_EQUAL((size_t)st.st_size, last->file_offset + last->size);
    CU_ASSERT_TRUE(blocks_match_charge());
    region_pool_close(&pool);
    CU_ASSERT_EQUAL(fstat(fd, &st), 0);
    CU_ASSERT_EQUAL(st.st_size, 0);
    close(fd);
}

/* ---- address space ----------------------------------------------------------
 */

/* The regions' mappings as the kernel has them: bytes that can be touched. */
static size_t accessible_bytes(const struct region *region)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[4200], prot[5];
    size_t sum = 0, from, to;
    const size_t base = (size_t)(uintptr_t)region->base;
    CU_ASSERT_PTR_NOT_NULL_FATAL(maps);
    while (fgets(line, sizeof line, maps) != NULL) {
        if (sscanf(line, "%zx-%zx %4s", &from, &to, prot) != 3)
            continue;
        from = from < base ? base : from;
        to = to > base + region->size ? base + region->size : to;
        if (from < to && strncmp(prot, "---", 3) != 0)
            sum += to - from;
    }
    fclose(maps);
    return sum;
}

static void check_what_can_be_touched(void)
{
    const struct region *region = &pool.regions[0];
    CU_ASSERT_EQUAL(accessible_bytes(region), 0);
    char *block = reserve(page());
    check_usable(block, 1);
    CU_ASSERT_EQUAL(accessible_bytes(region), 2 * MIB);
    for (int i = 0; i < 10; i++)
        check_usable(reserve(3 * MIB), 2);
    size_t open = accessible_bytes(region);
    CU_ASSERT_TRUE(open >= region->used);
    CU_ASSERT_TRUE(open < region->used + 2 * MIB);
    char *large = reserve(pool.regions[0].size);
    CU_ASSERT_EQUAL(atomic_load(&pool.count), 2);
    check_usable(large + pool.regions[0].size - page(), 3);
    CU_ASSERT_EQUAL(accessible_bytes(region), open);
    open = accessible_bytes(&pool.regions[1]);
    CU_ASSERT_TRUE(open >= pool.regions[1].used);
    CU_ASSERT_TRUE(open < pool.regions[1].used + 2 * MIB);
    region_pool_close(&pool);
}

static void test_only_blocks_can_be_touched(void)
{
    CU_ASSERT_EQUAL_FATAL(
        region_pool_open_files(&pool, test_dir(), 16 * MIB, &owner), 0);
    check_what_can_be_touched();
    CU_ASSERT_EQUAL_FATAL(region_pool_open_memory(&pool, &owner), 0);
    check_what_can_be_touched();
    int fd = make_empty_file();
    CU_ASSERT_EQUAL_FATAL(region_pool_open_file(&pool, fd, 16 * MIB, &owner),
                          0);
    check_what_can_be_touched();
    close(fd);
}

static int refuse_mprotect(void *addr, size_t size, int prot)
{
    (void)addr, (void)size, (void)prot;
    errno = ENOMEM;
    return -1;
}

/* Where the process has too many mappings, say. */
static void test_blocks_that_cannot_be_opened(void)
{
    const struct sys_calls real = sys;
    CU_ASSERT_EQUAL_FATAL(
        region_pool_open_files(&pool, test_dir(), 16 * MIB, &owner), 0);
    check_usable(reserve(MIB), 1);
    size_t used = pool.regions[0].used;
    sys.mprotect = refuse_mprotect;
    check_usable(reserve(MIB), 1); /* has been opened with the first */
    for (int i = 0; i < 3; i++) {
        errno = 0;
        CU_ASSERT_PTR_NULL(alloc_block(MIB, page(), i == 0));
        CU_ASSERT_EQUAL(errno, ENOMEM);
    }
    CU_ASSERT_EQUAL(pool.regions[0].used, used + MIB);
    CU_ASSERT_EQUAL(region_pool_charged(&pool), 2 * page());
    sys = real;
    check_usable(reserve(MIB), 1);
    CU_ASSERT_EQUAL(pool.regions[0].used, used + 2 * MIB);
    region_pool_close(&pool);
}

/* Tags of addresses that nobody has handed out are read for wild pointers. */
static void test_all_tags_can_be_read(void)
{
    CU_ASSERT_EQUAL_FATAL(
        region_pool_open_files(&pool, test_dir(), 16 * MIB, &owner), 0);
    const struct region *region = &pool.regions[0];
    char *block = reserve(300 * MIB);
    size_t first = (size_t)(block - region->base) / REGION_TAG_UNIT;
    size_t count = 300 * MIB / REGION_TAG_UNIT;
    for (size_t i = first; i < first + count; i++)
        atomic_store(&region->tags[i], (uint16_t)i);
    bool right = true;
    for (size_t i = 0; i < region->size / REGION_TAG_UNIT; i++) {
        bool known = i >= first && i < first + count;
        right = right && region->tags[i] == (known ? (uint16_t)i : 0);
    }
    CU_ASSERT_TRUE(right);
    region_pool_close(&pool);
}

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
        CU_ASSERT_EQUAL_FATAL(
            region_pool_open_files(&pool, test_dir(), cases[i].limit, &owner),
            0);
        CU_ASSERT_TRUE(pool.regions[0].size >= cases[i].least);
        CU_ASSERT_TRUE(pool.regions[0].size <= cases[i].most);
        region_pool_close(&pool);
    }
    sys = real;
}

/* ---- limits of the process
 * -------------------------------------------------------- */

static size_t process_size(void)
{
    struct test_resources now;
    test_resources_take(&now);
    return now.mapped_kib * KIB;
}

static void with_address_space(size_t room, size_t max_size)
{
    struct rlimit before;
    CU_ASSERT_EQUAL_FATAL(getrlimit(RLIMIT_AS, &before), 0);
    struct rlimit limit = {process_size() + room, before.rlim_max};
    CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_AS, &limit), 0);
    int result = max_size == 0 ? region_pool_open_memory(&pool, &owner)
                               : region_pool_open_files(&pool, test_dir(),
                                                        max_size, &owner);
    setrlimit(RLIMIT_AS, &before);
    CU_ASSERT_EQUAL_FATAL(result, 0);
    /* Something is left for others. */
    CU_ASSERT_TRUE(pool.regions[0].size <= room / 2);
    CU_ASSERT_TRUE(pool.regions[0].size >=
                   (max_size == 0 ? 64 * MIB : room / 8));
    char *block = reserve(4 * MIB);
    CU_ASSERT_EQUAL(region_pool_commit(&pool, block, 4 * MIB), 0);
    test_fill(block, 4 * MIB, 1);
    CU_ASSERT_TRUE(test_check(block, 4 * MIB, 1));
    region_pool_close(&pool);
}

static void test_little_address_space_makes_small_regions(void)
{
    struct test_resources before;
    test_resources_take(&before);
    with_address_space(4 * GIB, 0);
    with_address_space(300 * MIB, 0);
    with_address_space(4 * GIB, 32 * GIB);
    with_address_space(300 * MIB, 16 * MIB);
    CU_ASSERT_TRUE(nothing_leaked(&before));
}

static void test_no_address_space(void)
{
    const struct sys_calls real = sys;
    struct test_resources before;
    test_resources_take(&before);
    sys.mmap = mmap_small;
    mmap_most = MIB;
    CU_ASSERT_EQUAL(region_pool_open_memory(&pool, &owner), -ENOMEM);
    sys = real;
    CU_ASSERT_TRUE(nothing_leaked(&before));
}

static int open_files_below(size_t file_size)
{
    struct rlimit before;
    CU_ASSERT_EQUAL_FATAL(getrlimit(RLIMIT_FSIZE, &before), 0);
    struct rlimit limit = {file_size, before.rlim_max};
    CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_FSIZE, &limit), 0);
    int result = region_pool_open_files(&pool, test_dir(), 16 * MIB, &owner);
    setrlimit(RLIMIT_FSIZE, &before);
    return result;
}

static void test_small_files_make_small_regions(void)
{
    struct test_resources before;
    test_resources_take(&before);
    CU_ASSERT_EQUAL_FATAL(open_files_below(100 * MIB), 0);
    CU_ASSERT_TRUE(pool.regions[0].size <= 100 * MIB);
    CU_ASSERT_TRUE(pool.regions[0].size >= 32 * MIB);
    check_usable(reserve(MIB), 1);
    region_pool_close(&pool);
    CU_ASSERT_EQUAL(open_files_below(MIB), -EFBIG);
    CU_ASSERT_TRUE(nothing_leaked(&before));
}

static size_t ftruncate_most;

static int ftruncate_small(int fd, off_t length)
{
    if ((size_t)length > ftruncate_most) {
        errno = EFBIG;
        return -1;
    }
    return ftruncate(fd, length);
}

/* File systems have a greatest file size. */
static void test_very_large_pools(void)
{
    static const size_t sizes[] = {
        100 * GIB,       1024 * GIB,      100003 * GIB,    (size_t)1 << 47,
        (size_t)1 << 50, (size_t)1 << 62, (size_t)1 << 63, SIZE_MAX - 1};
    const struct sys_calls real = sys;
    struct test_resources before;
    test_resources_take(&before);
    sys.ftruncate = ftruncate_small;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        ftruncate_most = i % 2 == 0 ? 2048 * GIB : 16 * GIB;
        CU_ASSERT_EQUAL_FATAL(
            region_pool_open_files(&pool, test_dir(), sizes[i], &owner), 0);
        CU_ASSERT_EQUAL(region_pool_capacity(&pool), sizes[i] & ~(page() - 1));
        CU_ASSERT_EQUAL(pool.regions[0].size % page(), 0);
        CU_ASSERT_TRUE(pool.regions[0].size >= 16 * MIB);
        check_usable(reserve(MIB), 1);
        region_pool_close(&pool);
    }
    sys = real;
    CU_ASSERT_TRUE(nothing_leaked(&before));
}

/* ---- buffers
 * ------------------------------------------------------------------------ */

static void test_whole_pages_of_a_buffer(void)
{
    const size_t size = 64 * page();
    char *buffer = make_buffer(size);
    test_fill(buffer, size, 7);
    CU_ASSERT_EQUAL_FATAL(
        region_pool_open_buffer(&pool, buffer + 1, size - 2, &owner), 0);
    CU_ASSERT_TRUE(region_pool_is_fixed(&pool));
    CU_ASSERT_PTR_EQUAL(pool.regions[0].base, buffer + page());
    CU_ASSERT_EQUAL(pool.regions[0].size, size - 2 * page());
    CU_ASSERT_EQUAL(region_pool_capacity(&pool), size - 2 * page());
    CU_ASSERT_PTR_NULL(address_table_find(buffer + page() - 1));
    CU_ASSERT_PTR_NULL(address_table_find(buffer + size - page()));

    bool commit = false, zeroed = true;
    char *block =
        region_pool_alloc(&pool, 2 * page(), page(), &commit, &zeroed);
    CU_ASSERT_PTR_EQUAL(block, buffer + page());
    CU_ASSERT_TRUE(commit);
    CU_ASSERT_FALSE(zeroed);
    CU_ASSERT_EQUAL(region_pool_charged(&pool), 2 * page());
    /* Always committed, and nothing that could be given back. */
    CU_ASSERT_EQUAL(region_pool_commit(&pool, block, page()), 0);
    CU_ASSERT_NOT_EQUAL(region_pool_decommit(&pool, block, page()), 0);
    CU_ASSERT_EQUAL(region_pool_charged(&pool), 2 * page());

    CU_ASSERT_PTR_NULL(alloc_block(size, page(), false));
    CU_ASSERT_PTR_NOT_NULL(alloc_block(60 * page(), page(), true));
    CU_ASSERT_PTR_NULL(alloc_block(page(), page(), true));
    CU_ASSERT_EQUAL(errno, ENOMEM);
    region_pool_close(&pool);
    /* Still the caller's, as it was. */
    CU_ASSERT_TRUE(test_check(buffer, size, 7));
    munmap(buffer, size);
}

static void test_bad_buffers(void)
{
    const size_t size = 64 * page();
    static struct memkind_region_pool other;
    struct test_resources before;
    char *buffer = make_buffer(size);
    test_resources_take(&before);
    CU_ASSERT_EQUAL(region_pool_open_buffer(&pool, NULL, size, &owner),
                    -EINVAL);
    CU_ASSERT_EQUAL(region_pool_open_buffer(&pool, buffer, 0, &owner), -EINVAL);
    CU_ASSERT_EQUAL(region_pool_open_buffer(&pool, buffer, page() - 1, &owner),
                    -EINVAL);
    /* Two parts of pages. */
    CU_ASSERT_EQUAL(
        region_pool_open_buffer(&pool, buffer + 1, 2 * page() - 2, &owner),
        -EINVAL);
    CU_ASSERT_EQUAL(
        region_pool_open_buffer(&pool, buffer, SIZE_MAX - 1, &owner), -EINVAL);
    CU_ASSERT_EQUAL(
        region_pool_open_buffer(&pool, (void *)UINTPTR_MAX, page(), &owner),
        -EINVAL);
    CU_ASSERT_EQUAL(
        region_pool_open_buffer(&pool, (void *)(UINTPTR_MAX - 5), 3, &owner),
        -EINVAL);

    CU_ASSERT_EQUAL_FATAL(region_pool_open_buffer(&other, buffer + 8 * page(),
                                                  16 * page(), &owner),
                          0);
    CU_ASSERT_EQUAL(region_pool_open_buffer(&pool, buffer, size, &owner),
                    -EEXIST);
    CU_ASSERT_EQUAL(region_pool_open_buffer(&pool, buffer + 10 * page(),
                                            2 * page(), &owner),
                    -EEXIST);
    CU_ASSERT_EQUAL(
        region_pool_open_buffer(&pool, buffer, 8 * page() + page(), &owner),
        -EEXIST);
    /* Neighbours are none of its business. */
    CU_ASSERT_EQUAL(region_pool_open_buffer(&pool, buffer, 8 * page(), &owner),
                    0);
    region_pool_close(&pool);
    region_pool_close(&other);
    CU_ASSERT_EQUAL(region_pool_open_buffer(&pool, buffer, size, &owner), 0);
    region_pool_close(&pool);
    CU_ASSERT_TRUE(nothing_leaked(&before));
    munmap(buffer, size);
}

/* ---- files of the caller's
 * ------------------------------------------------------------ */

static void test_files_that_are_refused(void)
{
    struct test_resources before;
    struct stat st;
    int ends[2];
    test_resources_take(&before);
    CU_ASSERT_EQUAL(region_pool_open_file(&pool, -1, 0, &owner), -EBADF);

    int fd = make_empty_file();
    CU_ASSERT_EQUAL(pwrite(fd, "full", 4, 0), 4);
    CU_ASSERT_EQUAL(region_pool_open_file(&pool, fd, 0, &owner), -EINVAL);
    CU_ASSERT_EQUAL(fstat(fd, &st), 0);
    CU_ASSERT_EQUAL(st.st_size, 4);
    close(fd);

    fd = open(test_dir(), O_RDONLY | O_DIRECTORY);
    CU_ASSERT_EQUAL(region_pool_open_file(&pool, fd, 0, &owner), -EINVAL);
    close(fd);
    fd = open("/dev/null", O_RDWR);
    CU_ASSERT_EQUAL(region_pool_open_file(&pool, fd, 0, &owner), -EINVAL);
    close(fd);
    CU_ASSERT_EQUAL_FATAL(pipe(ends), 0);
    CU_ASSERT_EQUAL(region_pool_open_file(&pool, ends[1], 0, &owner), -EINVAL);
    close(ends[0]);
    close(ends[1]);
    CU_ASSERT_TRUE(nothing_leaked(&before));
}

/* A file has to be open for both, and stays as it was otherwise. */
static void test_read_only_and_write_only_files(void)
{
    static const int modes[] = {O_RDONLY, O_WRONLY};
    struct test_resources before;
    char path[64];
    test_resources_take(&before);
    int writer = make_empty_file();
    snprintf(path, sizeof path, "/proc/self/fd/%d", writer);
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        int fd = open(path, modes[i] | O_CLOEXEC);
        CU_ASSERT_FATAL(fd >= 0);
        CU_ASSERT_EQUAL(region_pool_open_file(&pool, fd, 16 * MIB, &owner),
                        -EINVAL);
        close(fd);
    }
    close(writer);
    CU_ASSERT_TRUE(nothing_leaked(&before));
}

static void test_callers_file_survives_and_is_empty(void)
{
    struct test_resources before;
    struct stat st;
    test_resources_take(&before);
    int fd = make_empty_file();
    CU_ASSERT_EQUAL_FATAL(region_pool_open_file(&pool, fd, 32 * MIB, &owner),
                          0);
    CU_ASSERT_NOT_EQUAL(pool.regions[0].fd, fd);
    CU_ASSERT_EQUAL(fcntl(pool.regions[0].fd, F_GETFD) & FD_CLOEXEC,
                    FD_CLOEXEC);
    char *block = alloc_block(8 * MIB, page(), true);
    CU_ASSERT_PTR_NOT_NULL_FATAL(block);
    test_fill(block, 8 * MIB, 9);
    CU_ASSERT_TRUE(file_bytes(fd) >= 8 * MIB);
    region_pool_close(&pool);
    CU_ASSERT_EQUAL(fstat(fd, &st), 0);
    CU_ASSERT_EQUAL(st.st_size, 0);
    CU_ASSERT_TRUE(file_bytes(fd) <= 64 * KIB);
    /* And can be used once more. */
    CU_ASSERT_EQUAL_FATAL(region_pool_open_file(&pool, fd, 32 * MIB, &owner),
                          0);
    /* The pool does not need the caller's descriptor. */
    close(fd);
    check_usable(reserve(page()), 1);
    region_pool_close(&pool);
    CU_ASSERT_TRUE(nothing_leaked(&before));
}

static void test_paths_that_are_no_device(void)
{
    struct test_resources before;
    test_resources_take(&before);
    CU_ASSERT_EQUAL(
        region_pool_open_device(&pool, test_path("missing"), 0, &owner),
        -ENOENT);
    CU_ASSERT_EQUAL(region_pool_open_device(&pool, test_dir(), 0, &owner),
                    -ENOTTY);
    CU_ASSERT_EQUAL(region_pool_open_device(&pool, "/dev/null", 0, &owner),
                    -ENOTTY);
    CU_ASSERT_TRUE(nothing_leaked(&before));
}

/* ---- the rest
 * ------------------------------------------------------------------------- */

static void test_persist(void)
{
    int here;
    CU_ASSERT_EQUAL_FATAL(
        region_pool_open_files(&pool, test_dir(), 16 * MIB, &owner), 0);
    char *block = alloc_block(MIB, page(), true);
    CU_ASSERT_PTR_NOT_NULL_FATAL(block);
    test_fill(block, MIB, 2);
    char *end = pool.regions[0].base + pool.regions[0].size;
    CU_ASSERT_EQUAL(region_pool_persist(&pool, block, MIB), 0);
    CU_ASSERT_EQUAL(region_pool_persist(&pool, block + 7, 9), 0);
    CU_ASSERT_EQUAL(region_pool_persist(&pool, block, 0), 0);
    CU_ASSERT_EQUAL(region_pool_persist(&pool, &here, 1), -EINVAL);
    CU_ASSERT_EQUAL(region_pool_persist(&pool, end, 1), -EINVAL);
    CU_ASSERT_EQUAL(region_pool_persist(&pool, end - 8, 9), -EINVAL);
    CU_ASSERT_EQUAL(region_pool_persist(&pool, block, SIZE_MAX), -EINVAL);
    CU_ASSERT_TRUE(test_check(block, MIB, 2));
    region_pool_close(&pool);

    CU_ASSERT_EQUAL_FATAL(region_pool_open_memory(&pool, &owner), 0);
    CU_ASSERT_EQUAL(region_pool_persist(&pool, pool.regions[0].base, 1),
                    -EINVAL);
    region_pool_close(&pool);
}

static void test_pretending(void)
{
    CU_ASSERT_EQUAL_FATAL(
        region_pool_open_files(&pool, test_dir(), 16 * MIB, &owner), 0);
    CU_ASSERT_FALSE(region_pool_is_fixed(&pool));
    char *block = reserve(64 * MIB);
    region_pool_set_pretending(&pool, true);
    CU_ASSERT_EQUAL(region_pool_commit(&pool, block, 64 * MIB), 0);
    CU_ASSERT_EQUAL(region_pool_charged(&pool), 0);
    CU_ASSERT_EQUAL(region_pool_decommit(&pool, block, 64 * MIB), 0);
    CU_ASSERT_EQUAL(region_pool_charged(&pool), 0);
    CU_ASSERT_TRUE(blocks_match_charge());
    region_pool_set_pretending(&pool, false);
    CU_ASSERT_EQUAL(region_pool_commit(&pool, block, 64 * MIB), -ENOMEM);
    check_usable(block, 1);
    CU_ASSERT_EQUAL(region_pool_charged(&pool), page());
    region_pool_close(&pool);
}

static void test_number_of_arenas(void)
{
    const unsigned cpus = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
    CU_ASSERT_EQUAL_FATAL(region_pool_open_memory(&pool, &owner), 0);
    CU_ASSERT_EQUAL(region_pool_arenas(&pool, 4, page()), 4 * cpus);
    CU_ASSERT_EQUAL(region_pool_arenas(&pool, 1, page()), cpus);
    CU_ASSERT_EQUAL(region_pool_arenas(&pool, 0, page()), 1);
    region_pool_close(&pool);

    CU_ASSERT_EQUAL_FATAL(
        region_pool_open_files(&pool, test_dir(), 16 * MIB, &owner), 0);
    unsigned few = region_pool_arenas(&pool, 1000, page());
    region_pool_close(&pool);
    CU_ASSERT_EQUAL_FATAL(
        region_pool_open_files(&pool, test_dir(), 1024 * MIB, &owner), 0);
    unsigned more = region_pool_arenas(&pool, 1000, page());
    region_pool_close(&pool);
    CU_ASSERT_TRUE(few >= 1);
    CU_ASSERT_TRUE(few < more);
    CU_ASSERT_TRUE(more <= 1000 * cpus);

    char *buffer = make_buffer(16 * MIB);
    CU_ASSERT_EQUAL_FATAL(
        region_pool_open_buffer(&pool, buffer, 16 * MIB, &owner), 0);
    CU_ASSERT_EQUAL(region_pool_arenas(&pool, 4, page()), 1);
    region_pool_close(&pool);
    munmap(buffer, 16 * MIB);
}

/* ---- several threads
 * -------------------------------------------------------------------- */

#define THREADS 4
#define THREAD_ROUNDS 300
static atomic_size_t thread_errors;

/* Takes blocks, and commits and decommits them under a budget that does not
 * do for all at once. */
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
    CU_ASSERT_EQUAL_FATAL(
        region_pool_open_files(&pool, test_dir(), 2 * MIB, &owner), 0);
    for (uintptr_t i = 0; i < THREADS; i++)
        CU_ASSERT_EQUAL_FATAL(
            pthread_create(&threads[i], NULL, work_on_blocks, (void *)i), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    sys = real;
    CU_ASSERT_EQUAL(atomic_load(&thread_errors), 0);
    CU_ASSERT_EQUAL(region_pool_charged(&pool), 0);
    CU_ASSERT_TRUE(atomic_load(&pool.count) > 1);
    CU_ASSERT_TRUE(pool_file_bytes() <=
                   atomic_load(&pool.count) * BLOCKS_SLACK);
    region_pool_close(&pool);
}

static const struct test_case tests[] = {
    {"every backing opens and closes", test_every_backing_opens_and_closes},
    {"bad directories leave nothing", test_bad_directories_leave_nothing},
    {"relative directory", test_relative_directory},
    {"budget is the limit", test_budget_is_the_limit},
    {"block over budget", test_block_over_budget},
    {"absurd sizes", test_absurd_sizes},
    {"committed memory is zero", test_committed_memory_is_zero},
    {"use takes no space beyond the block",
     test_use_takes_no_space_beyond_the_block},
    {"foreign addresses", test_foreign_addresses},
    {"without hole punching", test_without_hole_punching},
    {"without fallocate", test_without_fallocate},
    {"full file system", test_full_file_system},
    {"blocks are aligned and apart", test_blocks_are_aligned_and_apart},
    {"used up region is followed by another",
     test_used_up_region_is_followed_by_another},
    {"regions come to an end", test_regions_come_to_an_end},
    {"growth that fails can be repeated",
     test_growth_that_fails_can_be_repeated},
    {"the caller's file grows", test_the_callers_file_grows},
    {"only blocks can be touched", test_only_blocks_can_be_touched},
    {"blocks that cannot be opened", test_blocks_that_cannot_be_opened},
    {"all tags can be read", test_all_tags_can_be_read},
    {"reserved by what the file system holds",
     test_reserved_by_what_the_file_system_holds},
    {"little address space makes small regions",
     test_little_address_space_makes_small_regions},
    {"no address space", test_no_address_space},
    {"small files make small regions", test_small_files_make_small_regions},
    {"very large pools", test_very_large_pools},
    {"whole pages of a buffer", test_whole_pages_of_a_buffer},
    {"bad buffers", test_bad_buffers},
    {"files that are refused", test_files_that_are_refused},
    {"read-only and write-only files", test_read_only_and_write_only_files},
    {"caller's file survives and is empty",
     test_callers_file_survives_and_is_empty},
    {"paths that are no device", test_paths_that_are_no_device},
    {"persist", test_persist},
    {"pretending", test_pretending},
    {"number of arenas", test_number_of_arenas},
    {"threads", test_threads},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("region pool", tests, argc, argv);
}
