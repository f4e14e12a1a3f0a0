/* SPDX-License-Identifier: BSD-2-Clause */
/* What the tables of operations of several sorts of kind have in common. */
#ifndef KIND_OPERATIONS_H
#define KIND_OPERATIONS_H

#include <memkind/internal/memkind_arena.h>
#include <memkind/internal/memkind_default.h>

/* The error of a posix_memalign operation. It stores NULL, as libmemkind's
 * does: programs test the pointer instead of the result. */
static inline int kind_refuse_memalign(void **memptr, int error)
{
    if (memptr != NULL)
        *memptr = NULL;
    return error;
}

/* A part of initializers of struct memkind_ops, for all kinds that can be
 * allocated from. `prefix` is memkind_arena or memkind_default. */
#define KIND_OPERATIONS(create_operation, destroy_operation, prefix)           \
    .create = (create_operation), .destroy = (destroy_operation),              \
    .malloc = prefix##_malloc, .calloc = prefix##_calloc,                      \
    .posix_memalign = prefix##_posix_memalign, .realloc = prefix##_realloc,    \
    .free = prefix##_free, .get_arena = memkind_thread_get_arena,              \
    .malloc_usable_size = memkind_default_malloc_usable_size,                  \
    .update_memory_usage_policy = memkind_arena_update_memory_usage_policy,    \
    .get_stat = memkind_arena_get_kind_stat,                                   \
    .defrag_reallocate = memkind_arena_defrag_reallocate

/* For kinds whose create operation makes the heap. */
#define KIND_OPERATIONS_WITH_HEAP(create_operation, destroy_operation)         \
    KIND_OPERATIONS(create_operation, destroy_operation, memkind_arena)

#endif
