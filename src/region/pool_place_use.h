/* SPDX-License-Identifier: BSD-2-Clause */
/* How much of a pool lies in each of its directories. */
#ifndef POOL_PLACE_USE_H
#define POOL_PLACE_USE_H

#include "region.h"

struct pool_place_use {
    const char *path; /* "": not known. As long as the pool is open. */
    unsigned files;
    size_t space; /* bytes of file space that these have */
};

/* Finds out what the pool has in the directory with that index. Returns false
 * if there is none: the pool has fewer, or is not in files that it makes. The
 * pool is open. */
bool pool_place_use(const struct memkind_region_pool *pool, unsigned index,
                    struct pool_place_use *use);

#endif
