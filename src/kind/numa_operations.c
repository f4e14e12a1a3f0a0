/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What operations of kinds on NUMA nodes consist of: which nodes, how memory is
 * bound to them. The library's own kinds need none of it.
 */
#include <linux/mempolicy.h>

#include <memkind/internal/memkind_dax_kmem.h>
#include <memkind/internal/memkind_default.h>
#include <memkind/internal/memkind_hbw.h>
#include <memkind/internal/memkind_hugetlb.h>
#include <memkind/internal/memkind_interleave.h>
#include <memkind/internal/memkind_regular.h>

#include "huge_pages.h"
#include "kind_create.h"
#include "numa_places.h"
#include "static_kinds.h"

/* ---- nodes -------------------------------------------------------------- */

static void write_mask(const struct numa_set *nodes, unsigned long *nodemask,
                       unsigned long maxnode)
{
    for (unsigned long node = 0; nodemask != NULL && node < maxnode; node++) {
        unsigned long *word = &nodemask[node / NUMA_BITS_PER_LONG];
        const unsigned long bit = 1UL << node % NUMA_BITS_PER_LONG;
        const bool has_node =
            node < NUMA_NODES_MOST && numa_set_has(nodes, (unsigned)node);
        *word = has_node ? *word | bit : *word & ~bit;
    }
}

int memkind_default_get_mbind_nodemask(struct memkind *kind,
                                       unsigned long *nodemask,
                                       unsigned long maxnode)
{
    const struct numa_place *place;
    struct numa_set nodes = *numa_nodes_of(NUMA_ANY);
    if (kind == NULL || kind->ops == NULL)
        return MEMKIND_ERROR_INVALID;
    int err = numa_kind_find(kind, &place);
    if (err != MEMKIND_SUCCESS)
        return err;
    if (place != NULL && place->has_nodes)
        region_numa_nodes(&place->numa, &nodes);
    if (numa_set_is_empty(&nodes))
        return MEMKIND_ERROR_UNAVAILABLE;
    write_mask(&nodes, nodemask, maxnode);
    return MEMKIND_SUCCESS;
}

static int nodes_of_static_kind(int partition, unsigned long *nodemask,
                                unsigned long maxnode)
{
    return memkind_default_get_mbind_nodemask(static_kind(partition), nodemask,
                                              maxnode);
}

int memkind_hbw_get_mbind_nodemask(struct memkind *kind,
                                   unsigned long *nodemask,
                                   unsigned long maxnode)
{
    (void)kind;
    return nodes_of_static_kind(MEMKIND_PARTITION_HBW, nodemask, maxnode);
}

int memkind_hbw_all_get_mbind_nodemask(struct memkind *kind,
                                       unsigned long *nodemask,
                                       unsigned long maxnode)
{
    (void)kind;
    return nodes_of_static_kind(MEMKIND_PARTITION_HBW_ALL, nodemask, maxnode);
}

int memkind_dax_kmem_all_get_mbind_nodemask(struct memkind *kind,
                                            unsigned long *nodemask,
                                            unsigned long maxnode)
{
    (void)kind;
    return nodes_of_static_kind(MEMKIND_PARTITION_DAX_KMEM_ALL, nodemask,
                                maxnode);
}

int memkind_regular_all_get_mbind_nodemask(struct memkind *kind,
                                           unsigned long *nodemask,
                                           unsigned long maxnode)
{
    (void)kind;
    return nodes_of_static_kind(MEMKIND_PARTITION_REGULAR, nodemask, maxnode);
}

/* ---- binding ------------------------------------------------------------ */

static int set_number(int *place, int number)
{
    if (place == NULL)
        return MEMKIND_ERROR_INVALID;
    *place = number;
    return MEMKIND_SUCCESS;
}

int memkind_default_get_mbind_mode(struct memkind *kind, int *mode)
{
    (void)kind;
    return set_number(mode, MPOL_BIND);
}

int memkind_preferred_get_mbind_mode(struct memkind *kind, int *mode)
{
    (void)kind;
    return set_number(mode, MPOL_PREFERRED);
}

int memkind_interleave_get_mbind_mode(struct memkind *kind, int *mode)
{
    (void)kind;
    return set_number(mode, MPOL_INTERLEAVE);
}

/* ---- whether there is such memory --------------------------------------- */

int memkind_hbw_check_available(struct memkind *kind)
{
    (void)kind;
    return numa_kind_check(static_kind(MEMKIND_PARTITION_HBW));
}

int memkind_hbw_hugetlb_check_available(struct memkind *kind)
{
    (void)kind;
    return numa_kind_check(static_kind(MEMKIND_PARTITION_HBW_ALL_HUGETLB));
}

int memkind_hugetlb_check_available_2mb(struct memkind *kind)
{
    const struct numa_place *place = NULL;
    struct numa_set nodes;
    int err = kind != NULL && kind->ops != NULL ? numa_kind_find(kind, &place)
                                                : MEMKIND_SUCCESS;
    if (err != MEMKIND_SUCCESS)
        return err;
    if (place == NULL || !place->has_nodes)
        return numa_kind_check(static_kind(MEMKIND_PARTITION_HUGETLB));
    region_numa_nodes(&place->numa, &nodes);
    return huge_pages_set_aside(&nodes) != 0 ? MEMKIND_SUCCESS
                                             : MEMKIND_ERROR_HUGETLB;
}

int memkind_hugetlb_get_mmap_flags(struct memkind *kind, int *flags)
{
    (void)kind;
    return set_number(flags, HUGE_PAGE_MAP_FLAGS);
}

/* ---- making heaps ------------------------------------------------------- */

void memkind_default_init_once(void)
{
    kind_create_heap(static_kind(MEMKIND_PARTITION_DEFAULT));
}

void memkind_hbw_init_once(void)
{
    kind_create_heap(static_kind(MEMKIND_PARTITION_HBW));
}

void memkind_hbw_all_init_once(void)
{
    kind_create_heap(static_kind(MEMKIND_PARTITION_HBW_ALL));
}

void memkind_hbw_preferred_init_once(void)
{
    kind_create_heap(static_kind(MEMKIND_PARTITION_HBW_PREFERRED));
}

void memkind_hbw_interleave_init_once(void)
{
    kind_create_heap(static_kind(MEMKIND_PARTITION_HBW_INTERLEAVE));
}

void memkind_hbw_hugetlb_init_once(void)
{
    kind_create_heap(static_kind(MEMKIND_PARTITION_HBW_HUGETLB));
}

void memkind_hbw_all_hugetlb_init_once(void)
{
    kind_create_heap(static_kind(MEMKIND_PARTITION_HBW_ALL_HUGETLB));
}

void memkind_hbw_preferred_hugetlb_init_once(void)
{
    kind_create_heap(static_kind(MEMKIND_PARTITION_HBW_PREFERRED_HUGETLB));
}

void memkind_hugetlb_init_once(void)
{
    kind_create_heap(static_kind(MEMKIND_PARTITION_HUGETLB));
}

void memkind_interleave_init_once(void)
{
    kind_create_heap(static_kind(MEMKIND_PARTITION_INTERLEAVE));
}
