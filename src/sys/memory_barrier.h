/* SPDX-License-Identifier: BSD-2-Clause */
/* A memory barrier that one thread issues for all of the process's threads:
 * membarrier(2), since Linux 4.14. */
#ifndef MEMORY_BARRIER_H
#define MEMORY_BARRIER_H

#include <stdbool.h>

/* Registers the process with the kernel. library_init.c calls it when the
 * library is loaded: while there is one thread, that costs nothing. A child of
 * fork() inherits the registration. */
void memory_barrier_register(void);

/* Whether barriers can be issued for other threads, as far as is known. Once
 * this is false it stays so, unless a forked child registers anew: a sandbox
 * may have forbidden the call meanwhile. */
bool memory_barrier_is_asymmetric(void);

/* Issues a barrier in all threads. False if that cannot be done, or no longer.
 */
bool memory_barrier_in_all_threads(void);

/* If it is false: from now on each thread has to issue barriers of its own, but
 * one that has not noticed yet may be between its store and its load. Waits
 * until all have seen what this thread has stored, and it sees what they have.
 */
void memory_barrier_pause(void);

/* Issues a barrier in all threads or, if it cannot be done any more, pauses
 * once. For one thread at a time. */
void memory_barrier_in_all_or_pause(void);

#endif
