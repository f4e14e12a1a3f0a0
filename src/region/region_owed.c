/* SPDX-License-Identifier: BSD-2-Clause */
#include "region_owed.h"

#include <errno.h>
#include <string.h>

#include "region_space.h"

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
    for (*run_end = *page; *run_end < end; ++*run_end)
        if (!sparse_bits_has(&region->owed, *run_end))
            break;
    return *page < end;
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
    const size_t owed = count_owed(region, first, end);
    for (size_t page = first; page < end; page++)
        sparse_bits_set(&region->owed, page, true);
    atomic_fetch_add(&region->owed_pages, end - first - owed);
}

static void note_paid(struct region *region, size_t first, size_t end)
{
    ranked_lock_assert_held(&region->grain_lock);
    size_t run_end;
    for (; next_owed_run(region, &first, end, &run_end); first = run_end) {
        for (size_t page = first; page < run_end; page++)
            sparse_bits_set(&region->owed, page, false);
        atomic_fetch_sub(&region->owed_pages, run_end - first);
    }
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

/* A private region has fresh memory in their place. */
static void clear_owed(struct region *region, size_t first, size_t end)
{
    const size_t page_size = region_page_size();
    size_t run_end;
    for (; !region->is_private && next_owed_run(region, &first, end, &run_end);
         first = run_end)
        memset(region->base + first * page_size, 0,
               (run_end - first) * page_size);
}

int region_owed_commit(struct memkind_region_pool *pool, struct region *region,
                       size_t offset, size_t size)
{
    const size_t page_size = region_page_size();
    const size_t first = offset / page_size, end = (offset + size) / page_size;
    if (!region_owes(region))
        return region_space_take(pool, region, offset, size);
    ranked_lock_take(&region->grain_lock);
    size_t held = count_owed(region, first, end) * page_size;
    /* Owed pages are charged already: credit them, and charge all. */
    region_space_credit(pool, held);
    int result = region_space_take(pool, region, offset, size);
    if (result == 0) {
        clear_owed(region, first, end);
        note_paid(region, first, end);
    } else {
        region_space_charge_again(pool, held);
    }
    ranked_lock_release(&region->grain_lock);
    return result;
}

void region_owed_pay(struct memkind_region_pool *pool, struct region *region)
{
    const size_t page_size = region_page_size();
    const size_t pages = region_page_count(region);
    size_t end;
    ranked_lock_take(&region->grain_lock);
    for (size_t page = 0; next_owed_run(region, &page, pages, &end);
         page = end) {
        size_t size = (end - page) * page_size;
        if (region_space_give(pool, region, page * page_size, size, size) != 0)
            break;
        note_paid(region, page, end);
        atomic_fetch_add(&pool->decommits, 1);
    }
    ranked_lock_release(&region->grain_lock);
}
