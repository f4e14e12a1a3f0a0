/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Visits to the caches of other threads: see thread_cache.h for how the thread
 * of a cache is kept out. Inside the allocator, as all calls here.
 */
#ifndef CACHE_VISIT_H
#define CACHE_VISIT_H

#include "thread_cache.h"

/* Called with the cache locked and its thread kept out. */
typedef void magazine_visit_fn(struct magazines *magazines);

/* Visits one cache. Its home's caches_lock is held, unless the cache is the
 * caller's. Returns false if its thread could not be kept out: a signal handler
 * or a debugger holds it up in the middle. */
bool cache_visit(struct thread_cache *cache, magazine_visit_fn *visit);

/* Visits all caches of the calling thread whose heaps are there. */
void cache_visit_own(magazine_visit_fn *visit);

/* Visits all caches of a heap, one after another. */
void cache_visit_all(struct heap_caches *home, magazine_visit_fn *visit);

/* Visits the caches of a heap that have any capacity. */
void cache_visit_used(struct heap_caches *home, magazine_visit_fn *visit);

/* Drains all caches of a heap that may hold objects. */
void cache_visit_drain_all(struct heap_caches *home);

/* Bytes of the objects in all caches of a heap. */
size_t cache_visit_count_bytes(struct heap_caches *home);

/* Whether a cache of the heap may hold objects. */
bool cache_visit_may_find(const struct heap_caches *home);

/* Lets no thread get at its cache of the heap any more, without dropping what
 * the caches hold. */
void cache_visit_shut_all(struct heap_caches *home);

/* Drops all caches of a heap that goes, with what is in them. */
void cache_visit_drop_all(struct heap_caches *home);

/* ---- fork --------------------------------------------------------------- */

/* Bracket fork(2): in between, all caches of a heap are locked and all their
 * threads kept out. The caches_lock is held, and is kept. */
void cache_visit_lock_all(struct heap_caches *home);
void cache_visit_unlock_all(struct heap_caches *home);

/* In a forked child, with all caches locked: makes orphans of the caches of
 * other threads, and sets each gate as the child's kernel needs it. */
void cache_visit_orphan_others(struct heap_caches *home);

/* Empties the orphans of a heap and frees them. */
void cache_visit_bury_orphans(struct heap_caches *home);

#endif
