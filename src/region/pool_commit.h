/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Commit and decommit of ranges within blocks, whatever the region is made of.
 * Any thread may call these. They return 0 or a negative errno.
 */
#ifndef POOL_COMMIT_H
#define POOL_COMMIT_H

#include "region.h"

/*
 * Allocates file space for a page-aligned range within one block, none of
 * which is committed. Its contents are zero afterwards. -ENOMEM: over budget.
 */
int region_pool_commit(struct memkind_region_pool *pool, void *addr,
                       size_t size);

/*
 * Gives the file space of a committed range back, as far as whole grains become
 * free. What cannot be given back now stays charged, and is tried again. If it
 * never can be, this fails, and the range stays committed with its contents.
 */
int region_pool_decommit(struct memkind_region_pool *pool, void *addr,
                         size_t size);

/* Tries to give back what could not be given back when it was to be. */
void region_pool_pay(struct memkind_region_pool *pool);

/* Notes that a range holds objects from now on: for LeakSanitizer, and for core
 * dumps. */
void pool_note_committed(const struct memkind_region_pool *pool,
                         struct region *region, size_t offset, size_t size);

/*
 * While this is on, blocks are returned as committed, and commit and decommit
 * do nothing: an arena can then take in all of a fixed pool as what it has used
 * and given back. See heap_fixed.h.
 */
void region_pool_set_pretending(struct memkind_region_pool *pool,
                                bool pretending);

#endif
