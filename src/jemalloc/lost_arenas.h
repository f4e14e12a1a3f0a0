/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Indices of arenas that could not be made for want of memory. jemalloc takes
 * an index off its list of free ones before it makes the arena, and does not
 * put it back where that fails: after some four thousand failures a process
 * could make no arena any more.
 */
#ifndef LOST_ARENAS_H
#define LOST_ARENAS_H

#include <stdbool.h>

/* Makes jemalloc's free list whole again. To be called before an arena is made,
 * without jemalloc's locks. Returns false where there is not even memory for
 * that: one more arena would be lost. */
bool lost_arenas_recover(void);

/* In a forked child: nobody holds the lock any more. */
void lost_arenas_renew_lock(void);

#endif
