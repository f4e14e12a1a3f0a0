/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which thread gives way to which if a heap is exhausted. Threads that are
 * refused an object, free what they have, and try again take it from each
 * other: who asks next has what was freed last. How much each of them holds is
 * a random walk, and after some seconds one has all, by chance; the others have
 * nothing left to free, and wait. So a thread that has freed an object looks
 * whether another one is being refused, and holds much less. Then it waits,
 * outside the allocator and with no lock, until that one has got an object, for
 * about a microsecond at most. No object is kept for anyone, and none refused.
 *
 * Objects of no size class have no part in it, nor have checked heaps. Threads
 * that share a tally are taken for one. Any thread may call these for its own
 * cache.
 */
#ifndef FAIR_SHARE_H
#define FAIR_SHARE_H

#include "exhaustion.h"

void fair_share_look(struct memkind_heap *heap, struct thread_cache *cache,
                     unsigned size_class);

static inline bool fair_share_counts(const struct memkind_heap *heap,
                                     const struct thread_cache *cache,
                                     unsigned size_class)
{
    return exhaustion_holds(heap) && size_class <= SIZE_CLASS_LAST &&
           cache != &thread_cache_none && cache != &heap->caches.fallback;
}

/* Called when a thread was refused an object. */
static inline void fair_share_note_refused(struct memkind_heap *heap,
                                           struct thread_cache *cache,
                                           unsigned size_class)
{
    if (!fair_share_counts(heap, cache, size_class))
        return;
    cache->share.is_refused = true;
    arena_returns_note_refused(
        &heap->arenas.returns, cache->magazines.tally,
        atomic_load_explicit(&cache->magazines.holds, memory_order_relaxed));
}

/* Called when it has got one. */
static inline void fair_share_note_taken(struct memkind_heap *heap,
                                         struct thread_cache *cache)
{
    if (!cache->share.is_refused)
        return;
    cache->share.is_refused = false;
    arena_returns_note_served(&heap->arenas.returns, cache->magazines.tally);
}

/* Called when it has freed one, outside the allocator. */
static inline void fair_share_note_freed(struct memkind_heap *heap,
                                         struct thread_cache *cache,
                                         unsigned size_class)
{
    if (fair_share_counts(heap, cache, size_class) &&
        __builtin_expect(cache->share.frees_left-- == 0, 0))
        fair_share_look(heap, cache, size_class);
}

#endif
