/* SPDX-License-Identifier: BSD-2-Clause */
#include "region_readahead.h"

#include <errno.h>
#include <sys/mman.h>

#include "sys_calls.h"

bool region_readahead_matters(const struct memkind_region_pool *pool)
{
    return pool->file_system.largest_folio > region_page_size();
}

/* What keeps the kernel from taking more than a grain's part, and what allows
 * for it. */
static int advice_to_forbid(const struct memkind_region_pool *pool)
{
    return pool->file_system.has_huge_pages ? MADV_NOHUGEPAGE : MADV_RANDOM;
}

static int advice_to_allow(const struct memkind_region_pool *pool)
{
    return pool->file_system.has_huge_pages ? MADV_HUGEPAGE : MADV_NORMAL;
}

/* With so many grains each arena can begin a few. */
#define GRAINS_LEAST 128

size_t region_readahead_grain(const struct file_system *file_system,
                              size_t capacity)
{
    const size_t folio = file_system->largest_folio;
    if (folio > FILE_SYSTEM_UNIT_MAX || folio <= file_system->unit ||
        (capacity != 0 && capacity / GRAINS_LEAST < folio))
        return file_system->unit;
    return folio;
}

static int advise_region(const struct region *region, int advice)
{
    /* A forked child's own pages take no space from the file. */
    if (region->is_pmem || region->is_private || region->fd < 0)
        return 0;
    return sys.madvise(region->base, region->size, advice) == 0 ? 0 : -errno;
}

static int advise_all_regions(struct memkind_region_pool *pool, int advice)
{
    int result = 0;
    unsigned count = atomic_load(&pool->count);
    for (unsigned i = 0; i < count && result == 0; i++)
        result = advise_region(&pool->regions[i], advice);
    return result;
}

void region_readahead_add(struct memkind_region_pool *pool,
                          struct region *region)
{
    ranked_lock_assert_held(&pool->lock);
    if (!region_readahead_matters(pool))
        return;
    ranked_lock_take(&pool->readahead_lock);
    /* No grain is large enough for a folio. */
    if (pool->file_system.largest_folio > pool->grain &&
        !pool->readahead_is_forbidden) {
        atomic_fetch_add(&pool->part_grains, 1);
        pool->readahead_is_forbidden = true;
    }
    if (pool->readahead_is_forbidden)
        (void)advise_region(region, advice_to_forbid(pool));
    else if (pool->file_system.has_huge_pages)
        (void)advise_region(region, advice_to_allow(pool));
    ranked_lock_release(&pool->readahead_lock);
}

void region_readahead_renew(struct memkind_region_pool *pool,
                            const struct region *region, size_t offset,
                            size_t size)
{
    if (!region_readahead_matters(pool) || region->is_pmem)
        return;
    ranked_lock_take(&pool->readahead_lock);
    if (pool->readahead_is_forbidden || pool->file_system.has_huge_pages)
        (void)sys.madvise(region->base + offset, size,
                          pool->readahead_is_forbidden ? advice_to_forbid(pool)
                                                       : advice_to_allow(pool));
    ranked_lock_release(&pool->readahead_lock);
}

int region_readahead_forbid(struct memkind_region_pool *pool)
{
    int result = 0;
    if (!region_readahead_matters(pool))
        return 0;
    atomic_fetch_add(&pool->part_grains, 1);
    ranked_lock_take(&pool->readahead_lock);
    if (!pool->readahead_is_forbidden)
        result = advise_all_regions(pool, advice_to_forbid(pool));
    if (result == 0)
        pool->readahead_is_forbidden = true;
    ranked_lock_release(&pool->readahead_lock);
    if (result != 0)
        atomic_fetch_sub(&pool->part_grains, 1);
    return result;
}

static void allow_readahead(struct memkind_region_pool *pool)
{
    ranked_lock_take(&pool->readahead_lock);
    if (pool->readahead_is_forbidden && atomic_load(&pool->part_grains) == 0) {
        (void)advise_all_regions(pool, advice_to_allow(pool));
        pool->readahead_is_forbidden = false;
    }
    ranked_lock_release(&pool->readahead_lock);
}

void region_readahead_note(struct memkind_region_pool *pool, size_t before,
                           size_t after)
{
    if (before == after || !region_readahead_matters(pool))
        return;
    size_t others =
        atomic_fetch_add(&pool->part_grains, after - before) - before;
    if (others + after == 0)
        allow_readahead(pool);
}

void region_readahead_release(struct memkind_region_pool *pool)
{
    region_readahead_note(pool, 1, 0);
}
