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

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arena_guess.h"
#include "size_class.h"
#include "spread.h"

/* Threads that count in one place would wait for each other: so the caches that
 * are attached to an arena have a tally of their own, as long as there are not
 * more arenas than that. What is counted is the sum of all tallies; in which
 * one makes no difference. */
#define RETURN_TALLIES_MOST 16U

struct return_tally {
    /* What other threads look at is in lines of its own. First an object that
     * is free, and its class; see arena_exchange.h. */
    alignas(64) _Atomic uint64_t parked;
    alignas(64) _Atomic size_t free_pages; /* bytes that have become free */
    alignas(64) atomic_uint failures;      /* to allocate */
    atomic_uint wanted;                    /* the class of the last one */
    /* Whether a thread that was refused an object has got none since, and the
     * bytes that it held then; see fair_share.h. */
    atomic_bool is_refused;
    _Atomic int64_t refused_holds;
    alignas(64) struct {
        atomic_uint objects; /* that have gone back, or were parked */
        atomic_uint fetched; /* objects of it that have come to live */
        /* How often the arenas have got an unknown number of free ones, by a
         * new slab most often. */
        atomic_uint renewed;
        atomic_uint refusals; /* without a look at the arenas */
    } classes[SIZE_CLASS_COUNT];
};

/* How often objects have come to live, by their addresses. Those of a block of
 * addresses, which one arena has most often, are counted in one line. */
#define RETURN_LIVES_BLOCK_LOG 21
#define RETURN_LIVES_LINES_LOG 6
#define RETURN_LIVES_LOG 4 /* in a line */

/* What is made when counting begins for the first time. */
struct return_tallies {
    alignas(64)
        atomic_uint lives[1 << RETURN_LIVES_LINES_LOG][1 << RETURN_LIVES_LOG];
    struct return_tally tallies[]; /* all but the first */
};

struct arena_returns {
    /* Odd while returns are counted; grows when that begins and ends. */
    alignas(64) atomic_uint epoch;
    atomic_uint tally_count;               /* that there may be something in */
    struct return_tallies *_Atomic others; /* NULL: all use the first tally */
    struct arena_guesses *_Atomic guesses; /* NULL: none */
    unsigned tallies_most;
    size_t bytes; /* that objects may lie in; 0: no one knows how many */
    unsigned tallies_opened;           /* guarded by the arenas' lock */
    alignas(64) _Atomic size_t purged; /* of free_pages, by the last purge */
    _Atomic uint64_t reused;           /* see arena_returns_spare() */
    struct return_tally first;
};

/* For a heap of so many arenas, with objects in so many bytes (0: no one knows
 * how many). The memory is zeroed. */
void arena_returns_init(struct arena_returns *returns, unsigned arenas,
                        size_t bytes);
void arena_returns_fini(struct arena_returns *returns);

/* The tally for caches that are attached to an arena, by its place. It is
 * opened before it is used, under the arenas' lock. */
static inline unsigned
arena_returns_tally_of(const struct arena_returns *returns, unsigned place)
{
    return place % returns->tallies_most;
}

void arena_returns_open_tally(struct arena_returns *returns, unsigned number);

/* Begins to count, if it has not begun. Until the purge that follows, any
 * number of pages may be free. Inside the allocator, under the arenas' lock. */
void arena_returns_begin(struct arena_returns *returns);
void arena_returns_end(struct arena_returns *returns);

static inline struct return_tally *
arena_returns_tally(struct arena_returns *returns, unsigned number)
{
    if (number == 0)
        return &returns->first;
    struct return_tallies *others =
        atomic_load_explicit(&returns->others, memory_order_acquire);
    return others == NULL ? &returns->first : &others->tallies[number - 1];
}

/* NULL if there is no DRAM for them. */
static inline struct arena_guesses *
arena_returns_guesses(struct arena_returns *returns)
{
    return atomic_load_explicit(&returns->guesses, memory_order_acquire);
}

/* ---- sums --------------------------------------------------------------- */

struct class_returns {
    unsigned objects, fetched, renewed; /* as in a tally */
};

/*
 * What was counted of a class. What was fetched is read first: so if as many
 * objects were fetched as have gone back, none was left at some moment during
 * the call.
 */
