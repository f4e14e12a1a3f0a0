/* SPDX-License-Identifier: BSD-2-Clause */
/* Bitmaps with a bit for each page of a region. */
#ifndef PAGE_BITS_H
#define PAGE_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE_BITS_WORD ((size_t)64)

/* Makes a bitmap, all 0, in a mapping of its own; NULL if there is no
 * memory. */
uint64_t *page_bits_new(size_t pages);
void page_bits_drop(uint64_t **bits, size_t pages);

/* Bytes that a bitmap takes. */
static inline size_t page_bits_bytes(size_t pages)
{
    return (pages + PAGE_BITS_WORD - 1) / PAGE_BITS_WORD * sizeof(uint64_t);
}

static inline bool page_bits_has(const uint64_t *bits, size_t page)
{
    return (bits[page / PAGE_BITS_WORD] >> page % PAGE_BITS_WORD & 1) != 0;
}

/* Finds the first page of [page, end) whose bit is `value`; `end` if there is
 * none. */
static inline size_t page_bits_find(const uint64_t *bits, size_t page,
                                    size_t end, bool value)
{
    while (page < end) {
        uint64_t word = bits[page / PAGE_BITS_WORD];
        word = (value ? word : ~word) >> page % PAGE_BITS_WORD;
        if (word != 0) {
            page += (size_t)__builtin_ctzll(word);
            return page < end ? page : end;
        }
        page = (page / PAGE_BITS_WORD + 1) * PAGE_BITS_WORD;
    }
    return end;
}

/* Finds, going backwards, the last page before `page` and not below `least`
 * whose bit is `value`; SIZE_MAX if there is none. */
static inline size_t page_bits_find_back(const uint64_t *bits, size_t page,
                                         size_t least, bool value)
{
    while (page > least) {
        size_t last = page - 1;
        uint64_t word = bits[last / PAGE_BITS_WORD];
        word = (value ? word : ~word)
               << (PAGE_BITS_WORD - 1 - last % PAGE_BITS_WORD);
        if (word != 0) {
            last -= (size_t)__builtin_clzll(word);
            return last >= least ? last : SIZE_MAX;
        }
        page = last / PAGE_BITS_WORD * PAGE_BITS_WORD;
    }
    return SIZE_MAX;
}

/* Sets the bits of [page, end). */
static inline void page_bits_fill(uint64_t *bits, size_t page, size_t end,
                                  bool value)
{
    while (page < end) {
        size_t next = (page / PAGE_BITS_WORD + 1) * PAGE_BITS_WORD;
        uint64_t mask = ~(uint64_t)0 << page % PAGE_BITS_WORD;
        if (next > end)
            mask &= ~(uint64_t)0 >> (next - end);
        if (value)
            bits[page / PAGE_BITS_WORD] |= mask;
        else
            bits[page / PAGE_BITS_WORD] &= ~mask;
        page = next;
    }
}

#endif
