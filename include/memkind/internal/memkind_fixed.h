/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file memkind_fixed.h
 * @brief Operations for kinds on memory that the caller owns.
 *
 * Experimental. memkind_create_fixed() is the convenient way to such a kind.
 */
#ifndef MEMKIND_INTERNAL_MEMKIND_FIXED_H
#define MEMKIND_INTERNAL_MEMKIND_FIXED_H

#include <memkind/internal/memkind_arena.h>
#include <memkind/internal/memkind_default.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The area that a fixed kind is made on. */
struct memkind_fixed_source {
    void *addr;
    size_t size; /**< bytes */
};

/** As memkind_pmem_set_source(), for memkind_fixed_create(). */
int memkind_fixed_set_source(struct memkind *kind,
                             const struct memkind_fixed_source *source);

/** The "create" operation; returns as memkind_create_fixed(). */
int memkind_fixed_create(struct memkind *kind, struct memkind_ops *ops,
                         const char *name);

/** The "destroy" operation. The area itself is left alone. */
int memkind_fixed_destroy(struct memkind *kind);

/**
 * Takes a block out of the area, for good.
 * @return the block; MAP_FAILED with errno ENOMEM if what is left is
 *         smaller, EINVAL for a size of 0 or another kind.
 */
void *memkind_fixed_mmap(struct memkind *kind, void *addr, size_t size);

/** The operations of the kinds that memkind_create_fixed() makes. */
extern struct memkind_ops MEMKIND_FIXED_OPS;

#ifdef __cplusplus
}
#endif

#endif /* MEMKIND_INTERNAL_MEMKIND_FIXED_H */