struct class_returns arena_returns_of_class(struct arena_returns *returns,
                                            unsigned size_class);
size_t arena_returns_free_pages(struct arena_returns *returns);
unsigned arena_returns_failures(struct arena_returns *returns);

/* ---- what is noted ------------------------------------------------------ */

static inline bool
arena_returns_are_counted(const struct arena_returns *returns)
{
    return atomic_load_explicit(&returns->epoch, memory_order_relaxed) % 2 != 0;
}

/* Where it is counted what comes to live at an address, and at some others. */
static inline atomic_uint *arena_returns_place(struct return_tallies *others,
                                               const void *ptr)
{
    const uint64_t block = (uintptr_t)ptr >> RETURN_LIVES_BLOCK_LOG;
    return &others
                ->lives[spread(block) >> (64 - RETURN_LIVES_LINES_LOG)]
                       [spread((uintptr_t)ptr >> 3) >> (64 - RETURN_LIVES_LOG)];
}

/* A number that is another one after an object of that class has come to live
 * at that address: whatever was noted by threads that count in one tally does
 * not hold when there are several. While returns are counted. */
static inline uint64_t arena_returns_lives(const struct arena_returns *returns,
                                           unsigned size_class, const void *ptr)
{
    if (atomic_load(&returns->tally_count) == 1)
        return atomic_load(&returns->first.classes[size_class].fetched);
    return (uint64_t)1 << 32 |
           atomic_load(arena_returns_place(atomic_load(&returns->others), ptr));
}

/* Called when an object of a class was taken out, or has changed to that class.
 */
static inline void arena_returns_note_fetched(struct arena_returns *returns,
                                              unsigned number,
                                              unsigned size_class,
                                              const void *ptr)
{
    if (__builtin_expect(!arena_returns_are_counted(returns), 1))
        return;
    if (atomic_load(&returns->tally_count) != 1)
        atomic_fetch_add(
            arena_returns_place(atomic_load(&returns->others), ptr), 1);
    atomic_fetch_add(
        &arena_returns_tally(returns, number)->classes[size_class].fetched, 1);
}

/* Called when arenas have got an unknown number of free objects of a class. */
static inline void arena_returns_note_renewed(struct arena_returns *returns,
                                              unsigned number,
                                              unsigned size_class)
{
    atomic_fetch_add(
        &arena_returns_tally(returns, number)->classes[size_class].renewed, 1);
}

/* Called when an allocation has failed, or had no object from an arena that was
 * likely to have one, or from the thread's own as it was. */
static inline void arena_returns_note_failure(struct arena_returns *returns,
                                              unsigned number,
                                              unsigned size_class)
{
    struct return_tally *tally = arena_returns_tally(returns, number);
    if (atomic_load_explicit(&tally->wanted, memory_order_relaxed) !=
        size_class)
        atomic_store_explicit(&tally->wanted, size_class, memory_order_relaxed);
    atomic_fetch_add_explicit(&tally->failures, 1, memory_order_relaxed);
}

/* Called when a thread is refused an object, which holds so many bytes. */
static inline void arena_returns_note_refused(struct arena_returns *returns,
                                              unsigned number, int64_t holds)
{
    struct return_tally *tally = arena_returns_tally(returns, number);
    atomic_store_explicit(&tally->refused_holds, holds, memory_order_relaxed);
    atomic_store_explicit(&tally->is_refused, true, memory_order_relaxed);
}

/* Called when it has got one. */
static inline void arena_returns_note_served(struct arena_returns *returns,
                                             unsigned number)
{
    atomic_store_explicit(&arena_returns_tally(returns, number)->is_refused,
                          false, memory_order_relaxed);
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
size_t arena_returns_spare(struct arena_returns *returns);

/* Called after a purge of all arenas, by one thread at a time, with the
 * free_pages that there were before, and the bytes that it has left of them. */
void arena_returns_note_purge(struct arena_returns *returns, size_t free_pages,
                              size_t left);

/* Notes that pages which had become free are in use again, unless there has
 * been a purge since `reused` was read. */
void arena_returns_note_reused(struct arena_returns *returns, uint64_t before,
                               size_t pages);

#endif
