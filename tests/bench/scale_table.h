/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What steps cost for n, 4n, 16n, ... of something: time and memory, the powers
 * of n that they grow with, and what they come to for a given n.
 */
#ifndef SCALE_TABLE_H
#define SCALE_TABLE_H

#include <stddef.h>
#include <stdint.h>

/* A step, by what n counts, and the n for which the cost is asked. */
struct scale_step {
    const char *name, *unit;
    double target;
};

/* The clock, and what the process held. */
struct scale_mark {
    uint64_t ns, cpu_ns, fake_ns;
    size_t dram; /* bytes */
    double calls;
};

struct scale_mark scale_begin(void);

/* Notes what a step has cost since then for n: `times` repetitions of it, of
 * which one is meant. What is noted again for the same n counts only if it is
 * less. */
void scale_end(const struct scale_step *step, double n,
               const struct scale_mark *since, double times);

/* What is too short to be timed alone is done in so many batches, of which the
 * fastest counts: the others may have met upkeep. */
#define SCALE_BATCHES 8

/* Like scale_end(), by numbers: nanoseconds, bytes that stay, and system calls.
 */
void scale_note(const struct scale_step *step, double n, double ns, double dram,
                double calls);

/* Private memory of the process, in bytes. */
size_t scale_dram(void);

void scale_print(void);

#endif
