/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The memory that a kind's extents lie in: what the layers above use of this
 * one. region.h says what pools and regions are.
 *
 * All functions may be called from any thread. They return 0 or a negative
 * errno unless they say otherwise. None calls into jemalloc: extent hooks run
 * under its locks and use this layer.
 */
#ifndef REGION_POOL_H
#define REGION_POOL_H

#include "pool_blocks.h"
#include "pool_commit.h"
#include "pool_detach.h"
#include "pool_regions.h"
#include "pool_state.h"
#include "pool_stores.h"
#include "region.h"

/*
 * Each makes a pool with its first region. On failure nothing is left behind.
 *
 * files:  dir is a writable directory; max_size 0 means no limit;
 * places: up to REGION_POOL_MAX_PLACES such directories, whose file systems are
 *         alike; -EINVAL if they are not;
 * file:   fd is an empty regular file, which is duplicated;
 * device: path is a device DAX, which no other pool may have; -EBUSY;
 * buffer: whole pages within [addr, addr + size) are used;
 * memory: DRAM, without limit;
 * huge pages: DRAM in those of huge_pages.h.
 */
int region_pool_open_files(struct memkind_region_pool *pool, const char *dir,
                           size_t max_size, void *owner);
int region_pool_open_places(struct memkind_region_pool *pool,
                            const char *const *dirs, unsigned count,
                            size_t max_size, void *owner);
int region_pool_open_file(struct memkind_region_pool *pool, int fd,
                          size_t max_size, void *owner);
int region_pool_open_device(struct memkind_region_pool *pool, const char *path,
                            size_t max_size, void *owner);
int region_pool_open_buffer(struct memkind_region_pool *pool, void *addr,
                            size_t size, void *owner);
int region_pool_open_memory(struct memkind_region_pool *pool, void *owner);
int region_pool_open_huge_pages(struct memkind_region_pool *pool, void *owner);

/* A pool's policy is REGION_FORK_PRIVATE unless this sets another one, before
 * the pool is in use. */
void region_pool_set_fork_policy(struct memkind_region_pool *pool,
                                 enum region_fork_policy policy);

/* A pool of memory is on these nodes, which outlive it. Called before the pool
 * is in use. */
void region_pool_set_numa(struct memkind_region_pool *pool,
                          const struct region_numa *numa);

/* What is committed goes into core dumps. Called before the pool is in use. */
void region_pool_dump_objects(struct memkind_region_pool *pool);

/* Closing the pool leaves it to others to give the memory back. Called before
 * the pool is in use. */
void region_pool_set_closes_late(struct memkind_region_pool *pool);

/* Unmaps all regions and gives their file space back. Returns NULL, or what is
 * left to do, for late_close_start(). */
struct late_close *region_pool_close(struct memkind_region_pool *pool);

#endif
