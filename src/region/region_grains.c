/* SPDX-License-Identifier: BSD-2-Clause */
#include "region_grains.h"

#include <errno.h>
#include <libpmem.h>
#include <string.h>
#include <sys/mman.h>

#include "page_map.h"
#include "region_file.h"
#include "sys_calls.h"

/* ---- budget and file space ---------------------------------------------- */

static bool charge(struct region_pool *pool, size_t size)
{
    size_t held = atomic_load_explicit(&pool->charged, memory_order_relaxed);
    do {
        if (size > pool->budget - held)
            return false;
    } while (!atomic_compare_exchange_weak_explicit(
        &pool->charged, &held, held + size, memory_order_relaxed,
        memory_order_relaxed));
    return true;
}

static void credit(struct region_pool *pool, size_t size)
{
    atomic_fetch_sub_explicit(&pool->charged, size, memory_order_relaxed);
}

/* Whether it is the file system that has no space. */
static void note_whether_full(struct region_pool *pool, int result)
{
    bool lacks = result == -ENOSPC || result == -EDQUOT;
    if (atomic_load_explicit(&pool->lacks_space, memory_order_relaxed) != lacks)
        atomic_store_explicit(&pool->lacks_space, lacks, memory_order_relaxed);
}

int region_space_take(struct region_pool *pool, struct region *region,
                      size_t offset, size_t size)
{
    if (!charge(pool, size))
        return -ENOMEM;
    if (pool->backing == REGION_DEVICE) {
        /* What was there before, in this kind or another one, is nobody's
         * business. */
        pmem_memset_nodrain(region->base + offset, 0, size);
        return 0;
    }
    if (region->fd < 0)
        return 0;
    bool no_fallocate = atomic_load(&pool->no_fallocate);
    int result = region_file_allocate(region->fd, offset, size, &no_fallocate);
    if (no_fallocate)
        atomic_store(&pool->no_fallocate, true);
    if (result != 0)
        credit(pool, size);
    note_whether_full(pool, result);
    return result;
}

int region_space_give(struct region_pool *pool, struct region *region,
                      size_t offset, size_t size, size_t held)
{
    int result;
    if (region->is_private) {
        credit(pool, held);
        return 0;
    }
    if (atomic_load_explicit(&pool->no_punch, memory_order_relaxed))
        return -EOPNOTSUPP;
    if (pool->backing == REGION_DEVICE)
        result = 0; /* the space is the device's; it is cleared when taken */
    else if (region->fd >= 0)
        result = region_file_punch(region->fd, offset, size);
    else if (pool->backing == REGION_MEMORY)
        result = sys.madvise(region->base + offset, size, MADV_DONTNEED) == 0
                     ? 0
                     : -errno;
    else
        result = -EOPNOTSUPP;
    if (result == 0)
        credit(pool, held);
    else if (result == -EOPNOTSUPP || result == -ENOSYS)
        atomic_store(&pool->no_punch, true);
    return result;
}

/* ---- tables ---------------------------------------------------------------
 */

static size_t grains_in_all(const struct region_pool *pool,
                            const struct region *region)
{
    return region->size / pool->grain;
}

/* Grains up to the last one that has ever had space: a region of many TiB is
 * not to be gone through for a small part. */
static size_t grain_count(const struct region *region)
{
    return region->grain_end;
}

static size_t bitmap_bytes(const struct region *region)
{
    return (region->size / region_page_size() + 63) / 64 * sizeof(uint64_t);
}

/* The tables lie in one mapping: three bitmaps, then the counters. */
static size_t tables_bytes(const struct region_pool *pool,
                           const struct region *region)
{
    return 3 * bitmap_bytes(region) +
           3 * grains_in_all(pool, region) * sizeof(uint16_t);
}

