/* SPDX-License-Identifier: BSD-2-Clause */
/* Work that is done in several threads for a moment. */
#ifndef PARALLEL_H
#define PARALLEL_H

typedef void parallel_work(void *context, unsigned index);

/*
 * Does pieces of work, of index 0 to count - 1, in the calling thread and in as
 * many others as there are CPUs for, and returns when all are done. What no
 * thread can be made for is done by the caller. The pieces are done in any
 * order, and some at the same time. They take no lock that the caller holds,
 * and do not enter jemalloc. The threads block all signals.
 */
void parallel_do(unsigned count, parallel_work *work, void *context);

/* Starts up to so many threads, and no more than there are CPUs, that do the
 * same. They block all signals and end by themselves. Returns how many there
 * are. */
unsigned parallel_start(unsigned most, void *(*work)(void *argument),
                        void *argument);

#endif
