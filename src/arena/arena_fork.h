/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Arenas and caches across fork(2). The caller is registered as a handler after
 * jemalloc's own: its prepare runs before jemalloc's, the others after.
 *
 * The child has all caches as they were, with no thread in the middle of
 * something. Those of other threads are orphans there: what they hold goes back
 * to the arenas with the first upkeep, or when memory is reclaimed.
 */
#ifndef ARENA_FORK_H
#define ARENA_FORK_H

/* Takes the locks above jemalloc's, in the order of arena_set.h. */
void arena_fork_prepare(void);
void arena_fork_parent(void);
void arena_fork_child(void);

#endif
