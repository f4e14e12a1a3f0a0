/* SPDX-License-Identifier: BSD-2-Clause */
#include "pool_commit.h"

#include <errno.h>
#include <string.h>

#include "leak_roots.h"
#include "memory_marks.h"
#include "pool_state.h"
#include "region_dump.h"
#include "region_grains.h"
#include "region_owed.h"
#include "region_private.h"
#include "region_space.h"

void region_pool_set_pretending(struct memkind_region_pool *pool,
                                bool pretending)
{
    atomic_store(&pool->pretending, pretending);
}

/* ---- space that is owed ---- */

static bool pool_owes(const struct memkind_region_pool *pool)
{
    unsigned count = atomic_load_explicit(&pool->count, memory_order_acquire);
    for (unsigned i = 0; i < count; i++)
        if (region_owes(&pool->regions[i]))
            return true;
    return false;
}

void region_pool_pay(struct memkind_region_pool *pool)
{
    unsigned count = atomic_load_explicit(&pool->count, memory_order_acquire);
    for (unsigned i = 0; i < count; i++) {
        struct region *region = &pool->regions[i];
        if (!region_owes(region))
            continue;
        if (region->grain_live != NULL)
            region_grains_pay(pool, region);
        else
            region_owed_pay(pool, region);
    }
}

/* ---- taking and giving space ---- */

static int commit_pages(struct memkind_region_pool *pool, struct region *region,
                        size_t offset, size_t size)
{
    if (region->grain_live != NULL)
        return region_grains_commit(pool, region, offset, size);
    int result = region_owed_commit(pool, region, offset, size);
    if (result == 0)
        memory_mark_usable(region->base + offset, size);
    return result;
}

static int take_space(struct memkind_region_pool *pool, struct region *region,
                      size_t offset, size_t size)
{
    int result = commit_pages(pool, region, offset, size);
    if (result == 0 || !pool_owes(pool))
        return result;
    region_pool_pay(pool);
    return commit_pages(pool, region, offset, size);
}

/* Decommits pages: their space goes back now, or later, or it never can. */
static int decommit_pages(struct memkind_region_pool *pool,
                          struct region *region, size_t offset, size_t size)
{
    int result = region_space_give(pool, region, offset, size, size);
    if (result != 0 && !region_space_is_kept(result))
        result = region_owed_add(region, offset, size);
    else if (result == 0 && pool_owes(pool))
        region_pool_pay(pool);
    if (result == 0)
        memory_mark_unusable(region->base + offset, size);
    return result;
}

static int give_space(struct memkind_region_pool *pool, struct region *region,
                      size_t offset, size_t size)
{
    if (region->grain_live == NULL)
        return decommit_pages(pool, region, offset, size);
    bool owed = region_owes(region);
    int result = region_grains_decommit(pool, region, offset, size);
    if (result == 0 && owed)
        region_pool_pay(pool);
    return result;
}

/* ---- private regions ---- */

/* Whether a block of this size could be had elsewhere. */
static bool has_room_elsewhere(struct memkind_region_pool *pool, size_t size)
{
    ranked_lock_take(&pool->lock);
    const struct region *last = &pool->regions[atomic_load(&pool->count) - 1];
    bool has_room = (pool_can_grow(pool) && !pool->could_not_grow) ||
                    size <= last->size - last->used;
    ranked_lock_release(&pool->lock);
    return has_room;
}

/* Makes the memory of a private region whose space has been charged. The pool's
 * lock is not held if some of the range is inherited. */
static int commit_private(struct memkind_region_pool *pool,
                          struct region *region, size_t offset, size_t size)
{
    bool elsewhere =
        offset >= region->inherited || has_room_elsewhere(pool, size);
    int result = region_private_commit(region, offset, size,
                                       elsewhere ? MAPPING_NEED_LITTLE
                                                 : MAPPING_NEED_MUCH);
    if (result != -EAGAIN)
        return result;
    /* A file that has no holes takes no space when it is read. */
    if (pool->no_holes) {
        memset(region->base + offset, 0, size);
        return 0;
    }
    atomic_store_explicit(&pool->takes_back, true, memory_order_relaxed);
    return -ENOMEM;
}

/* ---- commit and decommit ---- */

void pool_note_committed(const struct memkind_region_pool *pool,
                         struct region *region, size_t offset, size_t size)
{
    leak_roots_add(region->base + offset, size);
    if (pool->dumps_objects && !region->is_private)
        region_dump_note_committed(region, offset, size);
}

int region_pool_commit(struct memkind_region_pool *pool, void *addr,
                       size_t size)
{
    struct region *region = region_pool_find(pool, addr);
    if (region == NULL)
        return -EINVAL;
    if (pool->is_lost)
        return -ENOMEM;
    if (pool_is_always_committed(pool) || atomic_load(&pool->pretending))
        return 0;
    size_t offset = (size_t)((char *)addr - region->base);
    int result = take_space(pool, region, offset, size);
    if (result == 0 && region->is_private) {
        result = commit_private(pool, region, offset, size);
        if (result != 0)
            (void)give_space(pool, region, offset, size);
    }
    if (result == 0)
        pool_note_committed(pool, region, offset, size);
    return result;
}

static int decommit(struct memkind_region_pool *pool, struct region *region,
                    size_t offset, size_t size)
{
    char *addr = region->base + offset;
    const bool is_marked = pool->dumps_objects && !region->is_private;
    int result = 0;
    if (region->is_private) /* give_space() cannot fail then */
        result = region_private_decommit(region, offset, size);
    else if (is_marked)
        result = region_dump_prepare_decommit(region, offset, size);
    if (result != 0)
        return result;
    leak_roots_remove(addr, size);
    result = give_space(pool, region, offset, size);
    if (result != 0)
        pool_note_committed(pool, region, offset, size);
    return result;
}

int region_pool_decommit(struct memkind_region_pool *pool, void *addr,
                         size_t size)
{
    struct region *region = region_pool_find(pool, addr);
    if (region == NULL)
        return -EINVAL;
    if (pool_is_always_committed(pool) || pool->is_lost)
        return -EOPNOTSUPP;
    if (atomic_load(&pool->pretending))
        return 0;
    int result =
        decommit(pool, region, (size_t)((char *)addr - region->base), size);
    if (result != 0)
        atomic_store(&pool->has_kept, true);
    atomic_fetch_add(&pool->decommits, 1);
    return result;
}
