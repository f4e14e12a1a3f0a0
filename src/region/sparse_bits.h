/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A bitmap for up to 2^36 numbers in which the next number that it holds is
 * found in a few steps, however far away that is. A bit of each level above the
 * first says whether the word below has any bit:
 *
 *     level 2   1...
 *     level 1   01000010...
 *     level 0   00000000 00000100 00000000 ... 01000001 00000000 ...
 *
 * The bitmap is a mapping of which only pages with bits take memory. A lock of
 * the caller's guards it.
 */
#ifndef SPARSE_BITS_H
#define SPARSE_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SPARSE_BITS_LEVELS 6
#define SPARSE_BITS_WORD ((size_t)64)

struct sparse_bits {
    uint64_t
        *level[SPARSE_BITS_LEVELS]; /* level[0] is NULL before it is made */
    size_t count;                   /* numbers are less */
    size_t open;                    /* bytes of level 0 that can be written */
};

/* Makes a bitmap that holds nothing and can be read. Returns 0 or a negative
 * errno. */
int sparse_bits_make(struct sparse_bits *bits, size_t count);

/* Numbers below `count` can be added from now on. Returns 0 or a negative
 * errno. */
int sparse_bits_open(struct sparse_bits *bits, size_t count);

/* Does nothing if there is no bitmap. */
void sparse_bits_drop(struct sparse_bits *bits);

static inline bool sparse_bits_has(const struct sparse_bits *bits,
                                   size_t number)
{
    return (bits->level[0][number / SPARSE_BITS_WORD] >>
                number % SPARSE_BITS_WORD &
            1) != 0;
}

/* Adds a number or takes it out. If it is so already, nothing is written. */
void sparse_bits_set(struct sparse_bits *bits, size_t number, bool value);

/* Adds all numbers of [first, end), or takes them out. Returns how many have
 * changed. */
size_t sparse_bits_set_range(struct sparse_bits *bits, size_t first, size_t end,
                             bool value);

/* Finds the first number from `from` on; `count` if there is none. */
size_t sparse_bits_next(const struct sparse_bits *bits, size_t from);

/* Finds the first number of [from, end) that the bitmap does not hold; `end` if
 * there is none. */
size_t sparse_bits_run_end(const struct sparse_bits *bits, size_t from,
                           size_t end);

/* Finds the last number below `end`; `count` if there is none. */
size_t sparse_bits_last(const struct sparse_bits *bits, size_t end);

/* Finds the first number from `least` on of the run that ends with `last`,
 * which the bitmap holds. */
size_t sparse_bits_run_first(const struct sparse_bits *bits, size_t least,
                             size_t last);

/* For assertions: whether each level has what the one below has. Looks at all
 * of the first `count` numbers. */
bool sparse_bits_are_sound(const struct sparse_bits *bits, size_t count);

#endif
