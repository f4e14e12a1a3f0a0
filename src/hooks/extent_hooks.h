/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * jemalloc's extent hooks over a region pool.
 *
 * The rules, each of which was learned from a crash:
 *
 *  - No piece of a block ever goes back through `dalloc` while arenas are
 *    alive. jemalloc keeps extents of different arenas apart by a mark on the
 *    first piece of each block. If that piece were given back and handed to
 *    another arena, the two arenas would merge their extents. (What some forked
 *    children take back goes to the same arena only; see region_private.h.)
 *  - A page without file space is an uncommitted page. `purge_*` would leave it
 *    committed, and its next touch on a full file system would be SIGBUS; so
 *    pages are given up by `decommit` alone.
 *  - Extents merge within a region only.
 *  - Hooks run under jemalloc's locks: they use the region layer and nothing
 *    above it. Debug builds check that they take only locks that come after
 *    jemalloc's (RANK_JEMALLOC).
 *
 * A heap has one `struct extent_supply`: the hooks that its arenas call, and
 * what these take blocks from.
 */
#ifndef EXTENT_HOOKS_H
#define EXTENT_HOOKS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "jemalloc_private.h"
#include "ranked_lock.h"
#include "region_pool.h"
#include "tls_model.h"

/* The source of blocks that are not bumped off a region. */
struct block_source {
    /* A committed, page-aligned block; NULL with errno set. */
    void *(*map)(void *context, size_t size);
    void *context;
    size_t unit; /* of the size of a block: a power of two, a page at least */
    bool unmap;  /* blocks are unmapped when the heap goes */
};

/* jemalloc hands each hook the address of its table, which leads here. */
struct extent_supply {
    extent_hooks_t hooks;
    struct memkind_region_pool *pool; /* may be NULL */
    struct block_source source;       /* .map may be NULL */
    extent_hooks_t *user;             /* the program's own hooks, or NULL */
    void *address_owner;              /* the kind, for the address table */
    /* Uncommitted blocks are reported as zero, which saves calloc() from
     * clearing them. A debug jemalloc reads what is reported as zero, and
     * reading a hole takes file space on tmpfs. */
    bool says_zero;
    atomic_bool is_full; /* the last commit failed */
    struct {
        atomic_uint begun, ended;
    } decays; /* decommits by others than the thread that purges */
    /* What is decommitted goes back at once if there is no decay, and while all
     * of it is to go back; else this many bytes do until the next turn of
     * upkeep, which also gives back the rest. */
    atomic_bool has_no_decay;
    atomic_uint purges;
    _Atomic size_t allowance;
    struct source_block *blocks; /* that are in no region */
    struct ranked_lock blocks_lock;
};

/* Commits that have succeeded, by this thread. */
extern __thread unsigned extent_commits TLS_MODEL;

/* Set when a commit by this thread has failed in a directory that is full, and
 * another one of the pool's has space. */
extern __thread bool extent_found_full_place TLS_MODEL;

/* Blocks are bumped off the pool, or come from `source` if that is not NULL
 * (and may lie in the pool's regions nevertheless). One of the two may be
 * NULL. */
void extent_supply_init(struct extent_supply *supply,
                        struct memkind_region_pool *pool,
                        const struct block_source *source, void *address_owner);

/* Makes hooks that pass every call to hooks of the program's own. */
void extent_supply_init_user(struct extent_supply *supply, extent_hooks_t *user,
                             void *address_owner);

/* When a purge gives back the space of the pages that arenas give up. */
enum extent_purge_mode {
    NO_PURGE,
    PURGE_NOW,
    PURGE_LATER,    /* when it is needed: the space is owed */
    PURGE_TOGETHER, /* by the caller, when all of it is owed */
};

/* Bracket a purge of the arenas by this thread. Returns whether no other thread
 * has given pages back meanwhile, which it may have taken out of an arena. */
struct extent_purge {
    unsigned begun, ended;
};
struct extent_purge extent_supply_begin_purge(struct extent_supply *supply,
                                              enum extent_purge_mode mode);
bool extent_supply_end_purge(struct extent_supply *supply,
                             const struct extent_purge *begun);

/* Sets whether pages are kept for a while before they are given back. */
void extent_supply_set_decay(struct extent_supply *supply, bool decays);

/* Called when a thread enters the allocator, and before each of its calls in
 * there that may take long: it may merge extents again. */
void extent_merges_begin_call(void);

/* Called by each turn of upkeep: hooks may take some time again. */
void extent_supply_renew_allowance(struct extent_supply *supply);

/*
 * From now on whatever jemalloc gives up is forgotten, without a system call:
 * the regions go as a whole. Called before the arenas are destroyed.
 */
void extent_supply_retire(struct extent_supply *supply);

/* Called when the arenas are gone. Takes blocks that are in no region out of
 * the address table, and unmaps them if the source asks for that. */
void extent_supply_fini(struct extent_supply *supply);

#endif
