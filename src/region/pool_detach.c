/* SPDX-License-Identifier: BSD-2-Clause */
#include "pool_detach.h"

#include <errno.h>

#include "grain_small_pages.h"
#include "region_detach.h"

static unsigned region_count(const struct memkind_region_pool *pool)
{
    return atomic_load_explicit(&pool->count, memory_order_acquire);
}

int region_pool_attach_all(struct memkind_region_pool *pool)
{
    int result = 0;
    if (pool->is_inherited && pool->fork_policy != REGION_FORK_SHARED)
        return -EOPNOTSUPP;
    for (unsigned i = 0; i < region_count(pool) && result == 0; i++) {
        result = region_detach_attach_all(pool, &pool->regions[i]);
        ranked_lock_take(&pool->regions[i].grain_lock);
        grain_small_pages_map_all(pool, &pool->regions[i]);
        ranked_lock_release(&pool->regions[i].grain_lock);
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
