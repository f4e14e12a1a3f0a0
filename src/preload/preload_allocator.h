/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a library that is preloaded has behind malloc() and its family. The
 * interposing code (preload_interpose.c) calls these functions; a library
 * defines them, calls preload_start() from its constructor when they can be
 * used, and is complete.
 *
 * Sizes are not 0, alignments are powers of two of at least a pointer's size.
 * While one of them runs, what its thread allocates comes from the C library.
 */
#ifndef PRELOAD_ALLOCATOR_H
#define PRELOAD_ALLOCATOR_H

#include <stdbool.h>
#include <stddef.h>

/* NULL if there is no room. */
void *preload_own_malloc(size_t size);
void *preload_own_calloc(size_t num, size_t size);
void *preload_own_memalign(size_t alignment, size_t size);

/* Whether an address is an object of the allocator. Any address, and at any
 * time. */
bool preload_owns(void *ptr);

/* For its objects. */
void *preload_own_realloc(void *ptr, size_t size);
void preload_own_free(void *ptr);
size_t preload_own_usable_size(void *ptr);

#endif
