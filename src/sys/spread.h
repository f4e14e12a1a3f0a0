/* SPDX-License-Identifier: BSD-2-Clause */
/* Numbers that follow one another, such as addresses, for tables of 2^n places:
 * D. E. Knuth, The Art of Computer Programming, vol. 3, section 6.4. */
#ifndef SPREAD_H
#define SPREAD_H

#include <stdint.h>

/* The highest bits of the result are a place. */
static inline uint64_t spread(uint64_t number)
{
    return number * 0x9e3779b97f4a7c15; /* 2^64, by the golden ratio */
}

#endif
