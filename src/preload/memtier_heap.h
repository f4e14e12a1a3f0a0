/* SPDX-License-Identifier: BSD-2-Clause */
/* Tiers of memory as the heap of a process: what preload_allocator.h is for
 * libmemtier. */
#ifndef MEMTIER_HEAP_H
#define MEMTIER_HEAP_H

#include <stdbool.h>

#include <memkind_memtier.h>

/* Until memtier_heap_start(), what this thread allocates is the C library's.
 * Called once, by the constructor. */
void memtier_heap_prepare(void);

/* From now on the tiers serve all threads. False if the C library has no room
 * for what is needed. */
bool memtier_heap_start(struct memtier_memory *memory);

#endif
