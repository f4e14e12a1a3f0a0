/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All sets of arenas there are, by their slots. A set that someone uses waits
 * with its end until he is done.
 */
#ifndef SET_REGISTRY_H
#define SET_REGISTRY_H

#include <stdbool.h>

#include "arena_set.h"

/* Enters a set, and gives it its slot. False where all slots are taken. */
bool set_registry_add(struct memkind_arena_set *set);

/* Takes a set out: nobody finds it from now on, and nobody uses it any more
 * when this returns. Its slot stays taken until set_registry_free_slot(). */
void set_registry_remove(struct memkind_arena_set *set);
void set_registry_free_slot(unsigned slot);

/* Keeps the set in a slot from going, if it is the one with that id. */
struct memkind_arena_set *set_registry_use(unsigned slot, uint64_t id);

/* The first set from a slot on, kept from going; NULL where there is none. */
struct memkind_arena_set *set_registry_use_next(unsigned slot);

void set_registry_done(struct memkind_arena_set *set);

/* Around fork(2): in between, sets neither come nor go. */
void set_registry_lock(void);
void set_registry_unlock(void);
void set_registry_visit_locked(void (*visit)(struct memkind_arena_set *set));
/* In the child: whoever used a set is not there any more. */
void set_registry_forget_users(void);

#endif
