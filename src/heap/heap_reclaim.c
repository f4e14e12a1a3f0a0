/* SPDX-License-Identifier: BSD-2-Clause */
#include "heap_reclaim.h"

#include <assert.h>

#include "allocator_gate.h"
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
}

void heap_reclaim_caches_locked(struct memkind_heap *heap)
{
    atomic_store(&heap->exhaustion.is_reclaiming, true);
    reclaim_caches(heap);
    atomic_store(&heap->exhaustion.is_reclaiming, false);
}

void heap_reclaim_locked(struct memkind_heap *heap)
{
    atomic_store(&heap->exhaustion.is_reclaiming, true);
    reclaim_caches(heap);
    heap_arenas_purge(&heap->arenas);
    atomic_store(&heap->exhaustion.is_reclaiming, false);
}

void heap_reclaim(struct memkind_heap *heap)
{
    ranked_lock_take(&heap->reclaim_lock);
    heap_reclaim_locked(heap);
    ranked_lock_release(&heap->reclaim_lock);
}

static bool may_help_others(const struct memkind_heap *heap)
{
    return exhaustion_reclaim_may_help_others(heap) ||
           region_pool_owes(heap_pool(heap)) ||
           (heap_is_checked(heap) &&
            object_records_quarantined(heap->records) != 0);
}

bool heap_reclaim_from_others(const struct memkind_heap *heap)
{
    bool any = false;
    struct memkind_heap *other;
    snapshot_lock_begin_moving();
    for (unsigned slot = 0; (other = heap_registry_use_next(&slot)) != NULL;
         slot++) {
        if (other != heap &&
            region_pool_shares_space(heap_pool(heap), heap_pool(other)) &&
            may_help_others(other)) {
            any = true;
            exhaustion_begin(other);
            if (heap_is_checked(other))
                (void)quarantine_release_down_to(other, 0);
            heap_reclaim(other);
        }
        heap_registry_done(slot);
    }
    snapshot_lock_end_moving();
    return any;
}
