/* SPDX-License-Identifier: BSD-2-Clause */
#include "mapping_reserve.h"

#include <errno.h>
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
        for (size_t i = 1; i < mappings; i += 2)
            if (sys.mprotect(reserve + i * page_size, page_size, PROT_READ) !=
                0)
                break;
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
    if (reserve == NULL && mappings != 0)
        make();
}

/* It grows beyond what is needed, so that many pools do not make it anew each
 * time. */
void mapping_reserve_fit(unsigned pools)
{
    const size_t needed = MAPPINGS_ANY + (size_t)pools * MAPPINGS_OF_POOL;
    const size_t wanted = needed + needed / 2;
    if (pools != 0 && reserve != NULL &&
        (mappings >= needed || mappings == MAPPINGS_MOST))
        return;
    mapping_reserve_release();
    mappings = 0;
    if (pools != 0) {
        mappings = wanted < MAPPINGS_MOST ? wanted : MAPPINGS_MOST;
        make();
    }
}
