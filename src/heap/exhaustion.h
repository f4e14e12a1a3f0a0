/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A heap that is exhausted: an allocation has found that it has no room, and
 * all that was free has been given back. From then on the heap knows what it
 * has. No magazine holds an object, since all that is freed goes back to its
 * arena at once, and is counted there (arena_returns.h). So an allocation for
 * which the arenas had nothing is refused without a look at them until
 * something has gone back that could be of use to it; and memory is reclaimed
 * again only if pages have become free since that was done last.
 *
 * The heap is no longer exhausted, and magazines are used again, when a thread
 * has made many calls and none has failed meanwhile.
 *
 * Any thread may call these, inside the allocator.
 */
#ifndef EXHAUSTION_H
#define EXHAUSTION_H

#include "heap_struct.h"

static inline bool exhaustion_holds(const struct memkind_heap *heap)
{
    return arena_returns_are_counted(&heap->arenas.returns);
}

/* What there was when an attempt to take an object from the arenas began. */
struct exhaustion_attempt {
    unsigned epoch; /* of arena_returns */
    /* These are 0 if the epoch is even: nothing was counted then. */
    struct class_returns counts;
    size_t free_pages;
    unsigned decommits;
    struct region_refusals refusals;
};

/* What is known of an object, before the arenas are asked for it. */
enum outlook {
    OUTLOOK_OPEN,
    OUTLOOK_LIKELY, /* the thread's own arena has one, it is guessed */
    OUTLOOK_PARKED, /* an object of the class is; see arena_exchange.h */
    /* Again and again what seems to be in vain is tried all the same, with a
     * reclaim: what is known may be wrong if threads did several things at
     * once. */
    OUTLOOK_RETRY,
    /* They have none, but there may be file space or address space, which
     * others can give back at any time. */
    OUTLOOK_NEW_SPACE,
    /* They have none, and the file system has none, as it says: only other
     * heaps can give some back. */
    OUTLOOK_OTHERS,
    OUTLOOK_NONE,
};
/* If there is no hope, a failure is noted in a tally: that of the thread's
 * cache. Unless that is so or an object is parked, an attempt begins, which
 * *now describes. */
enum outlook exhaustion_outlook(struct memkind_heap *heap, unsigned tally,
                                unsigned size_class, size_t size,
                                struct exhaustion_attempt *now);

/* Whether to reclaim memory may be of use to an allocation that has failed. It
 * may if another thread is at it. */
bool exhaustion_reclaim_may_help(struct memkind_heap *heap, unsigned size_class,
                                 size_t size);

/* Whether a reclaim may help a heap on the same file system. */
bool exhaustion_reclaim_may_help_others(struct memkind_heap *heap);

/* Bracket what takes objects or pages from where an allocation finds them, and
 * gives them back where it does. Nothing is refused meanwhile. */
static inline void exhaustion_begin_reclaim(struct memkind_heap *heap)
{
    atomic_fetch_add(&heap->exhaustion.reclaims, 1);
}

static inline void exhaustion_end_reclaim(struct memkind_heap *heap)
{
    /* A forked child may have begun anew, in a signal handler. */
    unsigned reclaims = atomic_load(&heap->exhaustion.reclaims);
    while (reclaims != 0 &&
           !atomic_compare_exchange_weak(&heap->exhaustion.reclaims, &reclaims,
                                         reclaims - 1)) {
    }
}

/* Gives all parked objects back. */
void exhaustion_unpark_all(struct memkind_heap *heap);

/* Makes the heap exhausted; a reclaim follows. */
void exhaustion_begin(struct memkind_heap *heap);

/* Bracket an attempt that was in vain. */
void exhaustion_begin_attempt(struct memkind_heap *heap, unsigned size_class,
                              struct exhaustion_attempt *attempt);
void exhaustion_note_vain(struct memkind_heap *heap,
                          const struct exhaustion_attempt *attempt,
                          unsigned size_class, size_t size);

/* Notes a call that was served without magazines. The cache is the thread's. */
void exhaustion_note_success(struct memkind_heap *heap,
                             struct thread_cache *cache);

#endif
