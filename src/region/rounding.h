/* SPDX-License-Identifier: BSD-2-Clause */
/* Rounding of sizes. */
#ifndef ROUNDING_H
#define ROUNDING_H

#include <stddef.h>
#include <stdint.h>

/* Up to a multiple of `unit`, a power of two. */
static inline size_t round_up(size_t value, size_t unit)
{
    return (value + unit - 1) & ~(unit - 1);
}

/* The least power of two that is not less, or the greatest one there is. */
static inline size_t power_of_two_from(size_t value)
{
    size_t power = 1;
    while (power < value && power <= SIZE_MAX / 2)
        power *= 2;
    return power;
}

/* The greatest power of two that is not more; 1 for 0. */
static inline size_t power_of_two_to(size_t value)
{
    size_t power = 1;
    while (power <= value / 2)
        power *= 2;
    return power;
}

#endif
