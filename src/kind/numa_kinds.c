/* SPDX-License-Identifier: BSD-2-Clause */
#include "numa_kinds.h"

#include <memkind/internal/memkind_arena.h>
#include <memkind/internal/memkind_default.h>

#include "kind_heap.h"
#include "kind_operations.h"
#include "no_kind.h"
#include "numa_places.h"

static bool is_there(struct memkind *kind)
{
    return kind_heap_of(kind) != NULL || kind->lost_heap != NULL ||
           numa_kind_check(kind) == MEMKIND_SUCCESS;
}

static void *numa_malloc(struct memkind *kind, size_t size)
{
    return is_there(kind) ? memkind_default_malloc(kind, size)
                          : no_kind_malloc(kind, size);
}

static void *numa_calloc(struct memkind *kind, size_t num, size_t size)
{
    return is_there(kind) ? memkind_default_calloc(kind, num, size)
                          : no_kind_calloc(kind, num, size);
}

static int numa_posix_memalign(struct memkind *kind, void **memptr,
                               size_t alignment, size_t size)
{
    return is_there(kind)
               ? memkind_default_posix_memalign(kind, memptr, alignment, size)
               : no_kind_posix_memalign(kind, memptr, alignment, size);
}

static void *numa_realloc(struct memkind *kind, void *ptr, size_t size)
{
    return is_there(kind) ? memkind_default_realloc(kind, ptr, size)
                          : no_kind_realloc(kind, ptr, size);
}

struct memkind_ops numa_kind_ops = {
    .create = no_kind_create,
    .destroy = no_kind_destroy,
    .malloc = numa_malloc,
    .calloc = numa_calloc,
    .posix_memalign = numa_posix_memalign,
    .realloc = numa_realloc,
    .free = memkind_default_free,
    .check_available = numa_kind_check,
    .get_arena = memkind_thread_get_arena,
    .malloc_usable_size = memkind_default_malloc_usable_size,
    .update_memory_usage_policy = memkind_arena_update_memory_usage_policy,
    .get_stat = memkind_arena_get_kind_stat,
    .defrag_reallocate = memkind_arena_defrag_reallocate,
};

struct memkind_ops numa_created_ops = {
    KIND_OPERATIONS_WITH_HEAP(memkind_arena_create, memkind_arena_destroy),
    .check_available = numa_kind_check,
    .finalize = memkind_arena_finalize,
};
