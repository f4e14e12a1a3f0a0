/* SPDX-License-Identifier: BSD-2-Clause */
#include "pool_commit.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "coarse_clock.h"
#include "file_system_space.h"
#include "leak_roots.h"
#include "memory_marks.h"
#include "parallel.h"
#include "pool_state.h"
#include "region_detach.h"
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

/* Given back under a lock at a time: it takes a quarter of a millisecond on
 * tmpfs. If it takes far less, as that of holes does, slices become larger. */
#define PAY_SLICE ((size_t)1 << 20)
#define PAY_SLICE_MOST ((size_t)32 << 20)
#define PAY_SLICE_NS 250000

bool region_pool_owes(const struct memkind_region_pool *pool)
{
    unsigned count = atomic_load_explicit(&pool->count, memory_order_acquire);
    for (unsigned i = 0; i < count; i++)
        if (region_owes(&pool->regions[i]))
            return true;
    return false;
}

static size_t pay_slice(struct memkind_region_pool *pool, struct region *region,
                        size_t size, bool insists)
{
    return region->grain_live != NULL
               ? region_grains_pay(pool, region, size, insists)
               : region_owed_pay(pool, region, size, insists);
}

/* In slices, between which other threads get the region's lock. */
static size_t pay_region(struct memkind_region_pool *pool,
                         struct region *region, size_t most, bool insists)
{
    size_t paid = 0, step = 1, slice = PAY_SLICE;
    int64_t begun = exact_clock_ns();
    while (step != 0 && paid < most && region_owes(region)) {
        const size_t rest = most - paid;
        step = pay_slice(pool, region, rest < slice ? rest : slice, insists);
        paid += step;
        const int64_t now = exact_clock_ns();
        if (now - begun > PAY_SLICE_NS)
            slice = PAY_SLICE;
        else if (now - begun < PAY_SLICE_NS / 4 && slice < PAY_SLICE_MOST)
            slice *= 2;
        begun = now;
    }
    return paid;
}

static size_t pay_regions(struct memkind_region_pool *pool, size_t most,
                          bool insists)
{
    size_t paid = 0;
    unsigned count = atomic_load_explicit(&pool->count, memory_order_acquire);
    for (unsigned i = 0; i < count && paid < most; i++)
        paid += pay_region(pool, &pool->regions[i], most - paid, insists);
    /* An allocation that was refused while it was owed may succeed now. */
    if (paid != 0)
        atomic_fetch_add(&pool->decommits, 1);
    return paid;
}

size_t region_pool_pay_some(struct memkind_region_pool *pool, size_t most)
{
    return pay_regions(pool, most, false);
}

void region_pool_pay(struct memkind_region_pool *pool)
{
    (void)pay_regions(pool, SIZE_MAX, true);
}

static void pay_one_region(void *context, unsigned index)
{
    struct memkind_region_pool *pool = context;
    if (pay_region(pool, &pool->regions[index], SIZE_MAX, true) != 0)
        atomic_fetch_add(&pool->decommits, 1);
}

void region_pool_pay_in_parallel(struct memkind_region_pool *pool)
{
    if (region_pool_is_worth_threads(pool))
        parallel_do(atomic_load(&pool->count), pay_one_region, pool);
    else
        region_pool_pay(pool);
}

size_t region_pool_give_idle(struct memkind_region_pool *pool, size_t most)
{
    size_t given = 0;
    unsigned count = atomic_load_explicit(&pool->count, memory_order_acquire);
    for (unsigned i = 0; i < count && given < most; i++)
        if (pool->regions[i].grain_live != NULL && !pool->regions[i].is_private)
            given +=
                region_grains_give_idle(pool, &pool->regions[i], most - given);
    if (given != 0)
        atomic_fetch_add(&pool->decommits, 1);
    return given;
}

/* ---- taking and giving space ---- */

static int commit_pages(struct memkind_region_pool *pool, struct region *region,
                        size_t offset, size_t size, bool may_split)
{
    if (region->grain_live != NULL)
        return region_grains_commit(pool, region, offset, size, may_split);
    int result = region_owed_commit(pool, region, offset, size);
    if (result == 0)
        memory_mark_usable(region->base + offset, size);
    return result;
}

/* If there is no room, what is owed is given back first, as much as is needed:
 * that is cheaper than to split grains. */
static int take_space(struct memkind_region_pool *pool, struct region *region,
                      size_t offset, size_t size)
{
    const bool owed = region_pool_owes(pool);
    int result = commit_pages(pool, region, offset, size, !owed);
    if (result == 0 || (!owed && !region_pool_owes(pool)))
        return result;
    while (pay_regions(pool, size, true) != 0) {
        result = commit_pages(pool, region, offset, size, false);
        if (result == 0)
            return 0;
    }
    return commit_pages(pool, region, offset, size, true);
}

/* Gives the space of the first `at_once` bytes back, and owes the rest. If that
 * cannot be noted, -ENOMEM, and nothing has changed. */
static int decommit_some(struct memkind_region_pool *pool,
                         struct region *region, size_t offset, size_t size,
                         size_t at_once)
{
    int result = region_owed_prepare(region, offset + size);
    if (result == 0 && at_once != 0)
        result = region_space_give(pool, region, offset, at_once, at_once);
    else if (result != 0)
        return -ENOMEM;
    if (region_space_is_kept(result))
        return result;
    if (result != 0)
        at_once = 0;
    return region_owed_add(region, offset + at_once, size - at_once);
}

