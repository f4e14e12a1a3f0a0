/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Several small objects in one call: taken from an arena, or given back, with a
 * lock of jemalloc's for all of them. jemalloc fills and flushes the caches of
 * its threads that way, but its interface has no such call.
 */
#ifndef JEMALLOC_BATCH_H
#define JEMALLOC_BATCH_H

#include <stdbool.h>
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

/* Gives objects of one size class back, which may be of several arenas, and
 * none of which lies in a slab that has gone: jemalloc does not look. flags:
 * one of the arenas, preferably that of the most. The array, which is on the
 * stack, is changed. */
void je_batch_give(int flags, unsigned bin, void **objects, uint32_t count);

/* Called when a slab, or the pages of a large object, are given back to an
 * arena, before another thread can have them. Takes no lock. */
typedef void je_release_function(void *start, size_t size);

/* To be called before there is an arena. False if it cannot be seen. */
bool je_batch_watch_releases(je_release_function *function);

/* Calls that function. extent: jemalloc's description of the pages. */
void je_batch_note_release(const void *extent);

#endif
