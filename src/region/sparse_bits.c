/* SPDX-License-Identifier: BSD-2-Clause */
#include "sparse_bits.h"

#include <assert.h>
#include <errno.h>
#include <sys/mman.h>

#include "address_space.h"
#include "page_size.h"
#include "rounding.h"
#include "sys_calls.h"

#define WORD SPARSE_BITS_WORD

/* Words of the next level: one bit for each word, or number. */
static size_t words_for(size_t bits)
{
    return (bits + WORD - 1) / WORD;
}

static size_t first_level_bytes(size_t bits)
{
    return round_up(words_for(bits) * sizeof(uint64_t), region_page_size());
}

/* Bytes of all levels above the first. Those come first in the mapping, and are
 * opened as a whole with the first part of the rest, of which they are a
 * 63rd. */
static size_t upper_bytes(size_t count)
{
    size_t sum = 0;
    for (size_t words = words_for(count); words > 1; words = words_for(words))
        sum += words_for(words) * sizeof(uint64_t);
    return round_up(sum, region_page_size());
}

int sparse_bits_make(struct sparse_bits *bits, size_t count)
{
    assert(count != 0 && count <= (size_t)1 << 36);
    const size_t upper = upper_bytes(count),
                 size = upper + first_level_bytes(count);
    char *map = sys.mmap(NULL, size, PROT_READ,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (map == MAP_FAILED)
        return -errno;
    (void)sys.madvise(map, size, MADV_DONTDUMP);
    *bits = (struct sparse_bits){.count = count};
    bits->level[0] = (uint64_t *)(void *)(map + upper);
    size_t words = words_for(count);
    for (unsigned i = 1; words > 1; i++) {
        words = words_for(words);
        bits->level[i] = (uint64_t *)(void *)map;
        map += words * sizeof(uint64_t);
    }
    return 0;
}

int sparse_bits_open(struct sparse_bits *bits, size_t count)
{
    assert(count <= bits->count);
    const size_t size = first_level_bytes(count);
    if (size <= bits->open)
        return 0;
    /* Until then all is one mapping, which may be one with its neighbours. */
    const size_t upper = bits->open == 0 ? upper_bytes(bits->count) : 0;
    int result = address_space_open((char *)bits->level[0] + bits->open - upper,
                                    upper + size - bits->open);
    if (result == 0)
        bits->open = size;
    return result;
}

void sparse_bits_drop(struct sparse_bits *bits)
{
    if (bits->level[0] == NULL)
        return;
    const size_t upper = upper_bytes(bits->count);
    sys.munmap((char *)bits->level[0] - upper,
               upper + first_level_bytes(bits->count));
    *bits = (struct sparse_bits){0};
}

/* Sets a bit of a level, which is not so yet, and what follows from it above.
 */
static void set_from(struct sparse_bits *bits, unsigned level, size_t number,
                     bool value)
{
    for (unsigned i = level; i < SPARSE_BITS_LEVELS && bits->level[i] != NULL;
         i++) {
        uint64_t *word = &bits->level[i][number / WORD];
        const uint64_t before = *word;
        *word = before ^ (uint64_t)1 << number % WORD;
        if ((value ? before : *word) != 0)
            return; /* so the levels above stay as they are */
        number /= WORD;
    }
}

void sparse_bits_set(struct sparse_bits *bits, size_t number, bool value)
{
    if (sparse_bits_has(bits, number) != value)
        set_from(bits, 0, number, value);
}

size_t sparse_bits_set_range(struct sparse_bits *bits, size_t first, size_t end,
                             bool value)
{
    size_t changed = 0, next;
    for (; first < end; first = next) {
        const size_t at = first / WORD;
        next = (at + 1) * WORD < end ? (at + 1) * WORD : end;
        const uint64_t mask = UINT64_MAX >> (WORD - (next - first))
                                                << first % WORD;
        const uint64_t before = bits->level[0][at];
        const uint64_t after = value ? before | mask : before & ~mask;
        if (before == after)
            continue;
        bits->level[0][at] = after;
        changed += (size_t)__builtin_popcountll(before ^ after);
        if ((before == 0) != (after == 0))
            set_from(bits, 1, at, value);
    }
    return changed;
}

/* The first number in what lies below a bit of a level. */
static size_t descend(const struct sparse_bits *bits, unsigned level,
                      size_t number)
{
    while (level-- > 0)
        number =
            number * WORD + (size_t)__builtin_ctzll(bits->level[level][number]);
    return number;
}

size_t sparse_bits_next(const struct sparse_bits *bits, size_t from)
{
    size_t count = bits->count;
    for (unsigned i = 0; from < count && i < SPARSE_BITS_LEVELS; i++) {
        const uint64_t word = bits->level[i][from / WORD] >> from % WORD;
        if (word != 0)
            return descend(bits, i, from + (size_t)__builtin_ctzll(word));
        from = from / WORD + 1;
        count = words_for(count);
    }
    return bits->count;
}

size_t sparse_bits_run_end(const struct sparse_bits *bits, size_t from,
                           size_t end)
{
    while (from < end) {
        const uint64_t others = ~bits->level[0][from / WORD] >> from % WORD;
        const size_t rest = WORD - from % WORD;
        size_t ones = others == 0 ? rest : (size_t)__builtin_ctzll(others);
        if (ones > rest)
            ones = rest;
        from += ones;
        if (ones < rest)
            break;
    }
    return from < end ? from : end;
}

/* The last number in what lies below a bit of a level. */
static size_t descend_last(const struct sparse_bits *bits, unsigned level,
                           size_t number)
{
    while (level-- > 0)
        number = number * WORD + WORD - 1 -
                 (size_t)__builtin_clzll(bits->level[level][number]);
    return number;
}

size_t sparse_bits_last(const struct sparse_bits *bits, size_t end)
{
    for (unsigned i = 0;
         end != 0 && i < SPARSE_BITS_LEVELS && bits->level[i] != NULL; i++) {
        const size_t at = (end - 1) / WORD, rest = end - at * WORD;
        const uint64_t word = bits->level[i][at] << (WORD - rest);
        if (word != 0)
            return descend_last(bits, i,
                                end - 1 - (size_t)__builtin_clzll(word));
        end = at;
    }
    return bits->count;
}

size_t sparse_bits_run_first(const struct sparse_bits *bits, size_t least,
                             size_t last)
{
    size_t first = last + 1;
    while (first > least) {
        const size_t at = (first - 1) / WORD, rest = first - at * WORD;
        const uint64_t word = bits->level[0][at] << (WORD - rest);
        size_t ones =
            word == UINT64_MAX ? WORD : (size_t)__builtin_clzll(~word);
        if (ones > rest)
            ones = rest;
        first -= ones;
        if (ones < rest)
            break;
    }
    return first > least ? first : least;
}

bool sparse_bits_are_sound(const struct sparse_bits *bits, size_t count)
{
    for (unsigned i = 1; i < SPARSE_BITS_LEVELS && bits->level[i] != NULL;
         i++) {
        count = words_for(count);
        for (size_t word = 0; word < count; word++)
            if ((bits->level[i][word / WORD] >> word % WORD & 1) !=
                (bits->level[i - 1][word] != 0))
                return false;
    }
    return true;
}
