/* SPDX-License-Identifier: BSD-2-Clause */
/* Create and destroy operations of kinds over a place: files, a device, or an
 * area of the caller's. */
#ifndef KIND_PLACE_H
#define KIND_PLACE_H

#include "kind_regions.h"

/* Opens the pool, then calls memkind_arena_create(). `mmap` is the operation
 * that takes blocks from the pool. */
int kind_place_create(struct memkind *kind, struct memkind_ops *ops,
                      const char *name, kind_open_fn *open, kind_mmap_fn *mmap);

int kind_place_destroy(struct memkind *kind);

#endif
