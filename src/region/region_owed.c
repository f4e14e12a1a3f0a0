/* SPDX-License-Identifier: BSD-2-Clause */
#include "region_owed.h"

#include <errno.h>
#include <string.h>

#include "payment.h"
#include "region_detach.h"
#include "region_space.h"

struct page_span {
    size_t first, end;
    size_t owed; /* of these pages */
};

/* The bitmap is made when it is first needed, and opened as far as is needed.
 */
static int open_bitmap(struct region *region, size_t end)
{
    ranked_lock_assert_held(&region->grain_lock);
    int result = region->owed.level[0] != NULL
                     ? 0
                     : sparse_bits_make(&region->owed,
                                        region->size / region_page_size());
    return result == 0 ? sparse_bits_open(&region->owed, end) : result;
}

void region_owed_fini(struct region *region)
{
    sparse_bits_drop(&region->owed);
}

/* Finds the first run of owed pages of [*page, end); false if there is none. */
static bool next_owed_run(const struct region *region, size_t *page, size_t end,
                          size_t *run_end)
{
    ranked_lock_assert_held(&region->grain_lock);
    if (region->owed.level[0] == NULL)
        return false;
    *page = sparse_bits_next(&region->owed, *page);
    if (*page >= end)
        return false;
    *run_end = sparse_bits_run_end(&region->owed, *page, end);
    return true;
}

/* Counts the pages of a range that are owed. */
static size_t count_owed(const struct region *region, size_t first, size_t end)
{
    size_t count = 0, run_end;
    for (; next_owed_run(region, &first, end, &run_end); first = run_end)
        count += run_end - first;
    return count;
}

static void note_owed(struct region *region, size_t first, size_t end)
{
    ranked_lock_assert_held(&region->grain_lock);
    atomic_fetch_add(&region->owed_pages,
                     sparse_bits_set_range(&region->owed, first, end, true));
    if (region->owed_below < end)
        region->owed_below = end;
}

static void note_paid(struct region *region, size_t first, size_t end)
{
    ranked_lock_assert_held(&region->grain_lock);
    atomic_fetch_sub(&region->owed_pages,
                     sparse_bits_set_range(&region->owed, first, end, false));
}

int region_owed_prepare(struct region *region, size_t end)
{
    ranked_lock_take(&region->grain_lock);
    int result = open_bitmap(region, end / region_page_size());
    ranked_lock_release(&region->grain_lock);
    return result;
}

int region_owed_add(struct region *region, size_t offset, size_t size)
{
    const size_t page_size = region_page_size();
    const size_t end = (offset + size) / page_size;
    ranked_lock_take(&region->grain_lock);
    int result = open_bitmap(region, end);
    if (result == 0)
        note_owed(region, offset / page_size, end);
    ranked_lock_release(&region->grain_lock);
    return result;
}

/* Pages that cannot be given back before an attempt ends. The next one begins
 * below them. */
#define FAILURES_MOST 4

/* Runs of owed pages that are cleared one by one. If there are more in a range,
 * what lies between them is cleared, too. */
#define RUNS_MOST 32

/* Takes the owed pages of a range out, all of them before the lock is released:
 * other threads may be paying. Then clears them without the lock, since the
 * range is the caller's. (A private region has fresh memory in their place.) */
static void clear_owed(struct region *region, size_t first, size_t end)
{
    const size_t page_size = region_page_size();
    struct page_span runs[RUNS_MOST];
    unsigned count = 0;
    size_t run_end;
    for (size_t page = first; next_owed_run(region, &page, end, &run_end);
         page = run_end) {
        if (count < RUNS_MOST)
            runs[count++].first = page;
        runs[count - 1].end = run_end;
    }
    note_paid(region, first, end);
    if (region->is_private)
        return;
    ranked_lock_release(&region->grain_lock);
    for (unsigned i = 0; i < count; i++)
        memset(region->base + runs[i].first * page_size, 0,
               (runs[i].end - runs[i].first) * page_size);
    ranked_lock_take(&region->grain_lock);
}

static void give_between(struct memkind_region_pool *pool,
                         struct region *region, size_t first, size_t end)
{
    const size_t page_size = region_page_size();
    size_t run = first, run_end;
    for (; first < end; first = run_end) {
        if (!next_owed_run(region, &run, end, &run_end))
            run = run_end = end;
        const size_t size = (run - first) * page_size;
        if (size != 0)
            (void)region_space_give(pool, region, first * page_size, size,
                                    size);
        run = run_end;
    }
}

