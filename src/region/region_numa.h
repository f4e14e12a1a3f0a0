/* SPDX-License-Identifier: BSD-2-Clause */
/* On which NUMA nodes the memory of a pool lies. */
#ifndef REGION_NUMA_H
#define REGION_NUMA_H

#include <stddef.h>

#include "numa_nodes.h"

enum region_numa_mode {
    REGION_NUMA_NEAREST,    /* of the nodes, those nearest to the CPU that asks
                             * for a block first; none if these are full */
    REGION_NUMA_ALL,        /* any of them */
    REGION_NUMA_PREFERRED,  /* the nearest one; any node if that is full */
    REGION_NUMA_INTERLEAVE, /* page by page all of them */
};

struct region_numa {
    enum region_numa_mode mode;
    enum numa_sort sort; /* of the nodes: there is at least one */
};

/* Bits of a set of nodes for mbind(2), which reads one less than it is asked
 * to. */
#define NUMA_MASK_BITS (NUMA_NODES_MOST + 1)

/* The nodes that the memory comes from, for the CPU that the caller runs on. */
void region_numa_nodes(const struct region_numa *numa, struct numa_set *nodes);

/* Has the memory that a range of addresses will get come from there. Returns 0
 * or a negative errno. */
int region_numa_apply(const struct region_numa *numa, void *addr, size_t size);

#endif
