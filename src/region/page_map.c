/* SPDX-License-Identifier: BSD-2-Clause */
#include "page_map.h"

#include <assert.h>

/* The bits of [page, end) that are in the word of `page`. */
static uint64_t mask_of(size_t page, size_t end)
{
    uint64_t mask = ~(uint64_t)0 << page % 64;
    size_t next = (page / 64 + 1) * 64;
    return next > end ? mask & ~(uint64_t)0 >> (next - end) : mask;
}

static void fill_bits(uint64_t *bits, size_t first, size_t end, bool value)
{
    for (size_t page = first; page < end; page = (page / 64 + 1) * 64)
        if (value)
            bits[page / 64] |= mask_of(page, end);
        else
            bits[page / 64] &= ~mask_of(page, end);
}

static size_t count_bits(const uint64_t *bits, size_t first, size_t end)
{
    size_t count = 0;
    for (size_t page = first; page < end; page = (page / 64 + 1) * 64)
        count +=
            (size_t)__builtin_popcountll(bits[page / 64] & mask_of(page, end));
    return count;
}

bool page_map_is_sound(const struct page_map *map, size_t grain)
{
    const size_t first = grain * map->per_grain;
    const size_t count = map->counts[grain];
    return count == 0 || count == map->per_grain ||
           (count < map->per_grain &&
            count_bits(map->bits, first, first + map->per_grain) == count);
}

/* Cuts [first, end) at the borders of grains: a part of a grain (which may be
 * empty), whole grains, from `whole` on, and a part of the last one. */
static void cut_at_grains(const struct page_map *map, size_t first, size_t end,
                          size_t *whole, size_t *last)
{
    const size_t per_grain = map->per_grain;
    *whole = (first + per_grain - 1) / per_grain * per_grain;
    *last = end / per_grain * per_grain;
    if (*whole > end || *last < first)
        *whole = *last = end; /* all within one */
}

/* Sets the bits of a part of one grain. Returns how many have changed. */
static size_t set_part(const struct page_map *map, size_t first, size_t end,
                       bool value)
{
    const size_t grain = first / map->per_grain;
    uint16_t *count = &map->counts[grain];
    if (first == end || *count == (value ? map->per_grain : 0))
        return 0;
    /* From now on the bits count. */
    if (page_map_is_even(map, first))
        fill_bits(map->bits, grain * map->per_grain,
                  (grain + 1) * map->per_grain, *count != 0);
    size_t had = count_bits(map->bits, first, end);
    size_t has = value ? end - first : 0;
    fill_bits(map->bits, first, end, value);
    *count = (uint16_t)(*count + has - had);
    assert(page_map_is_sound(map, grain));
    return value ? has - had : had;
}

size_t page_map_set(const struct page_map *map, size_t first, size_t end,
                    bool value)
{
    const uint16_t even = (uint16_t)(value ? map->per_grain : 0);
    size_t whole, last;
    cut_at_grains(map, first, end, &whole, &last);
    size_t changed = set_part(map, first, whole, value);
    const size_t last_grain = last / map->per_grain;
    for (size_t i = whole / map->per_grain; whole < last && i < last_grain;
         i++) {
        const uint16_t had = map->counts[i];
        changed += (size_t)(value ? even - had : had);
        map->counts[i] = even;
    }
    return changed + set_part(map, last, end, value);
}

static size_t count_part(const struct page_map *map, size_t first, size_t end)
{
    if (first == end)
        return 0;
    if (page_map_is_even(map, first))
        return page_map_has(map, first) ? end - first : 0;
    return count_bits(map->bits, first, end);
}

size_t page_map_count(const struct page_map *map, size_t first, size_t end)
{
    size_t whole, last;
    cut_at_grains(map, first, end, &whole, &last);
    size_t count = count_part(map, first, whole) + count_part(map, last, end);
    const size_t last_grain = last / map->per_grain;
    for (size_t i = whole / map->per_grain; whole < last && i < last_grain; i++)
        count += map->counts[i];
    return count;
}

/* The first page of a part of a grain that is not even, or `end`. */
static size_t next_in_part(const uint64_t *bits, size_t page, size_t end,
                           bool value)
{
    for (; page < end; page = (page / 64 + 1) * 64) {
        const uint64_t word = value ? bits[page / 64] : ~bits[page / 64];
        const uint64_t found = word & mask_of(page, end);
        if (found != 0)
            return page / 64 * 64 + (size_t)__builtin_ctzll(found);
    }
    return end;
}

size_t page_map_next(const struct page_map *map, size_t page, size_t end,
                     bool value)
{
    const size_t per_grain = map->per_grain;
    const size_t all = value ? per_grain : 0, none = per_grain - all;
    size_t grain = page / per_grain;
    while (page < end) {
        const size_t next_grain = (grain + 1) * per_grain;
        const size_t part_end = next_grain < end ? next_grain : end;
        if (map->counts[grain] == all)
            return page;
        if (map->counts[grain] != none)
            page = next_in_part(map->bits, page, part_end, value);
        else
            page = part_end;
        if (page < part_end)
            return page;
        grain++;
    }
    return end;
}

/* Pages that are looked at first for the end of a run. */
#define FIRST_STEP ((size_t)512)

/* One map may say the same of many TiB. So no more of either is looked at than
 * the run has, or twice as much. */
static size_t run_end(const struct page_map maps[2], const bool values[2],
                      size_t page, size_t end)
{
    for (size_t step = FIRST_STEP; page < end; step *= 2) {
        const size_t most = end - page > step ? page + step : end;
        const size_t first = page_map_next(&maps[0], page, most, !values[0]);
        page = page_map_next(&maps[1], page, first, !values[1]);
        if (page < most)
            break;
    }
    return page;
}

size_t page_map_next_run(const struct page_map maps[2], const bool values[2],
                         size_t *page, size_t end)
{
    size_t first = *page, other;
    do {
        other = page_map_next(&maps[0], first, end, values[0]);
        first = page_map_next(&maps[1], other, end, values[1]);
    } while (first != other);
    *page = first;
    return run_end(maps, values, first, end);
}
