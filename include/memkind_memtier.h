/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file memkind_memtier.h
 * @brief Memory in tiers: several kinds that share allocations by a ratio.
 *
 * A builder collects tiers, each a kind with its part of the ratio, and makes a
 * tiered memory of them. Each allocation from that memory goes to one of the
 * tiers: see enum memtier_policy_t. The names, types and constants are those of
 * libmemkind 1.14.
 *
 * Conventions:
 *
 * - Sizes are in bytes. What an object counts for is its usable size.
 * - Functions returning `int` give 0 or, unless it says otherwise, a negative
 *   MEMKIND_ERROR_* code. Functions returning a pointer give NULL. The reason
 * is in memkind_last_error().
 * - Functions that allocate set errno as their counterparts of memkind.h do,
 * and are as safe for threads and in signal handlers as those. A builder is
 * used by one thread at a time.
 * - No function aborts the process or prints.
 */
#ifndef MEMKIND_MEMTIER_H
#define MEMKIND_MEMTIER_H

#include <memkind.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Tiers that are being put together. Opaque. */
struct memtier_builder;

/** A tiered memory. Opaque. */
struct memtier_memory;

/** How a tiered memory chooses the tier of an allocation. */
typedef enum memtier_policy_t {
    /** The tier that is farthest below its part of all bytes allocated. */
    MEMTIER_POLICY_STATIC_RATIO = 0,
    /** By size: between two neighbouring tiers there is a threshold; smaller
     * objects go to the first of them. The threshold moves, within limits, so
     * that the ratio of the two comes near the wanted one. */
    MEMTIER_POLICY_DYNAMIC_THRESHOLD = 1,
    MEMTIER_POLICY_MAX_VALUE, /**< number of policies; not a policy */
} memtier_policy_t;

/**
 * A new builder, without tiers.
 * @return to be passed to memtier_builder_delete(); NULL if there is no such
 *         policy (EINVAL) or no memory (ENOMEM)
 */
struct memtier_builder *memtier_builder_new(memtier_policy_t policy);

/** Deletes a builder. What was made by it stays. NULL: nothing is done. */
void memtier_builder_delete(struct memtier_builder *builder);

/**
 * Adds a tier behind those that are there.
 * @param kind       a kind that no tier of the builder has yet. It is the
 *                   caller's, and has to outlive every memory that is made
 * @param kind_ratio its part of the ratio, at least 1: a tier of 4 gets four
 *                   times what one of 1 gets
 * @return 0; MEMKIND_ERROR_INVALID; MEMKIND_ERROR_MALLOC
 */
int memtier_builder_add_tier(struct memtier_builder *builder, memkind_t kind,
                             unsigned kind_ratio);

/**
 * A tiered memory of the builder's tiers as they are now. The builder can be
 * used again, and deleted.
 * @return to be passed to memtier_delete_memtier_memory(); NULL if there are no
 *         tiers (for MEMTIER_POLICY_DYNAMIC_THRESHOLD: fewer than two) or a
 *         threshold is not within its limits (EINVAL), or for want of memory
 *         (ENOMEM)
 */
struct memtier_memory *
memtier_builder_construct_memtier_memory(struct memtier_builder *builder);

/**
 * Deletes a tiered memory that no thread uses any more. Its objects stay, and
 * can be freed; its kinds stay, too. NULL: nothing is done.
 */
void memtier_delete_memtier_memory(struct memtier_memory *memory);

/** memkind_malloc() from the tier that the policy chooses. If that tier has no
 * room, no other one is tried. */
void *memtier_malloc(struct memtier_memory *memory, size_t size);

/** memkind_malloc() from a kind; the object is counted. */
void *memtier_kind_malloc(memkind_t kind, size_t size);

/** memkind_calloc() from the tier that the policy chooses. */
void *memtier_calloc(struct memtier_memory *memory, size_t num, size_t size);

/** memkind_calloc() from a kind; the objects are counted. */
void *memtier_kind_calloc(memkind_t kind, size_t num, size_t size);

/**
 * Resizes an object, which stays in its tier.
 * @param ptr NULL: like memtier_malloc()
 * @param size 0: frees the object, and returns NULL
 */
void *memtier_realloc(struct memtier_memory *memory, void *ptr, size_t size);

/**
 * Resizes an object of a kind.
 * @param kind NULL: the object's own; `ptr` must not be NULL then
 * @param ptr  NULL: like memtier_kind_malloc()
 * @param size 0: frees the object, and returns NULL
 */
void *memtier_kind_realloc(memkind_t kind, void *ptr, size_t size);

/** memkind_posix_memalign() from the tier that the policy chooses.
 * @return 0, EINVAL or ENOMEM; *memptr is NULL on failure */
int memtier_posix_memalign(struct memtier_memory *memory, void **memptr,
                           size_t alignment, size_t size);

/** memkind_posix_memalign() from a kind; the object is counted.
 * @return 0, EINVAL or ENOMEM; *memptr is NULL on failure */
int memtier_kind_posix_memalign(memkind_t kind, void **memptr, size_t alignment,
                                size_t size);

/** Bytes that can be used of an object of any kind; 0 for NULL and for what is
 * no kind's. */
size_t memtier_usable_size(void *ptr);

/**
 * Frees an object that a function of this header has allocated.
 * @param kind its kind, or NULL: it is found
 * @param ptr  NULL: nothing is done
 */
void memtier_kind_free(memkind_t kind, void *ptr);

/** memtier_kind_free() of an object whose kind is not named. */
static inline void memtier_free(void *ptr)
{
    memtier_kind_free(NULL, ptr);
}

/**
 * The sum of the usable sizes of a kind's objects that functions of this header
 * have allocated and not freed. If other threads allocate meanwhile, it is a
 * sum of some moment for each. 0 for a kind that has no objects, and for NULL.
 */
size_t memtier_kind_allocated_size(memkind_t kind);

/**
 * Sets a property of a builder with MEMTIER_POLICY_DYNAMIC_THRESHOLD.
 * @param name one of these, N being the number of the threshold between the
 *             tiers N and N + 1, counted from 0, which have been added:
 *             - "policy.dynamic_threshold.thresholds[N].val", "... .min",
 *               "... .max": its value at first, and its limits, in bytes:
 *               1 <= min <= val <= max, and max is at most the next one's min.
 *               Without that they are 1024, 513 and 1536, and 1024 more for
 * each further threshold
 *             - "policy.dynamic_threshold.check_cnt": a thread looks at the
 *               ratios once in so many allocations (20)
 *             - "policy.dynamic_threshold.trigger": by so much a ratio has to
 * be off before its threshold moves (0.02)
 *             - "policy.dynamic_threshold.degree": by this part of its value
 * the threshold moves (0.15)
 * @param val  a text: a decimal number; for the last two with at most six
 *             digits behind the point
 * @return 0; MEMKIND_ERROR_INVALID
 */
int memtier_ctl_set(struct memtier_builder *builder, const char *name,
                    const void *val);

#ifdef __cplusplus
}
#endif

#endif /* MEMKIND_MEMTIER_H */
