/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Commit and decommit where file space is taken in grains larger than a page:
 * a grain's file space is allocated with its first committed page and given
 * back with its last.
 */
#ifndef REGION_GRAINS_H
#define REGION_GRAINS_H

#include "region_pool.h"

/* Makes a region's tables; for a grain of one page there are none. */
int region_grains_init(struct region_pool *pool, struct region *region);
void region_grains_fini(struct region_pool *pool, struct region *region);

/* As region_pool_commit() and _decommit(); offsets are within the region. */
int region_grains_commit(struct region_pool *pool, struct region *region,
                         size_t offset, size_t size);
int region_grains_decommit(struct region_pool *pool, struct region *region,
                           size_t offset, size_t size);

/* File space of a part of a region that holds whole grains; charges it. */
int region_space_take(struct region_pool *pool, struct region *region,
                      size_t offset, size_t size);
int region_space_give(struct region_pool *pool, struct region *region,
                      size_t offset, size_t size);

#endif
