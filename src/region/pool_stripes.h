/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stripes: regions of a pool that lie beside the first one, each with a file of
 * its own.
 *
 * What takes space in a file, or gives it back, waits for all others that do so
 * in the same file. So arenas that are used at the same time have their blocks
 * in different files: each is at home in one region of the range, takes blocks
 * there first, and elsewhere when that is used up. Stripes are made one by one,
 * when another arena asks for blocks and the pool holds enough to be worth one:
 * a small pool has one file. If one cannot be made, there are fewer.
 *
 * A pool over several places has one in each of them from the start. An arena
 * is at home in a place whose memory is on the NUMA node of the thread that
 * asks for its first blocks, and in one that has space.
 *
 * A forked child makes none. The pool's lock is held wherever that is not said
 * to be otherwise.
 */
#ifndef POOL_STRIPES_H
#define POOL_STRIPES_H

#include "region.h"

/* Decides how many stripes a pool may have whose first region has that size. */
void pool_stripes_plan(struct memkind_region_pool *pool, size_t size);

/* Bytes of addresses that its stripes need behind a first region of that size.
 */
size_t pool_stripes_room(const struct memkind_region_pool *pool, size_t size);

/* Notes how much room there is in the range, when that is known. */
void pool_stripes_note_room(struct memkind_region_pool *pool, size_t room);

/* Makes one in a place. Returns 0 or a negative errno; -ENOBUFS if there is no
 * room in the range, or if there may be no more. */
int pool_stripes_add(struct memkind_region_pool *pool,
                     struct pool_place *place);

/* Whether files of a place are like the first region's, if none is to be made
 * there now. Returns 0 or a negative errno. */
int pool_stripes_check(struct memkind_region_pool *pool,
                       const struct pool_place *place);

/* The index of the region that an arena, by its index, takes its blocks from
 * first. */
unsigned pool_stripes_home(struct memkind_region_pool *pool, unsigned arena);

/* Whether an arena is at home where the calling thread should allocate: where
 * there is space, and on its NUMA node. True for one that has no home yet.
 * Called without the lock. */
bool pool_stripes_suit(struct memkind_region_pool *pool, unsigned arena);

/* For a pool that is being closed; without the lock. */
void pool_stripes_fini(struct memkind_region_pool *pool);

#endif
