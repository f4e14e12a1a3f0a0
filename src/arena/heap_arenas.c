/* SPDX-License-Identifier: BSD-2-Clause */
#include "heap_arenas.h"

#include <assert.h>

#include "debug_log.h"
#include "heap_registry.h"
#include "jemalloc_ctl.h"
#include "page_traffic.h"
#include "pages_ahead.h"
#include "pool_state.h"
#include "pool_stripes.h"
#include "snapshot_lock.h"

/* jemalloc has 4,095 arenas for a process, one of which holds the library's own
 * data. A heap's first arena can always be had. Further ones can be had only as
 * long as they leave enough for the first arenas of all heaps. */
#define ARENAS_IN_ALL 4094
#define ARENAS_FOR_GROWTH (ARENAS_IN_ALL - HEAP_SLOTS)

static _Atomic unsigned extra_arenas; /* beyond the first of each heap */

/* The lock is held, or no other thread knows the heap yet. */
static int add_arena(struct heap_arenas *arenas)
{
    const unsigned count = atomic_load(&arenas->count);
    struct arena_slot *slot = &arenas->slots[count];
    const struct memkind_region_pool *pool = arenas->extents.pool;
    assert(count < arenas->limit);
    int result = je_arena_create(&arenas->extents.hooks,
                                 arenas->metadata_use_hooks, &slot->index);
    if (result != 0)
        return result;
    pages_ahead_forget(slot->index);
    (void)je_arena_set_decay(slot->index, arenas->dirty_decay_ms);
    if (pool != NULL && pool->budget != SIZE_MAX)
        (void)je_arena_set_grow_limit(slot->index, pool->budget);
    slot->threads = 0;
    atomic_store_explicit(&arenas->count, count + 1, memory_order_release);
    return 0;
}

int heap_arenas_create(struct heap_arenas *arenas, struct arena_slot *slots,
                       const struct heap_arenas_config *config)
{
    arenas->slots = slots;
    arenas->limit = config->limit;
    arenas->dirty_decay_ms = config->dirty_decay_ms;
    arenas->metadata_use_hooks = config->metadata_use_hooks;
    if (config->user_hooks != NULL)
        extent_supply_init_user(&arenas->extents, config->user_hooks,
                                config->address_owner);
    else
        extent_supply_init(&arenas->extents, config->pool, config->source,
                           config->address_owner);
    extent_supply_set_decay(&arenas->extents, config->dirty_decay_ms != 0);
    ranked_lock_init(&arenas->lock, RANK_ARENAS);
    const struct memkind_region_pool *pool = config->pool;
    arena_returns_init(
        &arenas->returns, config->limit,
        pool != NULL && region_pool_is_limited(pool) ? pool->budget : 0);
    int result = add_arena(arenas);
    if (result != 0) {
        extent_supply_fini(&arenas->extents);
        ranked_lock_destroy(&arenas->lock);
    }
    return result;
}

void heap_arenas_destroy(struct heap_arenas *arenas)
{
    const unsigned count = atomic_load(&arenas->count);
    extent_supply_retire(&arenas->extents);
    snapshot_lock_begin_moving();
    for (unsigned i = 0; i < count; i++) {
        const unsigned index = arenas->slots[i].index;
        /* Without decay each slab is done with while it is at hand, instead of
         * being entered in the lists of dirty pages first. */
        if (arenas->extents.user == NULL)
            (void)je_arena_set_decay(index, 0);
        int result = je_arena_destroy(index);
        if (result != 0)
            debug_log("arena %u cannot be destroyed: %d", index, result);
    }
    snapshot_lock_end_moving();
    atomic_fetch_sub(&extra_arenas, count - 1);
    arena_returns_fini(&arenas->returns);
    extent_supply_fini(&arenas->extents);
    ranked_lock_destroy(&arenas->lock);
}

/* ---- caches that come and go -------------------------------------------- */

static bool may_add_arena(void)
{
    if (atomic_fetch_add(&extra_arenas, 1) < ARENAS_FOR_GROWTH)
        return true;
    atomic_fetch_sub(&extra_arenas, 1);
    return false;
}

bool heap_arenas_suit(const struct heap_arenas *arenas, unsigned place)
{
    struct memkind_region_pool *pool = arenas->extents.pool;
    return pool == NULL || pool_stripes_suit(pool, arenas->slots[place].index);
}

