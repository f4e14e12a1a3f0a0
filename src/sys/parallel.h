/* SPDX-License-Identifier: BSD-2-Clause */
/* Work that is done in several threads for a moment. */
#ifndef PARALLEL_H
#define PARALLEL_H

#include <stdbool.h>

typedef void parallel_work(void *context, unsigned index);

/*
 * Does pieces of work, of index 0 to count - 1, in the calling thread and in as
 * many others as there are CPUs for, and returns when all are done. What no
 * thread can be made for is done by the caller. The pieces are done in any
 * order, and some at the same time. They take no lock that the caller holds,
 * and do not enter jemalloc. The threads block all signals.
 */
void parallel_do(unsigned count, parallel_work *work, void *context);

/* Starts a thread that blocks all signals and ends by itself. Returns false if
 * there can be none. */
bool parallel_start(void *(*work)(void *argument), void *argument);

#endif
