/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How pools grow: of what, and how large, regions are made. Functions return 0
 * or a negative errno.
 */
#ifndef POOL_GROWTH_H
#define POOL_GROWTH_H

#include "region.h"

/* The least size of a region, in bytes. */
#define POOL_REGION_SIZE_MIN ((size_t)16 << 20)

/* The size of the first region of a pool that may hold so much (0: no limit).
 */
size_t pool_first_size(size_t max_size);

/* Limits the size of a first region to what a place that can hold `capacity`
 * bytes (0: not known) needs. */
size_t pool_limit_first_size(size_t capacity, size_t size);

/* Adds a region with room for `least` bytes. fd: an empty file for the first
 * region, which is closed on failure; else -1. The pool's lock is held. */
int pool_grow(struct memkind_region_pool *pool, int fd, size_t least);

#endif
