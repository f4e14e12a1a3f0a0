/* SPDX-License-Identifier: BSD-2-Clause */
#include "region_grains.h"

#include <errno.h>
#include <fcntl.h>
#include <libpmem.h>
#include <string.h>
#include <sys/mman.h>

#include "address_space.h"
#include "page_map.h"
#include "region_align.h"
#include "region_file.h"
#include "region_readahead.h"
#include "sys_calls.h"

/* ---- budget and file space ---------------------------------------------- */

static bool charge(struct memkind_region_pool *pool, size_t size)
{
    size_t held = atomic_load_explicit(&pool->charged, memory_order_relaxed);
    do {
        if (held > pool->budget || size > pool->budget - held)
            return false;
    } while (!atomic_compare_exchange_weak_explicit(
        &pool->charged, &held, held + size, memory_order_relaxed,
        memory_order_relaxed));
    return true;
}

void region_space_credit(struct memkind_region_pool *pool, size_t size)
{
    atomic_fetch_sub_explicit(&pool->charged, size, memory_order_relaxed);
}

void region_space_charge_again(struct memkind_region_pool *pool, size_t size)
{
    atomic_fetch_add_explicit(&pool->charged, size, memory_order_relaxed);
}

/* Whether it is the file system that has no space. */
static void note_whether_full(struct memkind_region_pool *pool, int result)
{
    bool lacks = result == -ENOSPC || result == -EDQUOT;
    if (atomic_load_explicit(&pool->lacks_space, memory_order_relaxed) != lacks)
        atomic_store_explicit(&pool->lacks_space, lacks, memory_order_relaxed);
}

/* Whole grains can be where large pages map them. (Only a region that has
 * tables has such, and their lock is held.) */
static int allocate_by_number(struct memkind_region_pool *pool,
                              struct region *region, size_t offset, size_t size,
                              bool *no_fallocate)
{
    const struct region_align_file file = {
        region->fd, &region->identity,
        pool->backing == REGION_FILES ? pool->directory : -1};
    const size_t at = region->file_offset + offset;
    if (!region->is_pmem || pool->grain != REGION_ALIGN_GRAIN ||
        (at | size) % REGION_ALIGN_GRAIN != 0)
        return region_file_allocate(region->fd, at, size, no_fallocate);
    return region_align_allocate(&region->align, &file, at, size, no_fallocate);
}

/* By the descriptor; by the mapping without one, or if the process may not
 * write that far. */
static int allocate(struct memkind_region_pool *pool, struct region *region,
                    size_t offset, size_t size)
{
    int result = -EBADF;
    if (region_has_descriptor(region)) {
        bool no_fallocate = atomic_load(&pool->no_fallocate);
        result = allocate_by_number(pool, region, offset, size, &no_fallocate);
        if (no_fallocate)
            atomic_store(&pool->no_fallocate, true);
    }
    if (result == -EBADF || result == -EFBIG)
        result = region_file_populate(region->base + offset, size);
    return result;
}

int region_space_take(struct memkind_region_pool *pool, struct region *region,
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
    int result = allocate(pool, region, offset, size);
    if (result != 0)
        region_space_credit(pool, size);
    note_whether_full(pool, result);
    return result;
}

/* By the mapping, which is of the right file whoever has its number by now. */
static int punch(const struct region *region, size_t offset, size_t size)
{
    int result = region_file_remove(region->base + offset, size);
    /* Not for locked pages, say. */
    if (result != 0 && region_has_descriptor(region))
        result =
            region_file_punch(region->fd, region->file_offset + offset, size);
    return result;
}

