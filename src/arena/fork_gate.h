/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Counts the threads that are beyond the magazines, so that fork() can wait
 * until there are none.
 *
 * Locks alone do not do: jemalloc takes extents out of its lists and works on
 * them with no lock held. A child that was made in such a moment would have
 * those extents in no list, and counters that do not add up.
 */
#ifndef FORK_GATE_H
#define FORK_GATE_H

#include <stdbool.h>

/* Waits while fork() runs. A thread that is inside must not enter again; what
 * locks it may hold is said in heap_create.h. */
void fork_gate_enter(void);
void fork_gate_leave(void);

/*
 * Keeps threads from entering, and waits until the others have left; but not
 * for ever, as one may be held up by what the caller's program does. is_inside:
 * whether the caller is inside itself, in a signal handler.
 */
void fork_gate_close(bool is_inside);
void fork_gate_open(void);

/* The same in the child, in which there are no other threads. */
void fork_gate_open_in_child(bool is_inside);

#endif
