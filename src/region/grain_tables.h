/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The tables of regions whose grain is larger than a page: for each page
 * whether it has file space, is committed, and may hold something, and for each
 * grain how many pages do (page_map.h).
 */
#ifndef GRAIN_TABLES_H
#define GRAIN_TABLES_H

#include "page_map.h"
#include "region.h"

/* Makes a region's grain_lock and tables; there are none if a grain is a page.
 * Returns 0 or a negative errno. */
int grain_tables_init(struct memkind_region_pool *pool, struct region *region);
void grain_tables_fini(struct memkind_region_pool *pool, struct region *region);

/* Makes the tables of the region's first `size` bytes writable. The pool's lock
 * is held. Returns 0 or a negative errno. */
int grain_tables_open(const struct memkind_region_pool *pool,
                      struct region *region, size_t size);

static inline size_t pages_per_grain(const struct memkind_region_pool *pool)
{
    return pool->grain / region_page_size();
}

static inline struct page_map
space_map_of(const struct memkind_region_pool *pool,
             const struct region *region)
{
    return (struct page_map){region->page_space, region->grain_space,
                             pages_per_grain(pool)};
}

static inline struct page_map
live_map_of(const struct memkind_region_pool *pool, const struct region *region)
{
    return (struct page_map){region->page_live, region->grain_live,
                             pages_per_grain(pool)};
}

static inline struct page_map
dirty_map_of(const struct memkind_region_pool *pool,
             const struct region *region)
{
    return (struct page_map){region->page_dirty, region->grain_dirty,
                             pages_per_grain(pool)};
}

/* Whether a grain has space, but not for all of its pages. */
static inline bool grain_is_part(const struct memkind_region_pool *pool,
                                 const struct region *region, size_t grain)
{
    return region->grain_space[grain] != 0 &&
           region->grain_space[grain] < pages_per_grain(pool);
}

/*
 * For assertions: whether the tables, if there are any, are consistent. Counts
 * are those of the bits, what is committed or may hold something has file
 * space, and grains with idle pages are known (grain_sets.h). A forked child
 * may find tables half done; its pool is lost then. The grain_lock is held.
 * Looks at each grain that has ever had space.
 */
bool grain_tables_are_sound(const struct memkind_region_pool *pool,
                            const struct region *region);

/* Bytes of file space that the region has, by its tables. */
size_t grain_tables_space(const struct memkind_region_pool *pool,
                          const struct region *region);

#endif
