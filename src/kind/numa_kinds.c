/* SPDX-License-Identifier: BSD-2-Clause */
#include "numa_kinds.h"

#include <memkind/internal/memkind_arena.h>
#include <memkind/internal/memkind_default.h>

#include "kind_heap.h"
#include "kind_operations.h"
#include "no_kind.h"
#include "numa_nodes.h"

/* On which nodes the static kinds are. */
static const struct {
    enum numa_sort sort;
    struct region_numa numa;
} places[MEMKIND_NUM_BASE_KIND] = {
#define PLACE(NAME, SORT, MODE)                                                \
    [MEMKIND_PARTITION_##                                                      \
        NAME] = {NUMA_##SORT, {REGION_NUMA_##MODE, &numa_sets[NUMA_##SORT]}}
    PLACE(HBW, HIGH_BANDWIDTH, NEAREST),
    PLACE(HBW_ALL, HIGH_BANDWIDTH, ALL),
    PLACE(HBW_PREFERRED, HIGH_BANDWIDTH, PREFERRED),
    PLACE(HBW_INTERLEAVE, HIGH_BANDWIDTH, INTERLEAVE),
    PLACE(INTERLEAVE, ANY, INTERLEAVE),
    PLACE(DAX_KMEM, MEMORY_ONLY, NEAREST),
    PLACE(DAX_KMEM_ALL, MEMORY_ONLY, ALL),
    PLACE(DAX_KMEM_PREFERRED, MEMORY_ONLY, PREFERRED),
    PLACE(DAX_KMEM_INTERLEAVE, MEMORY_ONLY, INTERLEAVE),
#undef PLACE
};

static bool is_numa_kind(const struct memkind *kind)
{
    return kind->ops == &numa_kind_ops;
}

int numa_kind_find(struct memkind *kind, const struct region_numa **numa)
{
    *numa = kind->ops == &numa_created_ops ? kind->priv : NULL;
    if (!is_numa_kind(kind))
        return MEMKIND_SUCCESS;
    const enum numa_sort sort = places[kind->partition].sort;
    if (!numa_nodes_are_valid(sort))
        return MEMKIND_ERROR_ENVIRON;
    if (numa_set_is_empty(numa_nodes_of(sort)))
        return no_kind_say_unavailable(kind);
    *numa = &places[kind->partition].numa;
    return MEMKIND_SUCCESS;
}

bool numa_kind_capacity(struct memkind *kind, size_t *capacity)
{
    const struct region_numa *numa;
    const bool can_be_had = numa_kind_find(kind, &numa) == MEMKIND_SUCCESS;
    *capacity = can_be_had && numa != NULL ? numa_nodes_size(numa->nodes) : 0;
    return numa != NULL || is_numa_kind(kind);
}

static bool is_there(struct memkind *kind)
{
    const struct region_numa *numa;
    return kind_heap_of(kind) != NULL || kind->lost_heap != NULL ||
           numa_kind_find(kind, &numa) == MEMKIND_SUCCESS;
}

/* ---- operations --------------------------------------------------------- */

static int check_available(struct memkind *kind)
{
    const struct region_numa *numa;
    return numa_kind_find(kind, &numa);
}

void *numa_kind_malloc(struct memkind *kind, size_t size)
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
    .malloc = numa_kind_malloc,
    .calloc = numa_calloc,
    .posix_memalign = numa_posix_memalign,
    .realloc = numa_realloc,
    .free = memkind_default_free,
    .check_available = check_available,
    .get_arena = memkind_thread_get_arena,
    .malloc_usable_size = memkind_default_malloc_usable_size,
    .update_memory_usage_policy = memkind_arena_update_memory_usage_policy,
    .get_stat = memkind_arena_get_kind_stat,
    .defrag_reallocate = memkind_arena_defrag_reallocate,
};

struct memkind_ops numa_created_ops = {
    KIND_OPERATIONS_WITH_HEAP(memkind_arena_create, memkind_arena_destroy),
    .finalize = memkind_arena_finalize,
};
