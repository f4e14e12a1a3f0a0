/* SPDX-License-Identifier: BSD-2-Clause */
/* What kinds over a region pool have in common, whatever the pool is on. */
#ifndef KIND_REGIONS_H
#define KIND_REGIONS_H

#include <memkind/internal/memkind_private.h>

#include "region_pool.h"

/* A DRAM kind gets its arenas and regions at its first use, by whichever thread
 * that is; other threads see both, or neither. NULL before, and arenas that are
 * lost. */
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

typedef void *kind_mmap_fn(struct memkind *kind, void *addr, size_t size);

/* Opens the pool from what kind->priv points to; 0 or a negative errno. */
typedef int kind_open_fn(struct memkind_region_pool *pool, const void *source,
                         struct memkind *kind);

/*
 * A create operation: opens the pool, then calls memkind_arena_create().
 * `mmap` is the operation that takes blocks from the pool.
 */
int kind_regions_create(struct memkind *kind, struct memkind_ops *ops,
                        const char *name, kind_open_fn *open,
                        kind_mmap_fn *mmap);

/* A destroy operation. */
int kind_regions_destroy(struct memkind *kind);

/* Gives a pool of kind_regions_new() back, with its regions. */
void kind_regions_delete(struct memkind_region_pool *pool);

/* A pool that `open` has opened; 0 or MEMKIND_ERROR_*. */
int kind_regions_new(struct memkind *kind, const void *source,
                     kind_open_fn *open, struct memkind_region_pool **pool);

/* Remembers the source for the create operation. */
int kind_regions_set_source(struct memkind *kind, const void *source);

/* An mmap operation; `self` is that operation. */
void *kind_regions_mmap(struct memkind *kind, size_t size, kind_mmap_fn *self);

#endif
