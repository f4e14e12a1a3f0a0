/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Heaps across fork(2). The caller is registered as a handler after jemalloc's
 * own: its prepare runs before jemalloc's, the others after.
 *
 * The child has all caches as they were, with no thread in the middle of
 * something. Those of other threads are orphans there: what they hold goes back
 * to the arenas with the first upkeep, or when memory is reclaimed.
 */
#ifndef HEAP_FORK_H
#define HEAP_FORK_H

/* Closes the allocator's gate and takes the locks of all heaps, in the order of
 * ranked_lock.h. Between allocator_enter_fork() and allocator_leave_fork(). */
void heap_fork_prepare(void);
void heap_fork_parent(void);
void heap_fork_child(void);

#endif
