/* SPDX-License-Identifier: BSD-2-Clause */
/* memkind-auto-dax-kmem-nodes: prints which nodes have memory, but no CPUs. */
#include <memkind/internal/memkind_dax_kmem.h>

#include "node_list.h"

int main(int argc, char **argv)
{
    const struct node_list_program program = {
        .name = "memkind-auto-dax-kmem-nodes",
        .nodes = "NUMA nodes without CPUs",
        .kind = MEMKIND_DAX_KMEM_ALL,
        .get_nodemask = memkind_dax_kmem_all_get_mbind_nodemask,
        .failure = 3,
    };
    return node_list_main(&program, argc, argv);
}
