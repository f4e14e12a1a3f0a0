/* SPDX-License-Identifier: BSD-2-Clause */
/* The files of a pool's regions, and the places that they are made in. */
#ifndef POOL_FILES_H
#define POOL_FILES_H

#include "region.h"

/* Makes a file for regions of the pool in one of its places; returns its
 * descriptor or a negative errno. */
int pool_create_file(const struct pool_place *place);

/* Looks at an empty file for a region, and notes whether it has no holes.
 * Returns 0 or a negative errno. */
int pool_prepare_file(struct memkind_region_pool *pool, int fd,
                      struct file_system *file_system);

/* Whether the pool has several places, one of which has space as far as is
 * known: what lies in the others is used last. */
bool pool_avoids_full_places(const struct memkind_region_pool *pool);

/* Whether the space that was last asked for in a place could not be had. */
static inline bool pool_place_is_full(const struct pool_place *place)
{
    return atomic_load_explicit(&place->lacks_space, memory_order_relaxed);
}

/* The place for a further file: the first that has space, or else the first. */
struct pool_place *pool_place_with_space(struct memkind_region_pool *pool);

#endif
