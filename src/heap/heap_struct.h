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

/* An attempt to take an object of a class from the arenas that was in vain:
 * when that was, by what had gone back until it began. */
struct vain_attempt {
    atomic_uint version;        /* odd while it is written; 0: there was none */
    atomic_bool may_be_passing; /* see struct region_refusals */
    atomic_uint epoch;          /* of arena_returns */
    atomic_uint objects, fetched, renewed, decommits;
    _Atomic size_t free_pages;
    _Atomic size_t size; /* of the object, if it is of SIZE_CLASS_HUGE */
};

/* See exhaustion.h. */
struct exhaustion {
    atomic_uint reclaims; /* that are under way, or parts of one */
    struct vain_attempt vain[SIZE_CLASS_COUNT];
};

/* When the heap is looked after next: see upkeep.h. By coarse_clock_ms(). */
struct upkeep {
    _Atomic int64_t due_ms;          /* the next turn */
    _Atomic int64_t own_ms;          /* the last by a thread of the heap's */
    _Atomic int64_t ageing_ms;       /* when magazines age next */
    atomic_bool is_ageing;           /* some of them have not aged yet */
    _Atomic int64_t decay_ms;        /* when arenas decay next */
    _Atomic int64_t decays_until_ms; /* when that need not be done any more */
    atomic_uint next_arena;          /* of those that decay, by its place */
    atomic_uint failures_seen;       /* by the last turn; see exhaustion */
};

struct memkind_heap {
    struct heap_caches caches;
    struct heap_arenas arenas;
    struct object_records *records;  /* of a checked heap; or NULL */
    struct ranked_lock reclaim_lock; /* RANK_RECLAIM: one thread purges */
    struct exhaustion exhaustion;
    struct upkeep upkeep;
    struct {
        /* In bytes, at the last snapshot. */
        _Atomic size_t allocated, active, resident, detached;
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