int region_grains_init(struct region_pool *pool, struct region *region)
{
    if (pool->grain == region_page_size())
        return 0;
    char *tables =
        sys.mmap(NULL, tables_bytes(pool, region), PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (tables == MAP_FAILED)
        return -errno;
    const size_t bitmap = bitmap_bytes(region);
    region->page_space = (uint64_t *)(void *)tables;
    region->page_live = (uint64_t *)(void *)(tables + bitmap);
    region->page_dirty = (uint64_t *)(void *)(tables + 2 * bitmap);
    region->grain_live = (uint16_t *)(void *)(tables + 3 * bitmap);
    region->grain_space = region->grain_live + grains_in_all(pool, region);
    region->grain_dirty = region->grain_space + grains_in_all(pool, region);
    region->grain_end = 0;
    pthread_mutex_init(&region->grain_lock, NULL);
    return 0;
}

void region_grains_fini(struct region_pool *pool, struct region *region)
{
    if (region->grain_live == NULL)
        return;
    sys.munmap(region->page_space, tables_bytes(pool, region));
    region->grain_live = NULL;
    pthread_mutex_destroy(&region->grain_lock);
}

/* ---- pages and grains -------------------------------------------------------
 */

/* A range of pages, [first, end). */
struct pages {
    size_t first, end;
};

static size_t pages_per_grain(const struct region_pool *pool)
{
    return pool->grain / region_page_size();
}

/* The part of a range that lies in one grain. */
static struct pages in_grain(const struct region_pool *pool, struct pages pages,
                             size_t grain)
{
    size_t per_grain = pages_per_grain(pool);
    if (pages.first < grain * per_grain)
        pages.first = grain * per_grain;
    if (pages.end > (grain + 1) * per_grain)
        pages.end = (grain + 1) * per_grain;
    return pages;
}

static size_t first_grain(const struct region_pool *pool, struct pages pages)
{
    return pages.first / pages_per_grain(pool);
}

static size_t end_grain(const struct region_pool *pool, struct pages pages)
{
    return (pages.end - 1) / pages_per_grain(pool) + 1;
}

static struct page_map space_of(const struct region_pool *pool,
                                const struct region *region)
{
    return (struct page_map){region->page_space, region->grain_space,
                             pages_per_grain(pool)};
}

static struct page_map live_of(const struct region_pool *pool,
                               const struct region *region)
{
    return (struct page_map){region->page_live, region->grain_live,
                             pages_per_grain(pool)};
}

static struct page_map dirty_of(const struct region_pool *pool,
                                const struct region *region)
{
    return (struct page_map){region->page_dirty, region->grain_dirty,
                             pages_per_grain(pool)};
}

/* Records that pages have file space, or have lost it: with it their contents
 * are gone, too. */
static void note_space(const struct region_pool *pool, struct region *region,
                       struct pages pages, bool has_space)
{
    const struct page_map space = space_of(pool, region);
    const struct page_map dirty = dirty_of(pool, region);
    page_map_set(&space, pages.first, pages.end, has_space);
    if (!has_space)
        page_map_set(&dirty, pages.first, pages.end, false);
    else if (region->grain_end < end_grain(pool, pages))
        region->grain_end = end_grain(pool, pages);
}

static void note_live(const struct region_pool *pool, struct region *region,
                      struct pages pages, bool live)
{
    const struct page_map map = live_of(pool, region);
    page_map_set(&map, pages.first, pages.end, live);
}

static int take(struct region_pool *pool, struct region *region,
                struct pages pages)
{
    const size_t page_size = region_page_size();
    int result = region_space_take(pool, region, pages.first * page_size,
                                   (pages.end - pages.first) * page_size);
    if (result == 0)
        note_space(pool, region, pages, true);
    return result;
}

static int give(struct region_pool *pool, struct region *region,
                struct pages pages)
{
    const size_t page_size = region_page_size();
    const struct page_map space = space_of(pool, region);
    size_t held = page_map_count(&space, pages.first, pages.end);
    if (held == 0)
        return 0;
    int result = region_space_give(pool, region, pages.first * page_size,
                                   (pages.end - pages.first) * page_size,
                                   held * page_size);
    if (result == 0)
        note_space(pool, region, pages, false);
    return result;
}

/* What is to be so of a page. */
struct state {
    struct page_map space_map, live_map;
    bool space, live;
};

static bool is_so(const struct state *state, size_t page)
{
    return page_map_has(&state->space_map, page) == state->space &&
           page_map_has(&state->live_map, page) == state->live;
}

/* Goes on over whole grains that are so, or are not for one of the reasons. */
static size_t skip_what_is_so(const struct state *state, size_t page,
                              size_t end)
{
    size_t space = page_map_skip(&state->space_map, page, end, state->space);
    return page_map_skip(&state->live_map, page, space, state->live);
}

static size_t skip_what_is_not(const struct state *state, size_t page,
                               size_t end)
{
    size_t space = page_map_skip(&state->space_map, page, end, !state->space);
    size_t live = page_map_skip(&state->live_map, page, end, !state->live);
    return space > live ? space : live;
}

/* The first run of pages at or after `pages->first` for which `space` and
 * `live` are as asked; false where there is none. */
static bool next_run(const struct region_pool *pool,
                     const struct region *region, struct pages *pages,
                     bool space, bool live, struct pages *run)
{
    const struct state state = {space_of(pool, region), live_of(pool, region),
                                space, live};
    size_t page = pages->first;
    while (page < pages->end && !is_so(&state, page)) {
        size_t next = skip_what_is_not(&state, page, pages->end);
        page = next > page ? next : page + 1;
    }
    run->first = page;
    while (page < pages->end && is_so(&state, page)) {
        size_t next = skip_what_is_so(&state, page, pages->end);
        page = next > page ? next : page + 1;
    }
    run->end = page;
    pages->first = page;
    return run->first < run->end;
}

/* ---- commit
 * ------------------------------------------------------------------- */

/* Takes the space that pages lack, for the pages alone. What was taken before
 * a failure is left to the caller. */
static int take_missing(struct region_pool *pool, struct region *region,
                        struct pages pages)
{
    struct pages run;
    while (next_run(pool, region, &pages, false, false, &run)) {
        int result = take(pool, region, run);
        if (result != 0)
            return result;
    }
    return 0;
}

/* Takes the space of whole grains where a grain has none at all. */
static int take_grains(struct region_pool *pool, struct region *region,
                       struct pages pages)
{
    const size_t per_grain = pages_per_grain(pool);
    size_t first = first_grain(pool, pages), end = end_grain(pool, pages);
    /* Only the first and the last can have some: the rest is this range. */
    if (region->grain_space[end - 1] != 0)
        end--;
    if (first < end && region->grain_space[first] != 0)
        first++;
    if (first == end)
        return 0;
    return take(pool, region,
                (struct pages){first * per_grain, end * per_grain});
}

/* Gives the space of all pages back that nobody uses, for the sake of others:
 * the grains that they lie in are split. */
static void split_grains(struct region_pool *pool, struct region *region)
{
    const size_t per_grain = pages_per_grain(pool);
    for (size_t i = 0; i < grain_count(region); i++) {
        if (region->grain_space[i] <= region->grain_live[i])
            continue;
        struct pages run, grain = {i * per_grain, (i + 1) * per_grain};
        while (next_run(pool, region, &grain, true, false, &run))
            if (give(pool, region, run) != 0)
                return;
    }
}

/* Pages that were in use before, and have kept their space since, still hold
 * their old contents; jemalloc expects zeroes. */
static void clear_dirty_pages(const struct region_pool *pool,
                              struct region *region, struct pages pages)
{
    const size_t page_size = region_page_size();
    const struct page_map dirty = dirty_of(pool, region);
    const size_t end = end_grain(pool, pages);
    for (size_t i = first_grain(pool, pages); i < end; i++) {
        if (region->grain_dirty[i] == 0 || region->is_private)
            continue;
        const struct pages part = in_grain(pool, pages, i);
        for (size_t page = part.first; page < part.end; page++)
            if (page_map_has(&dirty, page))
                memset(region->base + page * page_size, 0, page_size);
    }
    page_map_set(&dirty, pages.first, pages.end, true);
}

/* After a failed commit: grains without a live page keep no space. */
static void drop_empty_grains(struct region_pool *pool, struct region *region,
                              struct pages pages)
{
    const size_t per_grain = pages_per_grain(pool);
    const size_t end = end_grain(pool, pages);
    for (size_t i = first_grain(pool, pages); i < end; i++)
        if (region->grain_live[i] == 0 && region->grain_space[i] != 0)
            (void)give(pool, region,
                       (struct pages){i * per_grain, (i + 1) * per_grain});
}

int region_grains_commit(struct region_pool *pool, struct region *region,
                         size_t offset, size_t size)
{
    const struct pages pages = {offset / region_page_size(),
                                (offset + size) / region_page_size()};
    pthread_mutex_lock(&region->grain_lock);
    int result = take_grains(pool, region, pages);
    if (result == 0)
        result = take_missing(pool, region, pages);
    if (result == -ENOMEM || result == -ENOSPC || result == -EDQUOT) {
        split_grains(pool, region);
        result = take_missing(pool, region, pages);
    }
    if (result == 0) {
        note_live(pool, region, pages, true);
        clear_dirty_pages(pool, region, pages);
    } else {
        drop_empty_grains(pool, region, pages);
    }
    pthread_mutex_unlock(&region->grain_lock);
    return result;
}

/* ---- decommit
 * ------------------------------------------------------------------ */

/* The pages of those grains whose last live pages are in the range. */
static struct pages grains_that_empty(const struct region_pool *pool,
                                      const struct region *region,
                                      struct pages pages)
{
    const size_t per_grain = pages_per_grain(pool);
    size_t first = first_grain(pool, pages), end = end_grain(pool, pages);
    struct pages last = in_grain(pool, pages, end - 1);
    if (region->grain_live[end - 1] != last.end - last.first)
        end--;
    struct pages head = in_grain(pool, pages, first);
    if (first < end && region->grain_live[first] != head.end - head.first)
        first++;
    return (struct pages){first * per_grain, end * per_grain};
}

/* In a grain that stays, and is split, the range's own pages go. */
static void give_in_split_grain(struct region_pool *pool, struct region *region,
                                struct pages pages, size_t grain)
{
    if (region->grain_live[grain] != 0 &&
        region->grain_space[grain] < pages_per_grain(pool))
        (void)give(pool, region, in_grain(pool, pages, grain));
}

int region_grains_decommit(struct region_pool *pool, struct region *region,
                           size_t offset, size_t size)
{
    const struct pages pages = {offset / region_page_size(),
                                (offset + size) / region_page_size()};
    int result = 0;
    pthread_mutex_lock(&region->grain_lock);
    const struct pages empty = grains_that_empty(pool, region, pages);
    if (!region->is_private &&
        atomic_load_explicit(&pool->no_punch, memory_order_relaxed))
        result = -EOPNOTSUPP;
    else if (empty.first < empty.end)
        result = give(pool, region, empty);
    if (result == 0) {
        note_live(pool, region, pages, false);
        give_in_split_grain(pool, region, pages, first_grain(pool, pages));
        give_in_split_grain(pool, region, pages, end_grain(pool, pages) - 1);
    }
    pthread_mutex_unlock(&region->grain_lock);
    return result;
}
