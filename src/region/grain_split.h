/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pages instead of whole grains, when the budget or the file system leaves no
 * whole grain: the space of idle pages in other grains is given back, and a
 * grain whose space is not whole ("split") takes and gives space by the page.
 * That costs the large mappings of those grains, and is better than NULL while
 * there is room. So grains are split only if that can suffice, and only as many
 * as are needed; once there is room again, a split grain in which pages are
 * committed gets all of its space back (region_grains.c).
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

/* Splits grains for another pool, until they have given back so many bytes.
 * Returns how many it was. */
size_t grain_split_give_idle(struct memkind_region_pool *pool,
                             struct region *region, size_t most);

/* Gives back what is not in use in grains that are empty, or split, until it
 * was as many bytes. Begins where the last call has ended, and leaves out
 * grains whose space cannot be given back; some of these end the call, unless
 * it insists and has given nothing so far. Returns how many bytes it was. In
 * other grains, space of pages that are not committed is kept on purpose. */
size_t grain_split_pay(struct memkind_region_pool *pool, struct region *region,
                       size_t most, bool insists);

#endif
