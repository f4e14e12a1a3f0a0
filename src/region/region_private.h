/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The memory of a private region (region_fork.c): what a forked child has in
 * place of its parent's file.
 *
 *     | inherited: a private mapping of the file  | anonymous memory |
 *     |####..AA..####AAAA......#####......####....|####...####.......|
 *
 *     '#' committed, '.' not; 'A' a piece: anonymous memory over the file
 *
 * Behind what the parent had in use, commit needs no mapping and decommit is
 * MADV_DONTNEED. Before that end, memory that is committed must be zero without
 * a look at the file: if the file has a hole there, tmpfs would fill it. So the
 * memory is mapped anew, and makes a piece unless it adjoins one. Each piece is
 * a mapping, and one more for the file behind it; a process may have 65,530,
 * its malloc's and its threads' among them. So pieces are bounded. Beyond that,
 * a commit there is refused as long as there are other addresses: jemalloc
 * takes some from the region's end (extent_hooks.c).
 *
 * jemalloc would take new addresses each time, as it tries the oldest first.
 * From the first refusal on the region therefore takes back what is freed
 * behind its inherited part, and hands it out again to the arena that it was
 * of. jemalloc keeps the extents of different arenas apart by a mark on the
 * first of each block, and what is taken back is any part of a block: if the
 * arena before such a part were another one, they would merge, each with a lock
 * of its own.
 */
#ifndef REGION_PRIVATE_H
#define REGION_PRIVATE_H

#include "mapping_count.h"
#include "region.h"

/*
 * init:    called after a region has become private, whose first `used` bytes
 *          are its parent's file or a copy of that
 * inherit: called in a child of a process in which the region was private:
 *          mappings that come from a parent do not merge with new ones
 */
void region_private_init(struct region *region, size_t used, bool copied);
void region_private_inherit(struct region *region);
void region_private_fini(struct region *region);

/* The range, which is not committed, becomes memory that is all zero. -EAGAIN:
 * there are too many pieces; -ENOMEM. On failure nothing has changed. */
int region_private_commit(struct region *region, size_t offset, size_t size,
                          enum mapping_need need);

/* The range's memory is given back. On failure it can still be used, with
 * whatever is in it. */
int region_private_decommit(struct region *region, size_t offset, size_t size);

/*
 * Blocks that are taken back. The pool's lock is held.
 *
 * can_take_back: whether the range at an offset can be; makes the table that
 *                it is noted in
 * add_free:      notes such a range
 * take_free:     takes a block out, and returns its offset; the region's size
 * if there is none
 */
bool region_private_can_take_back(struct region *region, size_t offset);
void region_private_add_free(struct region *region, unsigned arena,
                             size_t offset, size_t size);
size_t region_private_take_free(struct region *region, unsigned arena,
                                size_t size, size_t alignment);

#endif
