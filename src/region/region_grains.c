/* SPDX-License-Identifier: BSD-2-Clause */
#include "region_grains.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "grain_pages.h"
#include "grain_split.h"
#include "grain_tables.h"
#include "page_map.h"
#include "region_space.h"

/* ---- commit ---- */

/* Takes the space of those grains of the range that have none at all, of as
 * many at once as lie next to each other. */
static int take_grains(struct memkind_region_pool *pool, struct region *region,
                       struct page_range pages)
{
    const size_t per_grain = pages_per_grain(pool);
    const size_t end = end_grain(pool, pages);
    size_t next;
    for (size_t i = first_grain(pool, pages); i < end; i = next) {
        next = i + 1;
        if (region->grain_space[i] != 0)
            continue;
        while (next < end && region->grain_space[next] == 0)
            next++;
        int result = grain_pages_take(
            pool, region, (struct page_range){i * per_grain, next * per_grain});
        if (result != 0)
            return result;
    }
    return 0;
}

/* Pages that were in use before, and have kept their space since, still hold
 * their old contents; jemalloc expects zeroes. */
static void clear_dirty_pages(const struct memkind_region_pool *pool,
                              struct region *region, struct page_range pages)
{
    const size_t page_size = region_page_size();
    const struct page_map dirty = dirty_map_of(pool, region);
    const size_t end = end_grain(pool, pages);
    for (size_t i = first_grain(pool, pages); i < end; i++) {
        if (region->grain_dirty[i] == 0 || region->is_private)
            continue;
        const struct page_range part = grain_part(pool, pages, i);
        for (size_t page = part.first; page < part.end; page++)
            if (page_map_has(&dirty, page))
                memset(region->base + page * page_size, 0, page_size);
    }
    page_map_set(&dirty, pages.first, pages.end, true);
}

/* Gives back, after a failed commit, the space of grains without a committed
 * page. */
static void drop_empty_grains(struct memkind_region_pool *pool,
                              struct region *region, struct page_range pages)
{
    const size_t end = end_grain(pool, pages);
    for (size_t i = first_grain(pool, pages); i < end; i++)
        if (region->grain_live[i] == 0 && region->grain_space[i] != 0)
            (void)grain_pages_give(pool, region, grain_range(pool, i));
}

int region_grains_commit(struct memkind_region_pool *pool,
                         struct region *region, size_t offset, size_t size)
{
    const struct page_range pages = page_range_of(offset, size);
    ranked_lock_take(&region->grain_lock);
    int result = take_grains(pool, region, pages);
    if (result == 0)
        result = grain_pages_take_missing(pool, region, pages);
    if (result == -ENOMEM || result == -ENOSPC || result == -EDQUOT)
        result = grain_split_and_take(pool, region, pages);
    if (result == 0) {
        grain_note_live(pool, region, pages, true);
        clear_dirty_pages(pool, region, pages);
    } else {
        drop_empty_grains(pool, region, pages);
    }
    ranked_lock_release(&region->grain_lock);
    return result;
}

/* ---- decommit ---- */

/* The pages of those grains whose last committed pages are in the range. */
static struct page_range
grains_that_empty(const struct memkind_region_pool *pool,
                  const struct region *region, struct page_range pages)
{
    const size_t per_grain = pages_per_grain(pool);
    size_t first = first_grain(pool, pages), end = end_grain(pool, pages);
    struct page_range last = grain_part(pool, pages, end - 1);
    if (region->grain_live[end - 1] != last.end - last.first)
        end--;
    struct page_range head = grain_part(pool, pages, first);
    if (first < end && region->grain_live[first] != head.end - head.first)
        first++;
    return (struct page_range){first * per_grain, end * per_grain};
}

/* Gives back the space of the range's own pages in a grain that stays and is
 * split. */
static void give_in_split_grain(struct memkind_region_pool *pool,
                                struct region *region, struct page_range pages,
                                size_t grain)
{
    if (region->grain_live[grain] != 0 &&
        region->grain_space[grain] < pages_per_grain(pool))
        (void)grain_split_give_unused(
            pool, region, outer_units(pool, grain_part(pool, pages, grain)),
            false);
}

int region_grains_decommit(struct memkind_region_pool *pool,
                           struct region *region, size_t offset, size_t size)
{
    const struct page_range pages = page_range_of(offset, size);
    int result = 0;
    ranked_lock_take(&region->grain_lock);
    const struct page_range empty = grains_that_empty(pool, region, pages);
    if (!region->is_private &&
        atomic_load_explicit(&pool->no_punch, memory_order_relaxed))
        result = -EOPNOTSUPP;
    else if (empty.first < empty.end)
        result = grain_pages_give(pool, region, empty);
    if (result == 0 || !region_space_is_kept(result)) {
        result = 0; /* the space stays for now; see region_grains_pay() */
        grain_note_live(pool, region, pages, false);
        give_in_split_grain(pool, region, pages, first_grain(pool, pages));
        give_in_split_grain(pool, region, pages, end_grain(pool, pages) - 1);
    }
    ranked_lock_release(&region->grain_lock);
    return result;
}

/* Gives back what is not in use in grains that are empty, or split. In other
 * grains, space of pages that are not committed is kept on purpose. */
void region_grains_pay(struct memkind_region_pool *pool, struct region *region)
{
    const size_t per_grain = pages_per_grain(pool);
    int result = 0;
    ranked_lock_take(&region->grain_lock);
    atomic_store(&region->owed_pages, 0);
    assert(grain_tables_are_sound(pool, region));
    for (size_t i = 0; i < region->grain_end && result == 0; i++) {
        const struct page_range grain = grain_range(pool, i);
        if (region->grain_space[i] == 0 ||
            (region->grain_live[i] != 0 && region->grain_space[i] == per_grain))
            continue;
        result = region->grain_live[i] == 0
                     ? grain_pages_give(pool, region, grain)
                     : grain_split_give_unused(pool, region, grain, false);
    }
    ranked_lock_release(&region->grain_lock);
}
