/* SPDX-License-Identifier: BSD-2-Clause */
#include "mapping_reserve.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/mman.h>

#include "page_size.h"
#include "sys_calls.h"

/* For the mark (fork_mark.h) and what is made for a moment; a pool's region is
 * cut in two. */
#define MAPPINGS_ANY 8
#define MAPPINGS_OF_POOL 1
#define MAPPINGS_MOST 2048

static char *reserve;   /* NULL: there is none */
static size_t mappings; /* that it has, or had; 0: none are wanted */
static bool is_whole;   /* it has them all */
static bool are_pools;

static size_t reserve_bytes(void)
{
    return mappings * region_page_size();
}

/* Every other page is protected in another way: each is a mapping of its own.
 * Memory that can be shared is a file to the kernel, so no other mapping beside
 * it becomes one with it. Keeps errno: fork() does, if it succeeds. */
static void make(void)
{
    const int saved_errno = errno;
    const size_t page_size = region_page_size();
    void *pages = sys.mmap(NULL, reserve_bytes(), PROT_NONE,
                           MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (pages != MAP_FAILED) {
        reserve = pages;
        (void)sys.madvise(reserve, reserve_bytes(), MADV_DONTDUMP);
        is_whole = true;
        for (size_t i = 1; is_whole && i < mappings; i += 2)
            is_whole = sys.mprotect(reserve + i * page_size, page_size,
                                    PROT_READ) == 0;
    }
    errno = saved_errno;
}

/* If it cannot be unmapped, it is left there. The next one is not made before
 * the next pool is. */
void mapping_reserve_release(void)
{
    if (reserve != NULL && sys.munmap(reserve, reserve_bytes()) != 0)
        mappings = 0;
    reserve = NULL;
}

void mapping_reserve_renew(void)
{
    if (reserve == NULL && mappings != 0 && are_pools)
        make();
}

static size_t needed_by(unsigned pools)
{
    return MAPPINGS_ANY + (size_t)pools * MAPPINGS_OF_POOL;
}

/* It grows beyond what is needed, so that many pools do not make it anew each
 * time. */
static size_t wanted_by(unsigned pools)
{
    const size_t needed = needed_by(pools), wanted = needed + needed / 2;
    return wanted < MAPPINGS_MOST ? wanted : MAPPINGS_MOST;
}

/* Whether what there is will do. That of one pool stays after the last pool:
 * a program may have one after the other. */
static bool fits(unsigned pools)
{
    if (reserve == NULL)
        return false;
    return pools == 0
               ? is_whole && mappings <= wanted_by(1)
               : mappings >= needed_by(pools) || mappings == MAPPINGS_MOST;
}

void mapping_reserve_fit(unsigned pools)
{
    are_pools = pools != 0;
    if (fits(pools))
        return;
    mapping_reserve_release();
    mappings = 0;
    if (are_pools) {
        mappings = wanted_by(pools);
        make();
    }
}
