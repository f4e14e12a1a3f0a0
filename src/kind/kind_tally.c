/* SPDX-License-Identifier: BSD-2-Clause */
#include "kind_tally.h"

_Atomic int64_t kind_tallies[TALLY_STRIPES][HEAP_SLOTS]
    __attribute__((aligned(64)));
__thread unsigned kind_tally_place TLS_MODEL;

static atomic_ullong stripes_given;

unsigned kind_tally_choose_stripe(void)
{
    kind_tally_place =
        1 + (unsigned)(atomic_fetch_add_explicit(&stripes_given, 1,
                                                 memory_order_relaxed) %
                       TALLY_STRIPES);
    return kind_tally_place - 1;
}

unsigned kind_tally_stripes_in_use(void)
{
    const unsigned long long given =
        atomic_load_explicit(&stripes_given, memory_order_relaxed);
    return given < TALLY_STRIPES ? (unsigned)given : TALLY_STRIPES;
}

size_t kind_tally_sum(unsigned slot)
{
    int64_t sum = 0;
    const unsigned count = kind_tally_stripes_in_use();
    for (unsigned i = 0; i < count; i++)
        sum += kind_tally_of_stripe(i, slot);
    return sum > 0 ? (size_t)sum : 0;
}

void kind_tally_clear(unsigned slot)
{
    /* Other stripes are zero, and their pages need not be touched. */
    const unsigned count = kind_tally_stripes_in_use();
    for (unsigned i = 0; i < count; i++)
        atomic_store_explicit(&kind_tallies[i][slot], 0, memory_order_relaxed);
}
