/* SPDX-License-Identifier: BSD-2-Clause */
/* How a heap gives back what is free, because memory is needed. Inside the
 * allocator. */
#ifndef HEAP_RECLAIM_H
#define HEAP_RECLAIM_H

#include "heap_struct.h"

/* Gives what all threads have cached back to the arenas. The reclaim_lock is
 * held. */
void heap_reclaim_caches_locked(struct memkind_heap *heap);

/*
 * Gives back what all threads have cached, and all free pages. The reclaim_lock
 * is held: jemalloc lets a second purge of an arena return before the first one
 * is done, and its caller would give up too early.
 */
void heap_reclaim_locked(struct memkind_heap *heap);

/* Takes the lock around heap_reclaim_locked(). */
void heap_reclaim(struct memkind_heap *heap);

/* Reclaims from the other heaps whose files lie in the same file system, if
 * they may have anything. Returns false if none has. */
bool heap_reclaim_from_others(const struct memkind_heap *heap);

#endif
