/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The jemalloc arenas of one heap, and the extents that they live on. Arenas
 * are made as threads arrive: each cache is attached to the arena with the
 * fewest caches.
 */
#ifndef HEAP_ARENAS_H
#define HEAP_ARENAS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "arena_returns.h"
#include "extent_hooks.h"
#include "jemalloc_private.h"
#include "ranked_lock.h"
#include "size_class.h"

struct arena_slot {
    unsigned index;   /* jemalloc's */
    unsigned threads; /* whose caches are attached */
};

struct heap_arenas {
    struct extent_supply extents;
    bool metadata_use_hooks;
    _Atomic ssize_t dirty_decay_ms; /* -1: never */
    /* Objects have gone back to the arenas since upkeep looked last. */
    atomic_bool returned;
    struct arena_returns returns;
    struct ranked_lock lock; /* RANK_ARENAS; guards what follows, and growth */
    unsigned limit;          /* most arenas */
    _Atomic unsigned count;  /* arenas made */
    struct arena_slot *slots;
};

struct heap_arenas_config {
    struct memkind_region_pool *pool;  /* either of these, or both */
    const struct block_source *source; /* see extent_hooks.h */
    extent_hooks_t *user_hooks;        /* or these */
    void *address_owner;
    unsigned limit;         /* most arenas, at least 1 */
    ssize_t dirty_decay_ms; /* -1: never */
    bool metadata_use_hooks;
};

/*
 * Makes the first arena; `slots` has room for config->limit arenas and outlives
 * them. Returns 0; -EAGAIN if jemalloc makes no more arenas; -EINVAL if the
 * jemalloc in use will not do. Inside the allocator, as all calls here.
 */
int heap_arenas_create(struct heap_arenas *arenas, struct arena_slot *slots,
                       const struct heap_arenas_config *config);

/* Destroys all arenas, with whatever objects there are. */
void heap_arenas_destroy(struct heap_arenas *arenas);

/* Finds the arena for one more cache, and returns its place in `slots`: of
 * those that suit the calling thread, if no other has fewer caches, the one
 * that is preferred. */
unsigned heap_arenas_attach(struct heap_arenas *arenas, unsigned preferred);
void heap_arenas_detach(struct heap_arenas *arenas, unsigned place);

/* Whether the place of an arena's blocks suits the calling thread; see
 * pool_stripes.h. */
bool heap_arenas_suit(const struct heap_arenas *arenas, unsigned place);

/* Flags for mallocx(): the arena at a place, and no cache of jemalloc's. */
static inline int heap_arenas_flags(const struct heap_arenas *arenas,
                                    unsigned place)
{
    return JE_TCACHE_NONE | JE_ARENA(arenas->slots[place].index);
}

/* How many arenas there are; all of them can be used by their places. */
static inline unsigned heap_arenas_count(const struct heap_arenas *arenas)
{
    return atomic_load_explicit(&arenas->count, memory_order_acquire);
}

/* Notes that an arena has got something back. */
static inline void heap_arenas_note_free_pages(struct heap_arenas *arenas)
{
    if (!atomic_load_explicit(&arenas->returned, memory_order_relaxed))
        atomic_store_explicit(&arenas->returned, true, memory_order_relaxed);
}

/* Whether all pages that the arenas could use are those which the pool has room
 * for, and those which have become free since the last purge. */
bool heap_arenas_knows_pages(const struct heap_arenas *arenas);

/* Gives all free pages of all arenas back to the pool. */
void heap_arenas_purge(struct heap_arenas *arenas);

/* Gives them to the pool, which gives back the space of only so many of them as
 * it needs to commit others within its budget. */
void heap_arenas_purge_within_budget(struct heap_arenas *arenas);

/* Gives back the pages of one arena that have been free for as long as they are
 * kept. */
void heap_arenas_decay(struct heap_arenas *arenas, unsigned place);

/* Sets how long free pages are kept, in arenas there are and arenas to come.
 * Returns 0 or a negative errno. */
int heap_arenas_set_decay(struct heap_arenas *arenas, ssize_t milliseconds);

/* Whether free pages are kept for a while. If not, no cache keeps objects that
 * have pages of their own. */
static inline bool heap_arenas_keep_pages(const struct heap_arenas *arenas)
{
    return atomic_load_explicit(&arenas->dirty_decay_ms,
                                memory_order_relaxed) != 0;
}

#endif