int region_space_give(struct memkind_region_pool *pool, struct region *region,
                      size_t offset, size_t size, size_t held)
{
    int result = 0;
    if (region->is_private) {
        region_space_credit(pool, held);
        return 0;
    }
    if (atomic_load_explicit(&pool->no_punch, memory_order_relaxed))
        return -EOPNOTSUPP;
    /* The space of a device is the device's; it is cleared when taken. */
    if (region->fd < 0)
        result = region_memory_drop(region->base + offset, size);
    else if (pool->backing != REGION_DEVICE)
        result = punch(region, offset, size);
    if (result == 0)
        region_space_credit(pool, held);
    else if (region_space_is_kept(result))
        atomic_store(&pool->no_punch, true);
    return result;
}

/* ---- tables ---------------------------------------------------------------
 */

/* Grains up to the last one that has ever had space: a region of many TiB is
 * not to be gone through for a small part. */
static size_t grain_count(const struct region *region)
{
    return region->grain_end;
}

/* The tables lie in one mapping, each in pages of its own: three bitmaps, then
 * the counters. */
#define TABLES 6
#define BITMAPS 3

/* Tables are opened by so much of the region at once. */
#define OPEN_STEP ((size_t)1 << 30)

/* Bytes of a table for so much of the region; whole pages. */
static size_t table_bytes(const struct memkind_region_pool *pool, size_t size,
                          unsigned table)
{
    const size_t page_size = region_page_size();
    size_t bytes = table < BITMAPS ? (size / page_size + 63) / 64 * 8
                                   : size / pool->grain * sizeof(uint16_t);
    return (bytes + page_size - 1) & ~(page_size - 1);
}

static size_t tables_bytes(const struct memkind_region_pool *pool,
                           const struct region *region)
{
    size_t sum = 0;
    for (unsigned table = 0; table < TABLES; table++)
        sum += table_bytes(pool, region->size, table);
    return sum;
}

