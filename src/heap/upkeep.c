/* SPDX-License-Identifier: BSD-2-Clause */
#include "upkeep.h"

#include <errno.h>
#include <stdatomic.h>

#include "allocator_gate.h"
#include "cache_visit.h"
#include "coarse_clock.h"
#include "heap_struct.h"
#include "jemalloc_ctl.h"
#include "object_records.h"
#include "quarantine.h"
#include "retention.h"
#include "snapshot_lock.h"

/* Allocations between two looks at the clock: so few that a thread which
 * becomes slow is still on time; and one, if the thread is slow. */
#define PERIOD 32
#define SLOW_MS 100

static _Atomic int64_t next_upkeep;

/* Returns true to one of the threads that ask at a time. */
static bool is_due(int64_t now)
{
    int64_t due = atomic_load_explicit(&next_upkeep, memory_order_relaxed);
    return now >= due &&
           atomic_compare_exchange_strong(&next_upkeep, &due, now + UPKEEP_MS);
}

static void age(struct memkind_heap *heap)
{
    cache_visit_bury_orphans(&heap->caches);
    cache_visit_age_all(&heap->caches);
    thread_cache_end_empty_spares(&heap->caches);
    if (heap_is_checked(heap))
        (void)quarantine_release_down_to(
            heap, object_records_quarantined(heap->records) / 2);
}

/* Decays the arenas if anything has been given back to them not long ago. */
static void decay(struct memkind_heap *heap, int64_t now)
{
    const ssize_t decay_ms = heap->arenas.dirty_decay_ms;
    if (atomic_exchange_explicit(&heap->arenas.returned, false,
                                 memory_order_relaxed))
        atomic_store(&heap->decays_until_ms, now + decay_ms + DECAY_SLACK_MS);
    if (decay_ms >= 0 && now < atomic_load(&heap->decays_until_ms))
        heap_arenas_decay(&heap->arenas);
}

static void do_what_is_due(int64_t now)
{
    struct memkind_heap *heap;
    const unsigned share = (unsigned)(now / UPKEEP_MS % AGEING_SHARES);
    const bool decays = !je_has_background_threads();
    snapshot_lock_begin_moving();
    for (unsigned slot = 0; (heap = heap_registry_use_next(&slot)) != NULL;
         slot++) {
        if (slot % AGEING_SHARES == share)
            age(heap);
        if (decays)
            decay(heap, now);
        heap_registry_done(slot);
    }
    snapshot_lock_end_moving();
}

void upkeep_tick(struct thread_cache *cache)
{
    int64_t now = coarse_clock_ms();
    cache->ticks = now - cache->last_tick_ms < SLOW_MS ? PERIOD : 1;
    cache->last_tick_ms = now;
    if (__builtin_expect(is_due(now), 0) && allocator_enter()) {
        int saved_errno = errno; /* the call that we are in may succeed */
        do_what_is_due(now);
        errno = saved_errno;
        allocator_leave();
    }
}
