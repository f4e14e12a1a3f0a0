/* SPDX-License-Identifier: BSD-2-Clause */
#include "fair_share.h"

/* A thread frees so many objects for each look, unless it gives way. */
#define FREES_OF_LOOK 16U

/* How long it waits. */
#define PAUSES 32 /* about a microsecond */

/* A thread that is poorer is looked at again and again, unless so many looks in
 * a row were in vain. Then the one that looks stops for so many frees, and for
 * twice as many each time, until it helps again. */
#define VAIN_MOST 64U
#define FREES_OF_STOP 256U
#define STOPS_LOG_MOST 6U

/* What has been freed is of no use for objects that are larger still. */
#define USEFUL_TIMES 4U

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
static bool is_poorer(const struct return_tally *tally,
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

/* Whether it may have a use for an object of the class that has been freed. */
static bool may_use(const struct return_tally *tally, unsigned size_class)
{
    const unsigned wanted =
        atomic_load_explicit(&tally->wanted, memory_order_relaxed);
    return wanted <= SIZE_CLASS_LAST &&
           size_class_sizes[wanted] / USEFUL_TIMES <=
               size_class_sizes[size_class];
}

static void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb" ::: "memory");
#endif
}

/* Returns whether it was waiting, and was served. */
static bool wait_for(const struct return_tally *tally)
{
    for (int i = 0; i < PAUSES; i++) {
        if (!atomic_load_explicit(&tally->is_refused, memory_order_relaxed))
            return i > 0;
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

/* Notes how a look at a poorer thread has ended. */
static void note_look(struct memkind_heap *heap, struct thread_cache *cache,
                      unsigned tallies, bool has_helped)
{
    struct fair_share *share = &cache->share;
    share->frees_left = 0;
    if (has_helped) {
        share->vain = share->stops = 0;
    } else if (++share->vain == VAIN_MOST) {
        share->vain = 0;
        share->frees_left = FREES_OF_STOP << share->stops;
        if (share->stops < STOPS_LOG_MOST)
            share->stops++;
        look_at_next(heap, cache, tallies);
    }
}

void fair_share_look(struct memkind_heap *heap, struct thread_cache *cache,
                     unsigned size_class)
{
    struct fair_share *share = &cache->share;
    const unsigned tallies = atomic_load(&heap->arenas.returns.tally_count);
    share->frees_left = FREES_OF_LOOK - 1;
    if (tallies == 1)
        return;
    const struct return_tally *tally =
        arena_returns_tally(&heap->arenas.returns, share->other);
    if (share->other == cache->magazines.tally || !is_poorer(tally, cache))
        look_at_next(heap, cache, tallies);
    else
        note_look(heap, cache, tallies,
                  may_use(tally, size_class) && wait_for(tally));
}
