/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All sets of arenas there are, by their slots. A set that someone uses waits
 * with its end until he is done.
 */
#ifndef HEAP_REGISTRY_H
#define HEAP_REGISTRY_H

#include <stdbool.h>

#include "heap_create.h"

/* Enters a set, and gives it its slot. False where all slots are taken. */
bool heap_registry_add(struct memkind_heap *heap);

/* Takes a set out: nobody finds it from now on, and nobody uses it any more
 * when this returns. Its slot stays taken until heap_registry_free_slot(). */
void heap_registry_remove(struct memkind_heap *heap);
void heap_registry_free_slot(unsigned slot);

/* Keeps the set in a slot from going, if it is the one with that id. */
struct memkind_heap *heap_registry_use(unsigned slot, uint64_t id);

/* The first set from a slot on, kept from going; NULL where there is none. */
struct memkind_heap *heap_registry_use_next(unsigned slot);

void heap_registry_done(struct memkind_heap *heap);

/* Around fork(2): in between, sets neither come nor go. */
void heap_registry_lock(void);
void heap_registry_unlock(void);
void heap_registry_visit_locked(void (*visit)(struct memkind_heap *heap));
/* In the child: whoever used a set is not there any more. */
void heap_registry_forget_users(void);

#endif
