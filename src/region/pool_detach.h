/* SPDX-License-Identifier: BSD-2-Clause */
/* A pool's pages that are detached from their files (region_detach.h). */
#ifndef POOL_DETACH_H
#define POOL_DETACH_H

#include "region.h"

/* Attaches all: region_detach_attach_all() says what must not happen meanwhile.
 * Returns 0; -EBUSY if a process needs the files as they are; -EOPNOTSUPP in a
 * forked child; or another negative errno, if some are detached still. */
int region_pool_attach_all(struct memkind_region_pool *pool);

/* Unmaps some of what fork() has left. Returns whether there is more. */
bool region_pool_unmap_old(struct memkind_region_pool *pool);

/* Bytes of memory that the pool takes beside its files because of fork(). */
size_t region_pool_detached(struct memkind_region_pool *pool);

#endif
