/* SPDX-License-Identifier: BSD-2-Clause */
/* Blocks of a pool: alignment, overlap, and which of their addresses can be
 * used. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "address_table.h"
#include "pool_test.h"
#include "sys_calls.h"

/* ---- alignment --------------------------------------------------------- */

#define BLOCKS_MAX 128
static struct {
    char *base;
    size_t size;
} blocks[BLOCKS_MAX];
static size_t block_count;

static void note_block(char *base, size_t size)
{
    for (size_t i = 0; i < block_count; i++)
        CHECK(base + size <= blocks[i].base ||
              blocks[i].base + blocks[i].size <= base);
    REQUIRE_LT(block_count, BLOCKS_MAX);
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
            REQUIRE_NOT_NULL(block);
            CHECK_EQ((uintptr_t)block % alignment, 0);
            note_block(block, pages * page());
            struct region *region = region_pool_find(&pool, block);
            REQUIRE_NOT_NULL(region);
            CHECK(region_contains(region, block + pages * page() - 1));
            CHECK_EQ(address_table_find(block), &owner);
        }
    }
}

static void test_blocks_are_aligned_and_apart(void)
{
    REQUIRE_EQ(region_pool_open_files(&pool, test_dir(), 16 * MIB, &owner), 0);
    check_alignments(GIB);
    region_pool_close(&pool);
    REQUIRE_EQ(region_pool_open_memory(&pool, &owner), 0);
    check_alignments(GIB);
    region_pool_close(&pool);
    /* A file of 8 GiB or more of address space. */
    int fd = make_empty_file();
    REQUIRE_EQ(region_pool_open_file(&pool, fd, 8 * GIB, &owner), 0);
    check_alignments(GIB);
    region_pool_close(&pool);
    close(fd);
    char *buffer = make_buffer(4 * GIB);
    REQUIRE_EQ(region_pool_open_buffer(&pool, buffer, 4 * GIB, &owner), 0);
    check_alignments(256 * MIB);
    region_pool_close(&pool);
    munmap(buffer, 4 * GIB);
}

/* ---- address space ----------------------------------------------------- */

/* The regions' mappings as the kernel has them: bytes that can be touched. */
static size_t accessible_bytes(const struct region *region)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[4200], prot[5];
    size_t sum = 0, from, to;
    const size_t base = (size_t)(uintptr_t)region->base;
    REQUIRE_NOT_NULL(maps);
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
    CHECK_EQ(accessible_bytes(region), 0);
    char *block = reserve(page());
    check_usable(block, 1);
    CHECK_EQ(accessible_bytes(region), 2 * MIB);
    for (int i = 0; i < 10; i++)
        check_usable(reserve(3 * MIB), 2);
    size_t open = accessible_bytes(region);
    CHECK_GE(open, region->used);
    CHECK_LT(open, region->used + 2 * MIB);
    char *large = reserve(pool.regions[0].size);
    CHECK_EQ(atomic_load(&pool.count), 2);
    check_usable(large + pool.regions[0].size - page(), 3);
    CHECK_EQ(accessible_bytes(region), open);
    open = accessible_bytes(&pool.regions[1]);
    CHECK_GE(open, pool.regions[1].used);
    CHECK_LT(open, pool.regions[1].used + 2 * MIB);
    region_pool_close(&pool);
}

static void test_only_blocks_can_be_touched(void)
{
    REQUIRE_EQ(region_pool_open_files(&pool, test_dir(), 16 * MIB, &owner), 0);
    check_what_can_be_touched();
    REQUIRE_EQ(region_pool_open_memory(&pool, &owner), 0);
    check_what_can_be_touched();
    int fd = make_empty_file();
    REQUIRE_EQ(region_pool_open_file(&pool, fd, 16 * MIB, &owner), 0);
    check_what_can_be_touched();
    close(fd);
}

static int refuse_mprotect(void *addr, size_t size, int prot)
{
    (void)addr, (void)size, (void)prot;
    errno = ENOMEM;
    return -1;
}

/* As when the process has too many mappings. */
static void test_blocks_that_cannot_be_opened(void)
{
    const struct sys_calls real = sys;
    REQUIRE_EQ(region_pool_open_files(&pool, test_dir(), 16 * MIB, &owner), 0);
    check_usable(reserve(MIB), 1);
    size_t used = pool.regions[0].used;
    sys.mprotect = refuse_mprotect;
    check_usable(reserve(MIB), 1); /* has been opened with the first */
    for (int i = 0; i < 3; i++) {
        errno = 0;
        CHECK_NULL(alloc_block(MIB, page(), i == 0));
        CHECK_EQ(errno, ENOMEM);
    }
    CHECK_EQ(pool.regions[0].used, used + MIB);
    CHECK_EQ(region_pool_charged(&pool), 2 * page());
    sys = real;
    check_usable(reserve(MIB), 1);
    CHECK_EQ(pool.regions[0].used, used + 2 * MIB);
    region_pool_close(&pool);
}

/* Tags of addresses outside all blocks are read for wild pointers. */
static void test_all_tags_can_be_read(void)
{
    REQUIRE_EQ(region_pool_open_files(&pool, test_dir(), 16 * MIB, &owner), 0);
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
    CHECK(right);
    region_pool_close(&pool);
}

static const struct test_case tests[] = {
    {"blocks are aligned and apart", test_blocks_are_aligned_and_apart},
    {"only blocks can be touched", test_only_blocks_can_be_touched},
    {"blocks that cannot be opened", test_blocks_that_cannot_be_opened},
    {"all tags can be read", test_all_tags_can_be_read},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("pool blocks", tests, argc, argv);
}
