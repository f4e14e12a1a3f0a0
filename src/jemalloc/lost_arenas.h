/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Indices of arenas that could not be made for want of memory. jemalloc takes
 * an index off its list of free ones before it makes the arena, and does not
 * put it back if that fails: after some four thousand failures a process could
 * make no arena any more.
 */
#ifndef LOST_ARENAS_H
#define LOST_ARENAS_H

#include <stdbool.h>

/* Makes jemalloc's free list whole again. To be called before an arena is made,
 * without jemalloc's locks. Returns false if there is not even memory for that:
 * one more arena would be lost. */
bool lost_arenas_recover(void);

/* In a forked child: the thread that may have held the lock is not there. */
void lost_arenas_renew_lock(void);

#endif
