/* SPDX-License-Identifier: BSD-2-Clause */
/* Operations of kinds of memory on certain NUMA nodes. */
#ifndef NUMA_KINDS_H
#define NUMA_KINDS_H

#include <memkind/internal/memkind_private.h>

/* For static kinds. They are like those of DRAM, if the machine has such nodes;
 * else like no_kind_ops. */
extern struct memkind_ops numa_kind_ops;

/* For kinds that memkind_create_kind() makes. Their source, kind->priv, is a
 * struct numa_place that outlives them. */
extern struct memkind_ops numa_created_ops;

#endif