/* Takes the space that lies between pages which are owed, and leaves that of
 * those alone: a forked child needs what is in it, and an attempt that fails
 * may punch all of its range. */
static int take_between(struct memkind_region_pool *pool, struct region *region,
                        struct page_span pages)
{
    const size_t page_size = region_page_size();
    size_t first = pages.first, run = first, run_end;
    int result = atomic_load(&pool->has_failed) ? -ENOMEM : 0;
    for (; result == 0 && first < pages.end; first = run_end) {
        if (!next_owed_run(region, &run, pages.end, &run_end))
            run = run_end = pages.end;
        if (run > first)
            result = region_space_take(pool, region, first * page_size,
                                       (run - first) * page_size);
        if (result != 0)
            give_between(pool, region, pages.first, first);
        run = run_end;
    }
    return result;
}

/* Commits a range some pages of which are owed. */
static int commit_owed(struct memkind_region_pool *pool, struct region *region,
                       struct page_span pages)
{
    const size_t page_size = region_page_size();
    const size_t offset = pages.first * page_size;
    const size_t size = (pages.end - pages.first) * page_size;
    int result = region_detach_is_needed(region, offset, size)
                     ? take_between(pool, region, pages)
                     : region_space_take_rest(pool, region, offset, size,
                                              pages.owed * page_size);
    if (result == 0)
        clear_owed(region, pages.first, pages.end);
    return result;
}

int region_owed_commit(struct memkind_region_pool *pool, struct region *region,
                       size_t offset, size_t size)
{
    const size_t page_size = region_page_size();
    struct page_span pages = {offset / page_size, (offset + size) / page_size,
                              0};
    int result = 0;
    if (region_owes(region)) {
        ranked_lock_take(&region->grain_lock);
        pages.owed = count_owed(region, pages.first, pages.end);
        if (pages.owed != 0)
            result = commit_owed(pool, region, pages);
        ranked_lock_release(&region->grain_lock);
    }
    /* No other thread makes pages of the range owed meanwhile. */
    return pages.owed != 0 ? result
                           : region_space_take(pool, region, offset, size);
}

static bool pay_at_once(struct memkind_region_pool *pool, struct region *region,
                        size_t first, size_t end)
{
    const size_t page_size = region_page_size(),
                 size = (end - first) * page_size;
    if (region_space_give(pool, region, first * page_size, size, size) != 0)
        return false;
    note_paid(region, first, end);
    atomic_fetch_add(&pool->decommits, 1);
    return true;
}

/* Pays for the pages of a run, from the last one down: all at once, or around
 * those that cannot be given back. Returns the end of what has not been tried.
 */
static size_t pay_run(struct memkind_region_pool *pool, struct region *region,
                      size_t first, size_t end, struct payment *payment)
{
    size_t step = end - first;
    while (end > first && payment_goes_on(payment)) {
        if (step > end - first)
            step = end - first;
        if (pay_at_once(pool, region, end - step, end)) {
            payment->paid += step;
            end -= step;
            step *= 2;
        } else if (step > 1) {
            step /= 2;
        } else {
            payment->failures++;
            end--;
        }
    }
    return end;
}

/* Pays for pages of [least, end), from the last one down: arenas use the first
 * ones again. Returns the end of what has not been tried. */
static size_t pay_pages(struct memkind_region_pool *pool, struct region *region,
                        size_t least, size_t end, struct payment *payment)
{
    const struct sparse_bits *owed = &region->owed;
    while (payment_goes_on(payment)) {
        const size_t last = sparse_bits_last(owed, end);
        if (last >= end || last < least)
            return least;
        const size_t left = payment->most - payment->paid;
        const size_t lowest = last - least < left ? least : last + 1 - left;
        const size_t first = sparse_bits_run_first(owed, lowest, last);
        end = pay_run(pool, region, first, last + 1, payment);
    }
    return end;
}

size_t region_owed_pay(struct memkind_region_pool *pool, struct region *region,
                       size_t most, bool insists)
{
    const size_t page_size = region_page_size();
    const size_t pages = region_page_count(region);
    struct payment payment = {.most = most / page_size,
                              .failures_most = FAILURES_MOST,
                              .insists = insists};
    ranked_lock_take(&region->grain_lock);
    if (region->owed.level[0] != NULL) {
        const size_t start = region->owed_below;
        size_t end = pay_pages(pool, region, 0, start, &payment);
        if (end == 0) {
            end = pay_pages(pool, region, start, pages, &payment);
            if (end == start)
                end = pages;
        }
        region->owed_below = end;
    }
    ranked_lock_release(&region->grain_lock);
    return payment.paid * page_size;
}
