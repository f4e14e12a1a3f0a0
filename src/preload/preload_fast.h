/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The fast ways of malloc(), realloc() and free(): the thread's cache of the
 * process's kind, as memkind_malloc() and memkind_free() have them. Tiers have
 * none: PRELOAD_HAS_FAST_WAYS says which library this is compiled for.
 */
#ifndef PRELOAD_FAST_H
#define PRELOAD_FAST_H

#include <stdbool.h>
#include <stddef.h>

#ifdef PRELOAD_HAS_FAST_WAYS
#include "heap_fast.h"
#include "heap_resize.h"
#include "preload_heap.h"

/* NULL if preload_malloc() has to do it. */
static inline void *preload_fast_malloc(size_t size)
{
    if (__builtin_expect(size < preload_heap.min_size, 0))
        return NULL;
    return heap_malloc_direct(preload_heap.owner, size);
}

/* Not zeroed yet. NULL if preload_calloc() has to do it: larger objects are not
 * cleared byte by byte, as fresh pages are zero. */
static inline void *preload_fast_calloc(size_t size)
{
    return size <= SIZE_CLASS_TABLE_MAX ? preload_fast_malloc(size) : NULL;
}

/* False if preload_free() has to do it. */
static inline bool preload_fast_free(void *ptr)
{
    return heap_free_direct(NULL, ptr);
}

/* NULL if preload_realloc() has to do it. */
static inline void *preload_fast_realloc(void *ptr, size_t size)
{
    return heap_realloc_direct(NULL, ptr, size);
}
#else
static inline void *preload_fast_malloc(size_t size)
{
    (void)size;
    return NULL;
}

static inline void *preload_fast_calloc(size_t size)
{
    (void)size;
    return NULL;
}

static inline bool preload_fast_free(void *ptr)
{
    (void)ptr;
    return false;
}

static inline void *preload_fast_realloc(void *ptr, size_t size)
{
    (void)ptr, (void)size;
    return NULL;
}
#endif

#endif
