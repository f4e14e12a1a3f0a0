/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * File space that was not given back when it was to be: because that takes time
 * (region_pool_decommit_some()), or because a hole could not be punched that
 * moment (I/O errors, no space for the file system's own tables, locked pages).
 * To the layers above such pages are uncommitted like others, but they stay
 * charged and keep what they hold. They are given back in slices by upkeep, and
 * when space is lacking, with each purge, and after a decommit that gives back
 * all of its range.
 *
 * No thread uses a page that is owed until it is committed; the thread that
 * commits its range finds it here, with the region's grain_lock held.
 *
 * This is for regions whose grain is a page; region_grains.c has tables of its
 * own.
 */
#ifndef REGION_OWED_H
#define REGION_OWED_H

#include "region.h"

static inline bool region_owes(const struct region *region)
{
    return atomic_load_explicit(&region->owed_pages, memory_order_acquire) != 0;
}

/* After this, ranges up to `end` can be noted. Returns 0 or a negative errno.
 */
int region_owed_prepare(struct region *region, size_t end);

/* Notes a range. A negative errno if that cannot be: the range stays committed
 * then. */
int region_owed_add(struct region *region, size_t offset, size_t size);

/* Commits a range that may have such pages: they need no more space, but are
 * cleared. Else like region_space_take(). */
int region_owed_commit(struct memkind_region_pool *pool, struct region *region,
                       size_t offset, size_t size);

/* Tries to give back as many bytes of it. Some failures end the call; if it
 * insists, they do so only after something was given back. Returns the bytes
 * that were. */
size_t region_owed_pay(struct memkind_region_pool *pool, struct region *region,
                       size_t most, bool insists);

void region_owed_fini(struct region *region);

#endif
