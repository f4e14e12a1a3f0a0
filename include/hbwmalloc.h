/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file hbwmalloc.h
 * @brief malloc for memory of high bandwidth.
 *
 * High-bandwidth memory is on NUMA nodes of its own: those that the variable
 * MEMKIND_HBW_NODES names, or those that the system's tables (HMAT) give a
 * bandwidth of MEMKIND_HBW_THRESHOLD. A policy, which a program sets once, says
 * what happens when there is none, or none left. The names, types and constants
 * are those of libmemkind 1.14.
 *
 * Sizes are in bytes. All functions can be called by any thread; none is
 * async-signal-safe, aborts the process, or prints. The objects are those of
 * the kinds MEMKIND_HBW..., and of MEMKIND_DEFAULT.
 */
#ifndef HBWMALLOC_H
#define HBWMALLOC_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Which memory is used when there is too little of high bandwidth. */
typedef enum {
    /** None but that of the nearest such node. */
    HBW_POLICY_BIND = 1,
    /** Any other memory. This is the policy if none is set. */
    HBW_POLICY_PREFERRED = 2,
    /** None; pages are spread over all such nodes. */
    HBW_POLICY_INTERLEAVE = 3,
    /** None but that of all such nodes. */
    HBW_POLICY_BIND_ALL = 4,
} hbw_policy_t;

/** Pages that hbw_posix_memalign_psize() can be asked for. */
typedef enum {
    HBW_PAGESIZE_4KB = 1,        /**< the system's pages */
    HBW_PAGESIZE_2MB = 2,        /**< huge pages of 2 MiB */
    HBW_PAGESIZE_1GB_STRICT = 3, /**< of 1 GiB, and whole ones. Deprecated */
    HBW_PAGESIZE_1GB = 4,        /**< of 1 GiB. Deprecated */
    HBW_PAGESIZE_MAX_VALUE,      /**< behind the last one; not a page size */
} hbw_pagesize_t;

/** Flags of hbw_verify_memory_region(). */
enum {
    HBW_TOUCH_PAGES = 1 << 0, /**< have each page there first */
};

/** The policy that is set, or HBW_POLICY_PREFERRED. */
hbw_policy_t hbw_get_policy(void);

/**
 * Sets the policy. That can be done once, and before the first allocation.
 * @return 0; EINVAL if there is no such policy; EPERM if it is too late
 */
int hbw_set_policy(hbw_policy_t mode);

/** Whether there is memory of high bandwidth.
 * @return 0; ENODEV if there is none */
int hbw_check_available(void);

/**
 * Whether each page of a range is on a high-bandwidth node. Takes a system call
 * for each 64 pages.
 * @param flags HBW_TOUCH_PAGES or 0. What a page contains stays the same
 * @return 0; -1 if a page is elsewhere, or is not there; EINVAL if `addr` is
 *         NULL, `size` is 0 or a flag is unknown; EFAULT if it cannot be found
 *         out
 */
int hbw_verify_memory_region(void *addr, size_t size, int flags);

/** Allocates. NULL for 0 bytes; NULL with ENOMEM if there is no memory that the
 * policy allows. */
void *hbw_malloc(size_t size);

/** Allocates an array of zeroes; see hbw_malloc(). */
void *hbw_calloc(size_t num, size_t size);

/**
 * Allocates at a multiple of an alignment.
 * @param memptr    receives the object; NULL for 0 bytes and on failure
 * @param alignment a power of two and a multiple of sizeof(void *)
 * @return 0; EINVAL; ENOMEM
 */
int hbw_posix_memalign(void **memptr, size_t alignment, size_t size);

/**
 * hbw_posix_memalign() in pages of a size. Objects in huge pages can be had
 * only where there are kinds of huge pages: see MEMKIND_HBW_HUGETLB.
 * @return 0; EINVAL, also for huge pages with HBW_POLICY_INTERLEAVE, and for
 *         HBW_PAGESIZE_1GB_STRICT if `size` is no multiple of 1 GiB; ENOMEM
 */
int hbw_posix_memalign_psize(void **memptr, size_t alignment, size_t size,
                             hbw_pagesize_t pagesize);

/**
 * Resizes an object.
 * @param ptr  of a function of this header; NULL: like hbw_malloc()
 * @param size 0: frees it, and returns NULL
 * @return NULL with ENOMEM on failure; the object stays as it is then
 */
void *hbw_realloc(void *ptr, size_t size);

/** Frees an object. NULL: nothing is done. */
void hbw_free(void *ptr);

/** Bytes that can be used of an object; 0 for NULL. */
size_t hbw_malloc_usable_size(void *ptr);

#ifdef __cplusplus
}
#endif

#endif /* HBWMALLOC_H */
