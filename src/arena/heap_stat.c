/* SPDX-License-Identifier: BSD-2-Clause */
#include "heap_stat.h"

#include <errno.h>

#include "heap_checked.h"
#include "heap_registry.h"
#include "jemalloc_ctl.h"
#include "magazine.h"
#include "object_records.h"
#include "region_pool.h"
#include "upkeep.h"

/* Objects in magazines are jemalloc's idea of allocated, and nobody else's; nor
 * are those that wait, and what is around objects, in checked sets. */
static _Atomic size_t cached_in_all;

/* Other threads go on while a snapshot is taken. */
static size_t difference(size_t all, size_t part)
{
    return all > part ? all - part : 0;
}

static void add_bytes(struct thread_cache *cache)
{
    cache->heap->cached += magazine_bytes(cache);
}

/* What is not the program's, of all that jemalloc has handed out. */
static size_t count_cached(struct memkind_heap *heap)
{
    heap->cached = 0;
    thread_cache_visit_all(heap, add_bytes);
    if (heap->records == NULL)
        return heap->cached;
    size_t live = object_records_live(heap->records);
    atomic_store(&heap->allocated, live);
    return heap->cached + difference(object_records_raw(heap->records), live);
}

/* With jemalloc's own snapshot taken. */
static void note_stats(struct memkind_heap *heap)
{
    size_t allocated = 0, active = 0, resident = 0;
    unsigned count = atomic_load_explicit(&heap->count, memory_order_acquire);
    for (unsigned i = 0; i < count; i++) {
        unsigned index = heap->arenas[i].index;
        allocated += je_arena_stat(index, JE_STAT_SMALL_ALLOCATED) +
                     je_arena_stat(index, JE_STAT_LARGE_ALLOCATED);
        active += je_arena_stat(index, JE_STAT_PACTIVE) * je_page_size();
        resident += je_arena_stat(index, JE_STAT_RESIDENT);
    }
    if (heap->extents.pool != NULL)
        resident = region_pool_charged(heap->extents.pool);
    if (heap->records == NULL)
        atomic_store(&heap->allocated, difference(allocated, heap->cached));
    atomic_store(&heap->active, active);
    atomic_store(&heap->resident, resident);
}

int heap_stat_snapshot(void)
{
    struct memkind_heap *heap;
    size_t sum = 0;
    if (!allocator_enter())
        return -EDEADLK;
    upkeep_pause();
    thread_cache_visit_own(magazine_drain_all);
    for (unsigned slot = 0; (heap = heap_registry_use_next(slot)) != NULL;) {
        slot = heap->slot + 1;
        if (heap->records != NULL)
            (void)heap_checked_release_down_to(heap, 0);
        sum += count_cached(heap);
        heap_registry_done(heap);
    }
    atomic_store(&cached_in_all, sum);
    int result = je_stats_refresh();
    for (unsigned slot = 0; (heap = heap_registry_use_next(slot)) != NULL;) {
        slot = heap->slot + 1;
        note_stats(heap);
        heap_registry_done(heap);
    }
    upkeep_resume();
    allocator_leave();
    return result;
}

size_t heap_stat_cached(void)
{
    return atomic_load(&cached_in_all);
}

size_t heap_stat(struct memkind_heap *heap, enum heap_stat stat)
{
    switch (stat) {
    case HEAP_ALLOCATED:
        return atomic_load(&heap->allocated);
    case HEAP_ACTIVE:
        return atomic_load(&heap->active);
    default:
        return atomic_load(&heap->resident);
    }
}
