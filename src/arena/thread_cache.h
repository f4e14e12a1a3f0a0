/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A thread's access to a set of arenas: which arena it allocates from, and the
 * jemalloc cache that holds its free objects. Each thread has a table of
 * these, indexed by the set's slot; a set and its caches can go while a
 * thread's table still points to them, which the set's id gives away.
 */
#ifndef THREAD_CACHE_H
#define THREAD_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct memkind_arena_set;

/* One more than the greatest slot: MEMKIND_MAX_KIND and the static kinds. */
#define THREAD_CACHE_SLOTS 544

struct thread_cache {
    uint64_t set_id;
    int alloc_flags; /* for mallocx(): arena and cache */
    int free_flags;  /* for dallocx(): cache */
    unsigned tcache; /* jemalloc's index, where has_tcache */
    bool has_tcache;
    unsigned place;                /* in the set's arenas */
    struct memkind_arena_set *set; /* NULL once the set is gone */
    struct thread_cache *next, *prev;
};

/*
 * Where the jemalloc in use has its TLS in the static block anyway, so has
 * ours; otherwise the library has to work when it is loaded by dlopen().
 */
#ifdef MEMKIND_TLS_INITIAL_EXEC
#define THREAD_CACHE_TLS __attribute__((tls_model("initial-exec")))
#else
#define THREAD_CACHE_TLS
#endif

extern __thread struct thread_cache **thread_cache_table THREAD_CACHE_TLS;

/*
 * The calling thread's cache for a set; the set's fallback, which caches
 * nothing, where the thread can have none; NULL where the thread has ended but
 * for some destructors, which can free but not allocate.
 */
struct thread_cache *thread_cache_attach(struct memkind_arena_set *set);

/* Returns the calling thread's cached objects to their arenas. */
void thread_cache_flush(struct thread_cache *cache);
void thread_cache_flush_all(void);

/* Drops all caches of a set, of every thread. */
void thread_cache_retire(struct memkind_arena_set *set);

/* Takes or gives back a slot: -1 where there is none. */
int thread_cache_slot_get(void);
void thread_cache_slot_put(unsigned slot);

#endif
