/* SPDX-License-Identifier: BSD-2-Clause */
#include "upkeep.h"

#include <errno.h>
#include <stdatomic.h>

#include "allocator_gate.h"
#include "cache_visit.h"
#include "coarse_clock.h"
#include "exhaustion.h"
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

/* When other heaps are looked at next, and from which slot on. */
static _Atomic int64_t next_look;
static atomic_uint next_slot;

/* ---- a heap's turn ---- */

/* Returns true to one of the threads that ask at a time. */
static bool is_due(_Atomic int64_t *due_ms, int64_t now, int64_t period)
{
    int64_t due = atomic_load_explicit(due_ms, memory_order_relaxed);
    return now >= due &&
           atomic_compare_exchange_strong(due_ms, &due, now + period);
}

/* One step of ageing, until the turn ends. Returns false if something is left.
 */
static bool age(struct memkind_heap *heap, int64_t now, int64_t end_ns)
{
    struct heap_caches *caches = &heap->caches;
    if (is_due(&heap->upkeep.ageing_ms, now, AGEING_MS)) {
        cache_visit_bury_orphans(caches);
        cache_visit_begin_ageing(caches);
        atomic_store(&heap->upkeep.is_ageing, true);
        if (heap_is_checked(heap))
            (void)quarantine_release_down_to(
                heap, object_records_quarantined(heap->records) / 2);
    }
    bool is_left = atomic_load(&heap->upkeep.is_ageing);
    while (is_left && exact_clock_ns() < end_ns) {
        is_left = cache_visit_age_some(caches) ||
                  thread_cache_end_empty_spares(caches);
        atomic_store(&heap->upkeep.is_ageing, is_left);
    }
    return !is_left;
}

/* Whether anything has been given back to the arenas not long ago. */
static bool has_free_pages(struct memkind_heap *heap, int64_t now)
{
    const ssize_t decay_ms = heap->arenas.dirty_decay_ms;
    if (atomic_exchange_explicit(&heap->arenas.returned, false,
                                 memory_order_relaxed))
        atomic_store(&heap->upkeep.decays_until_ms,
                     now + decay_ms + DECAY_SLACK_MS);
    return decay_ms >= 0 && now < atomic_load(&heap->upkeep.decays_until_ms) &&
           !je_has_background_threads();
}

/* Decays arenas until the turn ends. Returns false if some are left. */
static bool decay(struct memkind_heap *heap, int64_t end_ns)
{
    const unsigned count = heap_arenas_count(&heap->arenas);
    unsigned place = atomic_load(&heap->upkeep.next_arena);
    for (; place < count && exact_clock_ns() < end_ns; place++)
        heap_arenas_decay(&heap->arenas, place);
    atomic_store(&heap->upkeep.next_arena, place < count ? place : 0);
    return place >= count;
}

/* Gives back what is owed, until the turn ends. Returns whether any of it is
 * left, and can be given back. */
static bool pay(struct memkind_region_pool *pool, int64_t end_ns)
{
    enum { STEP = 1 << 20 };
    size_t paid = 0, step = 1;
    while (step != 0 && paid < UPKEEP_TURN_BYTES && exact_clock_ns() < end_ns &&
           region_pool_owes(pool)) {
        step = region_pool_pay_some(pool, STEP);
        paid += step;
    }
    return step != 0 && region_pool_owes(pool);
}

/* Unmaps what fork() has left, until the turn ends. Returns whether there is
 * more. */
static bool unmap_old(struct memkind_region_pool *pool, int64_t end_ns)
{
    bool more;
    do
        more = region_pool_unmap_old(pool);
    while (more && exact_clock_ns() < end_ns);
    return more;
}

/* Whether allocations have failed since the last turn, and the heap has a
 * limit: then it soon needs again what it could give back. */
static bool is_at_limit(struct memkind_heap *heap)
{
    const struct memkind_region_pool *pool = heap_pool(heap);
    const unsigned failures = arena_returns_failures(&heap->arenas.returns);
    const bool have_failed =
        atomic_exchange(&heap->upkeep.failures_seen, failures) != failures;
    return have_failed && pool != NULL && region_pool_is_limited(pool) &&
           exhaustion_holds(heap);
}

