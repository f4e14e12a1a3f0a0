/* SPDX-License-Identifier: BSD-2-Clause */
/* A kind's pool of regions, before the kind has a heap and after. */
#ifndef KIND_REGIONS_H
#define KIND_REGIONS_H

#include <memkind/internal/memkind_private.h>

#include "region_pool.h"

enum kind_place {
    KIND_ON_FILES, /* or a device */
    KIND_ON_AREA,  /* memory of the caller's */
};

typedef void *kind_mmap_fn(struct memkind *kind, void *addr, size_t size);

/* Opens the pool from what kind->priv points to; 0 or a negative errno. */
typedef int kind_open_fn(struct memkind_region_pool *pool, const void *source,
                         struct memkind *kind);

/* A pool that `open` has opened; 0 or MEMKIND_ERROR_*. */
int kind_regions_new(struct memkind *kind, const void *source,
                     kind_open_fn *open, struct memkind_region_pool **pool);

/* Closes a pool of kind_regions_new(), which unmaps its regions. */
void kind_regions_delete(struct memkind_region_pool *pool);

/* Keeps the source for the create operation. */
int kind_regions_set_source(struct memkind *kind, const void *source);

/* The mmap operation of kinds on such a place. */
void *kind_regions_mmap(struct memkind *kind, size_t size,
                        enum kind_place place);

#endif
