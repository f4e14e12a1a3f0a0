/* SPDX-License-Identifier: BSD-2-Clause */
#include "grain_pages.h"

#include "grain_sets.h"
#include "grain_small_pages.h"
#include "page_map.h"
#include "region_readahead.h"
#include "region_space.h"

struct page_range grain_part(const struct memkind_region_pool *pool,
                             struct page_range pages, size_t grain)
{
    size_t per_grain = pages_per_grain(pool);
    if (pages.first < grain * per_grain)
        pages.first = grain * per_grain;
    if (pages.end > (grain + 1) * per_grain)
        pages.end = (grain + 1) * per_grain;
    return pages;
}

/* ---- units of the file system ---- */

static size_t pages_per_unit(const struct memkind_region_pool *pool)
{
    const size_t page_size = region_page_size();
    return pool->file_system.unit > page_size
               ? pool->file_system.unit / page_size
               : 1;
}

struct page_range outer_units(const struct memkind_region_pool *pool,
                              struct page_range pages)
{
    const size_t per_unit = pages_per_unit(pool);
    return (struct page_range){pages.first / per_unit * per_unit,
                               (pages.end + per_unit - 1) / per_unit *
                                   per_unit};
}

struct page_range inner_units(const struct memkind_region_pool *pool,
                              struct page_range pages)
{
    const size_t per_unit = pages_per_unit(pool);
    return (struct page_range){(pages.first + per_unit - 1) / per_unit *
                                   per_unit,
                               pages.end / per_unit * per_unit};
}

/* ---- keeping the tables ---- */

/* Grains of a range that have space, but not for all of their pages; 0 if it
 * does not matter. */
static size_t part_grains(const struct memkind_region_pool *pool,
                          const struct region *region, struct page_range pages)
{
    size_t count = 0;
    if (!region_readahead_matters(pool))
        return 0;
    for (size_t i = first_grain(pool, pages); i < end_grain(pool, pages); i++)
        count += grain_is_part(pool, region, i);
    return count;
}

/* Notes that pages have file space, or have lost it and their contents with
 * it. */
static void note_space(struct memkind_region_pool *pool, struct region *region,
                       struct page_range pages, bool has_space)
{
    ranked_lock_assert_held(&region->grain_lock);
    const size_t parts = part_grains(pool, region, pages);
    const struct page_map space = space_map_of(pool, region);
    const struct page_map dirty = dirty_map_of(pool, region);
    const size_t changed =
        page_map_set(&space, pages.first, pages.end, has_space);
    region->space_pages += has_space ? changed : -changed;
    if (!has_space)
        (void)page_map_set(&dirty, pages.first, pages.end, false);
    else if (region->grain_end < end_grain(pool, pages))
        region->grain_end = end_grain(pool, pages);
    region_readahead_note(pool, parts, part_grains(pool, region, pages));
}

void grain_note_live(const struct memkind_region_pool *pool,
                     struct region *region, struct page_range pages,
                     bool is_live)
{
    ranked_lock_assert_held(&region->grain_lock);
    const struct page_map map = live_map_of(pool, region);
    const size_t changed = page_map_set(&map, pages.first, pages.end, is_live);
    region->live_pages += is_live ? changed : -changed;
}

void grain_pages_note_idle(const struct memkind_region_pool *pool,
                           struct region *region, struct page_range pages)
{
    grain_sets_update(region, pages_per_grain(pool), first_grain(pool, pages),
                      end_grain(pool, pages));
}

size_t grain_pages_missing(const struct memkind_region_pool *pool,
                           const struct region *region, struct page_range pages)
{
    const struct page_map space = space_map_of(pool, region);
    return pages.end - pages.first -
           page_map_count(&space, pages.first, pages.end);
}

int grain_pages_take(struct memkind_region_pool *pool, struct region *region,
                     struct page_range pages)
{
    const size_t page_size = region_page_size();
    const size_t first = first_grain(pool, pages);
    const size_t last = end_grain(pool, pages) - 1;
    const bool first_is_new = region->grain_space[first] == 0;
    const bool last_is_new = region->grain_space[last] == 0;
    int result = region_space_take(pool, region, pages.first * page_size,
                                   (pages.end - pages.first) * page_size);
    if (result != 0)
        return result;
    note_space(pool, region, pages, true);
    if (first_is_new && grain_is_part(pool, region, first))
        grain_small_pages_map(pool, region, first);
    if (last != first && last_is_new && grain_is_part(pool, region, last))
        grain_small_pages_map(pool, region, last);
    return 0;
}

int grain_pages_give(struct memkind_region_pool *pool, struct region *region,
                     struct page_range pages)
{
    const size_t page_size = region_page_size();
    const struct page_map space = space_map_of(pool, region);
    size_t held = page_map_count(&space, pages.first, pages.end);
    if (held == 0)
        return 0;
    int result = region_space_give(pool, region, pages.first * page_size,
                                   (pages.end - pages.first) * page_size,
                                   held * page_size);
    if (result == 0)
        note_space(pool, region, pages, false);
    else if (!region_space_is_kept(result))
        atomic_store(&region->owed_pages, 1);
    return result;
}

/* ---- finding pages ---- */

bool grain_pages_next_run(const struct memkind_region_pool *pool,
                          const struct region *region, struct page_range *pages,
                          bool has_space, bool is_live, struct page_range *run)
{
    ranked_lock_assert_held(&region->grain_lock);
    const struct page_map maps[2] = {space_map_of(pool, region),
                                     live_map_of(pool, region)};
    const bool values[2] = {has_space, is_live};
    run->first = pages->first;
    run->end = page_map_next_run(maps, values, &run->first, pages->end);
    pages->first = run->end;
    return run->first < run->end;
}

int grain_pages_take_missing(struct memkind_region_pool *pool,
                             struct region *region, struct page_range pages)
{
    struct page_range run;
    while (grain_pages_next_run(pool, region, &pages, false, false, &run)) {
        int result = grain_pages_take(pool, region, outer_units(pool, run));
        if (result != 0)
            return result;
    }
    return 0;
}
