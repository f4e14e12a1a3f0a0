/* SPDX-License-Identifier: BSD-2-Clause */
/* What a kind has: its heap, its regions, and what its operations say of it. */
#ifndef KIND_HEAP_H
#define KIND_HEAP_H

#include <memkind/internal/memkind_private.h>

/* Bits of struct memkind's `properties`. kind_create.c finds them out from the
 * kind's operations when the kind is created. */
enum kind_property {
    /* malloc() and free() are the library's own: memkind_malloc() and
     * memkind_free() may go past them, to the thread's cache. */
    KIND_IS_DIRECT = 1 << 0,
    /* The heap is made at the first call, not by the create operation. */
    KIND_MAKES_HEAP_LATE = 1 << 1,
    /* Each block comes from the kind's own operation, not from a pool. */
    KIND_MAPS_BLOCKS = 1 << 2,
    /* Such a block is the library's to unmap. */
    KIND_UNMAPS_BLOCKS = 1 << 3,
    /* There is one arena for all threads. */
    KIND_HAS_ONE_ARENA = 1 << 4,
};

static inline bool kind_has(const struct memkind *kind,
                            enum kind_property property)
{
    /* A kind that makes its heap late has them stored while others read. */
    return (__atomic_load_n(&kind->properties, __ATOMIC_RELAXED) & property) !=
           0;
}

/* A DRAM kind gets its heap and regions at its first use, by any thread; other
 * threads see both, or neither. NULL before that, and for a heap that a forked
 * child has lost. */
static inline struct memkind_heap *kind_heap_of(const struct memkind *kind)
{
    return __atomic_load_n(&kind->heap, __ATOMIC_ACQUIRE);
}

static inline struct memkind_region_pool *
kind_regions_of(const struct memkind *kind)
{
    if (kind_heap_of(kind) == NULL && kind->lost_heap == NULL)
        return NULL;
    return kind->regions;
}

#endif
