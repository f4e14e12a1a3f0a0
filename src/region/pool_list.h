/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The list of all pools of the process, which a forked child goes through, and
 * the directories that pools share.
 */
#ifndef POOL_LIST_H
#define POOL_LIST_H

#include "region.h"

/* A pool is in the list while it is open. The pool's lock is there when it is
 * added; regions are added with that lock held. */
void pool_list_add(struct memkind_region_pool *pool);

/* Removes a pool, and its directory with it, which the last pool that has it
 * closes. In one step: a pool that is no longer in the list does not keep the
 * others from closing the directory, whose number may then be of another. */
void pool_list_remove(struct memkind_region_pool *pool);

/* Adds a place to a pool that may be in the list. */
void pool_list_add_place(struct memkind_region_pool *pool,
                         struct pool_place *place);

/* Around a walk through the list by `next`. */
void pool_list_lock(void);
void pool_list_unlock(void);

/* The first pool, while the list is locked; NULL if there is none. */
struct memkind_region_pool *pool_list_first(void);

/*
 * Gives a place, of a pool that is in the list, its directory: takes the
 * descriptor over, or closes it and takes that of another place which has the
 * same directory. Returns 0; a negative errno, and the descriptor is closed.
 */
int pool_list_share_directory(struct pool_place *place, int directory);

#endif
