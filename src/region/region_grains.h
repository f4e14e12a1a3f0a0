/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Commit and decommit where file space is taken in grains larger than a page:
 * a grain's file space is allocated with its first committed page and given
 * back with its last.
 *
 * Where the budget or the file system leaves no whole grain, single pages do:
 * the space of free pages in other grains is given back, and a grain whose
 * space is not whole ("split") takes and gives it by the page until it is
 * empty. That costs the large mappings of those grains, and is better than NULL
 * while there is room.
 */
#ifndef REGION_GRAINS_H
#define REGION_GRAINS_H

#include <errno.h>

#include "region_pool.h"

/* Makes a region's tables; for a grain of one page there are none. */
int region_grains_init(struct memkind_region_pool *pool, struct region *region);
/* Makes the tables of the region's first `size` bytes writable. The pool's lock
 * is held. */
int region_grains_open(const struct memkind_region_pool *pool,
                       struct region *region, size_t size);
void region_grains_fini(struct memkind_region_pool *pool,
                        struct region *region);

/* As region_pool_commit() and _decommit(); offsets are within the region. */
int region_grains_commit(struct memkind_region_pool *pool,
                         struct region *region, size_t offset, size_t size);
int region_grains_decommit(struct memkind_region_pool *pool,
                           struct region *region, size_t offset, size_t size);

/* As region_pool_pay(). */
void region_grains_pay(struct memkind_region_pool *pool, struct region *region);

/* Charges and allocates the file space of a range that has none. */
int region_space_take(struct memkind_region_pool *pool, struct region *region,
                      size_t offset, size_t size);

/* Whether a failure of that says that it never can be done. */
static inline bool region_space_is_kept(int error)
{
    return error == -EOPNOTSUPP || error == -ENOSYS;
}

/* Changes what is charged alone. To charge again is not to fail, even where
 * others have used the budget meanwhile. */
void region_space_credit(struct memkind_region_pool *pool, size_t size);
void region_space_charge_again(struct memkind_region_pool *pool, size_t size);

/* Frees the file space of a range, `held` bytes of which it has, and credits
 * that. */
int region_space_give(struct memkind_region_pool *pool, struct region *region,
                      size_t offset, size_t size, size_t held);

#endif
