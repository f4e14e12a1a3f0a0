/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What has to be done from time to time: magazines age, and pages that have
 * been free for a while go back to the file system. Whoever allocates next
 * after the time has come does it, for all sets.
 */
#ifndef UPKEEP_H
#define UPKEEP_H

#include "arena_set.h"

/*
 * Called after a number of allocations (cache->ticks, which this sets anew).
 * No lock is held, and the owner is not at the magazines. A look at the clock,
 * unless something is due.
 */
void upkeep_tick(struct thread_cache *cache);

#endif
