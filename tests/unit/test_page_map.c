/* SPDX-License-Identifier: BSD-2-Clause */
/* Maps of pages, and sparse bitmaps, beside plain arrays. */
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include "layer_test.h"
#include "page_map.h"
#include "sparse_bits.h"

enum { PAGES = 4096, WORDS = PAGES / 64, GRAINS_MAX = PAGES / 32 };

static uint64_t bits[WORDS];
static uint16_t counts[GRAINS_MAX];
static bool plain[PAGES];

static void check_map(const struct page_map *map)
{
    size_t wrong = 0;
    for (size_t grain = 0; grain < PAGES / map->per_grain; grain++) {
        size_t count = 0;
        for (size_t i = 0; i < map->per_grain; i++) {
            size_t page = grain * map->per_grain + i;
            wrong += page_map_has(map, page) != plain[page];
            count += plain[page];
        }
        bool even = count == 0 || count == map->per_grain;
        wrong += counts[grain] != count;
        wrong += page_map_is_even(map, grain * map->per_grain) != even;
    }
    CHECK_EQ(wrong, 0);
}

static void walk(size_t per_grain, unsigned long long seed)
{
    const struct page_map map = {bits, counts, per_grain};
    /* Bits of grains that are even may be anything. */
    memset(bits, 0xa5, sizeof bits);
    memset(counts, 0, sizeof counts);
    memset(plain, 0, sizeof plain);
    for (int i = 0; i < 3000; i++) {
        size_t first = test_random(&seed) % PAGES;
        size_t most = (size_t)1 << test_random(&seed) % 13;
        size_t end = first + test_random(&seed) % most;
        end = end < PAGES ? end : PAGES;
        if (i % 3 == 0) { /* whole grains */
            first = first / per_grain * per_grain;
            end = (end + per_grain - 1) / per_grain * per_grain;
        }
        bool value = test_random(&seed) % 2 != 0;
        size_t changed = page_map_set(&map, first, end, value);
        for (size_t page = first; page < end; page++) {
            changed -= plain[page] != value;
            plain[page] = value;
        }
        CHECK_EQ(changed, 0);
        check_map(&map);
        size_t count = 0;
        end = first + (size_t)(test_random(&seed) % (PAGES - first + 1));
        for (size_t page = first; page < end; page++)
            count += plain[page];
        CHECK_EQ(page_map_count(&map, first, end), count);
        size_t next = first;
        while (next < end && plain[next] != value)
            next++;
        CHECK_EQ(page_map_next(&map, first, end, value), next);
    }
}

static void test_beside_arrays(void)
{
    unsigned long long seed = test_seed(0x5eed);
    walk(512, seed);
    walk(128, seed); /* of 16 KiB */
    walk(32, seed);  /* of 64 KiB: two grains to a word */
}

/* ---- runs by two maps ---------------------------------------------------- */

static uint64_t other_bits[WORDS];
static uint16_t other_counts[GRAINS_MAX];
static bool other_plain[PAGES];

/* Some pages have it, and some do not; in runs, of whole grains now and then.
 */
static void scatter(const struct page_map *map, bool *has,
                    unsigned long long *seed)
{
    memset(map->counts, 0, sizeof counts);
    memset(map->bits, 0xa5, sizeof bits);
    memset(has, 0, PAGES * sizeof *has);
    for (size_t page = 0, end; page < PAGES; page = end) {
        const size_t most = (size_t)1 << test_random(seed) % 12;
        const bool value = test_random(seed) % 2 != 0;
        end = page + 1 + test_random(seed) % most;
        if (test_random(seed) % 2 != 0)
            end = (end + map->per_grain - 1) / map->per_grain * map->per_grain;
        end = end < PAGES ? end : PAGES;
        page_map_set(map, page, end, value);
        for (size_t i = page; i < end; i++)
            has[i] = value;
    }
}

static bool is_in_run(const bool values[2], size_t page)
{
    return plain[page] == values[0] && other_plain[page] == values[1];
}

static void check_runs(const struct page_map maps[2], const bool values[2],
                       size_t page, size_t end)
{
    size_t wrong = 0;
    while (page < end) {
        size_t first = page, last;
        while (first < end && !is_in_run(values, first))
            first++;
        last = first;
        while (last < end && is_in_run(values, last))
            last++;
        wrong += page_map_next_run(maps, values, &page, end) != last;
        wrong += page != first;
        page = last;
    }
    CHECK_EQ(page_map_next_run(maps, values, &page, end), end);
    CHECK_EQ(wrong, 0);
}

static void test_runs_beside_arrays(void)
{
    static const size_t per_grain_of[] = {1024, 512, 128, 32};
    unsigned long long seed = test_seed(0x5eed);
    for (int i = 0; i < 400; i++) {
        const size_t per_grain = per_grain_of[i % 4];
        const struct page_map maps[2] = {{bits, counts, per_grain},
                                         {other_bits, other_counts, per_grain}};
        scatter(&maps[0], plain, &seed);
        scatter(&maps[1], other_plain, &seed);
        for (unsigned both = 0; both < 4; both++) {
            const bool values[2] = {both % 2 != 0, both / 2 != 0};
            const size_t page = test_random(&seed) % PAGES;
            check_runs(maps, values, 0, PAGES);
            check_runs(maps, values, page,
                       page + test_random(&seed) % (PAGES - page + 1));
        }
    }
}

