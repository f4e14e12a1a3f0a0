/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Heaps in places of fixed size: a buffer, a device, a file without holes.
 *
 * An arena takes address space in blocks, which never join: jemalloc merges
 * nothing across the start of a block, nor from one arena to another. In a pool
 * that grows that costs addresses, and there are plenty of those. In a fixed
 * place it would cost memory: what was cut into blocks for small objects could
 * never hold a large one again. So a fixed place has one arena
 * (region_pool_arenas()), which is given all of it before its first object, in
 * as few blocks as can be.
 *
 * A block's size is one of jemalloc's classes, four to each doubling, so the
 * first block is the largest class that fits: as large as the largest object
 * that the place can ever hold. What it leaves is made blocks of in the same
 * way; the rest at the end, less than 16 KiB, is left to small objects.
 */
#ifndef HEAP_FIXED_H
#define HEAP_FIXED_H

#include "heap_struct.h"

/*
 * Gives the heap's arena all of its pool, which is fixed. No other thread knows
 * the heap yet. Does nothing for a heap that may have more than one arena: the
 * program has asked for them (MEMKIND_ARENA_NUM_PER_KIND).
 */
void heap_fixed_adopt_pool(struct memkind_heap *heap);

#endif
