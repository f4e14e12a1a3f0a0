/* SPDX-License-Identifier: BSD-2-Clause */
#include "grain_split.h"

#include <errno.h>
#include <fcntl.h>

#include "file_system_space.h"
#include "grain_sets.h"
#include "grain_small_pages.h"
#include "payment.h"
#include "region_owed.h"
#include "region_readahead.h"
#include "region_space.h"
#include "sys_calls.h"

/* Grains whose space cannot be given back before an attempt ends. The next one
 * begins behind them. */
#define FAILURES_MOST 8

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

/* ---- space that is owed ---- */

/* Grains from `i` on that are to be given back as a whole, in one call: no more
 * of them than take up so many bytes. */
static size_t empty_run_end(const struct memkind_region_pool *pool,
                            const struct region *region, size_t i, size_t most)
{
    const struct sparse_bits *owing = &region->owing_grains;
    size_t end = i + 1;
    while (region->grain_live[i] == 0 && end < owing->count &&
           (end + 1 - i) * pool->grain <= most && sparse_bits_has(owing, end) &&
           region->grain_live[end] == 0)
        end++;
    return end;
}

static int pay_grains(struct memkind_region_pool *pool, struct region *region,
                      size_t i, size_t end)
{
    const size_t before = region->space_pages;
    const struct page_range pages = {grain_range(pool, i).first,
                                     grain_range(pool, end - 1).end};
    int result = region->grain_live[i] == 0
                     ? grain_pages_give(pool, region, pages)
                     : grain_split_give_unused(pool, region, pages, false);
    grain_pages_note_idle(pool, region, pages);
    if (result == 0 && region->space_pages == before)
        grain_sets_note_barren(region, i);
    return result;
}

/* Pays for grains from `i` on: for a run of them, or as many of its first ones
 * as that is possible for. Returns the grain behind those that were tried. */
static size_t pay_grain_run(struct memkind_region_pool *pool,
                            struct region *region, size_t i,
                            struct payment *payment)
{
    const size_t before = region->space_pages;
    size_t end = empty_run_end(pool, region, i, payment->most - payment->paid);
    int result = pay_grains(pool, region, i, end);
    while (result != 0 && !region_space_is_kept(result) && end - i > 1) {
        end = i + (end - i) / 2;
        result = pay_grains(pool, region, i, end);
    }
    payment->paid += (before - region->space_pages) * region_page_size();
    payment->failures += result != 0;
    payment->is_kept = region_space_is_kept(result);
    return end;
}

/* Pays for grains from `at` to `end`. Returns where it has stopped. */
static size_t pay_until(struct memkind_region_pool *pool, struct region *region,
                        size_t at, size_t end, struct payment *payment)
{
    const struct sparse_bits *owing = &region->owing_grains;
    while (payment_goes_on(payment) && (at = sparse_bits_next(owing, at)) < end)
        at = pay_grain_run(pool, region, at, payment);
    return at;
}

size_t grain_split_pay(struct memkind_region_pool *pool, struct region *region,
                       size_t most, bool insists)
{
    const struct sparse_bits *owing = &region->owing_grains;
    const size_t start = region->owed_from;
    struct payment payment = {
        .most = most, .failures_most = FAILURES_MOST, .insists = insists};
    size_t at = pay_until(pool, region, start, owing->count, &payment);
    if (at >= owing->count)
        at = pay_until(pool, region, 0, start, &payment);
    region->owed_from = at < owing->count ? at : 0;
    /* Not before the end: other threads look at it without the lock. */
    atomic_store(&region->owed_pages,
                 !payment.is_kept && sparse_bits_next(owing, 0) < owing->count);
    return payment.paid;
}

/* ---- which grains are split ---- */

/* What an attempt to gain pages has come to. */
struct gain {
    struct page_range wanted; /* for these: their own space is not given */
    size_t needed;            /* pages */
    size_t gained;
    unsigned failures;
};

static bool is_done(const struct gain *gain)
{
    return gain->gained >= gain->needed || gain->failures >= FAILURES_MOST;
}

/* Gives back a grain's idle pages, except wanted ones. */
static int give_idle(struct memkind_region_pool *pool, struct region *region,
                     size_t i, struct page_range wanted)
{
    const struct page_range grain = grain_range(pool, i);
    const bool is_whole = region->grain_space[i] == pages_per_grain(pool);
    struct page_range head = grain, tail = grain;
    const bool is_wanted = wanted.first < grain.end && wanted.end > grain.first;
    if (!is_wanted && region->grain_live[i] == 0)
        return grain_pages_give(pool, region, grain);
    if (is_whole)
        grain_small_pages_map(pool, region, i);
    if (!is_wanted)
        return grain_split_give_unused(pool, region, grain, is_whole);
    head.end = wanted.first > grain.first ? wanted.first : grain.first;
    tail.first = wanted.end < grain.end ? wanted.end : grain.end;
    int result = grain_split_give_unused(pool, region, head, is_whole);
    return result != 0 ? result
                       : grain_split_give_unused(pool, region, tail, is_whole);
}

