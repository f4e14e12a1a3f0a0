/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Blocks of a pool: what jemalloc's arenas are given. Any thread may call
 * these.
 */
#ifndef POOL_BLOCKS_H
#define POOL_BLOCKS_H

#include "region.h"

/*
 * Takes a block.
 * size, alignment: multiples of the page size, alignment a power of two
 * commit:  in: the block has to be committed; out: whether it is
 * zeroed:  out: whether a committed block is all zero (an uncommitted one
 *          always will be, once it is committed)
 * Returns the block; NULL with errno set.
 */
void *region_pool_alloc(struct memkind_region_pool *pool, size_t size,
                        size_t alignment, bool *commit, bool *zeroed);

/* Takes a block for a jemalloc arena, by its index. Only this may return a
 * block that was taken back, from that arena. Else as region_pool_alloc(). */
void *region_pool_alloc_for(struct memkind_region_pool *pool, unsigned arena,
                            size_t size, size_t alignment, bool *commit,
                            bool *zeroed);

/*
 * Takes a range back that is in no block from now on: it is decommitted, and
 * handed out again to the same arena. Only done in a forked child whose pieces
 * are used up (region_private.h); else -EOPNOTSUPP, and nothing has changed.
 */
int region_pool_take_back(struct memkind_region_pool *pool, unsigned arena,
                          void *addr, size_t size, bool committed);

/* Bytes that a fixed pool has left for blocks. */
size_t region_pool_room(struct memkind_region_pool *pool);

#endif
