/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pages instead of whole grains, when the budget or the file system leaves no
 * whole grain: the space of free pages in other grains is given back, and a
 * grain whose space is not whole ("split") takes and gives space by the page
 * until it is empty. That costs the large mappings of those grains, and is
 * better than NULL while there is room.
 *
 * The region's grain_lock is held.
 */
#ifndef GRAIN_SPLIT_H
#define GRAIN_SPLIT_H

#include "grain_pages.h"
#include "region.h"

/* Takes the space that pages lack, and splits grains for it. Returns 0 or a
 * negative errno; what was taken before a failure is left to the caller. */
int grain_split_and_take(struct memkind_region_pool *pool,
                         struct region *region, struct page_range pages);

/* Gives the space of those pages of a range that are not committed.
 * is_whole: their grain has not been split before */
int grain_split_give_unused(struct memkind_region_pool *pool,
                            struct region *region, struct page_range pages,
                            bool is_whole);

#endif
