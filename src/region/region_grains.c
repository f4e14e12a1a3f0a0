/* SPDX-License-Identifier: BSD-2-Clause */
#include "region_grains.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "grain_pages.h"
#include "grain_small_pages.h"
#include "grain_split.h"
#include "grain_tables.h"
#include "page_map.h"
#include "region_detach.h"
#include "region_space.h"

/* ---- whether space is scarce ---- */

/* A pool that has lacked space has plenty again when it holds less by this part
 * of what it held then, and by two grains at least. */
#define PLENTY_PART 8

static void note_full(struct memkind_region_pool *pool)
{
    const size_t charged = atomic_load(&pool->charged);
    atomic_store(&pool->charged_when_full, charged != 0 ? charged : 1);
}

/* Notes that whole grains could be taken: if more is held than when space was
 * lacking, it is so no longer. */
static void note_room(struct memkind_region_pool *pool)
{
    const size_t full = atomic_load(&pool->charged_when_full);
    if (full != 0 && atomic_load(&pool->charged) > full)
        atomic_store(&pool->charged_when_full, 0);
}

/* Whether so much can be taken that is not needed yet. */
static bool has_plenty(const struct memkind_region_pool *pool, size_t size)
{
    const size_t full = atomic_load(&pool->charged_when_full);
    size_t rest = full / PLENTY_PART;
    if (rest < 2 * pool->grain)
        rest = 2 * pool->grain;
    return full == 0 || atomic_load(&pool->charged) + size + rest <= full;
}

/* ---- parts of a commit ---- */

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
        note_room(pool);
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
    size_t page = region->is_private ? pages.end : pages.first;
    while ((page = page_map_next(&dirty, page, pages.end, true)) < pages.end) {
        const size_t first = page;
        page = page_map_next(&dirty, page, pages.end, false);
        memset(region->base + first * page_size, 0, (page - first) * page_size);
    }
    (void)page_map_set(&dirty, pages.first, pages.end, true);
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

/* ---- putting split grains together ---- */

/* Takes all the space that a split grain lacks, if it has to take some for the
 * pages. */
static void make_whole(struct memkind_region_pool *pool, struct region *region,
                       struct page_range pages, size_t i)
{
    const struct page_range grain = grain_range(pool, i);
    const size_t missing = pages_per_grain(pool) - region->grain_space[i];
    if (region->grain_space[i] == 0 || missing == 0 || region->is_private ||
        grain_pages_missing(pool, region, grain_part(pool, pages, i)) == 0 ||
        !has_plenty(pool, missing * region_page_size()))
        return;
    int result = grain_pages_take_missing(pool, region, grain);
    if (grain_space_is_lacking(result))
        note_full(pool);
}

/* Takes the space that pages lack in grains that have some already. */
static int take_rest(struct memkind_region_pool *pool, struct region *region,
                     struct page_range pages)
{
    const size_t first = first_grain(pool, pages);
    const size_t last = end_grain(pool, pages) - 1;
    make_whole(pool, region, pages, first);
    if (last != first)
        make_whole(pool, region, pages, last);
    return grain_pages_take_missing(pool, region, pages);
}

/* ---- pages that are detached from the file ---- */

/* The pages, and those before and behind them in grains in which nothing is
 * committed: whole grains are mapped by large pages. */
static struct page_range
with_idle_grains(const struct memkind_region_pool *pool,
                 const struct region *region, struct page_range pages)
{
    const size_t first = first_grain(pool, pages);
    const size_t last = end_grain(pool, pages) - 1;
    if (region->grain_live[first] == 0)
        pages.first = grain_range(pool, first).first;
    if (region->grain_live[last] == 0)
        pages.end = grain_range(pool, last).end;
    return pages;
}

static void attach_pages(struct memkind_region_pool *pool,
                         struct region *region, struct page_range pages)
{
    const size_t page_size = region_page_size();
    if (!region_is_detached(region))
        return;
    pages = with_idle_grains(pool, region, pages);
    (void)region_detach_attach(pool, region, pages.first * page_size,
                               (pages.end - pages.first) * page_size, false);
    grain_small_pages_map_parts(pool, region, first_grain(pool, pages),
                                end_grain(pool, pages));
}

/* ---- commit ---- */

int region_grains_commit(struct memkind_region_pool *pool,
                         struct region *region, size_t offset, size_t size,
                         bool may_split)
{
    const struct page_range pages = page_range_of(offset, size);
    ranked_lock_take(&region->grain_lock);
    int result = take_grains(pool, region, pages);
    if (result == 0)
        result = take_rest(pool, region, pages);
    if (grain_space_is_lacking(result) && may_split) {
        note_full(pool);
        result = grain_split_and_take(pool, region, pages);
    }
    if (result == 0) {
        attach_pages(pool, region, pages);
        grain_note_live(pool, region, pages, true);
        clear_dirty_pages(pool, region, pages);
    } else {
        drop_empty_grains(pool, region, pages);
    }
    grain_pages_note_idle(pool, region, pages);
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

/* Whole grains of a range, no more than take up so many bytes. */
static struct page_range no_more_than(const struct memkind_region_pool *pool,
                                      struct page_range grains, size_t most)
{
    const size_t pages = most / pool->grain * pages_per_grain(pool);
    if (grains.end > grains.first && grains.end - grains.first > pages)
        grains.end = grains.first + pages;
    return grains;
}

int region_grains_decommit(struct memkind_region_pool *pool,
                           struct region *region, size_t offset, size_t size,
                           size_t at_once)
{
    const struct page_range pages = page_range_of(offset, size);
    int result = 0;
    ranked_lock_take(&region->grain_lock);
    struct page_range empty = grains_that_empty(pool, region, pages);
    const size_t end = empty.end;
    if (at_once < size)
        empty = no_more_than(pool, empty, at_once);
    if (!region->is_private &&
        atomic_load_explicit(&pool->no_punch, memory_order_relaxed))
        result = -EOPNOTSUPP;
    else if (empty.first < empty.end)
        result = grain_pages_give(pool, region, empty);
    if (result == 0 || !region_space_is_kept(result)) {
        result = 0; /* the space stays for now; see region_grains_pay() */
        grain_note_live(pool, region, pages, false);
        if (at_once < size)
            atomic_store(&region->owed_pages, 1);
        if (at_once != 0 && empty.end == end) {
            give_in_split_grain(pool, region, pages, first_grain(pool, pages));
            give_in_split_grain(pool, region, pages,
                                end_grain(pool, pages) - 1);
        }
    }
    grain_pages_note_idle(pool, region, pages);
    ranked_lock_release(&region->grain_lock);
    return result;
}

/* Debug builds check the tables of regions that are no larger. */
#define CHECKED_GRAINS 65536

size_t region_grains_pay(struct memkind_region_pool *pool,
                         struct region *region, size_t most, bool insists)
{
    ranked_lock_take(&region->grain_lock);
    assert(region->grain_end > CHECKED_GRAINS ||
           grain_tables_are_sound(pool, region));
    const size_t paid = grain_split_pay(pool, region, most, insists);
    ranked_lock_release(&region->grain_lock);
    return paid;
}

size_t region_grains_give_idle(struct memkind_region_pool *pool,
                               struct region *region, size_t most)
{
    ranked_lock_take(&region->grain_lock);
    const size_t given = grain_split_give_idle(pool, region, most);
    ranked_lock_release(&region->grain_lock);
    return given;
}
