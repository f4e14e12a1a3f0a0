/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Making a mapping a region of a pool, and taking it out again. Functions
 * return 0 or a negative errno unless they say otherwise.
 */
#ifndef POOL_REGIONS_H
#define POOL_REGIONS_H

#include "file_mapping.h"
#include "region.h"

/* From now on regions have a page before and behind them that cannot be
 * touched, if the address space there is free. */
void region_pool_use_guards(bool use);

/* Bytes around a new mapping that are to stay free, for guard pages. */
size_t pool_guard_margin(void);

/* Bytes that the size of a region is a multiple of. */
size_t pool_region_unit(const struct memkind_region_pool *pool);

/* Makes a mapping the pool's next region, of a file in a place; a stripe if it
 * lies in the pool's range. The pool's lock is held. */
int pool_add_region(struct memkind_region_pool *pool,
                    const struct mapping *mapping, struct pool_place *place,
                    int fd, size_t file_offset);

/* For assertions, while no other thread uses the pool: whether it has charged
 * just what its tables say; true if it has none, or has lost its memory. */
bool pool_charge_is_sound(const struct memkind_region_pool *pool);

/* Unmaps a region of a pool that is being closed, and frees its tables. Its
 * file stays open. Returns whether the mapping is gone. That of a stripe goes
 * with the first region's, which is the last to be removed. late: what undoes
 * the mapping by and by, or NULL. */
bool pool_remove_region(struct memkind_region_pool *pool, struct region *region,
                        struct mapping *later);

/* Closes a file of regions. still_mapped: a mapping that cannot be undone keeps
 * a file without a name. */
void pool_close_file(const struct memkind_region_pool *pool, int fd,
                     bool still_mapped);

/* Whether forked children have the files as they were. */
bool pool_is_needed_by_children(const struct memkind_region_pool *pool);

#endif
