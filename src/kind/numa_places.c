/* SPDX-License-Identifier: BSD-2-Clause */
#include "numa_places.h"

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

static bool is_static(const struct memkind *kind)
{
    return kind->partition < MEMKIND_NUM_BASE_KIND;
}

int numa_kind_find(struct memkind *kind, const struct region_numa **numa)
{
    *numa = NULL;
    if (!numa_kind_is(kind->ops))
        return MEMKIND_SUCCESS;
    if (!is_static(kind)) {
        *numa = kind->priv;
        return MEMKIND_SUCCESS;
    }
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
    return numa_kind_is(kind->ops);
}

int numa_kind_check(struct memkind *kind)
{
    const struct region_numa *numa;
    return numa_kind_find(kind, &numa);
}
