/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What goes back to the arenas of a heap while the heap is exhausted
 * (exhaustion.h): it is counted, so that an allocation knows whether arenas
 * that had nothing for it can have something now.
 *
 * An object that goes back has room for another one of its class. If it was the
 * last of its slab, or had pages of its own, the pages are free for any class.
 * No return is missed, whatever threads do at the same time; one that leaves
 * pages free may be seen where there was none.
 *
 * A reader reads the counters, asks the arenas in vain, and reads the counters
 * again: if they are the same, the arenas have got nothing that could be of
 * use. That holds later on, too, as long as all objects of the class that have
 * gone back were fetched again, and none is of a new slab.
 */
#ifndef ARENA_RETURNS_H
#define ARENA_RETURNS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "size_class.h"

struct arena_returns {
    /* Odd while returns are counted; grows when that begins and ends. */
    atomic_uint epoch;
    _Atomic size_t free_pages; /* bytes of pages that have become free */
    _Atomic size_t purged;     /* of these, by the last purge */
    _Atomic uint64_t reused;   /* see arena_returns_spare() */
    atomic_uint wanted;        /* class of the last allocation that failed */
    atomic_uint parked;        /* objects that are */
    struct {
        atomic_uint objects; /* that have gone back, or were parked */
        atomic_uint fetched; /* objects of it that have come to live */
        /* How often the arenas have got an unknown number of free ones, by a
         * new slab most often. */
        atomic_uint renewed;
        /* For mallocx(): an arena that may have one; or 0. It is no more than a
         * guess, since jemalloc takes a lock of the whole process to tell where
         * an object is from. */
        _Atomic int arena_flags;
        void *_Atomic parked; /* an object that is free; see arena_exchange.h */
    } classes[SIZE_CLASS_COUNT];
};

/* Begins to count, if it has not begun. Until the purge that follows, any
 * number of pages may be free. */
void arena_returns_begin(struct arena_returns *returns);
void arena_returns_end(struct arena_returns *returns);

static inline bool
arena_returns_are_counted(const struct arena_returns *returns)
{
    return atomic_load_explicit(&returns->epoch, memory_order_relaxed) % 2 != 0;
}

/* Called when an object of a class was taken out, or has changed to that class.
 */
static inline void arena_returns_note_fetched(struct arena_returns *returns,
                                              unsigned size_class)
{
    if (__builtin_expect(arena_returns_are_counted(returns), 0))
        atomic_fetch_add(&returns->classes[size_class].fetched, 1);
}

/* Called when arenas have got an unknown number of free objects of a class. */
static inline void arena_returns_note_renewed(struct arena_returns *returns,
                                              unsigned size_class)
{
    atomic_fetch_add(&returns->classes[size_class].renewed, 1);
}

/* Called after objects of a class went back without being counted, with the
 * most bytes of pages that they have left free: counting may have begun
 * meanwhile. */
void arena_returns_note(struct arena_returns *returns, unsigned size_class,
                        size_t pages);

/*
 * Bytes of the pages that have become free since the last purge, and that the
 * arenas still have; it may be too much, and is never too little. (A thread
 * that takes pages just when others purge is not counted. So `reused` has the
 * number of the last purge above the bytes.)
 */
size_t arena_returns_spare(const struct arena_returns *returns);

/* Called after a purge of all arenas, by one thread at a time, with the
 * free_pages that there were before. */
void arena_returns_note_purge(struct arena_returns *returns, size_t free_pages);

/* Notes that pages which had become free are in use again, unless there has
 * been a purge since `reused` was read. */
void arena_returns_note_reused(struct arena_returns *returns, uint64_t before,
                               size_t pages);

#endif
