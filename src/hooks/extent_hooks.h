/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * jemalloc's extent hooks over a region pool.
 *
 * The rules, each of which was learned from a crash:
 *
 * - No piece of a block ever goes back through `dalloc` while arenas are
 *   alive. jemalloc keeps extents of different arenas apart by a mark on the
 *   first piece of each block; given back, and handed to another arena, that
 *   piece lets the two arenas merge their extents. (What some forked children
 *   take back goes to the same arena only; see region_private.h.)
 * - A page without file space is an uncommitted page. `purge_*` would leave it
 *   committed, and its next touch on a full file system would be SIGBUS; so
 *   pages are given up by `decommit` alone.
 * - Extents merge within a region only.
 * - Hooks run under jemalloc's locks: they use the region layer and nothing
 *   above it.
 */
#ifndef EXTENT_HOOKS_H
#define EXTENT_HOOKS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "jemalloc_private.h"
#include "region_pool.h"

/* Where blocks come from if they are not bumped off a region. */
struct block_source {
    /* A committed, page-aligned block; NULL with errno set. */
    void *(*map)(void *context, size_t size);
    void *context;
    bool unmap; /* blocks are munmap()ed when the owner is done */
};

/* jemalloc hands each hook the address of its table, which leads here. */
struct extent_owner {
    extent_hooks_t hooks;
    struct memkind_region_pool *pool; /* may be NULL */
    struct block_source source;       /* .map may be NULL */
    extent_hooks_t *user;             /* the program's own hooks, or NULL */
    void *address_owner;              /* for the address table */
    /* Uncommitted blocks are said to be zero, which saves calloc() from
     * clearing them. A debug jemalloc reads what it is told that of, and
     * reading a hole takes file space on tmpfs. */
    bool says_zero;
    atomic_bool is_full;         /* the last commit failed */
    struct source_block *blocks; /* that are in no region */
    pthread_mutex_t blocks_lock;
};

/* Blocks are bumped off the pool, or, where `source` is not NULL, come from
 * there (and may lie in the pool's regions nevertheless). One of the two may
 * be NULL. */
void extent_owner_init(struct extent_owner *owner,
                       struct memkind_region_pool *pool,
                       const struct block_source *source, void *address_owner);

/* Hooks of the program's own do everything. */
void extent_owner_init_user(struct extent_owner *owner, extent_hooks_t *user,
                            void *address_owner);

/*
 * From now on whatever jemalloc gives up is forgotten, without a system call:
 * the regions go as a whole. To be called before the arenas are destroyed.
 */
void extent_owner_retire(struct extent_owner *owner);

/* After the arenas are gone: takes blocks that are in no region out of the
 * address table, and unmaps them where the source says so. */
void extent_owner_fini(struct extent_owner *owner);

#endif
