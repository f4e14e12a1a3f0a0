/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is behind the symbols of a library that is preloaded (preload_malloc.c):
 * preload_heap.c for one kind, memtier_heap.c for tiers.
 *
 * The functions do what their namesakes without the prefix do, with the errno
 * that glibc's have. Each may be called from any thread at any time: before the
 * heap is there, from within the library, from signal handlers, after the
 * thread's caches are gone, and after main().
 */
#ifndef PRELOAD_ALLOCATOR_H
#define PRELOAD_ALLOCATOR_H

#include <stdbool.h>
#include <stddef.h>

void *preload_malloc(size_t size);
void *preload_calloc(size_t size);
void *preload_realloc(void *ptr, size_t size);
void preload_free(void *ptr);
size_t preload_usable_size(void *ptr);

/* The alignment is a power of two. */
void *preload_memalign(size_t alignment, size_t size);

/* Whether handlers of fork() that are registered with that handle are the
 * allocator's. */
bool preload_is_allocator(const void *dso_handle);

#endif
