/* SPDX-License-Identifier: BSD-2-Clause */
#include "heap_stat.h"

#include <errno.h>

#include "heap_checked.h"
#include "jemalloc_ctl.h"
#include "magazine.h"
#include "object_records.h"
#include "region_pool.h"
#include "set_registry.h"
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
    cache->set->cached += magazine_bytes(cache);
}

/* What is not the program's, of all that jemalloc has handed out. */
static size_t count_cached(struct memkind_arena_set *set)
{
    set->cached = 0;
    thread_cache_visit_all(set, add_bytes);
    if (set->records == NULL)
        return set->cached;
    size_t live = object_records_live(set->records);
    atomic_store(&set->allocated, live);
    return set->cached + difference(object_records_raw(set->records), live);
}

/* With jemalloc's own snapshot taken. */
static void note_stats(struct memkind_arena_set *set)
{
    size_t allocated = 0, active = 0, resident = 0;
    unsigned count = atomic_load_explicit(&set->count, memory_order_acquire);
    for (unsigned i = 0; i < count; i++) {
        unsigned index = set->arenas[i].index;
        allocated += je_arena_stat(index, JE_STAT_SMALL_ALLOCATED) +
                     je_arena_stat(index, JE_STAT_LARGE_ALLOCATED);
        active += je_arena_stat(index, JE_STAT_PACTIVE) * je_page_size();
        resident += je_arena_stat(index, JE_STAT_RESIDENT);
    }
    if (set->extents.pool != NULL)
        resident = region_pool_charged(set->extents.pool);
    if (set->records == NULL)
        atomic_store(&set->allocated, difference(allocated, set->cached));
    atomic_store(&set->active, active);
    atomic_store(&set->resident, resident);
}

int heap_stat_snapshot(void)
{
    struct memkind_arena_set *set;
    size_t sum = 0;
    if (!thread_cache_begin())
        return -EDEADLK;
    upkeep_pause();
    thread_cache_visit_own(magazine_drain_all);
    for (unsigned slot = 0; (set = set_registry_use_next(slot)) != NULL;) {
        slot = set->slot + 1;
        if (set->records != NULL)
            (void)heap_checked_release_down_to(set, 0);
        sum += count_cached(set);
        set_registry_done(set);
    }
    atomic_store(&cached_in_all, sum);
    int result = je_stats_refresh();
    for (unsigned slot = 0; (set = set_registry_use_next(slot)) != NULL;) {
        slot = set->slot + 1;
        note_stats(set);
        set_registry_done(set);
    }
    upkeep_resume();
    thread_cache_end();
    return result;
}

size_t heap_stat_cached(void)
{
    return atomic_load(&cached_in_all);
}

size_t heap_stat(struct memkind_arena_set *set, enum heap_stat stat)
{
    switch (stat) {
    case HEAP_ALLOCATED:
        return atomic_load(&set->allocated);
    case HEAP_ACTIVE:
        return atomic_load(&set->active);
    default:
        return atomic_load(&set->resident);
    }
}
