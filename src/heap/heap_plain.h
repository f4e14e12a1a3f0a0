/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * heap.h's functions of the same names, for heaps that are not checked. Checked
 * heaps (heap_checked.h) are a layer over them.
 */
#ifndef HEAP_PLAIN_H
#define HEAP_PLAIN_H

#include "heap_report.h"
#include "heap_struct.h"

void *heap_plain_malloc(struct memkind_heap *heap, size_t size, int flags);
void *heap_plain_calloc(struct memkind_heap *heap, size_t size);
enum heap_error heap_plain_free(struct memkind_heap *heap, void *ptr);
void *heap_plain_realloc(struct memkind_heap *heap, void *ptr, size_t size);
size_t heap_plain_usable_size(struct memkind_heap *heap, const void *ptr);
void *heap_plain_defragment(struct memkind_heap *heap, void *ptr);

#endif
