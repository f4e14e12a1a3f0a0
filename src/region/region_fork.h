/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Regions across fork(2).
 *
 * A mapping of a file is MAP_SHARED, so a forked child would write into its
 * parent's objects. Each pool therefore says what its regions become in a
 * child (region_pool.h), and the child sees to it before fork() returns.
 *
 * A private region has no file: reading shows what the file holds (by a private
 * mapping of it) or held (by a copy), stores stay in this process, and what is
 * committed becomes anonymous memory (region_private.h). The file is never
 * allocated, punched or truncated by the child: its descriptor is closed.
 *
 * Handlers of fork() are registered when the library is loaded, before
 * jemalloc registers its own. fork() prepares in reverse order: the locks here,
 * which extent hooks take under jemalloc's, are taken after those.
 */
#ifndef REGION_FORK_H
#define REGION_FORK_H

#include "region_pool.h"

/* Registers the handlers of fork(), before jemalloc registers its own. */
void region_fork_init(void);

/* For each pool, while it is open: the list of pools that a child goes through.
 * The pool's lock is there; regions are added with it held. */
void region_fork_add(struct memkind_region_pool *pool);
void region_fork_remove(struct memkind_region_pool *pool);

/*
 * A pool's directory: takes a descriptor over, or closes it and takes that of a
 * pool which has the same directory. The pool is in the list. It goes back
 * once the pool is out of it, and is closed with the last one that has it.
 * Returns 0; a negative errno, and the descriptor is closed.
 */
int region_fork_share_directory(struct memkind_region_pool *pool,
                                int directory);
void region_fork_drop_directory(struct memkind_region_pool *pool);

#endif
