/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Several small objects in one call: taken from an arena, or given back, with a
 * lock of jemalloc's for all of them. jemalloc fills and flushes the caches of
 * its threads that way, but its interface has no such call.
 */
#ifndef JEMALLOC_BATCH_H
#define JEMALLOC_BATCH_H

#include <stddef.h>
#include <stdint.h>

/* For how many objects a lock is held. */
#define JE_BATCH_MOST 64U

/*
 * Takes up to `count` objects, at most JE_BATCH_MOST, and returns how many. 0
 * also if jemalloc is not the release that this file knows: then mallocx() is
 * to be used. The objects lie at the end of the array, in the order in which
 * mallocx() would give them; what is in the places before is of no use. flags:
 * an arena, and no cache. bin: the size class, by its place among the small
 * ones. The thread has called mallocx() or dallocx() since it is inside the
 * allocator's gate.
 */
uint32_t je_batch_take(int flags, unsigned bin, void **objects, uint32_t count);

/*
 * Gives objects of one size class back, which may be of several arenas. flags:
 * one of the arenas, preferably that of the most. slab_objects: of a slab of
 * the class. The array, which is on the stack, is changed: what cannot be an
 * object that lives is not given back, and lies at the end then. Returns how
 * many were given back.
 */
uint32_t je_batch_give(int flags, unsigned bin, size_t slab_objects,
                       void **objects, uint32_t count);

#endif
