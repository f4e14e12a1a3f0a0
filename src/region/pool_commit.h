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

/* Does the same, but gives back only some of the range before it returns,
 * because that takes time: `at_once` bytes at most, or the least that shows
 * whether the file system can punch holes. The rest is owed: it stays charged,
 * and is given back by region_pool_pay_some(), or as soon as a commit lacks
 * space. */
int region_pool_decommit_some(struct memkind_region_pool *pool, void *addr,
                              size_t size, size_t at_once);

/* How much of `most` bytes may be committed ahead of need in the region of an
 * address: a small part of the room that there is; 0 if that is less than
 * `least`, unless the files are in memory, or if a tool watches memory: it
 * would take such pages for an object's. (On ext4 and xfs it makes no
 * difference. btrfs takes space in extents, of which it gives nothing back
 * before all is free.) */
size_t region_pool_room_ahead(struct memkind_region_pool *pool,
                              const void *addr, size_t least, size_t most);

/* Whether anything is owed. */
bool region_pool_owes(const struct memkind_region_pool *pool);

/*
 * Give back what is owed: all, or about `most` bytes. That is done in slices of
 * a quarter of a millisecond, between which no lock is held. A region is left
 * at the first failure. Returns how many bytes were given back.
 */
void region_pool_pay(struct memkind_region_pool *pool);
size_t region_pool_pay_some(struct memkind_region_pool *pool, size_t most);

/* Gives back all that is owed, the regions of a large pool at the same time, by
 * several threads for a moment. The caller holds no lock of this layer. */
void region_pool_pay_in_parallel(struct memkind_region_pool *pool);

/* Gives back, for another pool on a full file system, about so many bytes of
 * what the pool keeps in grains that it has a part of in use. Returns how many
 * it was. */
size_t region_pool_give_idle(struct memkind_region_pool *pool, size_t most);

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
