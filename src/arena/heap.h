/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * malloc and its family on a set of arenas. Sizes are not 0. A function that
 * returns NULL has set errno, and has first given back all that the kind has
 * free: the caller's cache, then every arena's unused pages; and has tried the
 * kind's other arenas, whose slabs may have room.
 */
#ifndef HEAP_H
#define HEAP_H

#include "arena_set.h"
#include "jemalloc_private.h"

/* The slow ends of the functions below. */
void *heap_refuse(void); /* sets errno */
void *heap_malloc_reclaim(struct memkind_arena_set *set, size_t size,
                          int flags);
void *heap_realloc_reclaim(struct memkind_arena_set *set, void *ptr,
                           size_t size);

static inline struct thread_cache *heap_cache(struct memkind_arena_set *set)
{
    struct thread_cache **table = thread_cache_table;
    if (__builtin_expect(table != NULL, 1)) {
        struct thread_cache *cache = table[set->slot];
        if (__builtin_expect(cache != NULL && cache->set_id == set->id, 1))
            return cache;
    }
    return thread_cache_attach(set);
}

/* flags: JE_ZERO, JE_LG_ALIGN() */
static inline void *heap_malloc(struct memkind_arena_set *set, size_t size,
                                int flags)
{
    const struct thread_cache *cache = heap_cache(set);
    if (__builtin_expect(cache == NULL, 0))
        return heap_refuse();
    void *ptr = JE_NAME(mallocx)(size, cache->alloc_flags | flags);
    if (__builtin_expect(ptr != NULL, 1))
        return ptr;
    return heap_malloc_reclaim(set, size, flags);
}

static inline void *heap_realloc(struct memkind_arena_set *set, void *ptr,
                                 size_t size)
{
    const struct thread_cache *cache = heap_cache(set);
    if (__builtin_expect(cache == NULL, 0))
        return heap_refuse();
    void *moved = JE_NAME(rallocx)(ptr, size, cache->alloc_flags);
    if (__builtin_expect(moved != NULL, 1))
        return moved;
    return heap_realloc_reclaim(set, ptr, size);
}

static inline void heap_free(struct memkind_arena_set *set, void *ptr)
{
    const struct thread_cache *cache = heap_cache(set);
    JE_NAME(dallocx)(ptr, cache != NULL ? cache->free_flags : JE_TCACHE_NONE);
}

static inline size_t heap_usable_size(const void *ptr)
{
    return JE_NAME(sallocx)(ptr, 0);
}

/* Moves an object out of a sparsely used slab; NULL where it stays. */
void *heap_defragment(struct memkind_arena_set *set, void *ptr);

/*
 * Makes the memory of a pool that cannot grow an arena's own in as few pieces
 * as can be: blocks that are taken one after another, as they are needed,
 * never join to hold a large object. Does nothing for a set that may have more
 * than one arena. The set has a pool, and no other thread knows it yet.
 */
void heap_take_in(struct memkind_arena_set *set, size_t size);

enum heap_stat { HEAP_ALLOCATED, HEAP_ACTIVE, HEAP_RESIDENT };

/* Takes the snapshot that the others read: all sets' at once, but for what
 * heap_stat_snapshot_set() takes. */
int heap_stat_snapshot(void);
void heap_stat_snapshot_set(struct memkind_arena_set *set);
size_t heap_stat(struct memkind_arena_set *set, enum heap_stat stat);

#endif
