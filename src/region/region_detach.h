/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pages that are detached from their file: mapped privately, so that the file
 * stays as it was at a fork, and what is stored goes to memory of this process.
 *
 * fork(2) does what is asked of a snapshot for private memory: neither side
 * sees the other's stores. So before a pool with REGION_FORK_SNAPSHOT is
 * forked, all that its regions have in use is detached, if it is not yet: the
 * child then has the same private mappings, with the pages that were copied for
 * stores since an earlier fork. The file is common ground. As long as any
 * process needs it (fork_mark.h), nobody stores to a detached page in it, and
 * no hole is punched there; what the parent frees stays owed.
 *
 *     | used at the fork                        | new blocks |
 *     |DDDDDDDD SSSS DDDDDDDDDDDDDD SSSS DDDDDDD| SSSSSSSSSS |
 *
 *     'D' detached   'S' shared: stores go to the file
 *
 * Pages are attached again, by mapping them shared, when they are committed,
 * since no thread looks at them then: those without file space at once (no
 * process needs a hole), others when no process needs the file. A page that
 * stays in use cannot be attached behind the program's back: a store between
 * the copy of what it holds and the new mapping would be lost, and what a
 * device writes to memory (O_DIRECT) meets no protection at all. The program
 * has to say when nothing is stored: region_detach_attach_all().
 *
 * Each run of pages that is attached is a mapping of its own, of which there
 * may be only so many (mapping_count.h); beyond that, pages stay detached.
 *
 * The old mapping of pages is moved aside, with its page tables, and unmapped
 * later by and by: that takes 60 ms for each GiB in small pages, during which
 * fork() would wait. In between, other threads find a shared mapping, and then
 * a private one: no store is lost.
 */
#ifndef REGION_DETACH_H
#define REGION_DETACH_H

#include "region.h"

/* Whether any page is detached. If not, all else here costs nothing. */
static inline bool region_is_detached(const struct region *region)
{
    return atomic_load_explicit(&region->detached_pages,
                                memory_order_acquire) != 0;
}

/*
 * prepare: before fork(2): detaches all that is in use; notes in
 *          region->is_snapshot whether the child can have the region
 * parent:  after it
 * child:   the region becomes a private one: drops what is noted here, and
 *          keeps the mapping
 */
void region_detach_prepare(struct memkind_region_pool *pool,
                           struct region *region);
void region_detach_parent(struct region *region);
void region_detach_child(struct memkind_region_pool *pool,
                         struct region *region);
void region_detach_fini(struct region *region);

/* Attaches a range in which nothing is committed. is_hole: none of it has file
 * space. Returns 0 if none of the range is detached any more, else a negative
 * errno: some of it still is. */
int region_detach_attach(struct memkind_region_pool *pool,
                         struct region *region, size_t offset, size_t size,
                         bool is_hole);

/* Before a range is decommitted: drops what was stored to its detached pages.
 * If this fails, it must not be. */
int region_detach_drop(struct region *region, size_t offset, size_t size);

/* Whether some process may need a part of the range as it is in the file. */
bool region_detach_is_needed(struct region *region, size_t offset, size_t size);

/* Whether any page of the range is detached. */
bool region_detach_has(struct region *region, size_t offset, size_t size);

/* Writes what was stored to detached pages to the file, and attaches them.
 * Nothing may be stored to them, nor they be committed or decommitted, while
 * this runs. Returns 0; -EBUSY if a process needs the file; or another negative
 * errno, if some pages are detached still. Nothing is lost. */
int region_detach_attach_all(struct memkind_region_pool *pool,
                             struct region *region);

/* Unmaps some of the old mapping. Returns whether more of it is left, and can
 * be unmapped. */
bool region_detach_unmap_old(struct region *region);

/* Bytes of memory that pages of the region take which are not the file's: in
 * the parent what was stored to detached pages, in a child all of its own. */
size_t region_detach_memory(struct region *region);

#endif
