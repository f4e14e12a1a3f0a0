/* SPDX-License-Identifier: BSD-2-Clause */
#include "pool_detach.h"

#include <errno.h>

#include "grain_small_pages.h"
#include "region_detach.h"

static unsigned region_count(const struct memkind_region_pool *pool)
{
    return atomic_load_explicit(&pool->count, memory_order_acquire);
}

static void map_parts(const struct memkind_region_pool *pool,
                      struct region *region)
{
    ranked_lock_take(&region->grain_lock);
    grain_small_pages_map_parts(pool, region, 0, region->grain_end);
    ranked_lock_release(&region->grain_lock);
}

int region_pool_attach_all(struct memkind_region_pool *pool)
{
    int result = 0;
    if (pool->is_inherited && pool->fork_policy != REGION_FORK_SHARED)
        return -EOPNOTSUPP;
    for (unsigned i = 0; i < region_count(pool) && result == 0; i++) {
        result = region_detach_attach_all(pool, &pool->regions[i]);
        map_parts(pool, &pool->regions[i]);
    }
    return result;
}

bool region_pool_unmap_old(struct memkind_region_pool *pool)
{
    bool more = false;
    for (unsigned i = 0; i < region_count(pool) && !more; i++)
        more = region_detach_unmap_old(&pool->regions[i]);
    return more;
}

size_t region_pool_detached(struct memkind_region_pool *pool)
{
    size_t size = 0;
    for (unsigned i = 0; i < region_count(pool) && !pool->is_lost; i++)
        size += region_detach_memory(&pool->regions[i]);
    return size;
}
