/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * heap.h's functions of the same names for sets that are checked
 * (heap_config.is_checked): a layer over the plain ones.
 *
 *     raw object:  | red zone | object | red zone |
 *
 * Red zones hold a pattern, and so does a freed object while it waits for its
 * memory to be used again; whether they still do is looked at when the object
 * is freed, moved, or leaves. An object that is aligned to more than a page has
 * no red zone before it, which would take as much space as the alignment.
 * What is known of objects is in object_records.h; the tools that watch memory
 * are told of all that by memory_marks.h. Damage is reported, and the call
 * carried out.
 *
 * The gates of a checked set's caches are closed, so that all calls come here.
 */
#ifndef HEAP_CHECKED_H
#define HEAP_CHECKED_H

#include "heap.h"

void *heap_checked_malloc(struct memkind_heap *heap, size_t size, int flags);
enum heap_error heap_checked_free(struct memkind_heap *heap, void *ptr);
void *heap_checked_realloc(struct memkind_heap *heap, void *ptr, size_t size);
size_t heap_checked_usable_size(struct memkind_heap *heap, const void *ptr);
void *heap_checked_defragment(struct memkind_heap *heap, void *ptr);

/* Ends the wait of all freed objects. False where there was none. */
bool heap_checked_release_all(struct memkind_heap *heap);

/* Ends the wait of the first ones, until no more bytes than `keep` wait. To be
 * called between allocator_enter() and _end(). */
bool heap_checked_release_down_to(struct memkind_heap *heap, size_t keep);

/* Looks at all objects, as nobody will free them, and drops what is known of
 * them. For a set that goes. */
void heap_checked_finish(struct memkind_heap *heap);

#endif
