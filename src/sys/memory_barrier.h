/* SPDX-License-Identifier: BSD-2-Clause */
/* A memory barrier that one thread issues for all of the process's threads. */
#ifndef MEMORY_BARRIER_H
#define MEMORY_BARRIER_H

#include <stdbool.h>

/* Asks the kernel for it; called when the library is loaded. */
void memory_barrier_register(void);

/* Whether the kernel has it (membarrier(2), since Linux 4.14). */
bool memory_barrier_is_asymmetric(void);

/* True where the barrier was issued, or where there is none and nobody relies
 * on it. */
bool memory_barrier_in_all_threads(void);

#endif
