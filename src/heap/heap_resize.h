/* SPDX-License-Identifier: BSD-2-Clause */
/* The fast way of realloc(), inline as those of heap_fast.h are. */
#ifndef HEAP_RESIZE_H
#define HEAP_RESIZE_H

#include <errno.h>
#include <string.h>

#include "heap_fast.h"
#include "heap_plain.h"

/* The class of a small object of the cache's heap; SIZE_CLASS_NONE if the
 * slower functions have to find out. */
static inline unsigned heap_class_fast(struct thread_cache *cache,
                                       const void *ptr)
{
    uintptr_t address = (uintptr_t)ptr, offset = address - cache->base;
    if (__builtin_expect(offset >= cache->size, 0))
        return SIZE_CLASS_NONE;
    if (__builtin_expect(!thread_cache_enter(cache), 0))
        return SIZE_CLASS_NONE;
    unsigned tag = atomic_load_explicit(
        &cache->tags[offset >> REGION_TAG_SHIFT], memory_order_relaxed);
    unsigned size_class = tag_class(tag);
    bool is_live = __builtin_expect(tag_fits(tag, address), 1) &&
                   !magazine_was_put_last(&cache->magazines, size_class, ptr) &&
                   !arena_returns_are_counted(&cache->home->arenas->returns);
    thread_cache_leave(cache);
    return is_live && size_class < size_class_first_large ? size_class
                                                          : SIZE_CLASS_NONE;
}

/* Resizes a small object of the heap with that owner, or with any owner if that
 * is NULL, if the thread has used that heap last. If it has to move, that is by
 * way of the magazines. NULL if the slower functions have to do it: nothing has
 * changed then. */
static inline void *heap_realloc_direct(const void *owner, void *ptr,
                                        size_t size)
{
    struct thread_cache *cache = thread_cache_current;
    if (__builtin_expect(cache->owner != owner && owner != NULL, 0) ||
        size - 1 >= SIZE_CLASS_TABLE_MAX)
        return NULL;
    const unsigned old_class = heap_class_fast(cache, ptr);
    if (old_class == SIZE_CLASS_NONE)
        return NULL;
    if (size_class_of(size) == old_class)
        return ptr;
    void *moved = heap_malloc_fast(cache, size);
    if (moved == NULL)
        return NULL;
    const size_t old_size = size_class_sizes[old_class];
    memcpy(moved, ptr, old_size < size ? old_size : size);
    if (__builtin_expect(!heap_free_fast(cache, ptr), 0)) {
        const int saved_errno = errno;
        (void)heap_plain_free(cache->home->heap, ptr);
        errno = saved_errno;
    }
    return moved;
}

#endif