/* Decommits pages: their space goes back now, or later, or it never can. */
static int decommit_pages(struct memkind_region_pool *pool,
                          struct region *region, size_t offset, size_t size,
                          size_t at_once)
{
    int result = -ENOMEM;
    if (at_once < size)
        result = decommit_some(pool, region, offset, size, at_once);
    if (result == -ENOMEM) {
        result = region_space_give(pool, region, offset, size, size);
        if (result != 0 && !region_space_is_kept(result))
            result = region_owed_add(region, offset, size);
        else if (result == 0 && at_once == SIZE_MAX && region_pool_owes(pool))
            region_pool_pay(pool);
    }
    if (result == 0)
        memory_mark_unusable(region->base + offset, size);
    return result;
}

/* How much of a range is given back at once, if so much may be. What takes no
 * time is not put off; and as long as it is not known whether a hole can be
 * punched, some of it shows that. */
static size_t give_at_once(const struct memkind_region_pool *pool,
                           const struct region *region, size_t size,
                           size_t at_once)
{
    if (region->is_private || pool->backing == REGION_DEVICE)
        return at_once > size ? at_once : size;
    const bool is_known =
        atomic_load_explicit(&pool->has_punched, memory_order_relaxed) &&
        !atomic_load_explicit(&pool->no_punch, memory_order_relaxed);
    const size_t least = pool->grain > PAY_SLICE ? pool->grain : PAY_SLICE;
    if (!is_known && at_once < least)
        at_once = least;
    return at_once;
}

static int give_space(struct memkind_region_pool *pool, struct region *region,
                      size_t offset, size_t size, size_t at_once)
{
    if (region->grain_live == NULL)
        return decommit_pages(pool, region, offset, size, at_once);
    const bool pays = at_once == SIZE_MAX;
    bool owed = region_owes(region);
    /* In slices, too, so that commits get the lock in between. */
    if (pays && size > 2 * pool->grain && size > PAY_SLICE &&
        atomic_load_explicit(&pool->has_punched, memory_order_relaxed)) {
        at_once = 0;
        owed = true;
    }
    int result = region_grains_decommit(pool, region, offset, size, at_once);
    if (result == 0 && owed && pays)
        region_pool_pay(pool);
    return result;
}

/* ---- private regions ---- */

/* Whether a block of this size could be had elsewhere. */
static bool has_room_elsewhere(struct memkind_region_pool *pool, size_t size)
{
    ranked_lock_take(&pool->lock);
    const struct region *last = &pool->regions[pool->newest];
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
            (void)give_space(pool, region, offset, size, SIZE_MAX);
    }
    if (result == 0)
        pool_note_committed(pool, region, offset, size);
    return result;
}

/* One in so many bytes of the room that there is: what is ahead of one arena's
 * need may be missed by another one, or by another program. */
#define ROOM_PER_AHEAD 64

size_t region_pool_room_ahead(struct memkind_region_pool *pool,
                              const void *addr, size_t least, size_t most)
{
    const struct region *region = region_pool_find(pool, addr);
    if (region == NULL || !pool->file_system.is_memory ||
        region->grain_live != NULL || region->is_private ||
        !region_has_descriptor(region) || pool_is_always_committed(pool) ||
        atomic_load(&pool->pretending) || atomic_load(&pool->has_failed) ||
        atomic_load(&pool->no_punch) || atomic_load(&pool->no_fallocate) ||
        region_pool_lacks_space(pool) || region_pool_owes(pool) ||
        memory_marks_are_wanted())
        return 0;
    size_t room = region_space_room(pool);
    if (room / ROOM_PER_AHEAD < most)
        most = room / ROOM_PER_AHEAD;
    if (most < least)
        return 0;
    room = file_system_free(region->fd);
    if (room / ROOM_PER_AHEAD < most)
        most = room / ROOM_PER_AHEAD;
    return most < least ? 0 : most;
}

/* Decommits a range, so much of it at once. */
static int decommit(struct memkind_region_pool *pool, struct region *region,
                    size_t offset, size_t size, size_t at_once)
{
    char *addr = region->base + offset;
    const bool is_marked = pool->dumps_objects && !region->is_private;
    int result = 0;
    if (region->is_private) /* give_space() cannot fail then */
        result = region_private_decommit(region, offset, size);
    else if (is_marked)
        result = region_dump_prepare_decommit(region, offset, size);
    if (result == 0 && !region->is_private) {
        result = region_detach_drop(region, offset, size);
        if (result != 0)
            pool_note_committed(pool, region, offset, size);
    }
    if (result != 0)
        return result;
    leak_roots_remove(addr, size);
    result = give_space(pool, region, offset, size,
                        give_at_once(pool, region, size, at_once));
    if (result != 0)
        pool_note_committed(pool, region, offset, size);
    return result;
}

int region_pool_decommit_some(struct memkind_region_pool *pool, void *addr,
                              size_t size, size_t at_once)
{
    struct region *region = region_pool_find(pool, addr);
    if (region == NULL)
        return -EINVAL;
    if (pool_is_always_committed(pool) || pool->is_lost)
        return -EOPNOTSUPP;
    if (atomic_load(&pool->pretending))
        return 0;
    int result = decommit(pool, region, (size_t)((char *)addr - region->base),
                          size, at_once);
    if (result != 0)
        atomic_store(&pool->has_kept, true);
    atomic_fetch_add(&pool->decommits, 1);
    return result;
}

int region_pool_decommit(struct memkind_region_pool *pool, void *addr,
                         size_t size)
{
    return region_pool_decommit_some(pool, addr, size, SIZE_MAX);
}
