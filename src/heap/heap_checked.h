/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * heap.h's functions of the same names for heaps that are checked
 * (heap_config.is_checked): a layer over the plain ones, with red zones around
 * objects (red_zone.h), a record of each (object_records.h), and a quarantine
 * of freed ones (quarantine.h). Tools that watch memory are kept informed by
 * memory_marks.h. Damage is reported, and the call is carried out.
 *
 * The gates of a checked heap's caches are closed, so that all calls come here.
 */
#ifndef HEAP_CHECKED_H
#define HEAP_CHECKED_H

#include "heap_report.h"
#include "heap_struct.h"

void *heap_checked_malloc(struct memkind_heap *heap, size_t size, int flags);
enum heap_error heap_checked_free(struct memkind_heap *heap, void *ptr);
void *heap_checked_realloc(struct memkind_heap *heap, void *ptr, size_t size);
size_t heap_checked_usable_size(struct memkind_heap *heap, const void *ptr);
void *heap_checked_defragment(struct memkind_heap *heap, void *ptr);

#endif
