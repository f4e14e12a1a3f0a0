/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A bit for each page of a region, and a count for each grain of how many of
 * its pages have it. Where a count says all or none, the bits are not looked
 * at, nor written: whole grains are what most ranges consist of, and those of
 * an object of many TiB cost two bytes each then, and no time to speak of.
 */
#ifndef PAGE_MAP_H
#define PAGE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct page_map {
    uint64_t *bits;
    uint16_t *counts;
    size_t per_grain; /* pages, at most UINT16_MAX */
};

static inline bool page_map_has(const struct page_map *map, size_t page)
{
    size_t count = map->counts[page / map->per_grain];
    if (count == 0 || count == map->per_grain)
        return count != 0;
    return (map->bits[page / 64] >> page % 64 & 1) != 0;
}

/* Whether all pages of the grain that a page lies in have the same. */
static inline bool page_map_is_even(const struct page_map *map, size_t page)
{
    size_t count = map->counts[page / map->per_grain];
    return count == 0 || count == map->per_grain;
}

/* For the pages of [first, end). */
void page_map_set(const struct page_map *map, size_t first, size_t end,
                  bool value);

/* How many pages of [first, end) have it. */
size_t page_map_count(const struct page_map *map, size_t first, size_t end);

/* Goes on from `page`, where that is the first of a grain, over whole grains
 * all pages of which have it, or have not; up to `end` at most. */
size_t page_map_skip(const struct page_map *map, size_t page, size_t end,
                     bool value);

#endif
