/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A region's tags, a number for each REGION_TAG_UNIT. All of them can be read,
 * for any address at all; those of what was not handed out yet are 0 and take
 * no memory, even under mlockall(2).
 */
#ifndef REGION_TAGS_H
#define REGION_TAGS_H

#include "region.h"

/* Those of the first region are made for all of the range, which is noted in
 * the pool; a stripe gets its part of them. Returns 0 or a negative errno. */
int region_tags_make(struct memkind_region_pool *pool, struct region *region);
void region_tags_drop(struct memkind_region_pool *pool, struct region *region);

/* Makes the tags of the region's first `size` bytes writable; once they are,
 * they stay so. The pool's lock is held. */
int region_tags_open(struct region *region, size_t size);

#endif
