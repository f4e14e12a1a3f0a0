/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Commit and decommit when file space is taken in grains larger than a page: a
 * grain's file space is allocated with its first committed page and given back
 * with its last. If that cannot be had, pages are taken alone (grain_split.h).
 */
#ifndef REGION_GRAINS_H
#define REGION_GRAINS_H

#include "region.h"

/* Do what region_pool_commit() and _decommit() do; offsets are within the
 * region. */
int region_grains_commit(struct memkind_region_pool *pool,
                         struct region *region, size_t offset, size_t size);
int region_grains_decommit(struct memkind_region_pool *pool,
                           struct region *region, size_t offset, size_t size);

/* Does what region_pool_pay() does. */
void region_grains_pay(struct memkind_region_pool *pool, struct region *region);

#endif
