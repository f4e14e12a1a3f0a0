/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which arena of a heap that is exhausted has a free object: a guess. Of which
 * arena an object is, is known to jemalloc alone, which takes a lock of the
 * whole process to tell; and an arena that has none looks for pages first, for
 * as long as ten allocations take. So what comes out of an arena is noted here,
 * and what goes back.
 *
 * A guess that is wrong costs an attempt in vain, no more: threads that count
 * at once miss some, and of objects that lie beside others of many arenas the
 * arena may be another one. All functions do nothing, and know nothing, if
 * there is no DRAM for guesses (NULL).
 */
#ifndef ARENA_GUESS_H
#define ARENA_GUESS_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "size_class.h"

/* The caches of an arena count in one tally (arena_returns.h), and some arenas
 * may share one. */
#define GUESS_BLOCKS_LOG 10

struct arena_guesses {
    unsigned tallies_count;
    unsigned block_log; /* of addresses that one arena has most often */
    /* By address: a part of the block's number, and an arena's place. */
    _Atomic uint32_t blocks[1 << GUESS_BLOCKS_LOG];
    struct {
        alignas(64) struct {
            /* Free objects of the tally's arenas: in slabs, or with pages that
             * no other object has got since. */
            atomic_uint at_hand;
            /* One of these arenas that has got or had one last, by its place;
             * 0: none, else 1 more. */
            atomic_uint place;
        } classes[SIZE_CLASS_COUNT];
    } tallies[];
};

/* Makes guesses for a heap with so many tallies, and objects in so many bytes
 * (0: no one knows how many). NULL if there is no DRAM. Both inside the
 * allocator. */
struct arena_guesses *arena_guess_create(unsigned tallies, size_t bytes);
void arena_guess_destroy(struct arena_guesses *guesses);

/* From now on each arena may have any number of objects, until a slab is made
 * or it is asked in vain. Of objects that share no slab, more may seem to be
 * there than are, since their pages are also had by others. */
void arena_guess_forget(struct arena_guesses *guesses);

/* Whether the arena at a place has a free object. */
bool arena_guess_has(struct arena_guesses *guesses, unsigned tally,
                     unsigned place, unsigned size_class);

/* The place of another arena that has, of a tally below `tallies`; false if
 * there is none. */
bool arena_guess_find(struct arena_guesses *guesses, unsigned tallies,
                      unsigned tally, unsigned place, unsigned size_class,
                      unsigned *found);

/* Called when an arena had no object. */
void arena_guess_note_none(struct arena_guesses *guesses, unsigned tally,
                           unsigned size_class);

/* Called when an object came from the arena at a place, which has that tally.
 * slab: objects of the slab if that was made for it, else 0. */
void arena_guess_note_taken(struct arena_guesses *guesses, unsigned tally,
                            unsigned place, unsigned size_class,
                            const void *ptr, uint32_t slab);

/* Called when an object went back; by a thread that has that tally. slab:
 * objects of the slab if that has gone with it, else 0. */
void arena_guess_note_given(struct arena_guesses *guesses, unsigned tally,
                            unsigned size_class, const void *ptr,
                            uint32_t slab);

#endif
