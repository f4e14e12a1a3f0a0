/* SPDX-License-Identifier: BSD-2-Clause */
#include "grain_split.h"

#include <errno.h>
#include <fcntl.h>

#include "region_readahead.h"
#include "region_space.h"
#include "sys_calls.h"

/* Whether pages that have just lost their space are in the page cache. They lie
 * with others in a folio then that could not be split. */
static bool is_cached(const struct region *region, struct page_range pages)
{
    const size_t page_size = region_page_size();
    unsigned char cached[256];
    while (pages.first < pages.end) {
        size_t count = pages.end - pages.first;
        if (count > sizeof cached)
            count = sizeof cached;
        if (sys.mincore(region->base + pages.first * page_size,
                        count * page_size, cached) != 0)
            return true;
        for (size_t i = 0; i < count; i++)
            if ((cached[i] & 1) != 0)
                return true;
        pages.first += count;
    }
    return false;
}

/* Writes a grain back, so that what is in the page cache can be split. */
static void clean_grain(const struct memkind_region_pool *pool,
                        const struct region *region, struct page_range pages)
{
    const size_t offset = first_grain(pool, pages) * pool->grain;
    if (region_has_descriptor(region))
        (void)sys.sync_file_range(
            region->fd, (off_t)(region->file_offset + offset),
            (off_t)pool->grain,
            SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
                SYNC_FILE_RANGE_WAIT_AFTER);
    else
        (void)sys.pmem_msync(region->base + offset, pool->grain);
}

/*
 * Gives the space of some pages of a grain. What was read ahead before that was
 * forbidden may lie over them and over others at once. Such a folio can be
 * split only while it is clean; if a thread stores to it all the time, the
 * pages keep their space. is_whole: the grain has not been split before
 */
static int give_part(struct memkind_region_pool *pool, struct region *region,
                     struct page_range pages, bool is_whole)
{
    const size_t page_size = region_page_size();
    const bool matters = region_readahead_matters(pool) && region->fd >= 0 &&
                         !region->is_private;
    if (matters && is_whole)
        clean_grain(pool, region, pages);
    int result = grain_pages_give(pool, region, pages);
    if (result != 0 || !matters || !is_cached(region, pages))
        return result;
    clean_grain(pool, region, pages);
    (void)region_space_punch(region, pages.first * page_size,
                             (pages.end - pages.first) * page_size);
    if (!is_cached(region, pages))
        return 0;
    if (grain_pages_take(pool, region, pages) == 0)
        atomic_store(&region->owed_pages, 1);
    return -EBUSY;
}

int grain_split_give_unused(struct memkind_region_pool *pool,
                            struct region *region, struct page_range pages,
                            bool is_whole)
{
    struct page_range run;
    int result = 0;
    while (result == 0 &&
           grain_pages_next_run(pool, region, &pages, true, false, &run)) {
        run = inner_units(pool, run);
        if (run.first < run.end)
            result = give_part(pool, region, run, is_whole);
    }
    return result;
}

/* Gives back what a grain has of unused space. Returns how many bytes. */
static size_t split_grain(struct memkind_region_pool *pool,
                          struct region *region, size_t i)
{
    const size_t per_grain = pages_per_grain(pool);
    const size_t before = region->grain_space[i];
    const struct page_range grain = grain_range(pool, i);
    if (before <= region->grain_live[i])
        return 0;
    (void)grain_split_give_unused(pool, region, grain, before == per_grain);
    return (before - region->grain_space[i]) * region_page_size();
}

/* Drops what was read ahead into grains that are to get a part of their space:
 * it lies over all of the grain. */
static int drop_readahead(struct memkind_region_pool *pool,
                          struct region *region, struct page_range pages)
{
    if (!region_readahead_matters(pool) || region->fd < 0 || region->is_private)
        return 0;
    for (size_t i = first_grain(pool, pages); i < end_grain(pool, pages); i++) {
        int result =
            region->grain_space[i] != 0
                ? 0
                : region_space_punch(region, i * pool->grain, pool->grain);
        if (result != 0)
            return result;
    }
    return 0;
}

/* Splits grains until the pages can have the space that they lack; all grains
 * at once if that costs little. */
static int split_until_taken(struct memkind_region_pool *pool,
                             struct region *region, struct page_range pages)
{
    const bool is_costly = region_readahead_matters(pool);
    const size_t needed = (pages.end - pages.first) * region_page_size();
    size_t gained = 0;
    int result =
        is_costly ? grain_pages_take_missing(pool, region, pages) : -ENOSPC;
    for (size_t i = 0; i < region->grain_end && result != 0; i++) {
        gained += split_grain(pool, region, i);
        if (!is_costly || gained < needed)
            continue;
        result = grain_pages_take_missing(pool, region, pages);
        gained = 0;
    }
    return result != 0 ? grain_pages_take_missing(pool, region, pages) : 0;
}

int grain_split_and_take(struct memkind_region_pool *pool,
                         struct region *region, struct page_range pages)
{
    int result = region_readahead_forbid(pool);
    if (result != 0)
        return result;
    result = drop_readahead(pool, region, pages);
    if (result == 0)
        result = split_until_taken(pool, region, pages);
    region_readahead_release(pool);
    return result;
}
