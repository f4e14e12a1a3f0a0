/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * malloc and its family on a heap. Sizes are not 0. A function that returns
 * NULL has set errno. Before that it has given back all that the heap has free:
 * what every thread has cached, then every arena's unused pages. And it has
 * tried the heap's other arenas, whose slabs may have room.
 */
#ifndef HEAP_H
#define HEAP_H

#include "heap_fast.h"
#include "heap_report.h"
#include "heap_struct.h"

/* flags: JE_ZERO, JE_LG_ALIGN() */
void *heap_malloc(struct memkind_heap *heap, size_t size, int flags);

void *heap_calloc(struct memkind_heap *heap, size_t size);

/* Frees an object, whose address lies in the heap's memory. What is wrong with
 * it is returned, and not reported. */
enum heap_error heap_free(struct memkind_heap *heap, void *ptr);

/* NULL with errno EINVAL if no object starts at `ptr`, or the object is free;
 * that is reported, as it is by heap_defragment(). */
void *heap_realloc(struct memkind_heap *heap, void *ptr, size_t size);

/* 0 if no object starts at `ptr`. */
size_t heap_usable_size(struct memkind_heap *heap, const void *ptr);

/* Moves an object out of a sparsely used slab; NULL if it stays. */
void *heap_defragment(struct memkind_heap *heap, void *ptr);

/* Gives back all that is free: what threads have cached, and all pages. */
void heap_purge(struct memkind_heap *heap);

/* The calling thread's cache, which is made if there is none; see
 * thread_cache_get(). NULL in a signal handler that has interrupted the
 * library. */
struct thread_cache *heap_cache(struct memkind_heap *heap);

#endif
