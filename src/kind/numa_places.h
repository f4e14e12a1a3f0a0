/* SPDX-License-Identifier: BSD-2-Clause */
/* On which NUMA nodes the memory of kinds lies. */
#ifndef NUMA_PLACES_H
#define NUMA_PLACES_H

#include <memkind/internal/memkind_private.h>

#include "region_numa.h"

/* The operation check_available of all kinds of certain nodes, by which they
 * are known. */
int numa_kind_check(struct memkind *kind);

static inline bool numa_kind_is(const struct memkind_ops *ops)
{
    return ops->check_available == numa_kind_check;
}

/* Sets *numa to the nodes of a kind, NULL: any. For a static kind that is found
 * out; for others it is what their source says. Returns MEMKIND_SUCCESS, or why
 * the kind cannot be had. */
int numa_kind_find(struct memkind *kind, const struct region_numa **numa);

/* Bytes of memory on the nodes of such a kind. False: it is no such kind. 0: it
 * cannot be had, or nothing is known of it. */
bool numa_kind_capacity(struct memkind *kind, size_t *capacity);

#endif
