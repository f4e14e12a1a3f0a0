/* SPDX-License-Identifier: BSD-2-Clause */
#include "arena_guess.h"

#include "jemalloc_private.h"
#include "spread.h"

/* More than slabs ever have. */
#define ANY_NUMBER (UINT32_MAX / 2)

#define BLOCK_LOG_LEAST 16
#define BLOCK_LOG_MOST 30
#define BLOCK_LOG_USUAL 21

#define PLACE_BITS 16
#define NUMBER_BITS (32 - PLACE_BITS)

static unsigned block_log_for(size_t bytes)
{
    unsigned log = BLOCK_LOG_USUAL;
    if (bytes != 0)
        for (log = BLOCK_LOG_LEAST;
             log < BLOCK_LOG_MOST && bytes >> log >> GUESS_BLOCKS_LOG != 0;
             log++) {
        }
    return log;
}

struct arena_guesses *arena_guess_create(unsigned tallies, size_t bytes)
{
    struct arena_guesses *guesses =
        JE_NAME(mallocx)(sizeof *guesses + tallies * sizeof guesses->tallies[0],
                         JE_ZERO | JE_LG_ALIGN(6));
    if (guesses == NULL)
        return NULL;
    guesses->tallies_count = tallies;
    guesses->block_log = block_log_for(bytes);
    return guesses;
}

void arena_guess_destroy(struct arena_guesses *guesses)
{
    if (guesses != NULL)
        JE_NAME(dallocx)(guesses, 0);
}

/* ---- numbers ------------------------------------------------------------ */

static atomic_uint *at_hand(struct arena_guesses *guesses, unsigned tally,
                            unsigned size_class)
{
    return &guesses->tallies[tally].classes[size_class].at_hand;
}

static unsigned place_noted(struct arena_guesses *guesses, unsigned tally,
                            unsigned size_class)
{
    return atomic_load_explicit(
        &guesses->tallies[tally].classes[size_class].place,
        memory_order_relaxed);
}

static void note_place(struct arena_guesses *guesses, unsigned tally,
                       unsigned place, unsigned size_class)
{
    if (place_noted(guesses, tally, size_class) != place + 1)
        atomic_store_explicit(
            &guesses->tallies[tally].classes[size_class].place, place + 1,
            memory_order_relaxed);
}

static void change(atomic_uint *number, unsigned more, unsigned fewer)
{
    const unsigned before =
        atomic_load_explicit(number, memory_order_relaxed) + more;
    if (before < ANY_NUMBER)
        atomic_store_explicit(number, before > fewer ? before - fewer : 0,
                              memory_order_relaxed);
}

void arena_guess_forget(struct arena_guesses *guesses)
{
    if (guesses == NULL)
        return;
    for (unsigned i = 0; i < guesses->tallies_count; i++)
        for (unsigned j = 0; j < SIZE_CLASS_COUNT; j++)
            atomic_store_explicit(at_hand(guesses, i, j), ANY_NUMBER,
                                  memory_order_relaxed);
}

/* ---- places ------------------------------------------------------------- */

static _Atomic uint32_t *block_of(struct arena_guesses *guesses,
                                  const void *ptr, uint32_t *number)
{
    const uint64_t hash = spread((uintptr_t)ptr >> guesses->block_log);
    *number = (uint32_t)(hash >> (64 - GUESS_BLOCKS_LOG - NUMBER_BITS)) &
              ((1U << NUMBER_BITS) - 1);
    return &guesses->blocks[hash >> (64 - GUESS_BLOCKS_LOG)];
}

static void note_block(struct arena_guesses *guesses, unsigned place,
                       const void *ptr)
{
    uint32_t number;
    _Atomic uint32_t *block = block_of(guesses, ptr, &number);
    const uint32_t value = number << PLACE_BITS | (uint16_t)(place + 1);
    if (atomic_load_explicit(block, memory_order_relaxed) != value)
        atomic_store_explicit(block, value, memory_order_relaxed);
}

/* 0: not known, else 1 more. */
static unsigned place_known(struct arena_guesses *guesses, const void *ptr)
{
    uint32_t number;
    const uint32_t value = atomic_load_explicit(block_of(guesses, ptr, &number),
                                                memory_order_relaxed);
    return value >> PLACE_BITS == number ? (uint16_t)value : 0;
}

/* ---- guesses ------------------------------------------------------------ */

bool arena_guess_has(struct arena_guesses *guesses, unsigned tally,
                     unsigned place, unsigned size_class)
{
    if (guesses == NULL ||
        atomic_load_explicit(at_hand(guesses, tally, size_class),
                             memory_order_relaxed) == 0)
        return false;
    const unsigned noted = place_noted(guesses, tally, size_class);
    return noted == 0 || noted == place + 1;
}

bool arena_guess_find(struct arena_guesses *guesses, unsigned tallies,
                      unsigned tally, unsigned place, unsigned size_class,
                      unsigned *found)
{
    for (unsigned i = 0; guesses != NULL && i < tallies; i++) {
        const unsigned other = (tally + i) % tallies;
        const unsigned noted = place_noted(guesses, other, size_class);
        if (noted != 0 && noted != place + 1 &&
            atomic_load_explicit(at_hand(guesses, other, size_class),
                                 memory_order_relaxed) != 0) {
            *found = noted - 1;
            return true;
        }
    }
    return false;
}

void arena_guess_note_none(struct arena_guesses *guesses, unsigned tally,
                           unsigned size_class)
{
    if (guesses != NULL)
        atomic_store_explicit(at_hand(guesses, tally, size_class), 0,
                              memory_order_relaxed);
}

void arena_guess_note_taken(struct arena_guesses *guesses, unsigned tally,
                            unsigned place, unsigned size_class,
                            const void *ptr, uint32_t slab)
{
    if (guesses == NULL)
        return;
    note_block(guesses, place, ptr);
    note_place(guesses, tally, place, size_class);
    /* A slab is made only if no other one has a free object. */
    if (slab != 0)
        atomic_store_explicit(at_hand(guesses, tally, size_class), slab - 1,
                              memory_order_relaxed);
    else
        change(at_hand(guesses, tally, size_class), 0, 1);
}

void arena_guess_note_given(struct arena_guesses *guesses, unsigned tally,
                            unsigned size_class, const void *ptr, uint32_t slab)
{
    if (guesses == NULL)
        return;
    const unsigned place = place_known(guesses, ptr);
    if (place != 0) {
        tally = (place - 1) % guesses->tallies_count;
        note_place(guesses, tally, place - 1, size_class);
    }
    change(at_hand(guesses, tally, size_class), 1, slab);
}
