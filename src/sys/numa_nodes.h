/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NUMA nodes: which ones there are, and which have memory of a sort. What the
 * system says is looked up once in a process; so is what the environment says.
 */
#ifndef NUMA_NODES_H
#define NUMA_NODES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* As many as a kernel can have. */
#define NUMA_NODES_MOST 1024
#define NUMA_BITS_PER_LONG (8 * sizeof(unsigned long))

struct numa_set {
    unsigned long bits[NUMA_NODES_MOST / NUMA_BITS_PER_LONG];
};

static inline bool numa_set_has(const struct numa_set *set, unsigned node)
{
    return node < NUMA_NODES_MOST &&
           (set->bits[node / NUMA_BITS_PER_LONG] >> node % NUMA_BITS_PER_LONG &
            1) != 0;
}

static inline void numa_set_add(struct numa_set *set, unsigned node)
{
    set->bits[node / NUMA_BITS_PER_LONG] |= 1UL << node % NUMA_BITS_PER_LONG;
}

bool numa_set_is_empty(const struct numa_set *set);

/* "0-2,5" and so on, as the kernel writes it and libnuma's programs take it:
 * numbers and ranges between commas, or "all", both with "!" before them for
 * the other nodes of `all`. Each has to be in `all`, unless that is NULL.
 * Returns false if it is no such text; the set is undefined then. */
bool numa_set_parse(const char *text, const struct numa_set *all,
                    struct numa_set *set);

/* Which nodes. */
enum numa_sort {
    NUMA_ANY,            /* that have memory */
    NUMA_ORDINARY,       /* and CPUs */
    NUMA_HIGH_BANDWIDTH, /* MEMKIND_HBW_NODES, or by MEMKIND_HBW_THRESHOLD */
    /* MEMKIND_DAX_KMEM_NODES, or those that have memory, but neither CPUs nor a
     * high bandwidth. */
    NUMA_MEMORY_ONLY,
    NUMA_LARGEST, /* that have the most memory */
    /* The best one of each domain, which is a node with CPUs and the nodes
     * without any whose memory is its, as the firmware says, or else as the
     * distances do. As to latency and bandwidth, those for which the firmware
     * names it. */
    NUMA_LARGEST_OF_DOMAIN,        /* of equal ones the slower */
    NUMA_LOWEST_LATENCY_OF_DOMAIN, /* of equal ones the smaller */
    NUMA_HIGH_BANDWIDTH_OF_DOMAIN, /* likewise */
    NUMA_SORTS,
};

/* Those nodes; none if the kernel knows of no nodes. */
const struct numa_set *numa_nodes_of(enum numa_sort sort);

/* Whether the variable that names nodes of that sort can be used. If not, the
 * set is empty, and the reason is said (last_error.h). */
bool numa_nodes_are_valid(enum numa_sort sort);

/* Those of a sort that are nearest to the CPU that the caller runs on: all of
 * them if that cannot be found out. If the best ones of domains are meant, that
 * of the CPU's own, if there is one. */
void numa_nodes_nearest(enum numa_sort sort, struct numa_set *nearest);

/* Bytes of memory that the nodes of a set have, used or not. */
size_t numa_nodes_size(const struct numa_set *set);

#endif
