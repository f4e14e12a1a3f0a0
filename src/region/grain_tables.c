/* SPDX-License-Identifier: BSD-2-Clause */
#include "grain_tables.h"

#include <errno.h>
#include <sys/mman.h>

#include "address_space.h"
#include "grain_sets.h"
#include "rounding.h"
#include "sys_calls.h"

/* The tables lie in one mapping, each in pages of its own: three bitmaps, then
 * the counters. */
#define TABLES 6
#define BITMAPS 3

/* Tables are opened by so much of the region at once. */
#define TABLES_OPEN_STEP ((size_t)1 << 30)

/* Bytes of a table for so much of the region; whole pages. */
static size_t table_bytes(const struct memkind_region_pool *pool, size_t size,
                          unsigned table)
{
    const size_t page_size = region_page_size();
    size_t bytes = table < BITMAPS ? (size / page_size + 63) / 64 * 8
                                   : size / pool->grain * sizeof(uint16_t);
    return round_up(bytes, page_size);
}

static size_t tables_bytes(const struct memkind_region_pool *pool,
                           const struct region *region)
{
    size_t sum = 0;
    for (unsigned table = 0; table < TABLES; table++)
        sum += table_bytes(pool, region->size, table);
    return sum;
}

/* All of the tables can be read, like the tags; what is about blocks can be
 * written. */
int grain_tables_init(struct memkind_region_pool *pool, struct region *region)
{
    ranked_lock_init(&region->grain_lock, RANK_GRAINS);
    if (pool->grain == region_page_size())
        return 0;
    if (region->fd >= 0 && pool->backing != REGION_DEVICE)
        region->align.start = region_align_start(region->fd);
    int result = grain_sets_make(region, region->size / pool->grain);
    if (result != 0)
        goto fail_sets;
    char *tables = sys.mmap(NULL, tables_bytes(pool, region), PROT_READ,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (tables == MAP_FAILED) {
        result = -errno;
        goto fail_tables;
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

fail_tables:
    grain_sets_drop(region);
fail_sets:
    ranked_lock_destroy(&region->grain_lock);
    return result;
}

int grain_tables_open(const struct memkind_region_pool *pool,
                      struct region *region, size_t size)
{
    ranked_lock_assert_held(&pool->lock);
    if (region->grain_live == NULL || size <= region->grains_open)
        return 0;
    size = round_up(size, TABLES_OPEN_STEP);
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
    int result = grain_sets_open(region, size / pool->grain);
    if (result == 0)
        region->grains_open = size;
    return result;
}

void grain_tables_fini(struct memkind_region_pool *pool, struct region *region)
{
    if (region->grain_live != NULL)
        sys.munmap(region->page_space, tables_bytes(pool, region));
    grain_sets_drop(region);
    region->grain_live = NULL;
    ranked_lock_destroy(&region->grain_lock);
}

/* Whether all pages of a grain that have the bit of `part` have that of `all`.
 * Most grains can be judged by their counts. */
static bool includes(const struct page_map *all, const struct page_map *part,
                     size_t grain)
{
    const size_t first = grain * all->per_grain;
    if (part->counts[grain] == 0 || all->counts[grain] == all->per_grain)
        return true;
    if (part->counts[grain] > all->counts[grain])
        return false;
    for (size_t page = first; page < first + all->per_grain; page++)
        if (page_map_has(part, page) && !page_map_has(all, page))
            return false;
    return true;
}

bool grain_tables_are_sound(const struct memkind_region_pool *pool,
                            const struct region *region)
{
    const struct page_map space = space_map_of(pool, region);
    const struct page_map live = live_map_of(pool, region);
    const struct page_map dirty = dirty_map_of(pool, region);
    if (region->grain_live == NULL || pool->is_lost)
        return true;
    for (size_t i = 0; i < region->grain_end; i++)
        if (!page_map_is_sound(&space, i) || !page_map_is_sound(&live, i) ||
            !page_map_is_sound(&dirty, i) || !includes(&space, &live, i) ||
            !includes(&space, &dirty, i))
            return false;
    return grain_sets_are_sound(region, pages_per_grain(pool),
                                region->grain_end,
                                pool->file_system.unit > region_page_size());
}

size_t grain_tables_space(const struct memkind_region_pool *pool,
                          const struct region *region)
{
    const struct page_map space = space_map_of(pool, region);
    return page_map_count(&space, 0, region->grain_end * space.per_grain) *
           region_page_size();
}
