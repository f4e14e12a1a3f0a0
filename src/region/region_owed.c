/* SPDX-License-Identifier: BSD-2-Clause */
#include "region_owed.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "region_space.h"
#include "sys_calls.h"

/* A bit for each page, in a mapping that is made when it is first needed. */
#define BITS 64

static size_t bitmap_bytes(const struct region *region)
{
    return (region->size / region_page_size() + BITS - 1) / BITS *
           sizeof(uint64_t);
}

static bool is_owed(const struct region *region, size_t page)
{
    return (region->owed[page / BITS] >> page % BITS & 1) != 0;
}

static int make_bitmap(struct region *region)
{
    ranked_lock_assert_held(&region->grain_lock);
    if (region->owed != NULL)
        return 0;
    void *bitmap = sys.mmap(NULL, bitmap_bytes(region), PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (bitmap == MAP_FAILED)
        return -ENOMEM;
    region->owed = bitmap;
    return 0;
}

void region_owed_fini(struct region *region)
{
    if (region->owed != NULL)
        sys.munmap(region->owed, bitmap_bytes(region));
    region->owed = NULL;
}

/* Counts the pages of a range that are owed. */
static size_t count_owed(const struct region *region, size_t first, size_t end)
{
    size_t count = 0;
    for (size_t page = first; page < end; page++)
        count += is_owed(region, page);
    return count;
}

static void note_owed(struct region *region, size_t first, size_t end,
                      bool owed)
{
    ranked_lock_assert_held(&region->grain_lock);
    for (size_t page = first; page < end; page++) {
        uint64_t mask = (uint64_t)1 << page % BITS;
        if (is_owed(region, page) == owed)
            continue;
        region->owed[page / BITS] ^= mask;
        if (owed)
            atomic_fetch_add(&region->owed_pages, 1);
        else
            atomic_fetch_sub(&region->owed_pages, 1);
    }
}

int region_owed_add(struct region *region, size_t offset, size_t size)
{
    const size_t page_size = region_page_size();
    ranked_lock_take(&region->grain_lock);
    int result = make_bitmap(region);
    if (result == 0)
        note_owed(region, offset / page_size, (offset + size) / page_size,
                  true);
    ranked_lock_release(&region->grain_lock);
    return result;
}

/* A private region has fresh memory in their place. */
static void clear_owed(struct region *region, size_t first, size_t end)
{
    const size_t page_size = region_page_size();
    for (size_t page = first; page < end && !region->is_private; page++)
        if (is_owed(region, page))
            memset(region->base + page * page_size, 0, page_size);
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
        note_owed(region, first, end, false);
    } else {
        region_space_charge_again(pool, held);
    }
    ranked_lock_release(&region->grain_lock);
    return result;
}

/* Finds the first run of owed pages from `*page` on; false if there is none. */
static bool next_owed_run(const struct region *region, size_t *page,
                          size_t *end)
{
    ranked_lock_assert_held(&region->grain_lock);
    const size_t pages = region->size / region_page_size();
    while (*page < pages && !is_owed(region, *page))
        *page += region->owed[*page / BITS] == 0 ? BITS - *page % BITS : 1;
    *end = *page;
    while (*end < pages && is_owed(region, *end))
        ++*end;
    return *page < *end;
}

void region_owed_pay(struct memkind_region_pool *pool, struct region *region)
{
    const size_t page_size = region_page_size();
    size_t end;
    ranked_lock_take(&region->grain_lock);
    for (size_t page = 0;
         region_owes(region) && next_owed_run(region, &page, &end);
         page = end) {
        size_t size = (end - page) * page_size;
        if (region_space_give(pool, region, page * page_size, size, size) != 0)
            break;
        note_owed(region, page, end, false);
    }
    ranked_lock_release(&region->grain_lock);
}
