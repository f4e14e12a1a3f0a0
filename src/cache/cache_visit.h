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

/* Visits all caches of a heap. */
void cache_visit_all(struct heap_caches *home, magazine_visit_fn *visit);

/* Drains all caches of a heap that may hold objects, and the depot. */
void cache_visit_drain_all(struct heap_caches *home);

/* Drains the depot of a heap. */
void cache_visit_drain_depot(struct heap_caches *home);

/* One step of ageing for all caches of a heap, and its depot, begins. */
void cache_visit_begin_ageing(struct heap_caches *home);

/* Continues with some of them. Returns whether others are left. */
bool cache_visit_age_some(struct heap_caches *home);

/* Bytes of the objects in all caches of a heap, and in its depot. */
size_t cache_visit_count_bytes(struct heap_caches *home);

/* Whether a cache of the heap, or its depot, may hold objects. */
bool cache_visit_may_find(const struct heap_caches *home);

/* Lets no thread get at its cache of the heap any more, without dropping what
 * the caches hold. */
void cache_visit_shut_all(struct heap_caches *home);

/* Drops all caches of a heap that goes, with what is in them. */
void cache_visit_drop_all(struct heap_caches *home);

/* ---- fork --------------------------------------------------------------- */

/*
 * Bracket fork(2): in between, no magazine of a heap changes. The caches_lock
 * is held, and is kept. Gates are closed first, those of all heaps; then there
 * is one barrier for all, and has_barrier is what
 * memory_barrier_in_all_threads() returned; then the threads are waited for.
 *
 * is_at_rest: no thread is inside the allocator. Then no lock of a cache is
 * taken, and only active caches are visited. Gates stay closed until the
 * caches' threads open them, but for those of the thread that forks. What is
 * not written to after fork(2) need not be copied.
 */
void cache_visit_close_all(struct heap_caches *home, bool is_at_rest);
void cache_visit_wait_all(struct heap_caches *home, bool is_at_rest,
                          bool has_barrier);
void cache_visit_release_all(struct heap_caches *home, bool is_at_rest);

/* In a forked child, before that: makes orphans of the caches of other threads,
 * and sets each other gate as the child's kernel needs it. */
void cache_visit_orphan_others(struct heap_caches *home, bool is_at_rest);

/* Empties the orphans of a heap and frees them. */
void cache_visit_bury_orphans(struct heap_caches *home);

#endif
