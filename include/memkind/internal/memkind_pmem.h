/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file memkind_pmem.h
 * @brief Operations for kinds whose memory is mapped files.
 *
 * Experimental. See memkind_pmem(3). memkind_create_pmem() is the convenient
 * way to such a kind; these are the parts for a program that defines its own:
 *
 *     struct memkind kind = {0};
 *     struct memkind_ops ops = MEMKIND_PMEM_OPS;
 *     struct memkind_pmem_source source = {.dir = "/mnt/pmem", .fd = -1};
 *     memkind_pmem_set_source(&kind, &source);
 *     if (ops.create(&kind, &ops, "mine") != MEMKIND_SUCCESS)
 *         fprintf(stderr, "%s\n", memkind_last_error());
 *
 * MEMKIND_PMEM_MIN_SIZE is in memkind.h.
 */
#ifndef MEMKIND_INTERNAL_MEMKIND_PMEM_H
#define MEMKIND_INTERNAL_MEMKIND_PMEM_H

#include <memkind/internal/memkind_arena.h>
#include <memkind/internal/memkind_default.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Unit in which file space is taken on DAX file systems: 2 MiB. */
#define MEMKIND_PMEM_CHUNK_SIZE (1ull << 21)

/** The source of a file-backed kind's memory. */
struct memkind_pmem_source {
    /** Directory for unnamed files, or a device DAX; NULL if `fd` is given */
    const char *dir;
    /**
     * An empty regular file, open for reading and writing; -1 if `dir` is
     * given. The library uses a duplicate: the caller's descriptor stays the
     * caller's, and the file is empty again once the kind is destroyed.
     */
    int fd;
    /** Limit of file space in bytes, at least MEMKIND_PMEM_MIN_SIZE; 0: none */
    size_t max_size;
    /** What the kind is in forked children; 0: MEMKIND_FORK_PRIVATE */
    memkind_fork_policy fork_policy;
    /** Whether core dumps have the kind's objects in them */
    bool dump_objects;
    /** Directories beside `dir`, `further_count` of them; NULL if there are
     * none.
     */
    const char *const *further_dirs;
    unsigned further_count;
    /** Whether the destroy operation leaves it to a thread to free the memory
     */
    bool background_destroy;
};

/**
 * Sets the source of a zeroed kind's memory, before its create
 * operation. `source`, and the text it points to, has to stay valid until that
 * operation returns; the library keeps copies of what it needs.
 * @return MEMKIND_ERROR_INVALID for NULL or a kind that has been created.
 */
int memkind_pmem_set_source(struct memkind *kind,
                            const struct memkind_pmem_source *source);

/**
 * The "create" operation: makes the file and its mapping from the source that
 * memkind_pmem_set_source() named, then calls memkind_arena_create().
 * @return as memkind_create_pmem(); after a failure nothing is left behind,
 *         and the kind can be given a source and created again.
 */
int memkind_pmem_create(struct memkind *kind, struct memkind_ops *ops,
                        const char *name);

/**
 * The "destroy" operation: memkind_arena_destroy(), then unmaps and closes the
 * files, which gives their space back.
 */
int memkind_pmem_destroy(struct memkind *kind);

/**
 * Allocates file space for a block in the kind's mapped files. The space
 * counts against the kind's limit; there is no call to give a single block
 * back, memkind_pmem_destroy() gives back all.
 * @param addr ignored
 * @param size in bytes, rounded up to whole pages
 * @return the block, cleared and aligned to a page; MAP_FAILED with errno set:
 *         ENOMEM if the limit is reached or nothing more can be mapped,
 *         ENOSPC if the file system is full, EINVAL for a size of 0 or a
 *         kind that is not file-backed.
 */
void *memkind_pmem_mmap(struct memkind *kind, void *addr, size_t size);

/** Sets *flags to MAP_SHARED. @return 0; MEMKIND_ERROR_INVALID for NULL. */
int memkind_pmem_get_mmap_flags(struct memkind *kind, int *flags);

/** What memkind_check_dax_path() does. */
int memkind_pmem_validate_dir(const char *dir);

/**
 * Makes stores to a range durable: pmem_persist(3) if the mapping is
 * persistent memory, pmem_msync(3) if it is not.
 * @param addr start of the range, within one object (or block) of the kind
 * @param size in bytes; 0 does nothing
 * @return MEMKIND_SUCCESS; MEMKIND_ERROR_INVALID if the range is not memory
 *         of this kind; MEMKIND_ERROR_OPERATION_FAILED with errno set if
 *         pmem_msync() failed (EOPNOTSUPP in a forked child whose memory is its
 *         own).
 */
int memkind_pmem_persist(struct memkind *kind, const void *addr, size_t size);

/**
 * @return true if the kind's memory is persistent memory that can be
 *         flushed from user space (pmem_is_pmem(3) says so of its mapping);
 *         false otherwise, also for kinds that are not file-backed and NULL.
 */
bool memkind_pmem_is_pmem(struct memkind *kind);

/** The operations of the kinds that memkind_create_pmem() makes. */
extern struct memkind_ops MEMKIND_PMEM_OPS;

#ifdef __cplusplus
}
#endif

#endif /* MEMKIND_INTERNAL_MEMKIND_PMEM_H */
