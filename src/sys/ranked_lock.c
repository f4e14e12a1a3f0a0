/* SPDX-License-Identifier: BSD-2-Clause */
#include "ranked_lock.h"

#ifndef NDEBUG
#include <stdio.h>
#include <stdlib.h>

/* How many locks of each rank the thread holds, and the greatest such rank (0:
 * none). A fork handler runs in the thread that forks, so that its child's
 * thread holds what the parent's did. */
static __thread unsigned held[LOCK_RANKS];
static __thread bool equal_ranks_allowed;

static unsigned greatest_held(void)
{
    unsigned rank = LOCK_RANKS - 1;
    while (rank > 0 && held[rank] == 0)
        rank--;
    return rank;
}

void lock_rank_take(enum lock_rank rank)
{
    const unsigned greatest = greatest_held();
    if (greatest > rank || (greatest == rank && !equal_ranks_allowed)) {
        fprintf(stderr, "memkind: a lock of rank %u is taken after one of %u\n",
                (unsigned)rank, greatest);
        abort();
    }
    held[rank]++;
}

void lock_rank_note(enum lock_rank rank)
{
    held[rank]++;
}

void lock_rank_release(enum lock_rank rank)
{
    if (held[rank] == 0) {
        fprintf(stderr, "memkind: no lock of rank %u is held\n",
                (unsigned)rank);
        abort();
    }
    held[rank]--;
}

void lock_rank_allow_equal(bool allow)
{
    equal_ranks_allowed = allow;
}

bool lock_rank_is_held(enum lock_rank rank)
{
    return held[rank] != 0;
}
#else
typedef int ranked_lock_has_no_code;
#endif
