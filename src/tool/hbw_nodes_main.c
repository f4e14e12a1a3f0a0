/* SPDX-License-Identifier: BSD-2-Clause */
/* memkind-hbw-nodes: prints which nodes have a high bandwidth. */
#include <memkind/internal/memkind_hbw.h>

#include "node_list.h"

int main(int argc, char **argv)
{
    const struct node_list_program program = {
        .name = "memkind-hbw-nodes",
        .nodes = "NUMA nodes of high bandwidth",
        .kind = MEMKIND_HBW_ALL,
        .get_nodemask = memkind_hbw_all_get_mbind_nodemask,
        .failure = 1,
    };
    return node_list_main(&program, argc, argv);
}
