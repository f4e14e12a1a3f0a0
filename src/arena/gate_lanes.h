/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Counters of the allocator's gate (allocator_gate.h) that are one thread's
 * each. So to pass the gate takes no atomic operation: the thread stores that
 * it is inside, and then looks whether the gate is closed; who closes it issues
 * a barrier in all threads in between (memory_barrier.h).
 *
 * If there are more threads than lanes, the others share counters.
 */
#ifndef GATE_LANES_H
#define GATE_LANES_H

#include <stdatomic.h>

/* Those that no thread has had take no memory. */
#define GATE_LANES 4096

/* A lane that no other thread has until gate_lane_give_up(); NULL if all are
 * taken. A thread is outside the gate at both. */
atomic_int *gate_lane_take(void);
void gate_lane_give_up(atomic_int *lane);

/* How many threads with lanes are inside. */
int gate_lanes_inside(void);

/* In a forked child, which has one thread: `own` is its lane, and stays as it
 * is, or NULL. All others are free. */
void gate_lanes_keep_only(const atomic_int *own);

#endif
