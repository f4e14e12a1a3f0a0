/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * malloc and its family on a set of arenas. Sizes are not 0. A function that
 * returns NULL has set errno, and has first given back all that the set has
 * free: what every thread has cached, then every arena's unused pages; and has
 * tried the set's other arenas, whose slabs may have room.
 */
#ifndef HEAP_H
#define HEAP_H

#include "heap_create.h"
#include "heap_report.h"
#include "jemalloc_private.h"
#include "upkeep.h"

/* Out of a magazine of a cache that the caller has entered, and leaves by this;
 * NULL if there is nothing in it. */
static inline void *heap_pop_and_leave(struct thread_cache *cache,
                                       unsigned size_class)
{
    void **top = cache->tops[size_class];
    void *ptr = top[-1];
    if (__builtin_expect(ptr == NULL, 0)) {
        thread_cache_leave(cache);
        return NULL;
    }
    cache->tops[size_class] = top - 1;
    bool is_time = --cache->ticks < 0;
    thread_cache_leave(cache);
    if (__builtin_expect(is_time, 0))
        upkeep_tick(cache);
    return ptr;
}

/*
 * The fast ways: an object out of, or into, a magazine of the current cache,
 * if that is of the set meant. NULL or false: to be done by the functions
 * further down.
 */
static inline void *heap_malloc_fast(struct thread_cache *cache, size_t size)
{
    unsigned size_class = size_class_of(size);
    if (__builtin_expect(!thread_cache_enter(cache), 0))
        return NULL;
    return heap_pop_and_leave(cache, size_class);
}

/* Into a magazine of a cache that the caller is in; false where there is no
 * room, or the object is there. */
static inline bool heap_push(struct thread_cache *cache, unsigned size_class,
                             void *ptr)
{
    void **top = cache->tops[size_class];
    if (__builtin_expect(top == cache->ends[size_class] || top[-1] == ptr, 0))
        return false;
    *top = ptr;
    cache->tops[size_class] = top + 1;
    return true;
}

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

/* The same by the owner (heap_config.direct_owner) of the set meant; for
 * freeing, NULL stands for whichever set it is. */
static inline void *heap_malloc_direct(const void *owner, size_t size)
{
    struct thread_cache *cache = thread_cache_current;
    if (__builtin_expect(cache->owner != owner, 0))
        return NULL;
    return heap_malloc_fast(cache, size);
}

static inline bool heap_free_direct(const void *owner, void *ptr)
{
    struct thread_cache *cache = thread_cache_current;
    if (__builtin_expect(cache->owner != owner && owner != NULL, 0))
        return false;
    return heap_free_fast(cache, ptr);
}

/* flags: JE_ZERO, JE_LG_ALIGN() */
void *heap_malloc(struct memkind_heap *heap, size_t size, int flags);

void *heap_calloc(struct memkind_heap *heap, size_t size);

/* The object has to lie in the set's memory. What is wrong with it is returned,
 * and not reported. */
enum heap_error heap_free(struct memkind_heap *heap, void *ptr);

/* NULL with errno EINVAL where no object starts there, or it is free; which is
 * reported, as with heap_defragment(). */
void *heap_realloc(struct memkind_heap *heap, void *ptr, size_t size);

/* 0 where no object starts there. */
size_t heap_usable_size(struct memkind_heap *heap, const void *ptr);

/* Moves an object out of a sparsely used slab; NULL where it stays. */
void *heap_defragment(struct memkind_heap *heap, void *ptr);

/* Gives back all that is free: what threads have cached, and all pages. */
void heap_purge(struct memkind_heap *heap);

/* The calling thread's cache; see thread_cache_get(). */
struct thread_cache *heap_cache(struct memkind_heap *heap);

/* The same where there is one, and it is no trouble to find; otherwise one
 * that holds nothing. */
static inline struct thread_cache *
heap_cache_known(const struct memkind_heap *heap)
{
    struct thread_cache *cache = thread_cache_current;
    if (__builtin_expect(cache->key == heap, 1))
        return cache;
    if (thread_cache_table == NULL)
        return &thread_cache_none;
    cache = thread_cache_table[heap->slot];
    if (cache == NULL || cache->key != heap)
        return &thread_cache_none;
    thread_cache_current = cache;
    return cache;
}

#endif
