/* SPDX-License-Identifier: BSD-2-Clause */
/* The static kinds of memory on certain NUMA nodes. */
#ifndef NUMA_KINDS_H
#define NUMA_KINDS_H

#include <memkind/internal/memkind_private.h>

#include "region_numa.h"

/* Like those of DRAM, if the machine has such nodes; else like no_kind_ops. */
extern struct memkind_ops numa_kind_ops;
void *numa_kind_malloc(struct memkind *kind, size_t size);

/* For kinds that memkind_create_kind() makes on such nodes. Their source is
 * what numa_kind_find() says of a static kind. */
extern struct memkind_ops numa_created_ops;

/* Bytes of memory on the nodes of such a kind. False: it is no such kind. 0: it
 * cannot be had, or nothing is known of it. */
bool numa_kind_capacity(struct memkind *kind, size_t *capacity);

/* Sets *numa to the nodes of a kind, NULL: any. Returns
 * MEMKIND_SUCCESS, or why the kind cannot be had. */
int numa_kind_find(struct memkind *kind, const struct region_numa **numa);

#endif
