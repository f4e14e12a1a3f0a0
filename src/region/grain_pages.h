/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ranges of pages in regions that have tables: which grains they are in, and
 * taking and giving their file space, with the tables kept. The region's
 * grain_lock is held.
 */
#ifndef GRAIN_PAGES_H
#define GRAIN_PAGES_H

#include <errno.h>

#include "grain_tables.h"
#include "region.h"

/* A range of pages, [first, end). */
struct page_range {
    size_t first, end;
};

static inline struct page_range page_range_of(size_t offset, size_t size)
{
    return (struct page_range){region_page_of(offset),
                               region_page_of(offset + size)};
}

/* The pages of a grain. */
static inline struct page_range
grain_range(const struct memkind_region_pool *pool, size_t grain)
{
    const size_t per_grain = pages_per_grain(pool);
    return (struct page_range){grain * per_grain, (grain + 1) * per_grain};
}

/* The grains that a range touches, [first_grain(), end_grain()). */
static inline size_t first_grain(const struct memkind_region_pool *pool,
                                 struct page_range pages)
{
    return pages.first / pages_per_grain(pool);
}

static inline size_t end_grain(const struct memkind_region_pool *pool,
                               struct page_range pages)
{
    return (pages.end - 1) / pages_per_grain(pool) + 1;
}

/* The part of a range that lies in one grain. */
struct page_range grain_part(const struct memkind_region_pool *pool,
                             struct page_range pages, size_t grain);

/*
 * File systems with large clusters give and take the space of several pages
 * together. The units that a range touches, and those that lie within it;
 * within a grain, nothing smaller has or lacks space.
 */
struct page_range outer_units(const struct memkind_region_pool *pool,
                              struct page_range pages);
struct page_range inner_units(const struct memkind_region_pool *pool,
                              struct page_range pages);

/* Notes that pages are committed, or are so no longer. */
void grain_note_live(const struct memkind_region_pool *pool,
                     struct region *region, struct page_range pages,
                     bool is_live);

/* Brings up to date which grains of a range have idle pages (grain_sets.h). To
 * be called when space has been taken or given, or pages have become live or
 * are so no longer; once for all of that. */
void grain_pages_note_idle(const struct memkind_region_pool *pool,
                           struct region *region, struct page_range pages);

/* Counts the pages that have no file space. */
size_t grain_pages_missing(const struct memkind_region_pool *pool,
                           const struct region *region,
                           struct page_range pages);

/* Whether a failure to take space says that there is too little. */
static inline bool grain_space_is_lacking(int result)
{
    return result == -ENOMEM || result == -ENOSPC || result == -EDQUOT;
}

/* Takes the file space of pages that have none. 0 or a negative errno. */
int grain_pages_take(struct memkind_region_pool *pool, struct region *region,
                     struct page_range pages);

/* Takes the space that pages of the range lack, for those alone. What was taken
 * before a failure is left to the caller. */
int grain_pages_take_missing(struct memkind_region_pool *pool,
                             struct region *region, struct page_range pages);

/* Gives back what space the pages have. */
int grain_pages_give(struct memkind_region_pool *pool, struct region *region,
                     struct page_range pages);

/* Finds the first run of pages at or after `pages->first` which have or lack
 * space, and are committed or not, as asked; false if there is none. Moves
 * `pages->first` behind the run. */
bool grain_pages_next_run(const struct memkind_region_pool *pool,
                          const struct region *region, struct page_range *pages,
                          bool has_space, bool is_live, struct page_range *run);

#endif
