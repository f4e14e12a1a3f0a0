/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The fast ways of malloc and free: an object out of a magazine, or into one.
 * They are inline, and what they cannot do they leave to the functions of
 * heap.h and heap_plain.h.
 */
#ifndef HEAP_FAST_H
#define HEAP_FAST_H

#include "heap_struct.h"
#include "upkeep.h"

/* ---- the thread's cache ------------------------------------------------- */

/* The calling thread's cache of a heap, if there is one and it is quickly
 * found; otherwise a cache that holds nothing. */
static inline struct thread_cache *
heap_cache_known(const struct memkind_heap *heap)
{
    struct thread_cache *cache = thread_cache_current;
    if (__builtin_expect(cache->key == heap, 1))
        return cache;
    if (thread_cache_table == NULL)
        return &thread_cache_none;
    cache = thread_cache_table[heap_slot(heap)];
    if (cache == NULL || cache->key != heap)
        return &thread_cache_none;
    thread_cache_current = cache;
    return cache;
}

/* ---- allocating --------------------------------------------------------- */

/* Takes an object out of a magazine of a cache that the thread has entered, and
 * leaves the cache. NULL if the magazine is empty. */
static inline void *heap_pop_and_leave(struct thread_cache *cache,
                                       unsigned size_class)
{
    void **top = cache->magazines.tops[size_class];
    void *ptr = top[-1];
    if (__builtin_expect(ptr == NULL, 0)) {
        thread_cache_leave(cache);
        return NULL;
    }
    cache->magazines.tops[size_class] = top - 1;
    bool is_time = --cache->ticks < 0;
    thread_cache_leave(cache);
    if (__builtin_expect(is_time, 0))
        upkeep_tick(cache);
    return ptr;
}

/* An object out of a cache of the heap that is meant; NULL if the slower
 * functions have to do it. */
static inline void *heap_malloc_fast(struct thread_cache *cache, size_t size)
{
    unsigned size_class = size_class_of(size);
    if (__builtin_expect(!thread_cache_enter(cache), 0))
        return NULL;
    return heap_pop_and_leave(cache, size_class);
}

/* An object of the heap with that owner (heap_config.direct_owner), if the
 * thread has used that heap last; otherwise NULL. */
static inline void *heap_malloc_direct(const void *owner, size_t size)
{
    struct thread_cache *cache = thread_cache_current;
    if (__builtin_expect(cache->owner != owner, 0))
        return NULL;
    return heap_malloc_fast(cache, size);
}

/* ---- freeing ------------------------------------------------------------ */

/* Puts an object into a magazine of a cache that the thread has entered.
 * Returns false if there is no room, or if the object was the last to be put
 * in. */
static inline bool heap_push(struct thread_cache *cache, unsigned size_class,
                             void *ptr)
{
    void **top = cache->magazines.tops[size_class];
    if (__builtin_expect(
            top == cache->magazines.ends[size_class] || top[-1] == ptr, 0))
        return false;
    *top = ptr;
    cache->magazines.tops[size_class] = top + 1;
    return true;
}

/* Puts an object into the cache if it lies in the range of the cache's heap.
 * Returns false if the slower functions have to do it. */
static inline bool heap_free_fast(struct thread_cache *cache, void *ptr)
{
    uintptr_t address = (uintptr_t)ptr, offset = address - cache->base;
    if (__builtin_expect(offset >= cache->size, 0))
        return false;
    if (__builtin_expect(!thread_cache_enter(cache), 0))
        return false;
    unsigned tag = atomic_load_explicit(
        &cache->tags[offset >> REGION_TAG_SHIFT], memory_order_relaxed);
    bool done = __builtin_expect(tag_fits(tag, address), 1) &&
                heap_push(cache, tag_class(tag), ptr);
    thread_cache_leave(cache);
    return done;
}

/* Frees an object of the heap with that owner, or with any owner if that is
 * NULL, if the thread has used that heap last. Returns false otherwise. */
static inline bool heap_free_direct(const void *owner, void *ptr)
{
    struct thread_cache *cache = thread_cache_current;
    if (__builtin_expect(cache->owner != owner && owner != NULL, 0))
        return false;
    return heap_free_fast(cache, ptr);
}

#endif
