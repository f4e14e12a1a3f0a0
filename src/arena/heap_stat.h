/* SPDX-License-Identifier: BSD-2-Clause */
/* What sets of arenas hold, as figures of a snapshot of all of them. */
#ifndef HEAP_STAT_H
#define HEAP_STAT_H

#include "heap_create.h"

enum heap_stat { HEAP_ALLOCATED, HEAP_ACTIVE, HEAP_RESIDENT };

/* Takes the snapshot that the others read, of all sets. 0; -EDEADLK in a signal
 * handler that has interrupted a call on a set. */
int heap_stat_snapshot(void);
size_t heap_stat(struct memkind_heap *heap, enum heap_stat stat);

/* Bytes in all sets' magazines at the last snapshot. */
size_t heap_stat_cached(void);

#endif
