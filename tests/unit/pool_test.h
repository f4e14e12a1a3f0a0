/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the suites of region pools share: a pool, and steps that tests take with
 * it.
 */
#ifndef POOL_TEST_H
#define POOL_TEST_H

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>

#include "layer_test.h"
#include "region_pool.h"
#include "sys_calls.h"

/* A file system's own blocks, for instance of the extent tree. */
#define BLOCKS_SLACK (256 * KIB)

static int owner;
static struct memkind_region_pool pool; /* large: not on the stack */

static inline size_t page(void)
{
    return region_page_size();
}

static inline int make_empty_file(void)
{
    int fd = open(test_dir(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    REQUIRE_GE(fd, 0);
    return fd;
}

/* Begins at a page, also when larger_pages.c makes pages larger. */
static inline char *make_buffer(size_t size)
{
    char *buffer = mmap(NULL, size + page(), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    REQUIRE_NE(buffer, MAP_FAILED);
    size_t before = -(uintptr_t)buffer & (page() - 1);
    if (before != 0)
        munmap(buffer, before);
    munmap(buffer + before + size, page() - before);
    return buffer + before;
}

/* File space of all the pool's files together. */
static inline size_t pool_file_bytes(void)
{
    size_t sum = 0;
    for (unsigned i = 0; i < atomic_load(&pool.count); i++)
        if (pool.regions[i].owns_file)
            sum += file_bytes(pool.regions[i].fd);
    return sum;
}

static inline bool blocks_match_charge(void)
{
    size_t charged = region_pool_charged(&pool);
    size_t held = pool_file_bytes();
    return held >= charged && held <= charged + BLOCKS_SLACK;
}

static inline void *alloc_block(size_t size, size_t alignment, bool commit)
{
    bool zeroed = false;
    void *block = region_pool_alloc(&pool, size, alignment, &commit, &zeroed);
    return block;
}

/* An uncommitted block; the test ends if there is none. */
static inline char *reserve(size_t size)
{
    bool commit = false, zeroed = false;
    char *block = region_pool_alloc(&pool, size, page(), &commit, &zeroed);
    REQUIRE_NOT_NULL(block);
    CHECK(!commit);
    return block;
}

/* Checks that a page can be committed and is zero, and writes to it. */
static inline void check_usable(char *at, unsigned seed)
{
    REQUIRE_EQ(region_pool_commit(&pool, at, page()), 0);
    CHECK(is_zero(at, page()));
    test_fill(at, page(), seed);
}

/* ---- calls ----------------------------------------------------------- */

/* The greatest file size that ftruncate_small() allows. */
static size_t ftruncate_most;

static inline int ftruncate_small(int fd, off_t length)
{
    if ((size_t)length > ftruncate_most) {
        errno = EFBIG;
        return -1;
    }
    return ftruncate(fd, length);
}

#endif
