/* SPDX-License-Identifier: BSD-2-Clause */
/* What heaps hold, as figures of one snapshot of all of them. */
#ifndef HEAP_STAT_H
#define HEAP_STAT_H

#include "heap_struct.h"

enum heap_stat { HEAP_ALLOCATED, HEAP_ACTIVE, HEAP_RESIDENT, HEAP_DETACHED };

/* Takes the snapshot that the other functions read, of all heaps. Returns 0, or
 * -EDEADLK in a signal handler that has interrupted the library. */
int heap_stat_snapshot(void);

/* A figure of the last snapshot, in bytes. */
size_t heap_stat(struct memkind_heap *heap, enum heap_stat stat);

/* Bytes in the magazines of all heaps at the last snapshot, and what checked
 * heaps hold beside the program's objects. */
size_t heap_stat_cached(void);

/* HEAP_DETACHED of all heaps. */
size_t heap_stat_detached(void);

#endif
