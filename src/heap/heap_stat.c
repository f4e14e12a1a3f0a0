/* SPDX-License-Identifier: BSD-2-Clause */
#include "heap_stat.h"

#include <errno.h>

#include "allocator_gate.h"
#include "cache_visit.h"
#include "exhaustion.h"
#include "jemalloc_ctl.h"
#include "object_records.h"
#include "quarantine.h"
#include "snapshot_lock.h"

/* jemalloc takes objects in magazines for allocated, which they are not; and in
 * checked heaps those in quarantine, and what is around objects. */
static _Atomic size_t cached_in_all;
static _Atomic size_t detached_in_all;

/* Other threads go on while a snapshot is taken. */
static size_t difference(size_t all, size_t part)
{
    return all > part ? all - part : 0;
}

/* What is not the program's, of all that jemalloc has handed out. */
static size_t count_cached(struct memkind_heap *heap)
{
    cache_visit_bury_orphans(&heap->caches);
    exhaustion_unpark_all(heap);
    heap->stats.cached = cache_visit_count_bytes(&heap->caches);
    if (!heap_is_checked(heap))
        return heap->stats.cached;
    size_t live = object_records_live(heap->records);
    atomic_store(&heap->stats.allocated, live);
    return heap->stats.cached +
           difference(object_records_raw(heap->records), live);
}

/* Called after jemalloc has taken its own snapshot. */
static void note_stats(struct memkind_heap *heap)
{
    size_t allocated = 0, active = 0, resident = 0;
    unsigned count = heap_arenas_count(&heap->arenas);
    for (unsigned i = 0; i < count; i++) {
        unsigned index = heap->arenas.slots[i].index;
        allocated += je_arena_stat(index, JE_STAT_SMALL_ALLOCATED) +
                     je_arena_stat(index, JE_STAT_LARGE_ALLOCATED);
        active += je_arena_stat(index, JE_STAT_PACTIVE) * je_page_size();
        resident += je_arena_stat(index, JE_STAT_RESIDENT);
    }
    if (heap_pool(heap) != NULL)
        resident = region_pool_charged(heap_pool(heap));
    atomic_store(&heap->stats.detached,
                 heap_pool(heap) != NULL ? region_pool_detached(heap_pool(heap))
                                         : 0);
    if (!heap_is_checked(heap))
        atomic_store(&heap->stats.allocated,
                     difference(allocated, heap->stats.cached));
    atomic_store(&heap->stats.active, active);
    atomic_store(&heap->stats.resident, resident);
}

int heap_stat_snapshot(void)
{
    struct memkind_heap *heap;
    size_t sum = 0, detached = 0;
    if (!allocator_enter())
        return -EDEADLK;
    snapshot_lock_begin_snapshot();
    cache_visit_own(magazine_drain_all);
    for (unsigned slot = 0; (heap = heap_registry_use_next(&slot)) != NULL;
         slot++) {
        if (heap_is_checked(heap))
            (void)quarantine_release_down_to(heap, 0);
        sum += count_cached(heap);
        heap_registry_done(slot);
    }
    atomic_store(&cached_in_all, sum);
    int result = je_stats_refresh();
    for (unsigned slot = 0; (heap = heap_registry_use_next(&slot)) != NULL;
         slot++) {
        note_stats(heap);
        detached += atomic_load(&heap->stats.detached);
        heap_registry_done(slot);
    }
    atomic_store(&detached_in_all, detached);
    snapshot_lock_end_snapshot();
    allocator_leave();
    return result;
}

size_t heap_stat_cached(void)
{
    return atomic_load(&cached_in_all);
}

size_t heap_stat_detached(void)
{
    return atomic_load(&detached_in_all);
}

size_t heap_stat(struct memkind_heap *heap, enum heap_stat stat)
{
    switch (stat) {
    case HEAP_ALLOCATED:
        return atomic_load(&heap->stats.allocated);
    case HEAP_ACTIVE:
        return atomic_load(&heap->stats.active);
    case HEAP_DETACHED:
        return atomic_load(&heap->stats.detached);
    default:
        return atomic_load(&heap->stats.resident);
    }
}