/* As the tags: all can be read, and what is about blocks can be written. */
int region_grains_init(struct memkind_region_pool *pool, struct region *region)
{
    pthread_mutex_init(&region->grain_lock, NULL);
    if (pool->grain == region_page_size())
        return 0;
    if (region->fd >= 0 && pool->backing != REGION_DEVICE)
        region->align.start = region_align_start(region->fd);
    char *tables = sys.mmap(NULL, tables_bytes(pool, region), PROT_READ,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (tables == MAP_FAILED) {
        int error = -errno;
        pthread_mutex_destroy(&region->grain_lock);
        return error;
    }
    (void)sys.madvise(tables, tables_bytes(pool, region), MADV_DONTDUMP);
    const size_t bitmap = table_bytes(pool, region->size, 0);
    const size_t counter = table_bytes(pool, region->size, BITMAPS);
    region->page_space = (uint64_t *)(void *)tables;
    region->page_live = (uint64_t *)(void *)(tables + bitmap);
    region->page_dirty = (uint64_t *)(void *)(tables + 2 * bitmap);
    region->grain_live = (uint16_t *)(void *)(tables + BITMAPS * bitmap);
    region->grain_space =
        (uint16_t *)(void *)(tables + BITMAPS * bitmap + counter);
    region->grain_dirty =
        (uint16_t *)(void *)(tables + BITMAPS * bitmap + 2 * counter);
    region->grain_end = 0;
    region->grains_open = 0;
    return 0;
}

int region_grains_open(const struct memkind_region_pool *pool,
                       struct region *region, size_t size)
{
    if (region->grain_live == NULL || size <= region->grains_open)
        return 0;
    size = (size + OPEN_STEP - 1) & ~(OPEN_STEP - 1);
    if (size > region->size)
        size = region->size;
    char *table = (char *)region->page_space;
    for (unsigned i = 0; i < TABLES; i++) {
        size_t from = table_bytes(pool, region->grains_open, i);
        size_t to = table_bytes(pool, size, i);
        int result =
            to > from ? address_space_open(table + from, to - from) : 0;
        if (result != 0)
            return result;
        table += table_bytes(pool, region->size, i);
    }
    region->grains_open = size;
    return 0;
}

void region_grains_fini(struct memkind_region_pool *pool, struct region *region)
{
    if (region->grain_live != NULL)
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

static size_t pages_per_grain(const struct memkind_region_pool *pool)
{
    return pool->grain / region_page_size();
}

/* The part of a range that lies in one grain. */
static struct pages in_grain(const struct memkind_region_pool *pool,
                             struct pages pages, size_t grain)
{
    size_t per_grain = pages_per_grain(pool);
    if (pages.first < grain * per_grain)
        pages.first = grain * per_grain;
    if (pages.end > (grain + 1) * per_grain)
        pages.end = (grain + 1) * per_grain;
    return pages;
}

static size_t first_grain(const struct memkind_region_pool *pool,
                          struct pages pages)
{
    return pages.first / pages_per_grain(pool);
}

static size_t end_grain(const struct memkind_region_pool *pool,
                        struct pages pages)
{
    return (pages.end - 1) / pages_per_grain(pool) + 1;
}

static struct page_map space_of(const struct memkind_region_pool *pool,
                                const struct region *region)
{
    return (struct page_map){region->page_space, region->grain_space,
                             pages_per_grain(pool)};
}

static struct page_map live_of(const struct memkind_region_pool *pool,
                               const struct region *region)
{
    return (struct page_map){region->page_live, region->grain_live,
                             pages_per_grain(pool)};
}

static struct page_map dirty_of(const struct memkind_region_pool *pool,
                                const struct region *region)
{
    return (struct page_map){region->page_dirty, region->grain_dirty,
                             pages_per_grain(pool)};
}

/* Grains of a range that have space, but not for all of their pages. */
static size_t part_grains(const struct memkind_region_pool *pool,
                          const struct region *region, struct pages pages)
{
    size_t count = 0;
    for (size_t i = first_grain(pool, pages); i < end_grain(pool, pages); i++)
        count += region->grain_space[i] != 0 &&
                 region->grain_space[i] < pages_per_grain(pool);
    return count;
}

/* Records that pages have file space, or have lost it: with it their contents
 * are gone, too. */
static void note_space(struct memkind_region_pool *pool, struct region *region,
                       struct pages pages, bool has_space)
{
    const size_t parts = part_grains(pool, region, pages);
    const struct page_map space = space_of(pool, region);
    const struct page_map dirty = dirty_of(pool, region);
    page_map_set(&space, pages.first, pages.end, has_space);
    if (!has_space)
        page_map_set(&dirty, pages.first, pages.end, false);
    else if (region->grain_end < end_grain(pool, pages))
        region->grain_end = end_grain(pool, pages);
    region_readahead_note(pool, parts, part_grains(pool, region, pages));
}

static void note_live(const struct memkind_region_pool *pool,
                      struct region *region, struct pages pages, bool live)
{
    const struct page_map map = live_of(pool, region);
    page_map_set(&map, pages.first, pages.end, live);
}

static int take(struct memkind_region_pool *pool, struct region *region,
                struct pages pages)
{
    const size_t page_size = region_page_size();
    int result = region_space_take(pool, region, pages.first * page_size,
                                   (pages.end - pages.first) * page_size);
    if (result == 0)
        note_space(pool, region, pages, true);
    return result;
}

static int give(struct memkind_region_pool *pool, struct region *region,
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
    else if (!region_space_is_kept(result))
        atomic_store(&region->owed_pages, 1);
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

/* Pages whose space the file system gives and takes together: within a grain,
 * nothing smaller has or lacks it. */
static size_t pages_per_unit(const struct memkind_region_pool *pool)
{
    const size_t page_size = region_page_size();
    return pool->file_system.unit > page_size
               ? pool->file_system.unit / page_size
               : 1;
}

static struct pages outer_units(const struct memkind_region_pool *pool,
                                struct pages pages)
{
    const size_t per_unit = pages_per_unit(pool);
    return (struct pages){pages.first / per_unit * per_unit,
                          (pages.end + per_unit - 1) / per_unit * per_unit};
}

static struct pages inner_units(const struct memkind_region_pool *pool,
                                struct pages pages)
{
    const size_t per_unit = pages_per_unit(pool);
    return (struct pages){(pages.first + per_unit - 1) / per_unit * per_unit,
                          pages.end / per_unit * per_unit};
}

/* The first run of pages at or after `pages->first` for which `space` and
 * `live` are as asked; false where there is none. */
static bool next_run(const struct memkind_region_pool *pool,
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
static int take_missing(struct memkind_region_pool *pool, struct region *region,
                        struct pages pages)
{
    struct pages run;
    while (next_run(pool, region, &pages, false, false, &run)) {
        int result = take(pool, region, outer_units(pool, run));
        if (result != 0)
            return result;
    }
    return 0;
}

/* Takes the space of whole grains where a grain has none at all, as many as lie
 * next to each other at once. */
static int take_grains(struct memkind_region_pool *pool, struct region *region,
                       struct pages pages)
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
        int result =
            take(pool, region, (struct pages){i * per_grain, next * per_grain});
        if (result != 0)
            return result;
    }
    return 0;
}

/* Whether pages that have just lost their space are in the page cache. They lie
 * in a folio then, with others, that could not be split. */
static bool is_cached(const struct region *region, struct pages pages)
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
                        const struct region *region, struct pages pages)
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
 * forbidden may lie over them and over others at once. Only if it is clean can
 * it be split; if somebody stores to it all the time, they keep their space.
 * is_whole: the grain has not been split before
 */
static int give_part(struct memkind_region_pool *pool, struct region *region,
                     struct pages pages, bool is_whole)
{
    const size_t page_size = region_page_size();
    const bool matters = region_readahead_matters(pool) && region->fd >= 0 &&
                         !region->is_private;
    if (matters && is_whole)
        clean_grain(pool, region, pages);
    int result = give(pool, region, pages);
    if (result != 0 || !matters || !is_cached(region, pages))
        return result;
    clean_grain(pool, region, pages);
    (void)punch(region, pages.first * page_size,
                (pages.end - pages.first) * page_size);
    if (!is_cached(region, pages))
        return 0;
    if (take(pool, region, pages) == 0)
        atomic_store(&region->owed_pages, 1);
    return -EBUSY;
}

static int give_unused(struct memkind_region_pool *pool, struct region *region,
                       struct pages pages, bool is_whole)
{
    struct pages run;
    int result = 0;
    while (result == 0 && next_run(pool, region, &pages, true, false, &run)) {
        run = inner_units(pool, run);
        if (run.first < run.end)
            result = give_part(pool, region, run, is_whole);
    }
    return result;
}

/* Gives the space of those pages of a grain back that nobody uses. Returns how
 * many bytes. */
static size_t split_grain(struct memkind_region_pool *pool,
                          struct region *region, size_t i)
{
    const size_t per_grain = pages_per_grain(pool);
    const size_t before = region->grain_space[i];
    const struct pages grain = {i * per_grain, (i + 1) * per_grain};
    if (before <= region->grain_live[i])
        return 0;
    (void)give_unused(pool, region, grain, before == per_grain);
    return (before - region->grain_space[i]) * region_page_size();
}

/* Drops what was read ahead into grains that are to get a part of their space:
 * it lies over all of the grain. */
static int drop_readahead(struct memkind_region_pool *pool,
                          struct region *region, struct pages pages)
{
    if (!region_readahead_matters(pool) || region->fd < 0 || region->is_private)
        return 0;
    for (size_t i = first_grain(pool, pages); i < end_grain(pool, pages); i++) {
        int result =
            region->grain_space[i] != 0
                ? 0
                : region_file_punch(region->fd, i * pool->grain, pool->grain);
        if (result != 0)
            return result;
    }
    return 0;
}

/* Splits grains until the pages can have the space that they lack: all grains
 * at once where that costs little. */
static int split_and_take(struct memkind_region_pool *pool,
                          struct region *region, struct pages pages)
{
    const bool is_costly = region_readahead_matters(pool);
    const size_t needed = (pages.end - pages.first) * region_page_size();
    size_t gained = 0;
    int result = is_costly ? take_missing(pool, region, pages) : -ENOSPC;
    for (size_t i = 0; i < grain_count(region) && result != 0; i++) {
        gained += split_grain(pool, region, i);
        if (!is_costly || gained < needed)
            continue;
        result = take_missing(pool, region, pages);
        gained = 0;
    }
    return result != 0 ? take_missing(pool, region, pages) : 0;
}

/* Where there is no space for whole grains any more. */
static int take_pages_alone(struct memkind_region_pool *pool,
                            struct region *region, struct pages pages)
{
    int result = region_readahead_forbid(pool);
    if (result != 0)
        return result;
    result = drop_readahead(pool, region, pages);
    if (result == 0)
        result = split_and_take(pool, region, pages);
    region_readahead_release(pool);
    return result;
}

/* Pages that were in use before, and have kept their space since, still hold
 * their old contents; jemalloc expects zeroes. */
static void clear_dirty_pages(const struct memkind_region_pool *pool,
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
static void drop_empty_grains(struct memkind_region_pool *pool,
                              struct region *region, struct pages pages)
{
    const size_t per_grain = pages_per_grain(pool);
    const size_t end = end_grain(pool, pages);
    for (size_t i = first_grain(pool, pages); i < end; i++)
        if (region->grain_live[i] == 0 && region->grain_space[i] != 0)
            (void)give(pool, region,
                       (struct pages){i * per_grain, (i + 1) * per_grain});
}

int region_grains_commit(struct memkind_region_pool *pool,
                         struct region *region, size_t offset, size_t size)
{
    const struct pages pages = {offset / region_page_size(),
                                (offset + size) / region_page_size()};
    pthread_mutex_lock(&region->grain_lock);
    int result = take_grains(pool, region, pages);
    if (result == 0)
        result = take_missing(pool, region, pages);
    if (result == -ENOMEM || result == -ENOSPC || result == -EDQUOT)
        result = take_pages_alone(pool, region, pages);
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
static struct pages grains_that_empty(const struct memkind_region_pool *pool,
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
static void give_in_split_grain(struct memkind_region_pool *pool,
                                struct region *region, struct pages pages,
                                size_t grain)
{
    if (region->grain_live[grain] != 0 &&
        region->grain_space[grain] < pages_per_grain(pool))
        (void)give_unused(pool, region,
                          outer_units(pool, in_grain(pool, pages, grain)),
                          false);
}

int region_grains_decommit(struct memkind_region_pool *pool,
                           struct region *region, size_t offset, size_t size)
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
    if (result == 0 || !region_space_is_kept(result)) {
        result = 0; /* the space stays for now; see region_grains_pay() */
        note_live(pool, region, pages, false);
        give_in_split_grain(pool, region, pages, first_grain(pool, pages));
        give_in_split_grain(pool, region, pages, end_grain(pool, pages) - 1);
    }
    pthread_mutex_unlock(&region->grain_lock);
    return result;
}

/* What nobody uses in grains that are empty, or split. Pages that are not live
 * elsewhere are kept on purpose. */
void region_grains_pay(struct memkind_region_pool *pool, struct region *region)
{
    const size_t per_grain = pages_per_grain(pool);
    int result = 0;
    pthread_mutex_lock(&region->grain_lock);
    atomic_store(&region->owed_pages, 0);
    for (size_t i = 0; i < grain_count(region) && result == 0; i++) {
        const struct pages grain = {i * per_grain, (i + 1) * per_grain};
        if (region->grain_space[i] == 0 ||
            (region->grain_live[i] != 0 && region->grain_space[i] == per_grain))
            continue;
        result = region->grain_live[i] == 0
                     ? give(pool, region, grain)
                     : give_unused(pool, region, grain, false);
    }
    pthread_mutex_unlock(&region->grain_lock);
}
