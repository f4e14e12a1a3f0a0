/* SPDX-License-Identifier: BSD-2-Clause */
#include "region_numa.h"

#include <errno.h>
#include <linux/mempolicy.h>
#include <sys/mman.h>

#include "sys_calls.h"

/* The preferred one of nodes that are equally near is the first. */
static void keep_first(struct numa_set *set)
{
    unsigned node = 0;
    while (node < NUMA_NODES_MOST && !numa_set_has(set, node))
        node++;
    *set = (struct numa_set){{0}};
    if (node < NUMA_NODES_MOST)
        numa_set_add(set, node);
}

void region_numa_nodes(const struct region_numa *numa, struct numa_set *nodes)
{
    *nodes = *numa_nodes_of(numa->sort);
    if (numa->mode == REGION_NUMA_NEAREST ||
        numa->mode == REGION_NUMA_PREFERRED)
        numa_nodes_nearest(numa->sort, nodes);
    if (numa->mode == REGION_NUMA_PREFERRED)
        keep_first(nodes);
}

int region_numa_apply(const struct region_numa *numa, void *addr, size_t size)
{
    struct numa_set nodes;
    int policy = MPOL_BIND;
    region_numa_nodes(numa, &nodes);
    if (numa->mode == REGION_NUMA_PREFERRED)
        policy = MPOL_PREFERRED;
    if (numa->mode == REGION_NUMA_INTERLEAVE) {
        policy = MPOL_INTERLEAVE;
        /* A huge page would be on one node. If there are none, the better. */
        (void)sys.madvise(addr, size, MADV_NOHUGEPAGE);
    }
    if (sys.mbind(addr, size, policy, nodes.bits, NUMA_MASK_BITS) == 0)
        return 0;
    /* A wish that a sandbox, say, does not grant is not one that failed. */
    return numa->mode == REGION_NUMA_PREFERRED ? 0 : -errno;
}
