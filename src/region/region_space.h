/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * File space of regions, and the budget that it is charged to. Functions return
 * 0 or a negative errno.
 */
#ifndef REGION_SPACE_H
#define REGION_SPACE_H

#include <errno.h>

#include "region.h"

/* Charges and allocates the file space that a range lacks: `held` bytes of it
 * are charged, and have theirs, perhaps no more after a failure. */
int region_space_take_rest(struct memkind_region_pool *pool,
                           struct region *region, size_t offset, size_t size,
                           size_t held);

/* Does so for a range that has none. */
static inline int region_space_take(struct memkind_region_pool *pool,
                                    struct region *region, size_t offset,
                                    size_t size)
{
    return region_space_take_rest(pool, region, offset, size, 0);
}

/* Frees the file space of a range, `held` bytes of which it has, and credits
 * those. */
int region_space_give(struct memkind_region_pool *pool, struct region *region,
                      size_t offset, size_t size, size_t held);

/* Whether a failure of region_space_give() means that it never can be done. */
static inline bool region_space_is_kept(int error)
{
    return error == -EOPNOTSUPP || error == -ENOSYS;
}

/* Bytes that the budget has room for. */
static inline size_t region_space_room(const struct memkind_region_pool *pool)
{
    const size_t held =
        atomic_load_explicit(&pool->charged, memory_order_relaxed);
    return held < pool->budget ? pool->budget - held : 0;
}

/* Notes that the pool has refused memory, and only what it gets back can change
 * that; see struct region_refusals. */
static inline void region_space_note_refusal(struct memkind_region_pool *pool)
{
    atomic_fetch_add_explicit(&pool->refusals.lasting, 1, memory_order_relaxed);
}

/* Changes only what is charged. */
void region_space_credit(struct memkind_region_pool *pool, size_t size);

/* Punches a hole into the region's file; what is charged does not change. */
int region_space_punch(const struct region *region, size_t offset, size_t size);

#endif
