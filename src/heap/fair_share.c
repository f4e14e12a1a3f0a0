/* SPDX-License-Identifier: BSD-2-Clause */
#include "fair_share.h"

/* A thread frees so many objects for each look, unless it gives way. */
#define FREES_OF_LOOK 16U

/* How long it waits. */
#define PAUSES 32 /* about a microsecond */

/* If that was in vain so many times, it stops for so many frees. */
#define VAIN_MOST 64U
#define FREES_OF_STOP 256U
#define STOPS_LOG_MOST 6U /* each stop is twice as long as the last one */

/* It gives way to a thread that holds less than this part of what it holds, and
 * so many bytes less. */
#define RICHER_TIMES 2
#define RICHER_LEAST 65536

static bool is_richer(int64_t holds, int64_t other)
{
    return other < holds / RICHER_TIMES && holds - other > RICHER_LEAST;
}

/* Whether a tally's thread has been refused an object since the last look, and
 * holds much less. */
static bool is_waiting(const struct return_tally *tally,
                       struct thread_cache *cache)
{
    const unsigned failures =
        atomic_load_explicit(&tally->failures, memory_order_relaxed);
    const bool fails = failures != cache->share.failures_seen;
    cache->share.failures_seen = failures;
    return fails && is_richer(atomic_load_explicit(&cache->magazines.holds,
                                                   memory_order_relaxed),
                              atomic_load_explicit(&tally->refused_holds,
                                                   memory_order_relaxed));
}

static void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb" ::: "memory");
#endif
}

/* Returns whether it was served meanwhile, or had been. */
static bool wait_for(const struct return_tally *tally)
{
    for (int i = 0; i < PAUSES; i++) {
        if (!atomic_load_explicit(&tally->is_refused, memory_order_relaxed))
            return true;
        relax();
    }
    return false;
}

static void look_at_next(struct memkind_heap *heap, struct thread_cache *cache,
                         unsigned tallies)
{
    struct arena_returns *returns = &heap->arenas.returns;
    struct fair_share *share = &cache->share;
    do
        share->other = (share->other + 1) % tallies;
    while (share->other == cache->magazines.tally);
    share->failures_seen = atomic_load_explicit(
        &arena_returns_tally(returns, share->other)->failures,
        memory_order_relaxed);
}

void fair_share_look(struct memkind_heap *heap, struct thread_cache *cache)
{
    struct fair_share *share = &cache->share;
    struct arena_returns *returns = &heap->arenas.returns;
    const unsigned tallies = atomic_load(&returns->tally_count);
    share->frees_left = FREES_OF_LOOK - 1;
    if (tallies == 1)
        return;
    if (share->other >= tallies || share->other == cache->magazines.tally ||
        !is_waiting(arena_returns_tally(returns, share->other), cache)) {
        look_at_next(heap, cache, tallies);
        return;
    }
    if (wait_for(arena_returns_tally(returns, share->other))) {
        share->vain = share->stops = 0;
        share->frees_left = 0;
    } else if (++share->vain < VAIN_MOST) {
        share->frees_left = 0;
    } else {
        share->vain = 0;
        share->frees_left = FREES_OF_STOP << share->stops;
        if (share->stops < STOPS_LOG_MOST)
            share->stops++;
        look_at_next(heap, cache, tallies);
    }
}
