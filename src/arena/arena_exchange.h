/* SPDX-License-Identifier: BSD-2-Clause */
/* How objects are given back to the arenas of a heap, and taken out of them, so
 * that arena_returns.h counts them. */
#ifndef ARENA_EXCHANGE_H
#define ARENA_EXCHANGE_H

#include "heap_arenas.h"
#include "page_traffic.h"

/* Gives an object back to its arena. If it is not counted, false is returned,
 * and arena_returns_note() is called after it or some of its class. */
bool arena_exchange_give(struct heap_arenas *arenas, unsigned tally,
                         unsigned size_class, void *ptr);

/* Does both. */
void arena_exchange_return(struct heap_arenas *arenas, unsigned tally,
                           unsigned size_class, void *ptr);

/* Gives several objects of a class back, and returns how many of them are not
 * counted. flags: the arena that most of them are from. The array, which is on
 * the stack, is changed. An object that is seen to be free already is reported.
 */
uint32_t arena_exchange_give_some(struct heap_arenas *arenas, unsigned tally,
                                  unsigned size_class, int flags,
                                  void **objects, uint32_t count);

/* Takes several small objects of a class out of the arena at a place. The
 * objects lie at the end of the array, in the arena's order. Returns how many
 * there are, which may be fewer than the arena has: 0 if they are to be taken
 * one by one. */
uint32_t arena_exchange_fetch_some(struct heap_arenas *arenas, unsigned tally,
                                   unsigned place, unsigned size_class,
                                   void **objects, uint32_t count);

/* Bracket taking an object of a class out of the arena at a place. */
struct arena_fetch {
    bool is_counted;
    unsigned tally, place, size_class;
    unsigned commits; /* by this thread */
    struct page_traffic traffic;
    size_t ahead; /* pages_ahead_taken() */
    uint64_t reused;
};
struct arena_fetch arena_exchange_begin_fetch(const struct heap_arenas *arenas,
                                              unsigned tally, unsigned place,
                                              unsigned size_class);
void arena_exchange_end_fetch(struct heap_arenas *arenas,
                              const struct arena_fetch *fetch, const void *ptr);

/* ---- parked objects ----------------------------------------------------- */

/*
 * A program that gets NULL and then frees an object often frees one of the
 * class that it wants. While returns are counted, one such object is parked in
 * each tally, and not given back: any thread takes it again without an arena.
 */

/* Parks an object of a class. Returns false if it is to go back. */
bool arena_exchange_park(struct heap_arenas *arenas, unsigned tally,
                         unsigned size_class, void *ptr);

/* Whether an object of a class is parked. */
bool arena_exchange_is_parked(struct heap_arenas *arenas, unsigned size_class,
                              const void *ptr);

/* Takes out an object of a class that is parked, in that tally or in one of so
 * many in all; or NULL. */
void *arena_exchange_take_parked(struct heap_arenas *arenas, unsigned tally,
                                 unsigned tallies, unsigned size_class);

/* Gives all parked objects back to their arenas. */
void arena_exchange_unpark_all(struct heap_arenas *arenas);

/* Which objects are parked: of that class, of other ones. */
struct parked {
    bool wanted, others;
};
struct parked arena_exchange_find_parked(struct heap_arenas *arenas,
                                         unsigned size_class);

static inline bool arena_exchange_has_parked(struct heap_arenas *arenas)
{
    return arena_exchange_find_parked(arenas, SIZE_CLASS_NONE).others;
}

#endif
