/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The allocator's gate. A thread passes it for everything that goes beyond its
 * magazines: whatever enters jemalloc, takes a lock that a call of malloc() may
 * take, or makes a system call at which a thread can be cancelled. Between
 * allocator_enter() and allocator_leave() a thread is "inside".
 *
 * The gate does three things:
 *
 *  - fork() closes it and waits until no other thread is inside. Locks alone
 *    are not enough: jemalloc takes extents out of its lists and works on them
 *    with no lock held. A child that is made at such a moment would have those
 *    extents in no list, and counters that do not add up.
 *  - A signal handler that finds its own thread inside is refused, since it
 *    would wait for a lock that its own thread holds.
 *  - A thread that is inside is not cancelled.
 */
#ifndef ALLOCATOR_GATE_H
#define ALLOCATOR_GATE_H

#include <stdbool.h>

/*
 * Enters. Waits while fork() runs. Returns false, and does nothing, if the
 * thread is inside already. No lock is held but those of ranks before
 * RANK_FORK_GATE. No thread that is inside waits for one that may enter: fork()
 * would wait for the first one, and keep the other one out.
 */
bool allocator_enter(void);

/* Enters likewise, for what mostly takes no longer than an object from a slab.
 * Until it comes to a cancellation point (cancellation.h), the thread may be
 * cancelled in what the program calls from a signal handler. */
bool allocator_enter_briefly(void);

/* Leaves, and then calls the function of allocator_call_after_leaving(). Keeps
 * errno. */
void allocator_leave(void);

bool allocator_is_inside(void);

/* Sets what each thread calls when it has left: the reports that had to wait.
 * To be called before the first allocator_enter(). */
void allocator_call_after_leaving(void (*function)(void));

/*
 * Whether the calling thread, which is inside, may allocate from an arena that
 * it names. When jemalloc's part of a thread has ended, it is revived until
 * allocator_leave(). False if jemalloc is not our own copy: after a thread's
 * end it would take all memory from another arena.
 */
bool allocator_may_allocate(void);

/* The calling thread will call allocator_end_thread(). Until then it passes the
 * gate faster, if it can. */
void allocator_begin_thread(void);

/* From now on the calling thread has no caches. It enters and leaves once
 * more. */
void allocator_end_thread(void);

/* Whether jemalloc's part of the calling thread, or its caches, have ended. */
bool allocator_thread_has_ended(void);

/* ---- fork --------------------------------------------------------------- */

/* Bracket fork(2) in the thread that forks. A signal handler that interrupts
 * fork() is refused as if the thread were inside. */
void allocator_enter_fork(void);
void allocator_leave_fork(void);

/* Keeps other threads from entering and waits until those inside have left; but
 * for some ten seconds only, since what a program's own extent hook does may
 * hold up a thread for ever. Returns whether no thread is inside now. Between
 * allocator_enter_fork() and _leave_fork(). */
bool allocator_close_gate(void);

/* How long that is, in pauses of 0.1 ms. Tests shorten it. */
extern int allocator_gate_patience;

/* Opens the gate in the parent, or in the child, which has one thread. */
void allocator_open_gate(void);
void allocator_open_gate_in_child(void);

#endif
