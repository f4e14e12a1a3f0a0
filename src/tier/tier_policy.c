/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The two policies. Both go by what each tier's kind has allocated, as
 * kind_tally.h counts it.
 *
 * By ratio: a thread knows what its own stripe has, and keeps what it has last
 * seen of the others. It looks at them again after some allocations, or as soon
 * as it has allocated a small part of everything. So one thread holds the ratio
 * exactly, several by a fraction of a percent, and few allocations read what
 * other threads write.
 */
#include "tier_policy.h"

#include <stdbool.h>

#include "heap_struct.h"
#include "kind_heap.h"
#include "kind_tally.h"

__extension__ typedef unsigned __int128 product;

/* ---- what there is ------------------------------------------------------ */

/* A thread looks at the other stripes after so many allocations, or after this
 * part (a power of two) of what all tiers hold. */
#define LOOK_AFTER_CALLS 64
#define LOOK_AFTER_PART 11

static struct tier_view *view_of(struct memtier_memory *memory, unsigned stripe)
{
    return (void *)(memory->views + stripe * memory->view_size);
}

static int64_t load(const _Atomic int64_t *number)
{
    return atomic_load_explicit(number, memory_order_relaxed);
}

static void store(_Atomic int64_t *number, int64_t value)
{
    atomic_store_explicit(number, value, memory_order_relaxed);
}

/* What a kind holds in one stripe, and in all. */
static int64_t held_in_stripe(const struct memkind *kind, unsigned stripe)
{
    const struct memkind_heap *heap = kind_heap_of(kind);
    return heap != NULL ? kind_tally_of_stripe(stripe, heap_slot(heap)) : 0;
}

static size_t tier_holds(const struct memkind *kind)
{
    const struct memkind_heap *heap = kind_heap_of(kind);
    return heap != NULL ? kind_tally_sum(heap_slot(heap)) : 0;
}

static void look_at_others(struct memtier_memory *memory,
                           struct tier_view *view, unsigned stripe)
{
    size_t total = 0;
    for (unsigned i = 0; i < memory->count; i++) {
        const struct memkind *kind = memory->tiers[i].kind;
        const size_t held = tier_holds(kind);
        store(&view->others[i], (int64_t)held - held_in_stripe(kind, stripe));
        total += held;
    }
    store(&view->budget, (int64_t)(total >> LOOK_AFTER_PART));
    store(&view->calls, LOOK_AFTER_CALLS);
}

/* ---- by ratio ----------------------------------------------------------- */

/* The tier that will be farthest below its part, or least above, with the
 * object in it. */
static memkind_t choose_by_ratio(struct memtier_memory *memory, size_t size)
{
    const unsigned stripe = kind_tally_stripe();
    struct tier_view *view = view_of(memory, stripe);
    const int64_t most = INT64_MAX;
    const int64_t budget =
        load(&view->budget) - (size < (size_t)most ? (int64_t)size : most);
    const int64_t calls = load(&view->calls) - 1;
    if (budget < 0 || calls < 0) {
        look_at_others(memory, view, stripe);
    } else {
        store(&view->budget, budget);
        store(&view->calls, calls);
    }
    const struct tier *best = &memory->tiers[0];
    uint64_t best_held = 0;
    for (unsigned i = 0; i < memory->count; i++) {
        const struct tier *tier = &memory->tiers[i];
        const int64_t before =
            load(&view->others[i]) + held_in_stripe(tier->kind, stripe);
        const uint64_t held = (before > 0 ? (uint64_t)before : 0) + size;
        if (i != 0 &&
            (product)held * best->ratio >= (product)best_held * tier->ratio)
            continue;
        best = tier;
        best_held = held;
    }
    return best->kind;
}

/* ---- by size ------------------------------------------------------------ */

static bool is_off(const struct tier *tiers, size_t held, size_t held_next,
                   int64_t trigger)
{
    const product is = (product)held_next * tiers[0].ratio;
    const product wanted = (product)held * tiers[1].ratio;
    const product difference = is > wanted ? is - wanted : wanted - is;
    return difference >=
           (product)held * tiers[0].ratio * (product)trigger / TIER_RATE_ONE;
}

/* A threshold that is `up` or down by a degree, within its limits. */
static size_t moved(size_t value, bool up, int64_t degree,
                    const struct tier_threshold *limits)
{
    const product step = (product)value * (product)degree / TIER_RATE_ONE;
    size_t bytes = step < SIZE_MAX ? (size_t)step : SIZE_MAX;
    if (bytes == 0)
        bytes = 1;
    if (up)
        return bytes < limits->most - value ? value + bytes : limits->most;
    return bytes < value - limits->least ? value - bytes : limits->least;
}

static void adjust(struct memtier_memory *memory, unsigned i)
{
    const struct tier *tiers = &memory->tiers[i];
    const size_t held = tier_holds(tiers[0].kind);
    const size_t held_next = tier_holds(tiers[1].kind);
    if ((held == 0 && held_next == 0) ||
        !is_off(tiers, held, held_next, memory->settings.trigger))
        return;
    const bool up =
        (product)held_next * tiers[0].ratio > (product)held * tiers[1].ratio;
    /* Another thread may do so, too: one step is enough. */
    size_t value =
        atomic_load_explicit(&memory->thresholds[i], memory_order_relaxed);
    (void)atomic_compare_exchange_strong_explicit(
        &memory->thresholds[i], &value,
        moved(value, up, memory->settings.degree, &memory->limits[i]),
        memory_order_relaxed, memory_order_relaxed);
}

static void note_allocation(struct memtier_memory *memory)
{
    struct tier_view *view = view_of(memory, kind_tally_stripe());
    const int64_t calls = load(&view->calls) + 1;
    if (calls < memory->settings.check_interval) {
        store(&view->calls, calls);
        return;
    }
    store(&view->calls, 0);
    for (unsigned i = 0; i + 1 < memory->count; i++)
        adjust(memory, i);
}

static memkind_t choose_by_size(struct memtier_memory *memory, size_t size)
{
    unsigned i = 0;
    note_allocation(memory);
    while (i + 1 < memory->count &&
           size >= atomic_load_explicit(&memory->thresholds[i],
                                        memory_order_relaxed))
        i++;
    return memory->tiers[i].kind;
}

/* ---- either ------------------------------------------------------------- */

memkind_t tier_choose(struct memtier_memory *memory, size_t size)
{
    if (memory->count == 1)
        return memory->tiers[0].kind;
    return memory->policy == MEMTIER_POLICY_STATIC_RATIO
               ? choose_by_ratio(memory, size)
               : choose_by_size(memory, size);
}

void tier_note_resize(struct memtier_memory *memory)
{
    if (memory->policy == MEMTIER_POLICY_DYNAMIC_THRESHOLD)
        note_allocation(memory);
}
