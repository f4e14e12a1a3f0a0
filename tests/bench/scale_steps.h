/* SPDX-License-Identifier: BSD-2-Clause */
/* What bench_scale measures, by groups of steps. */
#ifndef SCALE_STEPS_H
#define SCALE_STEPS_H

#include <memkind.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "fake_space.h"
#include "scale_table.h"

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#define GIB ((size_t)1 << 30)
#define TIB ((size_t)1 << 40)

/* What the costs are asked for. */
#define TARGET_SIZE ((double)(6 * TIB))
#define TARGET_OBJECTS 1e10
#define TARGET_THREADS 10000.0
#define TARGET_ARENAS 768.0 /* four for each of 192 CPUs */
#define TARGET_KINDS 512.0

/* Each n is four times the one before. */
#define SCALE_FACTOR 4

struct scale_effort {
    const char *dir;
    unsigned points;        /* how many n */
    size_t least_size;      /* of kinds */
    size_t large_object;    /* which fills them */
    size_t least_objects;   /* of 600 bytes */
    size_t objects_limit;   /* of the kind that they are in */
    unsigned least_threads; /* by tens, up to all */
    unsigned most_threads;
    unsigned least_arenas;
    unsigned least_kinds;
    size_t kind_limit;        /* of each of many kinds */
    unsigned threads_in_kind; /* of each of many kinds */
    unsigned turns;           /* of upkeep */
    unsigned calls;           /* of what is too short to be timed alone */
};

extern unsigned scale_failures;

#define EXPECT(condition)                                                      \
    ((condition)                                                               \
         ? (void)0                                                             \
         : (scale_failures++, (void)fprintf(stderr, "%s:%d: not %s\n",         \
                                            __FILE__, __LINE__, #condition)))

void scale_sizes(const struct scale_effort *effort, bool is_dax);
void scale_pools(const struct scale_effort *effort, bool is_dax);
void scale_grains(const struct scale_effort *effort);
void scale_objects(const struct scale_effort *effort);
void scale_threads(const struct scale_effort *effort, unsigned arenas);
void scale_arenas(const struct scale_effort *effort);
void scale_kinds(const struct scale_effort *effort);
void scale_caches(const struct scale_effort *effort);
void scale_addresses(const struct scale_effort *effort);

/* ---- what the groups share ---------------------------------------------- */

/* Makes a kind; the program ends if there is none. */
memkind_t scale_make_kind(const struct scale_effort *effort, size_t limit);

/* Bytes that the kind's pool says it holds. */
size_t scale_charged(memkind_t kind);

/* Notes what the handlers of fork() cost in the parent and in the child, and
 * the memory that the child has more. */
struct scale_fork_steps {
    struct scale_step parent, child;
};
void scale_fork(const struct scale_fork_steps *steps, double n, memkind_t kind,
                void *object);

/* Notes the longest call of malloc() or free() in some turns of upkeep. */
void scale_upkeep(const struct scale_step *step, double n, unsigned turns,
                  memkind_t kind);

#endif
