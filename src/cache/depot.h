/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The depot of a heap: free objects on their way from threads that free more
 * than they allocate to threads that allocate more than they free, class by
 * class, in chunks. A magazine that overflows hands what has been in longest
 * over if another cache has asked for objects of that class; a magazine that is
 * empty takes a chunk before its cache's arena is asked (magazine.c). So such
 * objects do not enter jemalloc, which would lock another thread's arena for
 * each.
 *
 * The chunks of a class are two stacks, without locks: what was pushed since
 * the last step of ageing, and what was there before. Pushes go to the first,
 * pops take from both, and ageing gives back what is left of the second. So
 * nothing that no thread takes lies here for more than two steps.
 *
 * Pushing and popping are part of a cache's slower ways: the cache is locked,
 * and in the heap's list of active ones. What has been popped counts as part of
 * the depot until it is released, when it lies in a magazine or in an arena. So
 * a thread that drains the depot, then all active caches, then the depot again
 * finds all there was.
 *
 * A heap makes no depot before a thread frees more than its magazine may keep
 * while another one wants objects of the class. It takes DRAM from the first
 * push on.
 */
#ifndef DEPOT_H
#define DEPOT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "size_class.h"

/* Objects in a chunk, at most. */
#define DEPOT_CHUNK 96U

struct depot_chunk {
    uint32_t number, count;
    void *objects[DEPOT_CHUNK]; /* the last one was put into a magazine last */
};

struct depot_store;

struct depot {
    struct depot_store *_Atomic store; /* NULL before the first push */
    _Atomic size_t bytes; /* of what lies in it, or has been popped */
    size_t limit;
    /* The last cache that wanted objects of a class and found none here. */
    const void *_Atomic wanted_by[SIZE_CLASS_COUNT];
};

void depot_init(struct depot *depot, size_t limit);

/* Empties the depot without giving the objects back: their arenas go as a
 * whole. No other thread uses it. */
void depot_forget(struct depot *depot);

/* Whether a cache other than this one wants objects of the class. */
static inline bool depot_is_wanted(const struct depot *depot,
                                   unsigned size_class, const void *cache)
{
    const void *by = atomic_load_explicit(&depot->wanted_by[size_class],
                                          memory_order_relaxed);
    return by != NULL && by != cache;
}

/* Objects of a class in a full chunk. */
uint32_t depot_chunk_count(const struct depot *depot, unsigned size_class);

/* Puts up to a chunk of objects in. Returns false if there is no room or no
 * DRAM. */
bool depot_push(struct depot *depot, unsigned size_class, void *const *objects,
                uint32_t count);

/* Takes a chunk for a cache; NULL, and a note that the cache wants some, if
 * there is none. */
struct depot_chunk *depot_pop(struct depot *depot, unsigned size_class,
                              const void *cache);

/* Takes a chunk of any class; NULL if there is none. */
struct depot_chunk *depot_pop_any(struct depot *depot, unsigned *size_class);

/* Gives a popped chunk back, when its objects are where others find them. */
void depot_release(struct depot *depot, unsigned size_class,
                   struct depot_chunk *chunk);

/* Bytes of the objects that others may find here, or are on their way. */
static inline size_t depot_bytes(const struct depot *depot)
{
    return atomic_load(&depot->bytes);
}

/* Whether it is not worth while to push anything. */
static inline bool depot_is_full(const struct depot *depot)
{
    return atomic_load_explicit(&depot->bytes, memory_order_relaxed) >=
           depot->limit / 8 * 7;
}

/* ---- ageing: one thread at a time ---------------------------------------- */

/* Takes a chunk of any class that was there before the last step; NULL if there
 * is none. */
struct depot_chunk *depot_pop_old(struct depot *depot, unsigned *size_class);

/* Ends a step, when no old chunk is left: those there are become old, caches
 * have to ask anew, and the DRAM of empty chunks is freed. */
void depot_end_step(struct depot *depot);

#endif
