/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Readahead over a pool's mappings. If a file system has large folios, a page
 * fault may read ahead into one that lies over holes and over pages in use at
 * once, and a store to any page of it takes space for all: space that was not
 * charged, or SIGBUS if there is none.
 *
 * A folio never crosses a grain's border, since grains are no smaller; so as
 * long as each grain has all of its space or none, nothing can happen. Once a
 * grain has a part of it, there is no readahead in the pool, until all are
 * whole again. (Reading in order is then 8 to 22 times slower, and the kernel
 * takes pages for unused.)
 *
 * Huge pages of a tmpfs are such folios, though nothing is read ahead there:
 * a store to a hole would take one, and khugepaged puts one over the pages that
 * it finds. So for a pool that has them (file_system.h), "readahead" here means
 * that its mappings ask for huge pages.
 */
#ifndef REGION_READAHEAD_H
#define REGION_READAHEAD_H

#include "region.h"

/* Whether holes within a grain matter: readahead may lie over them. */
bool region_readahead_matters(const struct memkind_region_pool *pool);

/* The grain of a pool with ordinary files, of which there will be `capacity`
 * bytes at most (0: not known). If that would be only a few grains, which would
 * have to be split soon, the grain is smaller and there is no readahead. */
size_t region_readahead_grain(const struct file_system *file_system,
                              size_t capacity);

/* Called for a region that is now one of the pool's. The pool's lock is
 * held. */
void region_readahead_add(struct memkind_region_pool *pool,
                          struct region *region);

/* Gives a part of a region that was mapped anew the advice that others have. */
void region_readahead_renew(struct memkind_region_pool *pool,
                            const struct region *region, size_t offset,
                            size_t size);

/*
 * From now on, until region_readahead_release(), grains may get parts of their
 * space. Fails if readahead cannot be forbidden. The region's grain_lock is
 * held around all of that.
 */
int region_readahead_forbid(struct memkind_region_pool *pool);
void region_readahead_release(struct memkind_region_pool *pool);

/* Called with a grain_lock held when the number of grains with a part of their
 * space has changed. */
void region_readahead_note(struct memkind_region_pool *pool, size_t before,
                           size_t after);

#endif
