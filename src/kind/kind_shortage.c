/* SPDX-License-Identifier: BSD-2-Clause */
#include "kind_shortage.h"

#include <errno.h>

#include "allocator_gate.h"
#include "kind_heap.h"
#include "last_error.h"
#include "region_pool.h"

static enum last_error_shortage
find_shortage(const struct memkind_region_pool *pool, size_t size)
{
    if (allocator_is_inside())
        return SHORTAGE_REENTERED;
    if (allocator_thread_has_ended())
        return SHORTAGE_THREAD_ENDS;
    if (pool == NULL || pool->backing == REGION_MEMORY)
        return SHORTAGE_OF_DRAM;
    if (region_pool_is_lost(pool))
        return SHORTAGE_LOST;
    if (size > pool->budget)
        return SHORTAGE_OVER_LIMIT;
    if (pool->backing == REGION_BUFFER || pool->backing == REGION_DEVICE)
        return SHORTAGE_OF_AREA;
    return pool->budget != SIZE_MAX ? SHORTAGE_OF_LIMIT : SHORTAGE_OF_MAPPINGS;
}

void *kind_shortage_note(const struct memkind *kind, const char *function,
                         size_t size)
{
    const struct memkind_region_pool *pool = kind_regions_of(kind);
    const enum last_error_shortage shortage = find_shortage(pool, size);
    if ((shortage == SHORTAGE_OF_LIMIT || shortage == SHORTAGE_OF_MAPPINGS) &&
        region_pool_lacks_space(pool)) {
        last_error_begin();
        last_error_reason_at(pool->path, "the file system has no room", ENOSPC);
        last_error_of_call(function, "");
        return NULL;
    }
    last_error_of_shortage(
        function, shortage, size,
        pool != NULL
            ? atomic_load_explicit(&pool->charged, memory_order_relaxed)
            : 0,
        pool != NULL ? pool->budget : 0);
    return NULL;
}

void *kind_shortage_refuse(const char *function, const char *reason)
{
    last_error_begin();
    last_error_of_call(function, reason);
    return NULL;
}
