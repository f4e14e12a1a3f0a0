/* SPDX-License-Identifier: BSD-2-Clause */
/* A clock that costs some nanoseconds, and moves on each few milliseconds. */
#ifndef COARSE_CLOCK_H
#define COARSE_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline int64_t coarse_clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* A clock that is exact, and costs some more. */
static inline int64_t exact_clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

#endif