/* The bits are not even read: they may be in no memory. */
static void test_bits_of_whole_grains(void)
{
    const struct page_map map = {NULL, counts, 512};
    memset(counts, 0, sizeof counts);
    page_map_set(&map, 512, PAGES, true);
    page_map_set(&map, 1030, 1050, true);
    CHECK_EQ(page_map_count(&map, 0, PAGES), PAGES - 512);
    CHECK_EQ(page_map_count(&map, 500, 600), 88);
    CHECK(!page_map_has(&map, 511));
    CHECK(page_map_has(&map, 512));
    CHECK_EQ(page_map_next(&map, 3, PAGES, true), 512);
    CHECK_EQ(page_map_next(&map, 600, PAGES, false), PAGES);
    page_map_set(&map, 3, 500, false);
    page_map_set(&map, 0, PAGES, false);
    CHECK_EQ(page_map_count(&map, 0, PAGES), 0);
}

/* ---- sparse bitmaps ------------------------------------------------------ */

static void walk_sparse(size_t count, unsigned long long seed)
{
    struct sparse_bits set;
    bool *has = calloc(count, sizeof *has);
    size_t wrong = 0;
    REQUIRE_NOT_NULL(has);
    REQUIRE_EQ(sparse_bits_make(&set, count), 0);
    CHECK_EQ(sparse_bits_next(&set, 0), count);
    REQUIRE_EQ(sparse_bits_open(&set, count / 2), 0);
    REQUIRE_EQ(sparse_bits_open(&set, count), 0);
    for (int i = 0; i < 20000; i++) {
        size_t number = test_random(&seed) % count;
        if (i % 2 == 0) /* back to nothing now and then */
            number %= 200;
        has[number] = test_random(&seed) % 2 != 0;
        sparse_bits_set(&set, number, has[number]);
        size_t from = test_random(&seed) % count, next = from;
        while (i % 20 == 0 && next < count && !has[next])
            next++;
        wrong += i % 20 == 0 && sparse_bits_next(&set, from) != next;
        size_t last = from;
        while (i % 20 == 0 && last > 0 && !has[last - 1])
            last--;
        wrong += i % 20 == 0 &&
                 sparse_bits_last(&set, from) != (last > 0 ? last - 1 : count);
        const size_t least = test_random(&seed) % (from + 1);
        size_t first = from;
        while (has[from] && first > least && has[first - 1])
            first--;
        wrong += has[from] && sparse_bits_run_first(&set, least, from) != first;
        wrong += sparse_bits_has(&set, from) != has[from];
        wrong += i % 1000 == 0 && !sparse_bits_are_sound(&set, count);
    }
    for (size_t i = 0; i < count; i++)
        sparse_bits_set(&set, i, false);
    wrong += sparse_bits_next(&set, 0) != count;
    wrong += !sparse_bits_are_sound(&set, count);
    CHECK_EQ(wrong, 0);
    sparse_bits_drop(&set);
    sparse_bits_drop(&set); /* nothing */
    free(has);
}

static void test_sparse_bits_beside_arrays(void)
{
    static const size_t counts_of[] = {1,    63,   64,    65,    4096,
                                       4097, 5000, 65536, 262145};
    struct test_resources before;
    unsigned long long seed = test_seed(0x5eed);
    layer_resources_take(&before);
    for (size_t i = 0; i < sizeof counts_of / sizeof counts_of[0]; i++)
        walk_sparse(counts_of[i], seed + i);
    CHECK(nothing_leaked(&before));
}

/* As many numbers as 64 TiB have pages: all but what leads to the numbers that
 * there are is not even read. */
static void test_sparse_bits_far_apart(void)
{
    const size_t count = (size_t)1 << 34, last = count - 1;
    const size_t bytes = count / 8, far = (size_t)64 << 20;
    struct sparse_bits set;
    REQUIRE_EQ(sparse_bits_make(&set, count), 0);
    if (sparse_bits_open(&set, count) != 0) {
        printf("skipped: no room for 2 GiB of bits ");
        sparse_bits_drop(&set);
        return;
    }
    sparse_bits_set(&set, 3, true);
    sparse_bits_set(&set, last, true);
    REQUIRE_EQ(mprotect((char *)set.level[0] + far, bytes - 2 * far, PROT_NONE),
               0);
    CHECK_EQ(sparse_bits_next(&set, 0), 3);
    CHECK_EQ(sparse_bits_next(&set, 4), last);
    sparse_bits_set(&set, last, false);
    CHECK_EQ(sparse_bits_next(&set, 4), count);
    sparse_bits_set(&set, 3, false);
    CHECK_EQ(sparse_bits_next(&set, 0), count);
    sparse_bits_drop(&set);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        {"beside arrays", test_beside_arrays},
        {"bits of whole grains", test_bits_of_whole_grains},
        {"runs beside arrays", test_runs_beside_arrays},
        {"sparse bits beside arrays", test_sparse_bits_beside_arrays},
        {"sparse bits far apart", test_sparse_bits_far_apart},
        {NULL, NULL},
    };
    return test_main("page map", tests, argc, argv);
}
