/* SPDX-License-Identifier: BSD-2-Clause */
#include "region_owed.h"

#include <errno.h>
#include <string.h>

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
 * behind them. */
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

/* Commits a range some pages of which are owed. */
static int commit_owed(struct memkind_region_pool *pool, struct region *region,
                       struct page_span pages)
{
    const size_t page_size = region_page_size();
    int result = region_space_take_rest(pool, region, pages.first * page_size,
                                        (pages.end - pages.first) * page_size,
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

/* Gives back the first pages of a run: all of them, or as many as that is
 * possible for. Returns how many. */
static size_t pay_run(struct memkind_region_pool *pool, struct region *region,
                      size_t first, size_t end)
{
    const size_t page_size = region_page_size();
    for (size_t count = end - first; count != 0; count /= 2) {
        const size_t size = count * page_size;
        if (region_space_give(pool, region, first * page_size, size, size) != 0)
            continue;
        note_paid(region, first, first + count);
        atomic_fetch_add(&pool->decommits, 1);
        return count;
    }
    return 0;
}

/* What one call pays. */
struct payment {
    size_t most, paid; /* pages */
    unsigned failures;
};

/* Pays for pages from `at` to `end`. Returns where it has stopped. */
static size_t pay_pages(struct memkind_region_pool *pool, struct region *region,
                        size_t at, size_t end, struct payment *payment)
{
    size_t run_end;
    while (payment->paid < payment->most && payment->failures < FAILURES_MOST &&
           next_owed_run(region, &at, end, &run_end)) {
        const size_t left = payment->most - payment->paid;
        if (run_end - at > left)
            run_end = at + left;
        const size_t count = pay_run(pool, region, at, run_end);
        payment->paid += count;
        /* Behind a page that cannot be given back there may be others. */
        payment->failures += count == 0;
        at += count != 0 ? count : 1;
    }
    return at;
}

size_t region_owed_pay(struct memkind_region_pool *pool, struct region *region,
                       size_t most)
{
    const size_t page_size = region_page_size();
    const size_t pages = region_page_count(region);
    struct payment payment = {.most = most / page_size};
    ranked_lock_take(&region->grain_lock);
    const size_t start = region->owed_from;
    size_t page = pay_pages(pool, region, start, pages, &payment);
    if (page >= pages)
        page = pay_pages(pool, region, 0, start, &payment);
    region->owed_from = page < pages ? page : 0;
    ranked_lock_release(&region->grain_lock);
    return payment.paid * page_size;
}
