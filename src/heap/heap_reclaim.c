/* SPDX-License-Identifier: BSD-2-Clause */
#include "heap_reclaim.h"

#include <assert.h>

#include "allocator_gate.h"
#include "arena_exchange.h"
#include "cache_visit.h"
#include "exhaustion.h"
#include "object_records.h"
#include "quarantine.h"
#include "snapshot_lock.h"

static void reclaim_caches(struct memkind_heap *heap)
{
    assert(allocator_is_inside());
    ranked_lock_assert_held(&heap->reclaim_lock);
    cache_visit_bury_orphans(&heap->caches);
    cache_visit_drain_all(&heap->caches);
    arena_exchange_unpark_all(&heap->arenas);
}

void heap_reclaim_caches_locked(struct memkind_heap *heap)
{
    exhaustion_begin_reclaim(heap);
    reclaim_caches(heap);
    exhaustion_end_reclaim(heap);
}

void heap_reclaim_within_budget_locked(struct memkind_heap *heap)
{
    exhaustion_begin_reclaim(heap);
    reclaim_caches(heap);
    heap_arenas_purge_within_budget(&heap->arenas);
    exhaustion_end_reclaim(heap);
}

void heap_reclaim(struct memkind_heap *heap)
{
    ranked_lock_take(&heap->reclaim_lock);
    exhaustion_begin_reclaim(heap);
    reclaim_caches(heap);
    heap_arenas_purge(&heap->arenas);
    exhaustion_end_reclaim(heap);
    ranked_lock_release(&heap->reclaim_lock);
}

static bool may_help_others(struct memkind_heap *heap)
{
    return exhaustion_reclaim_may_help_others(heap) ||
           region_pool_owes(heap_pool(heap)) ||
           (heap_is_checked(heap) &&
            object_records_quarantined(heap->records) != 0);
}

/* Whether the file system lacks so much for the heap. */
static bool lacks_space(const struct memkind_heap *heap, size_t size)
{
    return region_pool_space_left(heap_pool(heap)) < size;
}

/* Whether the other heap may have something for this one. */
static bool suits(struct memkind_heap *other, const void *context)
{
    const struct memkind_heap *heap = context;
    return other != heap &&
           region_pool_shares_space(heap_pool(heap), heap_pool(other)) &&
           (may_help_others(other) ||
            heap_pool(other)->grain > region_page_size());
}

bool heap_reclaim_from_others(const struct memkind_heap *heap, size_t size)
{
    /* At least a grain, so that not each slab splits one. */
    const size_t least = heap_pool(heap)->grain;
    const size_t wanted = size > least ? size : least;
    bool any = false;
    struct memkind_heap *other;
    unsigned slot = 0;
    while ((other = heap_registry_use_next_that(&slot, suits, heap)) != NULL) {
        snapshot_lock_begin_moving();
        if (may_help_others(other)) {
            any = true;
            exhaustion_begin(other);
            if (heap_is_checked(other))
                (void)quarantine_release_down_to(other, 0);
            heap_reclaim(other);
        }
        if (heap_pool(other)->grain > region_page_size() &&
            lacks_space(heap, wanted) &&
            region_pool_give_idle(heap_pool(other), wanted) != 0)
            any = true;
        snapshot_lock_end_moving();
        heap_registry_done(slot++);
    }
    return any;
}
