/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Magazines: between a cache's stacks of free objects and the arenas.
 *
 * A magazine grows as long as it overflows and the cache's limit allows it;
 * ageing halves what lies in it each second and takes unused capacity away, so
 * that what a thread has freed reaches the arenas, and by their decay the file
 * system, within some seconds. Objects that have pages of their own are kept
 * like others, but fetched one by one.
 *
 * The cache is locked in all these calls, and its owner kept out if it is not
 * the caller.
 */
#ifndef MAGAZINE_H
#define MAGAZINE_H

#include "heap_create.h"
#include "jemalloc_private.h"
#include "thread_cache.h"

/* Makes all magazines of a new cache, without capacity. */
void magazine_init_all(struct thread_cache *cache);

/*
 * An object of a class that is cached; NULL where the arena has none.
 * *fresh tells whether it comes from the arena, which then has cleared it
 * where `zero` asks for that.
 */
void *magazine_take(struct thread_cache *cache, unsigned size_class, bool zero,
                    bool *fresh);

/* Whether an object was put in a short while ago, and is in there yet. */
bool magazine_has_lately(const struct thread_cache *cache, unsigned size_class,
                         const void *ptr);

/* Returns an object that is in no magazine. */
void magazine_return(struct memkind_heap *heap, unsigned size_class, void *ptr);

/* Puts an object in; it goes to its arena where there is no room for it. */
void magazine_put(struct thread_cache *cache, unsigned size_class, void *ptr);

/* Returns the objects of a class to their arenas. */
void magazine_drain(struct thread_cache *cache, unsigned size_class);

/* Returns all objects. */
void magazine_drain_all(struct thread_cache *cache);

/* The same, and gives up the magazines themselves. */
void magazine_drop_all(struct thread_cache *cache);

/* Gives up the magazines of a set that is gone, with what is in them. */
void magazine_forget_all(struct thread_cache *cache);

void magazine_age_all(struct thread_cache *cache);

/* Bytes that lie in the magazines. */
size_t magazine_bytes(const struct thread_cache *cache);

#endif
