/* SPDX-License-Identifier: BSD-2-Clause */
/* The programs that print which NUMA nodes there are of a sort. */
#ifndef NODE_LIST_H
#define NODE_LIST_H

#include <memkind.h>

struct node_list_program {
    const char *name;
    const char *nodes; /* "high-bandwidth NUMA nodes", say */
    memkind_t kind;    /* whose memory is on them */
    int (*get_nodemask)(struct memkind *kind, unsigned long *nodemask,
                        unsigned long maxnode);
    int failure; /* exit status if there are none */
};

/* All that such a program does. Returns its exit status. */
int node_list_main(const struct node_list_program *program, int argc,
                   char **argv);

#endif
