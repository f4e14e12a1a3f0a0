/* SPDX-License-Identifier: BSD-2-Clause */
/* What a pool is like, and what it holds. Any thread may ask. */
#ifndef POOL_STATE_H
#define POOL_STATE_H

#include "region.h"

/* Finds the region that an address lies in; NULL if there is none. Lock-free.
 */
struct region *region_pool_find(struct memkind_region_pool *pool,
                                const void *addr);

/* Whether the pool's regions are in regular files. */
static inline bool pool_has_files(const struct memkind_region_pool *pool)
{
    return pool->backing == REGION_FILES || pool->backing == REGION_FILE;
}

/* Whether the pool can never have more address space than it has now. */
bool region_pool_is_fixed(const struct memkind_region_pool *pool);

static inline bool pool_can_grow(const struct memkind_region_pool *pool)
{
    return !region_pool_is_fixed(pool);
}

/* Whether the pool's space is its own from the start, and of no use to others.
 * If some of that were committed and some not, extents would not merge. */
static inline bool
pool_is_always_committed(const struct memkind_region_pool *pool)
{
    return pool->backing == REGION_BUFFER ||
           (pool->no_holes && region_pool_is_fixed(pool));
}

/* Whether the pool's mappings are persistent memory. */
bool region_pool_is_pmem(const struct memkind_region_pool *pool);

/* Bytes of file space (or memory) that the pool holds. */
size_t region_pool_charged(const struct memkind_region_pool *pool);

/* The budget, or else the size of the file system or memory; 0 if that is not
 * known. */
size_t region_pool_capacity(const struct memkind_region_pool *pool);

/* Whether the pool has several files, and holds so much that giving it back is
 * worth some threads. Not in a forked child. */
bool region_pool_is_worth_threads(const struct memkind_region_pool *pool);

/* Whether the pool has a budget. */
static inline bool
region_pool_is_limited(const struct memkind_region_pool *pool)
{
    return pool->budget != SIZE_MAX;
}

/* Whether the file space that was last asked for could not be had although the
 * budget allows for it: the file system is full, or a quota is used up. */
bool region_pool_lacks_space(const struct memkind_region_pool *pool);

/*
 * How often the pool has refused memory.
 * lasting: its budget, or the memory that it was given, was used up; only what
 *          the pool gets back can change that
 * passing: the file system's space, or address space, was used up
 */
struct region_refusals {
    unsigned lasting, passing;
};
struct region_refusals
region_pool_refusals(const struct memkind_region_pool *pool);

/* Whether pages are charged if and only if they are committed or owed: none is
 * kept for good that was to be given back, and space is not taken in larger
 * units. */
bool region_pool_charges_pages(const struct memkind_region_pool *pool);

/* Bytes that the budget has room for, with what is owed; and, if the pool lacks
 * space, the file system at this moment, as far as that is known. */
size_t region_pool_budget_left(const struct memkind_region_pool *pool);
size_t region_pool_space_left(const struct memkind_region_pool *pool);

/* Whether what the file system says to be free is known to mean something. */
bool region_pool_counts_space(const struct memkind_region_pool *pool);

/* Whether what one pool gives back may be of use to the other: both have files
 * in the same file system. Either may be NULL. */
bool region_pool_shares_space(const struct memkind_region_pool *pool,
                              const struct memkind_region_pool *other);

/* Whether this is a forked child's pool in which memory that the child has not
 * stored to yet may show what its parent has stored since. */
bool region_pool_shows_parent(const struct memkind_region_pool *pool);

/* Whether a child, or the parent, may be using the pool's memory as its own. */
bool region_pool_is_shared(const struct memkind_region_pool *pool);

/* Whether this process is a child that cannot have the pool's memory. Nothing
 * can be allocated or committed then. */
bool region_pool_is_lost(const struct memkind_region_pool *pool);

/* Most arenas that make sense for a pool, at `per_cpu` for each CPU, if their
 * extents are multiples of `extent_page` bytes. */
unsigned region_pool_arenas(const struct memkind_region_pool *pool,
                            unsigned per_cpu, size_t extent_page);

#endif
