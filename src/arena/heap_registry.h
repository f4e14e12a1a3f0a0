/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All heaps, by their slots. A heap that is in use is not destroyed before its
 * users are done with it.
 */
#ifndef HEAP_REGISTRY_H
#define HEAP_REGISTRY_H

#include <stdbool.h>
#include <stdint.h>

struct memkind_heap;

/* One more than the greatest slot: MEMKIND_MAX_KIND and the static kinds. */
#define HEAP_SLOTS 544

/* What the registry gives each heap. */
struct heap_place {
    uint64_t id;   /* never used twice */
    unsigned slot; /* index in the registry and in each thread's table */
};

/* Enters a heap. Returns false if all slots are taken. */
bool heap_registry_add(struct memkind_heap *heap, struct heap_place *place);

/* Takes out the heap in a slot, and waits until no thread uses it or looks at
 * it. The slot stays taken until heap_registry_free_slot(). */
void heap_registry_remove(unsigned slot);
void heap_registry_free_slot(unsigned slot);

/* The heap of that place, which is in use from now on; NULL if it is gone. */
struct memkind_heap *heap_registry_use(const struct heap_place *place);

/* The first heap at or behind *slot, which is set to its slot; it is in use
 * from now on. NULL if there is none. */
struct memkind_heap *heap_registry_use_next(unsigned *slot);

/* Likewise the first heap there that suits, by a look at each: no lock is taken
 * for those that do not. The function takes none, either, and waits for
 * nothing; what it has found may have changed since. */
typedef bool heap_look_fn(struct memkind_heap *heap, const void *context);
struct memkind_heap *heap_registry_use_next_that(unsigned *slot,
                                                 heap_look_fn *suits,
                                                 const void *context);

/* Ends a use. */
void heap_registry_done(unsigned slot);

/*
 * Tables of HEAP_SLOTS pointers, all NULL, of threads that have ended. A brief
 * thread that gets one, and caches with objects in them, need not enter
 * jemalloc at all.
 *
 * take: NULL if there is none
 * keep: returns false if there are enough
 */
void *heap_registry_take_table(void);
bool heap_registry_keep_table(void *table);

/* ---- fork --------------------------------------------------------------- */

/* In between, no heap is entered or taken out. */
void heap_registry_lock(void);
void heap_registry_unlock(void);
void heap_registry_visit_locked(void (*visit)(struct memkind_heap *heap));

/* In the child, whose heaps are in use by no thread. */
void heap_registry_forget_users(void);

#endif
