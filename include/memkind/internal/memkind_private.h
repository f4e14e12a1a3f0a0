/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file memkind_private.h
 * @brief What a kind is made of, for programs that define their own.
 *
 * A kind is a struct memkind and the table of operations it points to. A
 * program makes one by zeroing a struct memkind of its own, filling a struct
 * memkind_ops from the functions in memkind_arena.h, memkind_pmem.h and
 * memkind_default.h, and calling `ops.create(&kind, &ops, "name")`. Such a
 * kind then works with every function of memkind.h, and is taken down with
 * `ops.destroy(&kind)` or memkind_destroy_kind().
 *
 * Experimental, as in libmemkind: members may change between releases.
 */
#ifndef MEMKIND_INTERNAL_MEMKIND_PRIVATE_H
#define MEMKIND_INTERNAL_MEMKIND_PRIVATE_H

#include <memkind.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum memkind_const_private {
    /** Room for a kind's name, with its terminator. */
    MEMKIND_NAME_LENGTH_PRIV = 64,
};

struct memkind_heap;        /* what serves a kind's malloc */
struct memkind_region_pool; /* the memory that its objects lie in */

/**
 * The operations of a kind. `create`, `destroy`, `malloc`, `calloc`,
 * `posix_memalign`, `realloc` and `free` have to be there; any other may be
 * NULL, which gives the behaviour named below.
 */
struct memkind_ops {
    int (*create)(struct memkind *kind, struct memkind_ops *ops,
                  const char *name);
    int (*destroy)(struct memkind *kind);
    void *(*malloc)(struct memkind *kind, size_t size);
    void *(*calloc)(struct memkind *kind, size_t num, size_t size);
    int (*posix_memalign)(struct memkind *kind, void **memptr, size_t alignment,
                          size_t size);
    void *(*realloc)(struct memkind *kind, void *ptr, size_t size);
    void (*free)(struct memkind *kind, void *ptr);
    /** The source of a kind's blocks; NULL: memkind_default_mmap(). */
    void *(*mmap)(struct memkind *kind, void *addr, size_t size);
    /** Called on each block that `mmap` gave, if there; 0 for success. */
    int (*mbind)(struct memkind *kind, void *ptr, size_t size);
    /** Called on each block that `mmap` gave, if there; 0 for success. */
    int (*madvise)(struct memkind *kind, void *addr, size_t size);
    /** Flags for memkind_default_mmap(); NULL: private and anonymous. */
    int (*get_mmap_flags)(struct memkind *kind, int *flags);
    int (*get_mbind_mode)(struct memkind *kind, int *mode);
    int (*get_mbind_nodemask)(struct memkind *kind, unsigned long *nodemask,
                              unsigned long maxnode);
    /** memkind_bijective_get_arena() limits the kind to one arena. */
    int (*get_arena)(struct memkind *kind, unsigned int *arena, size_t size);
    /** NULL: always available. */
    int (*check_available)(struct memkind *kind);
    /** Has to be NULL in a kind that a program makes. */
    void (*init_once)(void);
    int (*finalize)(struct memkind *kind);
    /** NULL: memkind_default_malloc_usable_size(). */
    size_t (*malloc_usable_size)(struct memkind *kind, void *ptr);
    int (*update_memory_usage_policy)(struct memkind *kind,
                                      memkind_mem_usage_policy policy);
    /** NULL: memkind_get_stat() answers MEMKIND_ERROR_INVALID. */
    int (*get_stat)(memkind_t kind, memkind_stat_type stat, size_t *value);
    /** NULL: nothing is ever moved. */
    void *(*defrag_reallocate)(struct memkind *kind, void *ptr);
};

/** A kind. To be zeroed before its `create` operation. */
struct memkind {
    struct memkind_ops *ops;
    unsigned int partition; /**< number among the static kinds, or above them */
    char name[MEMKIND_NAME_LENGTH_PRIV];
    pthread_once_t init_once;
    struct memkind_heap *heap; /**< NULL before the first use */
    struct memkind_region_pool
        *regions;      /**< NULL: blocks come from ops->mmap */
    bool owns_regions; /**< memkind_arena_destroy() closes them */
    /** The mmap operation that takes blocks from `regions`. If ops->mmap is
     * another one, that is called for each block. */
    void *(*regions_mmap)(struct memkind *kind, void *addr, size_t size);
    void *priv;             /**< the create operation's own */
    bool allow_zero_allocs; /**< see memkind_set_allow_zero_allocs() */
    /** In a forked child that cannot have the kind: what `heap`, now NULL, was
     * before. */
    struct memkind_heap *lost_heap;
    unsigned int properties; /**< set when the kind is created */
    int64_t decay_ms;        /**< how long freed space is kept; -1: for ever */
};

#ifdef __cplusplus
}
#endif

#endif /* MEMKIND_INTERNAL_MEMKIND_PRIVATE_H */
