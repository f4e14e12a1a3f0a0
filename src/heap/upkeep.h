/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What has to be done from time to time: magazines age, and pages that have
 * been free for a while go back to the file system. There is no thread for it.
 * Threads that allocate do it, in turns of about a millisecond (retention.h):
 * each for the heap that it allocates from, and for heaps whose own threads
 * have not allocated for a while.
 */
#ifndef UPKEEP_H
#define UPKEEP_H

#include "thread_cache.h"

/*
 * Called by a cache's thread after a number of allocations (cache->ticks, which
 * this sets anew). No lock is held, and the thread is not at its magazines. If
 * nothing is due it takes a look at the clock and no more.
 */
void upkeep_tick(struct thread_cache *cache);

#endif
