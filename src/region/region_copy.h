/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Copies of regions for a forked child. They are made in the parent, before
 * fork() and with all locks held, so that the child gets what there is at that
 * moment. fork() copies a copy at the cost of its page tables only.
 */
#ifndef REGION_COPY_H
#define REGION_COPY_H

#include "region.h"

/* Makes a copy of what is in use; without one, the child cannot have the
 * region. */
void region_copy_make(struct region *region);
void region_copy_drop(struct region *region);

/* In the child: moves the copy to the region's place. False if there is none.
 */
bool region_copy_move(struct region *region);

#endif
