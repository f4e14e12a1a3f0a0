/* SPDX-License-Identifier: BSD-2-Clause */
#include "grain_small_pages.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/mman.h>

#include "address_space.h"
#include "grain_tables.h"
#include "page_map.h"
#include "sys_calls.h"

/* New in Linux 5.14; headers may not have it. */
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif

static bool matters(const struct region *region)
{
    return region->is_pmem && !region->is_private && region->grain_live != NULL;
}

/* A page of the grain that has space: to read it takes none, even on a file
 * system that is no DAX (PMEM_IS_PMEM_FORCE). */
static size_t page_with_space(const struct memkind_region_pool *pool,
                              const struct region *region, size_t grain)
{
    const struct page_map space = space_map_of(pool, region);
    const size_t first = grain * space.per_grain;
    return page_map_next(&space, first, first + space.per_grain - 1, true);
}

/* What does not know the advice refuses it for any size. */
static bool kernel_populates(char *page)
{
    return sys.madvise(page, 0, MADV_POPULATE_READ) == 0;
}

/* What the page holds is no object's, to AddressSanitizer. */
__attribute__((no_sanitize("address", "thread"))) static void
read_page(const char *page)
{
    (void)*(const volatile char *)page;
}

/* No large page is mapped across the border of two mappings, and one that is
 * mapped already is unmapped: so there is such a border for a moment. */
void grain_small_pages_map(const struct memkind_region_pool *pool,
                           const struct region *region, size_t grain)
{
    const size_t page_size = region_page_size();
    if (!matters(region))
        return;
    char *start = region->base + grain * pool->grain;
    char *page =
        region->base + page_with_space(pool, region, grain) * page_size;
    if (sys.madvise(start, page_size, MADV_RANDOM) != 0)
        return;
    if (address_space_advise(page, page_size, MADV_POPULATE_READ) == -EINVAL &&
        !kernel_populates(page))
        read_page(page);
    (void)sys.madvise(start, page_size, MADV_NORMAL);
}

void grain_small_pages_map_parts(const struct memkind_region_pool *pool,
                                 const struct region *region, size_t first,
                                 size_t end)
{
    ranked_lock_assert_held(&region->grain_lock);
    if (!matters(region))
        return;
    for (size_t i = first; i < end; i++)
        if (grain_is_part(pool, region, i))
            grain_small_pages_map(pool, region, i);
}

void grain_small_pages_advise(const struct memkind_region_pool *pool,
                              const struct region *region, size_t offset,
                              size_t size)
{
    if (pool->grain < region_large_page_size() || atomic_load(&pool->is_shared))
        grain_small_pages_only(region, region->base + offset, size);
}

void grain_small_pages_only(const struct region *region, void *addr,
                            size_t size)
{
    if (region->is_pmem)
        (void)sys.madvise(addr, size, MADV_NOHUGEPAGE);
}
