/* SPDX-License-Identifier: BSD-2-Clause */
#include "upkeep.h"

#include <time.h>

#include "jemalloc_ctl.h"
#include "magazine.h"
#include "set_registry.h"

#define AGEING_MS 1000
#define DECAY_MS 100

/* Allocations between two looks at the clock: few enough for a thread that
 * has become slow to be on time all the same, and one where it is slow. */
#define PERIOD 32
#define SLOW_MS 100

/* The latter is the sooner one always. */
static _Atomic int64_t next_ageing, next_decay;

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* True for one of all the threads that ask at a time. */
static bool is_due(_Atomic int64_t *next, int64_t now, int64_t interval)
{
    int64_t due = atomic_load_explicit(next, memory_order_relaxed);
    return now >= due &&
           atomic_compare_exchange_strong(next, &due, now + interval);
}

static void age_set(struct memkind_arena_set *set)
{
    thread_cache_bury_orphans(set);
    thread_cache_visit_all(set, magazine_age_all);
}

static void for_each_set(void (*visit)(struct memkind_arena_set *set))
{
    struct memkind_arena_set *set;
    for (unsigned slot = 0; (set = set_registry_use_next(slot)) != NULL;) {
        slot = set->slot + 1;
        visit(set);
        set_registry_done(set);
    }
}

static void do_what_is_due(int64_t now)
{
    if (!thread_cache_begin())
        return;
    if (is_due(&next_ageing, now, AGEING_MS))
        for_each_set(age_set);
    if (is_due(&next_decay, now, DECAY_MS) && !je_has_background_threads())
        for_each_set(arena_set_decay);
    thread_cache_end();
}

void upkeep_tick(struct thread_cache *cache)
{
    int64_t now = now_ms();
    cache->ticks = now - cache->last_tick_ms < SLOW_MS ? PERIOD : 1;
    cache->last_tick_ms = now;
    if (__builtin_expect(
            now >= atomic_load_explicit(&next_decay, memory_order_relaxed), 0))
        do_what_is_due(now);
}
