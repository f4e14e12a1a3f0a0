/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The jemalloc arenas of one kind. Arenas are made as threads arrive; each
 * thread that uses the kind is attached to the arena with the fewest threads,
 * through a cache of its own (thread_cache.h).
 *
 * Locks, in the order in which they may be taken: the gate that fork() closes
 * (fork_gate.h), the registry's, a set's reclaim lock, its caches_lock, a
 * cache's, a set's lock, those of its records, jemalloc's own, a region pool's
 * and what is below. None before jemalloc's is ever taken by a hook.
 */
#ifndef HEAP_CREATE_H
#define HEAP_CREATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "extent_hooks.h"
#include "thread_cache.h"

struct memkind_heap {
    uint64_t id;    /* never used twice */
    unsigned slot;  /* index in the registry and in each thread's table */
    unsigned users; /* who keep the set from going; the registry's lock */
    struct extent_owner extents;
    const void *direct_owner;
    bool metadata_use_hooks;
    _Atomic ssize_t dirty_decay_ms;
    size_t cache_limit; /* bytes, for each thread's cache */
    /* Whether caches keep objects that have pages of their own: not where
     * pages are to go back at once. */
    atomic_bool caches_large;
    /* Whether objects have gone back to the arenas since the last upkeep, and
     * how long it looks after their pages. */
    atomic_bool returned;
    _Atomic int64_t decays_until_ms;
    pthread_mutex_t reclaim_lock; /* one thread at a time purges */
    pthread_mutex_t lock;         /* guards what follows, and growth */
    unsigned limit;               /* most arenas */
    _Atomic unsigned count;       /* arenas made */
    pthread_mutex_t caches_lock;
    struct thread_cache *caches;    /* of live threads */
    struct thread_cache fallback;   /* for threads that can have no cache */
    struct object_records *records; /* of a checked set; heap_checked.h */
    /* At the last snapshot, in bytes. */
    _Atomic size_t allocated, active, resident;
    size_t cached; /* while one is taken */
    struct arena_slot {
        unsigned index;   /* jemalloc's */
        unsigned threads; /* attached */
    } arenas[];
};

struct heap_config {
    struct memkind_region_pool *pool;  /* either of these, or both */
    const struct block_source *source; /* see extent_hooks.h */
    extent_hooks_t *user_hooks;        /* or these */
    void *address_owner;
    const void *direct_owner; /* who may use heap_*_direct(); NULL: nobody */
    unsigned limit;           /* most arenas, at least 1 */
    ssize_t dirty_decay_ms;   /* -1: never */
    bool metadata_use_hooks;
    bool is_checked; /* see heap_checked.h */
};

/* Makes a set with its first arena. 0; -ENOMEM; -ENOSPC where there are too
 * many sets; -EAGAIN where jemalloc makes no more arenas; -EINVAL where the
 * jemalloc in use will not do; -EDEADLK in a signal handler that has
 * interrupted a call on a set. */
int heap_create(const struct heap_config *config, struct memkind_heap **heap);

/* Drops all objects, cached ones too, and the arenas. No other thread may be
 * using the set. */
void heap_destroy(struct memkind_heap *heap);

/* From now on no thread gets at its cache of the set, until it is destroyed.
 * For a forked child that cannot have the set's memory. */
void heap_shut(struct memkind_heap *heap);

/* Gives an object back to the arena that it is from. */
static inline void heap_arenas_return(struct memkind_heap *heap, void *ptr)
{
    if (!atomic_load_explicit(&heap->returned, memory_order_relaxed))
        atomic_store_explicit(&heap->returned, true, memory_order_relaxed);
    JE_NAME(dallocx)(ptr, JE_TCACHE_NONE);
}

/* The arena for one more thread; its place in `arenas`. */
unsigned heap_arenas_attach(struct memkind_heap *heap);
void heap_arenas_detach(struct memkind_heap *heap, unsigned place);

/* Gives all free pages of all arenas back. */
void heap_arenas_purge(struct memkind_heap *heap);

/* Gives back what is due. */
void heap_arenas_decay(struct memkind_heap *heap);

/* For arenas there are and arenas to come. */
int heap_set_decay(struct memkind_heap *heap, ssize_t milliseconds);

#endif
