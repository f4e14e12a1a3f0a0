/* SPDX-License-Identifier: BSD-2-Clause */
/* On which NUMA nodes the memory of kinds lies, and in which pages. */
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

/* The sort of memory that a kind has, if it is not simply DRAM. */
struct numa_place {
    bool has_nodes;       /* only those of `numa` will do */
    bool has_huge_pages;  /* of 2 MiB that are set aside for that */
    bool may_be_anywhere; /* if there are no other nodes anyway */
    struct region_numa numa;
};

/* Sets *place to the sort of memory that a kind has, NULL: simply DRAM.
 * For a static kind that is found out; for others of the library's it is what
 * their source, kind->priv, says; those of a program's own are of DRAM. Returns
 * MEMKIND_SUCCESS, or why the kind cannot be had. */
int numa_kind_find(struct memkind *kind, const struct numa_place **place);

/* Bytes of memory, or of huge pages, on the nodes of such a kind. False: it is
 * of DRAM. 0: it cannot be had, or nothing is known of it. */
bool numa_kind_capacity(struct memkind *kind, size_t *capacity);

#endif
