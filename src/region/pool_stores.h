/* SPDX-License-Identifier: BSD-2-Clause */
/* Stores to objects of a pool, and making them durable. */
#ifndef POOL_STORES_H
#define POOL_STORES_H

#include "region.h"

/* memset(ptr, 0, size) and memcpy() for objects of the pool. Large ones go past
 * the CPU's caches if they are persistent memory, which would be read first
 * otherwise. pool may be NULL. */
void region_pool_clear(const struct memkind_region_pool *pool, void *ptr,
                       size_t size);
void region_pool_copy(const struct memkind_region_pool *pool, void *to,
                      const void *from, size_t size);

/* Makes a range durable. -EINVAL if it does not lie in one file; -EOPNOTSUPP if
 * it is a forked child's own copy. */
int region_pool_persist(struct memkind_region_pool *pool, const void *addr,
                        size_t size);

#endif
