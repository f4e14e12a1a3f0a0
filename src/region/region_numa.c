/* SPDX-License-Identifier: BSD-2-Clause */
#include "region_numa.h"

#include <errno.h>
#include <linux/mempolicy.h>
#include <sys/mman.h>

#include "sys_calls.h"

/* The kernel reads one bit less than it is asked to. */
#define MASK_BITS (NUMA_NODES_MOST + 1)

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

int region_numa_apply(const struct region_numa *numa, void *addr, size_t size)
{
    struct numa_set nodes = *numa->nodes;
    int policy = MPOL_BIND;
    switch (numa->mode) {
    case REGION_NUMA_NEAREST:
        numa_nodes_nearest(numa->nodes, &nodes);
        break;
    case REGION_NUMA_ALL:
        break;
    case REGION_NUMA_PREFERRED:
        numa_nodes_nearest(numa->nodes, &nodes);
        keep_first(&nodes);
        policy = MPOL_PREFERRED;
        break;
    case REGION_NUMA_INTERLEAVE:
        policy = MPOL_INTERLEAVE;
        /* A huge page would be on one node. If there are none, the better. */
        (void)sys.madvise(addr, size, MADV_NOHUGEPAGE);
        break;
    }
    if (sys.mbind(addr, size, policy, nodes.bits, MASK_BITS) == 0)
        return 0;
    /* A wish that a sandbox, say, does not grant is not one that failed. */
    return numa->mode == REGION_NUMA_PREFERRED ? 0 : -errno;
}
