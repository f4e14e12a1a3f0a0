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
 * Gives what all threads have cached, and all free pages, back to the pool, for
 * an allocation of the heap's own: see heap_arenas_purge_within_budget(). The
 * reclaim_lock is held: jemalloc lets a second purge of an arena return before
 * the first one is done, and its caller would give up too early.
 */
void heap_reclaim_within_budget_locked(struct memkind_heap *heap);

/* Gives all of that back to the file system. Takes the lock. */
void heap_reclaim(struct memkind_heap *heap);

/* Reclaims from the other heaps whose files lie in the same file system, if
 * they may have anything, for an object of so many bytes. What they keep in
 * grains that they use in part is given back as well, as much as is needed.
 * Returns false if none has anything. */
bool heap_reclaim_from_others(const struct memkind_heap *heap, size_t size);

#endif
