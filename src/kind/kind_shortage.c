/* SPDX-License-Identifier: BSD-2-Clause */
#include "kind_shortage.h"

#include <errno.h>

#include "allocator_gate.h"
#include "kind_heap.h"
#include "last_error.h"
#include "region_pool.h"

/* An object at a multiple of more than this may be refused although there is
 * room for its bytes. */
#define ALIGNMENT_WITHOUT_COST 4096

static enum last_error_shortage
find_shortage(const struct memkind_region_pool *pool, size_t size,
              size_t alignment)
{
    if (allocator_is_inside())
        return SHORTAGE_REENTERED;
    if (allocator_thread_has_ended())
        return SHORTAGE_THREAD_ENDS;
    if (alignment > ALIGNMENT_WITHOUT_COST && alignment > size &&
        (pool == NULL || !region_pool_is_lost(pool)))
        return SHORTAGE_OF_ALIGNED;
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

/* Whether it is the file system that has no room. It may have some by now if
 * the limit alone leaves none. */
static bool is_file_system_full(const struct memkind_region_pool *pool,
                                size_t size)
{
    const size_t held = region_pool_charged(pool);
    return region_pool_lacks_space(pool) && held <= pool->budget &&
           size <= pool->budget - held;
}

/* The reason: "PATH: the file system has no room", with the paths of further
 * directories behind the first. */
static void name_full_places(const struct pool_place *place)
{
    const bool is_last = place->next == NULL;
    if (!is_last)
        name_full_places(place->next);
    if (place->path[0] != '\0')
        last_error_reason_at(place->path,
                             is_last ? "the file system has no room" : NULL,
                             is_last ? ENOSPC : 0);
    else if (is_last)
        last_error_reason("the file system has no room: %s",
                          error_number_text(ENOSPC));
}

void *kind_shortage_note(const struct memkind *kind, const char *function,
                         size_t size, size_t alignment)
{
    const struct memkind_region_pool *pool = kind_regions_of(kind);
    const enum last_error_shortage shortage =
        find_shortage(pool, size, alignment);
    if ((shortage == SHORTAGE_OF_LIMIT || shortage == SHORTAGE_OF_MAPPINGS) &&
        is_file_system_full(pool, size)) {
        last_error_begin();
        name_full_places(&pool->place);
        last_error_of_call(function, "");
        last_error_begin(); /* it is no reason of a call that was interrupted */
        return NULL;
    }
    last_error_of_shortage(function, shortage, size,
                           pool != NULL ? region_pool_charged(pool) : 0,
                           shortage == SHORTAGE_OF_ALIGNED ? alignment
                           : pool != NULL                  ? pool->budget
                                                           : 0);
    return NULL;
}

void *kind_shortage_refuse(const char *function, const char *reason)
{
    last_error_begin();
    last_error_of_call(function, reason);
    return NULL;
}
