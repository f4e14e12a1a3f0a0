/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file memkind_default.h
 * @brief Operations that any kind may use, and the DRAM kinds' own.
 *
 * Experimental. Returns and thread-safety are those of the functions of the
 * same name in memkind.h.
 */
#ifndef MEMKIND_INTERNAL_MEMKIND_DEFAULT_H
#define MEMKIND_INTERNAL_MEMKIND_DEFAULT_H

#include <memkind/internal/memkind_private.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * The start of every create operation: sets the kind's operations and name.
 * @return MEMKIND_ERROR_BADOPS if an operation is missing,
 *         MEMKIND_ERROR_INVALID for NULL, an empty name or one that is longer
 *         than MEMKIND_NAME_LENGTH_PRIV - 1.
 */
int memkind_default_create(struct memkind *kind, struct memkind_ops *ops,
                           const char *name);

/** The end of every destroy operation: the kind is no kind any more. */
int memkind_default_destroy(struct memkind *kind);

/* The heap operations of MEMKIND_DEFAULT: memkind_arena_*() on a heap that is
 * made at the first call. */
void *memkind_default_malloc(struct memkind *kind, size_t size);
void *memkind_default_calloc(struct memkind *kind, size_t num, size_t size);
int memkind_default_posix_memalign(struct memkind *kind, void **memptr,
                                   size_t alignment, size_t size);
void *memkind_default_realloc(struct memkind *kind, void *ptr, size_t size);
void memkind_default_free(struct memkind *kind, void *ptr);
size_t memkind_default_malloc_usable_size(struct memkind *kind, void *ptr);

/**
 * Maps a readable and writable block with the flags of ops->get_mmap_flags,
 * then calls ops->mbind and ops->madvise on it if they are there.
 * @return the block; MAP_FAILED with errno set.
 */
void *memkind_default_mmap(struct memkind *kind, void *addr, size_t size);

/** Sets *flags to MAP_PRIVATE | MAP_ANONYMOUS. */
int memkind_default_get_mmap_flags(struct memkind *kind, int *flags);

/**
 * @return 0 if posix_memalign(3) allows the alignment (a power of two, at
 *         least a pointer's size), otherwise EINVAL.
 */
int memkind_posix_check_alignment(struct memkind *kind, size_t alignment);

/** MADV_NOHUGEPAGE for a block. */
int memkind_nohugepage_madvise(struct memkind *kind, void *addr, size_t size);

/**
 * Binds memory to NUMA nodes by mbind(2): with ops->get_mbind_nodemask and
 * ops->get_mbind_mode (NULL: MPOL_BIND) if the first one is there, and else as
 * the memory of the kind is.
 * @return MEMKIND_SUCCESS; MEMKIND_ERROR_MBIND with errno set;
 *         MEMKIND_ERROR_BADOPS if the kind has no nodes of its own; or what
 *         kept the operations, or the kind, from having nodes
 */
int memkind_default_mbind(struct memkind *kind, void *ptr, size_t size);

/* Set *mode to a mode of mbind(2): MPOL_BIND, MPOL_PREFERRED,
 * MPOL_INTERLEAVE. MEMKIND_ERROR_INVALID for NULL. */
int memkind_default_get_mbind_mode(struct memkind *kind, int *mode);
int memkind_preferred_get_mbind_mode(struct memkind *kind, int *mode);
int memkind_interleave_get_mbind_mode(struct memkind *kind, int *mode);

/**
 * The nodes that the kind's memory is on, or may be on.
 * @param nodemask receives `maxnode` bits, 1 for each node; may be NULL
 * @return MEMKIND_SUCCESS; MEMKIND_ERROR_UNAVAILABLE if the system knows of no
 *         nodes, or what memkind_check_available() says
 */
int memkind_default_get_mbind_nodemask(struct memkind *kind,
                                       unsigned long *nodemask,
                                       unsigned long maxnode);

/** Makes the heap of MEMKIND_DEFAULT. May be called again. */
void memkind_default_init_once(void);

/** The operations of MEMKIND_DEFAULT. */
extern struct memkind_ops MEMKIND_DEFAULT_OPS;

#ifdef __cplusplus
}
#endif

#endif /* MEMKIND_INTERNAL_MEMKIND_DEFAULT_H */
