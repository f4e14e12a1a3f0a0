/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What has to be done from time to time: magazines age, and pages that have
 * been free for a while go back to the file system. Whoever allocates next
 * after the time has come does it, for all sets.
 */
#ifndef UPKEEP_H
#define UPKEEP_H

#include "heap_create.h"

/*
 * Called after a number of allocations (cache->ticks, which this sets anew).
 * No lock is held, and the owner is not at the magazines. A look at the clock,
 * unless something is due.
 */
void upkeep_tick(struct thread_cache *cache);

/*
 * Around whatever moves other kinds' objects from caches to arenas without
 * being asked to: ageing, the end of a thread, the need of another set. A
 * snapshot of statistics pauses it, so that it counts no object twice, or not
 * at all. To be called between allocator_enter() and _end(), with no lock
 * held.
 */
void upkeep_enter(void);
void upkeep_leave(void);
void upkeep_pause(void);
void upkeep_resume(void);

/* In a forked child. */
void upkeep_renew_lock(void);

#endif