unsigned heap_arenas_attach(struct heap_arenas *arenas, unsigned preferred)
{
    ranked_lock_take(&arenas->lock);
    const unsigned count = atomic_load(&arenas->count);
    assert(count > 0 && count <= arenas->limit && preferred < count);
    unsigned place = preferred;
    bool suits = heap_arenas_suit(arenas, place);
    for (unsigned i = 0; i < count; i++) {
        if (suits && arenas->slots[i].threads >= arenas->slots[place].threads)
            continue;
        if (i != place && heap_arenas_suit(arenas, i)) {
            place = i;
            suits = true;
        }
    }
    if ((arenas->slots[place].threads > 0 || !suits) && count < arenas->limit &&
        may_add_arena()) {
        if (add_arena(arenas) == 0)
            place = count;
        else
            atomic_fetch_sub(&extra_arenas, 1);
    }
    arenas->slots[place].threads++;
    arena_returns_open_tally(&arenas->returns,
                             arena_returns_tally_of(&arenas->returns, place));
    ranked_lock_release(&arenas->lock);
    return place;
}

void heap_arenas_detach(struct heap_arenas *arenas, unsigned place)
{
    ranked_lock_take(&arenas->lock);
    assert(arenas->slots[place].threads > 0);
    arenas->slots[place].threads--;
    ranked_lock_release(&arenas->lock);
}

/* ---- pages go back ------------------------------------------------------ */

bool heap_arenas_knows_pages(const struct heap_arenas *arenas)
{
    const struct memkind_region_pool *pool = arenas->extents.pool;
    return pool != NULL && arenas->extents.source.map == NULL &&
           region_pool_charges_pages(pool);
}

static void purge(struct heap_arenas *arenas, enum extent_purge_mode mode)
{
    const unsigned count = heap_arenas_count(arenas);
    const size_t freed = arena_returns_free_pages(&arenas->returns);
    const struct extent_purge begun =
        extent_supply_begin_purge(&arenas->extents, mode);
    for (unsigned i = 0; i < count; i++) {
        page_traffic_purge_next(&arenas->slots[i].index);
        (void)je_arena_purge(arenas->slots[i].index);
    }
    /* If another thread is at it, jemalloc leaves an arena as it is. */
    const bool is_complete = extent_supply_end_purge(&arenas->extents, &begun);
    if (arenas->extents.pool != NULL && mode != PURGE_LATER)
        region_pool_pay_in_parallel(arenas->extents.pool);
    if (is_complete)
        arena_returns_note_purge(&arenas->returns, freed,
                                 page_traffic_left_by_purge());
}

void heap_arenas_purge(struct heap_arenas *arenas)
{
    const struct memkind_region_pool *pool = arenas->extents.pool;
    purge(arenas, pool != NULL && region_pool_is_worth_threads(pool)
                      ? PURGE_TOGETHER
                      : PURGE_NOW);
}

void heap_arenas_purge_within_budget(struct heap_arenas *arenas)
{
    const bool is_lazy = heap_arenas_knows_pages(arenas) &&
                         region_pool_is_limited(arenas->extents.pool) &&
                         !region_pool_lacks_space(arenas->extents.pool);
    purge(arenas, is_lazy ? PURGE_LATER : PURGE_NOW);
}

void heap_arenas_decay(struct heap_arenas *arenas, unsigned place)
{
    extent_merges_begin_call();
    (void)je_arena_decay(arenas->slots[place].index);
}

int heap_arenas_set_decay(struct heap_arenas *arenas, ssize_t milliseconds)
{
    int result = 0;
    ranked_lock_take(&arenas->lock);
    const unsigned count = atomic_load(&arenas->count);
    arenas->dirty_decay_ms = milliseconds;
    extent_supply_set_decay(&arenas->extents, milliseconds != 0);
    for (unsigned i = 0; i < count && result == 0; i++)
        result = je_arena_set_decay(arenas->slots[i].index, milliseconds);
    ranked_lock_release(&arenas->lock);
    if (milliseconds == 0 && arenas->extents.pool != NULL)
        region_pool_pay(arenas->extents.pool);
    return result;
}
