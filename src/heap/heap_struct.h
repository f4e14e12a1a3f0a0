/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A heap: what serves malloc and free of one kind. It has arenas
 * (heap_arenas.h) and a cache for each thread that uses it (thread_cache.h).
 */
#ifndef HEAP_STRUCT_H
#define HEAP_STRUCT_H

#include "heap_arenas.h"
#include "ranked_lock.h"
#include "thread_cache.h"

struct object_records;

struct memkind_heap {
    struct heap_caches caches;
    struct heap_arenas arenas;
    struct object_records *records;  /* of a checked heap; or NULL */
    struct ranked_lock reclaim_lock; /* RANK_RECLAIM: one thread purges */
    _Atomic int64_t decays_until_ms; /* how long upkeep looks after pages */
    struct {
        /* In bytes, at the last snapshot. */
        _Atomic size_t allocated, active, resident;
        size_t cached; /* while one is taken */
    } stats;
    struct arena_slot slots[]; /* of the arenas */
};

static inline struct memkind_region_pool *
heap_pool(const struct memkind_heap *heap)
{
    return heap->arenas.extents.pool;
}

/* The kind that the heap's addresses belong to. */
static inline void *heap_owner(const struct memkind_heap *heap)
{
    return heap->arenas.extents.address_owner;
}

/* The heap's index in the registry and in each thread's table. */
static inline unsigned heap_slot(const struct memkind_heap *heap)
{
    return heap->caches.place.slot;
}

/* Whether the heap checks its objects; see heap_checked.h. */
static inline bool heap_is_checked(const struct memkind_heap *heap)
{
    return heap->records != NULL;
}

#endif
