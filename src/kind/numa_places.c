/* SPDX-License-Identifier: BSD-2-Clause */
#include "numa_places.h"

#include <string.h>

#include "huge_pages.h"
#include "kind_registry.h"
#include "last_error.h"
#include "no_kind.h"
#include "numa_nodes.h"

/* The nodes and pages of static kinds. */
static const struct numa_place places[MEMKIND_NUM_BASE_KIND] = {
#define PLACE(NAME, SORT, MODE, ...)                                           \
    [MEMKIND_PARTITION_##NAME] = {.has_nodes = true,                           \
                                  .numa = {REGION_NUMA_##MODE, NUMA_##SORT},   \
                                  __VA_ARGS__}
    PLACE(HBW, HIGH_BANDWIDTH, NEAREST, ),
    PLACE(HBW_ALL, HIGH_BANDWIDTH, ALL, ),
    PLACE(HBW_PREFERRED, HIGH_BANDWIDTH, PREFERRED, ),
    PLACE(HBW_INTERLEAVE, HIGH_BANDWIDTH, INTERLEAVE, ),
    PLACE(INTERLEAVE, ANY, INTERLEAVE, ),
    PLACE(REGULAR, ORDINARY, ALL, .may_be_anywhere = true),
    PLACE(DAX_KMEM, MEMORY_ONLY, NEAREST, ),
    PLACE(DAX_KMEM_ALL, MEMORY_ONLY, ALL, ),
    PLACE(DAX_KMEM_PREFERRED, MEMORY_ONLY, PREFERRED, ),
    PLACE(DAX_KMEM_INTERLEAVE, MEMORY_ONLY, INTERLEAVE, ),
    PLACE(HIGHEST_CAPACITY, LARGEST, ALL, ),
    PLACE(HIGHEST_CAPACITY_PREFERRED, LARGEST, PREFERRED, ),
    PLACE(HIGHEST_CAPACITY_LOCAL, LARGEST_OF_DOMAIN, NEAREST, ),
    PLACE(HIGHEST_CAPACITY_LOCAL_PREFERRED, LARGEST_OF_DOMAIN, PREFERRED, ),
    PLACE(LOWEST_LATENCY_LOCAL, LOWEST_LATENCY_OF_DOMAIN, NEAREST, ),
    PLACE(LOWEST_LATENCY_LOCAL_PREFERRED, LOWEST_LATENCY_OF_DOMAIN,
          PREFERRED, ),
    PLACE(HIGHEST_BANDWIDTH_LOCAL, HIGH_BANDWIDTH_OF_DOMAIN, NEAREST, ),
    PLACE(HIGHEST_BANDWIDTH_LOCAL_PREFERRED, HIGH_BANDWIDTH_OF_DOMAIN,
          PREFERRED, ),
    PLACE(HBW_HUGETLB, HIGH_BANDWIDTH, NEAREST, .has_huge_pages = true),
    PLACE(HBW_ALL_HUGETLB, HIGH_BANDWIDTH, ALL, .has_huge_pages = true),
    PLACE(HBW_PREFERRED_HUGETLB, HIGH_BANDWIDTH, PREFERRED,
          .has_huge_pages = true),
    [MEMKIND_PARTITION_HUGETLB] = {.has_huge_pages = true},
#undef PLACE
};

/* The nodes of a place; NULL: any. */
static const struct numa_set *nodes_of(const struct numa_place *place)
{
    return place->has_nodes ? numa_nodes_of(place->numa.sort) : NULL;
}

/* Whether memory of those nodes is all that there is, or none of them is
 * known; or nothing is said of the partition. */
static bool is_simply_dram(const struct numa_place *place)
{
    if (!place->may_be_anywhere)
        return !place->has_nodes && !place->has_huge_pages;
    const struct numa_set *nodes = numa_nodes_of(place->numa.sort);
    return numa_set_is_empty(nodes) ||
           memcmp(nodes, numa_nodes_of(NUMA_ANY), sizeof *nodes) == 0;
}

static int find_nodes(struct memkind *kind, const struct numa_place *place)
{
    if (!place->has_nodes)
        return MEMKIND_SUCCESS;
    if (!numa_nodes_are_valid(place->numa.sort))
        return MEMKIND_ERROR_ENVIRON;
    return numa_set_is_empty(nodes_of(place)) ? no_kind_say_unavailable(kind)
                                              : MEMKIND_SUCCESS;
}

/* A kind that prefers some nodes takes its pages from others as well. */
static size_t huge_pages_for(const struct numa_place *place)
{
    return huge_pages_set_aside(
        place->numa.mode == REGION_NUMA_PREFERRED ? NULL : nodes_of(place));
}

int numa_kind_find(struct memkind *kind, const struct numa_place **place)
{
    *place = NULL;
    if (!numa_kind_is(kind->ops))
        return MEMKIND_SUCCESS;
    if (kind_storage_owns(kind)) {
        *place = kind->priv;
        return MEMKIND_SUCCESS;
    }
    /* A program may have copied the operations for a kind of its own. */
    if (kind->partition >= MEMKIND_NUM_BASE_KIND)
        return MEMKIND_SUCCESS;
    const struct numa_place *found = &places[kind->partition];
    if (is_simply_dram(found))
        return MEMKIND_SUCCESS;
    int err = find_nodes(kind, found);
    if (err != MEMKIND_SUCCESS)
        return err;
    if (found->has_huge_pages && huge_pages_for(found) == 0) {
        last_error_reason("no huge pages of 2 MiB are set aside "
                          "(vm.nr_hugepages, vm.nr_overcommit_hugepages)");
        return MEMKIND_ERROR_HUGETLB;
    }
    if (found->has_huge_pages && !huge_pages_can_move()) {
        last_error_reason("mappings of huge pages cannot be moved, which needs "
                          "Linux 5.16");
        return MEMKIND_ERROR_HUGETLB;
    }
    *place = found;
    return MEMKIND_SUCCESS;
}

bool numa_kind_capacity(struct memkind *kind, size_t *capacity)
{
    const struct numa_place *place;
    *capacity = 0;
    if (numa_kind_find(kind, &place) != MEMKIND_SUCCESS)
        return true;
    if (place == NULL)
        return false;
    *capacity = place->has_huge_pages ? huge_pages_for(place)
                                      : numa_nodes_size(nodes_of(place));
    return true;
}

int numa_kind_check(struct memkind *kind)
{
    const struct numa_place *place;
    return numa_kind_find(kind, &place);
}
