/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which grains of a region have idle pages: pages that have file space and are
 * not committed. Two bitmaps lead there without a walk over the region:
 *
 * owing: the grain is empty, or has been split: its idle pages are to be given
 *        back as soon as that can be done
 * spare: the grain is whole, and keeps its idle pages until they are wanted
 *
 * The bitmaps are brought up to date at the end of each commit and decommit,
 * and for each grain that has been split. The region's grain_lock is held.
 */
#ifndef GRAIN_SETS_H
#define GRAIN_SETS_H

#include "region.h"

/* Makes the bitmaps for so many grains, all without idle pages. Returns 0 or a
 * negative errno. */
int grain_sets_make(struct region *region, size_t grains);
void grain_sets_drop(struct region *region);

/* The bitmaps of the first `grains` can be written from now on. Returns 0 or a
 * negative errno. */
int grain_sets_open(struct region *region, size_t grains);

/* Brings [first, end) up to date. */
void grain_sets_update(struct region *region, size_t per_grain, size_t first,
                       size_t end);

/* Notes that no idle page of a grain can be given alone. It is found again
 * after the next commit or decommit in it. */
void grain_sets_note_barren(struct region *region, size_t grain);

/* Pages that are idle. */
static inline size_t grain_sets_idle_pages(const struct region *region)
{
    return region->space_pages - region->live_pages;
}

/* For assertions: whether the bitmaps are right about the first `end` grains.
 * may_be_barren: grains may be missing (grain_sets_note_barren()) */
bool grain_sets_are_sound(const struct region *region, size_t per_grain,
                          size_t end, bool may_be_barren);

#endif
