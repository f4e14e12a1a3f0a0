/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Keeps a snapshot of statistics apart from everything that moves objects of
 * other heaps from caches to arenas: ageing, the end of a thread, the need of
 * another heap. Otherwise a snapshot would count an object twice, or not at
 * all. It keeps a print of statistics apart from the end of arenas, too.
 *
 * A read-write lock of rank RANK_SNAPSHOT, which prefers the movers: a program
 * may take snapshots all the time, and its threads must be able to end. To be
 * taken inside the allocator (allocator_gate.h).
 */
#ifndef SNAPSHOT_LOCK_H
#define SNAPSHOT_LOCK_H

/* Bracket the moving of objects, or the end of arenas. Several threads may do
 * so at a time. */
void snapshot_lock_begin_moving(void);
void snapshot_lock_end_moving(void);

/* Bracket a snapshot, or a print. */
void snapshot_lock_begin_snapshot(void);
void snapshot_lock_end_snapshot(void);

/* Makes the lock anew in a forked child. */
void snapshot_lock_renew_in_child(void);

#endif
