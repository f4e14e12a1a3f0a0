/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What of a region goes into a core dump.
 *
 * To the kernel a file without a name is memory, and is dumped: all of its
 * mapping, with its holes, and to read a hole of a tmpfs takes file space.
 * (gcore(1), whose process goes on, does so as well.) So nothing of a file or a
 * device is dumped unless the pool's objects are to be. Then what is committed
 * is marked, and unmarked before its space goes.
 *
 * Each marked range is a mapping of its own, of which there may be only so many
 * (mapping_count.h): beyond that, a range that adjoins none is left out, and
 * one that would be cut in two loses its smaller part. What is not committed is
 * never marked.
 *
 * Memory, and what a forked child has in place of its parent's file, is
 * anonymous. A kernel dumps as much of that as was touched, and gcore(1) all:
 * what is open (region.h) is dumped, the child's together with the pool's
 * objects, other memory always. The parent's file is not, in which the parent
 * may make holes. Buffers are left as the caller has them.
 */
#ifndef REGION_DUMP_H
#define REGION_DUMP_H

#include "region.h"

/* Called after a region of the pool was mapped. */
void region_dump_init(const struct memkind_region_pool *pool,
                      struct region *region);
void region_dump_fini(struct region *region);

/* Called in a child, once the region is private. copied: all of it is a copy */
void region_dump_inherit(struct region *region, bool copied);

/* A part of the region can be touched from now on. */
void region_dump_note_opened(const struct region *region, size_t offset,
                             size_t size);

/* A part of a private region was mapped anew. */
void region_dump_note_remapped(const struct region *region, size_t offset,
                               size_t size);

/* A part of a region that is in a file was mapped anew: what of it goes into
 * core dumps does not change. The lock of mapping_count.h is held. */
void region_dump_renew(const struct region *region, size_t offset, size_t size);

/* The range was committed. */
void region_dump_note_committed(struct region *region, size_t offset,
                                size_t size);

/* The range will be decommitted. If this fails, it must not be. */
int region_dump_prepare_decommit(struct region *region, size_t offset,
                                 size_t size);

#endif
