/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Commit and decommit when file space is taken in grains larger than a page: a
 * grain's file space is allocated with its first committed page and given back
 * with its last. If that cannot be had, pages are taken alone (grain_split.h).
 */
#ifndef REGION_GRAINS_H
#define REGION_GRAINS_H

#include "region.h"

/*
 * Do what region_pool_commit() and _decommit_some() do; offsets are within the
 * region.
 * may_split: if space is lacking, grains are split
 */
int region_grains_commit(struct memkind_region_pool *pool,
                         struct region *region, size_t offset, size_t size,
                         bool may_split);
int region_grains_decommit(struct memkind_region_pool *pool,
                           struct region *region, size_t offset, size_t size,
                           size_t at_once);

/* Does what region_pool_pay_some() does, for one region. */
size_t region_grains_pay(struct memkind_region_pool *pool,
                         struct region *region, size_t most, bool insists);

/* Does what region_pool_give_idle() does, for one region. */
size_t region_grains_give_idle(struct memkind_region_pool *pool,
                               struct region *region, size_t most);

#endif
