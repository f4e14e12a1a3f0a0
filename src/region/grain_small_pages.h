/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Grains on DAX that have only a part of their space are mapped by small pages.
 *
 * A store to a place that nothing is mapped at yet makes the kernel try a large
 * page first: it asks the file system for the blocks of all of it. If the page
 * begins with a hole, ext4 and xfs allocate that hole, and only then find that
 * the rest does not fit. The space is the file's from then on, and in no
 * budget. Where there is a table of small pages, no large one is tried.
 */
#ifndef GRAIN_SMALL_PAGES_H
#define GRAIN_SMALL_PAGES_H

#include <stddef.h>

#include "region.h"

/* Makes the table for a grain that has some space. Before it is split, or when
 * it has got its first pages and nothing is stored there yet. The region's
 * grain_lock is held. If it fails, the budget may be exceeded. */
void grain_small_pages_map(const struct memkind_region_pool *pool,
                           const struct region *region, size_t grain);

/* Makes those tables in what has been mapped anew: for the grains of [first,
 * end) that have a part of their space. The grain_lock is held. */
void grain_small_pages_map_parts(const struct memkind_region_pool *pool,
                                 const struct region *region, size_t first,
                                 size_t end);

/* A part of a region has been mapped: if large pages are larger than grains
 * there, or a child shares the files, none are used. */
void grain_small_pages_advise(const struct memkind_region_pool *pool,
                              const struct region *region, size_t offset,
                              size_t size);

/* No large pages in a mapping of a region's file: the region's, or another. */
void grain_small_pages_only(const struct region *region, void *addr,
                            size_t size);

#endif
