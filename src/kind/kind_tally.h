/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bytes that were allocated from each kind by functions that count them. A
 * count is in stripes: a thread adds to one of them, which few others use, and
 * the sum of all stripes is the count. What one thread allocates another may
 * free, so a stripe alone may be below 0.
 */
#ifndef KIND_TALLY_H
#define KIND_TALLY_H

#include <memkind/internal/memkind_private.h>

#include <stdatomic.h>

#include "heap_registry.h"
#include "tls_model.h"

/* Threads up to this number have a stripe of their own. */
#define TALLY_STRIPES 64

/* By the slot of the kind's heap, so that no two kinds share one. */
extern _Atomic int64_t kind_tallies[TALLY_STRIPES][HEAP_SLOTS]
    __attribute__((visibility("hidden")));

/* The calling thread's, plus 1; 0 if it has none yet. */
extern __thread unsigned kind_tally_place TLS_MODEL
    __attribute__((visibility("hidden")));

/* Gives the calling thread a stripe. */
unsigned kind_tally_choose_stripe(void);

static inline unsigned kind_tally_stripe(void)
{
    if (__builtin_expect(kind_tally_place == 0, 0))
        return kind_tally_choose_stripe();
    return kind_tally_place - 1;
}

/* Bytes may be negative. */
static inline void kind_tally_add(unsigned slot, int64_t bytes)
{
    atomic_fetch_add_explicit(&kind_tallies[kind_tally_stripe()][slot], bytes,
                              memory_order_relaxed);
}

/* How many stripes have ever been used: those with lower numbers. */
unsigned kind_tally_stripes_in_use(void);

static inline int64_t kind_tally_of_stripe(unsigned stripe, unsigned slot)
{
    return atomic_load_explicit(&kind_tallies[stripe][slot],
                                memory_order_relaxed);
}

/* The sum; never below 0. */
size_t kind_tally_sum(unsigned slot);

/* A heap begins, or ends, in a slot. */
void kind_tally_clear(unsigned slot);

#endif
