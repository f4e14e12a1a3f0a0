/* SPDX-License-Identifier: BSD-2-Clause */
/* On which NUMA nodes the memory of a place lies, and which CPUs they have. */
#ifndef TOOL_NODES_H
#define TOOL_NODES_H

#include <stdbool.h>

#include "tool_place.h"

/* More than any kernel is built for. */
#define NODES_MAX 1024

/* What decides on the nodes. */
enum nodes_source {
    NODES_UNKNOWN, /* the system does not say */
    NODES_MOUNT,   /* the mpol= of a tmpfs */
    NODES_DEVICE,  /* the place of the memory's device */
    NODES_PROCESS, /* the memory policy of the process */
};

struct node {
    unsigned number;
    /* As the kernel writes it ("0-3,8"); empty: it has none. NULL: not known.
     */
    const char *cpus;
};

struct nodes {
    enum nodes_source source;
    /* In the kernel's words: "bind", "prefer", "interleave", "local" and so
     * on; NULL for a device. */
    const char *policy;
    unsigned count;
    struct node list[NODES_MAX]; /* by number */
};

/* `is_dax`: the files of a directory are mapped straight to its device. */
void nodes_find(struct nodes *nodes, const struct place *place, bool is_dax);

/* "mount", "device", "process"; NULL if it is not known. */
const char *nodes_source_name(enum nodes_source source);

enum nodes_wanted { NODES_ALL, NODES_WITH_CPUS, NODES_WITHOUT_CPUS };

unsigned nodes_count(const struct nodes *nodes, enum nodes_wanted wanted);

/* "node 2", "nodes 0 and 2" */
const char *nodes_text(const struct nodes *nodes, enum nodes_wanted wanted);

#endif /* TOOL_NODES_H */
