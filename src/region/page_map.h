/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A bit for each page of a region, and a count for each grain of how many of
 * its pages have it. If a count is none or all, the bits are not looked at, and
 * not written: most ranges consist of whole grains, and those of an object of
 * many TiB then cost two bytes each, and hardly any time.
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

/* For assertions: whether the count of a grain is right. */
bool page_map_is_sound(const struct page_map *map, size_t grain);

/* Sets what the pages of [first, end) have. Returns how many pages have
 * changed. */
size_t page_map_set(const struct page_map *map, size_t first, size_t end,
                    bool value);

/* How many pages of [first, end) have it. */
size_t page_map_count(const struct page_map *map, size_t first, size_t end);

/* The first page of [page, end) that has it, or that has it not; `end` if there
 * is none. */
size_t page_map_next(const struct page_map *map, size_t page, size_t end,
                     bool value);

/* Finds the first pages of [*page, end) for which two maps have one value each,
 * and stores which is the first. Returns the page behind them; `end`, both, if
 * there are none. */
size_t page_map_next_run(const struct page_map maps[2], const bool values[2],
                         size_t *page, size_t end);

#endif