static void split_grain(struct memkind_region_pool *pool, struct region *region,
                        size_t i, struct gain *gain)
{
    const size_t before = region->space_pages;
    const bool is_wanted = i >= first_grain(pool, gain->wanted) &&
                           i < end_grain(pool, gain->wanted);
    int result = give_idle(pool, region, i, gain->wanted);
    grain_pages_note_idle(pool, region, grain_range(pool, i));
    if (result != 0)
        gain->failures++;
    else if (region->space_pages == before && !is_wanted)
        grain_sets_note_barren(region, i);
    gain->gained += before - region->space_pages;
    region->split_next = i + 1;
}

/* Splits grains of [from, end) that are in a bitmap. */
static void split_some(struct memkind_region_pool *pool, struct region *region,
                       const struct sparse_bits *bits, size_t from, size_t end,
                       struct gain *gain)
{
    for (size_t i = from; !is_done(gain); i++) {
        i = sparse_bits_next(bits, i);
        if (i >= end)
            return;
        split_grain(pool, region, i, gain);
    }
}

/* Gives back idle pages of grains that have been split, then splits whole ones:
 * as many as are needed, from where the last attempt ended. */
static void gain_pages(struct memkind_region_pool *pool, struct region *region,
                       struct gain *gain)
{
    const struct sparse_bits *owing = &region->owing_grains;
    const struct sparse_bits *spare = &region->spare_grains;
    const size_t start = region->split_next;
    split_some(pool, region, owing, start, owing->count, gain);
    split_some(pool, region, owing, 0, start, gain);
    split_some(pool, region, spare, start, spare->count, gain);
    split_some(pool, region, spare, 0, start, gain);
}

size_t grain_split_give_idle(struct memkind_region_pool *pool,
                             struct region *region, size_t most)
{
    const size_t end = region_page_count(region);
    struct gain gain = {.wanted = {end, end},
                        .needed = most / region_page_size()};
    if (grain_sets_idle_pages(region) != 0)
        gain_pages(pool, region, &gain);
    return gain.gained * region_page_size();
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

/* Pages that the budget has room for. */
static size_t pages_of_room(const struct memkind_region_pool *pool)
{
    return region_space_room(pool) / region_page_size();
}

/* Idle pages that can be given for those of a range, none of which is
 * committed. */
static size_t idle_elsewhere(const struct region *region,
                             struct page_range pages, size_t missing)
{
    return grain_sets_idle_pages(region) - (pages.end - pages.first - missing);
}

/* Whether the budget cannot be kept whatever is given back. */
static bool exceeds_budget(const struct memkind_region_pool *pool,
                           const struct region *region, struct page_range pages)
{
    const size_t missing = grain_pages_missing(pool, region, pages);
    const size_t idle = idle_elsewhere(region, pages, missing);
    return missing > idle && missing - idle > pages_of_room(pool);
}

/* Whether all idle pages of the region would not suffice, after the pages could
 * not be had. */
static bool is_hopeless(const struct memkind_region_pool *pool,
                        const struct region *region, struct page_range pages)
{
    const size_t missing = grain_pages_missing(pool, region, pages);
    const size_t idle = idle_elsewhere(region, pages, missing);
    return idle == 0 || exceeds_budget(pool, region, pages) ||
           (missing > idle && !region->is_private &&
            region_has_descriptor(region) &&
            file_system_free(region->fd) / region_page_size() < missing - idle);
}

/* How many pages have to be given back at least. */
static size_t pages_needed(const struct memkind_region_pool *pool,
                           const struct region *region, struct page_range pages)
{
    const size_t missing = grain_pages_missing(pool, region, pages);
    const size_t room = pages_of_room(pool);
    /* If the budget has room for all, the file system has not. */
    return missing > room ? missing - room : missing;
}

/* Splits grains until the pages can have the space that they lack. */
static int split_until_taken(struct memkind_region_pool *pool,
                             struct region *region, struct page_range pages)
{
    int result = grain_pages_take_missing(pool, region, pages);
    if (grain_space_is_lacking(result) && region_owes(region)) {
        (void)grain_split_pay(pool, region, SIZE_MAX, true);
        result = grain_pages_take_missing(pool, region, pages);
    }
    while (grain_space_is_lacking(result) &&
           !is_hopeless(pool, region, pages)) {
        struct gain gain = {.wanted = pages,
                            .needed = pages_needed(pool, region, pages)};
        gain_pages(pool, region, &gain);
        if (gain.gained == 0)
            break;
        result = grain_pages_take_missing(pool, region, pages);
    }
    return result;
}

int grain_split_and_take(struct memkind_region_pool *pool,
                         struct region *region, struct page_range pages)
{
    grain_pages_note_idle(pool, region, pages);
    if (exceeds_budget(pool, region, pages))
        return -ENOMEM;
    int result = region_readahead_forbid(pool);
    if (result != 0)
        return result;
    result = drop_readahead(pool, region, pages);
    if (result == 0)
        result = split_until_taken(pool, region, pages);
    region_readahead_release(pool);
    return result;
}