/* Returns false if something is left to do soon. */
static bool take_turn(struct memkind_heap *heap, int64_t now, int64_t end_ns)
{
    struct upkeep *upkeep = &heap->upkeep;
    snapshot_lock_begin_moving();
    bool is_done = age(heap, now, end_ns);
    extent_supply_renew_allowance(&heap->arenas.extents);
    if (is_due(&upkeep->decay_ms, now, UPKEEP_MS) &&
        has_free_pages(heap, now) && !decay(heap, end_ns)) {
        atomic_store(&upkeep->decay_ms, now);
        is_done = false;
    }
    if (heap_pool(heap) != NULL && unmap_old(heap_pool(heap), end_ns))
        is_done = false;
    if (!is_at_limit(heap)) {
        exhaustion_unpark_all(heap);
        if (heap_pool(heap) != NULL && pay(heap_pool(heap), end_ns))
            is_done = false;
    }
    if (!is_done)
        atomic_store(&upkeep->due_ms, now + UPKEEP_PAYING_MS);
    snapshot_lock_end_moving();
    return is_done;
}

/* ---- whose turn it is ---- */

/* The thread's own heap has its turn if that is due. */
static void look_after_own(struct thread_cache *cache, int64_t now,
                           int64_t end_ns)
{
    struct memkind_heap *heap = heap_registry_use(&cache->place);
    if (heap == NULL)
        return;
    atomic_store_explicit(&heap->upkeep.own_ms, now, memory_order_relaxed);
    (void)take_turn(heap, now, end_ns);
    heap_registry_done(cache->place.slot);
}

/* Whether the heap's own threads have not shown up for a while. Memory that is
 * shared after a fork is the business of the process that allocates. */
static bool is_left_alone(const struct memkind_heap *heap, int64_t now)
{
    const struct memkind_region_pool *pool = heap_pool(heap);
    return (pool == NULL || !region_pool_is_shared(pool)) &&
           now - atomic_load_explicit(&heap->upkeep.own_ms,
                                      memory_order_relaxed) >=
               UPKEEP_ALONE_MS;
}

/* Heaps whose own threads have not shown up for a while have their turns until
 * the time for one is over; the others are left for the next call. */
static void look_after_others(int64_t now, int64_t end_ns)
{
    struct memkind_heap *heap;
    bool is_done = true, is_over = false;
    unsigned slot = atomic_load(&next_slot);
    for (; !is_over && (heap = heap_registry_use_next(&slot)) != NULL; slot++) {
        if (is_left_alone(heap, now) &&
            is_due(&heap->upkeep.due_ms, now, UPKEEP_MS)) {
            is_done &= take_turn(heap, now, end_ns);
            is_over = exact_clock_ns() >= end_ns;
        }
        heap_registry_done(slot);
    }
    atomic_store(&next_slot, is_over ? slot : 0);
    if (!is_done || is_over)
        atomic_store(&next_look, now + UPKEEP_PAYING_MS);
}

void upkeep_tick(struct thread_cache *cache)
{
    const int64_t now = coarse_clock_ms();
    struct upkeep *own = &cache->home->heap->upkeep;
    cache->ticks = now - cache->last_tick_ms < SLOW_MS ? PERIOD : 1;
    cache->last_tick_ms = now;
    const bool own_is_due = is_due(&own->due_ms, now, UPKEEP_MS);
    const bool look_is_due = is_due(&next_look, now, UPKEEP_MS);
    if (__builtin_expect(!own_is_due && !look_is_due, 1) || !allocator_enter())
        return;
    int saved_errno = errno; /* the call that we are in may succeed */
    if (own_is_due)
        look_after_own(cache, now, exact_clock_ns() + UPKEEP_TURN_NS);
    if (look_is_due)
        look_after_others(now, exact_clock_ns() + UPKEEP_TURN_NS);
    errno = saved_errno;
    allocator_leave();
}
