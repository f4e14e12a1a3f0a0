/* SPDX-License-Identifier: BSD-2-Clause */
/* A memory barrier that one thread issues for all of the process's threads:
 * membarrier(2), since Linux 4.14. */
#ifndef MEMORY_BARRIER_H
#define MEMORY_BARRIER_H

#include <stdbool.h>

/* Asks the kernel for it; called when the library is loaded. */
void memory_barrier_register(void);

/* Whether barriers can be issued for other threads, as far as is known. Once
 * this is false it stays so, but for a forked child that registers anew: a
 * sandbox may have forbidden the call meanwhile. */
bool memory_barrier_is_asymmetric(void);

/* Issues a barrier in all threads. False if that cannot be done (any more). */
bool memory_barrier_in_all_threads(void);

#endif
