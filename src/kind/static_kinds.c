/* SPDX-License-Identifier: BSD-2-Clause */
#include "static_kinds.h"

#include "kind_heap.h"
#include "kind_operations.h"
#include "no_kind.h"
#include "numa_kinds.h"

/* ---- DRAM -------------------------------------------------------------- */

struct memkind_ops MEMKIND_DEFAULT_OPS = {
    KIND_OPERATIONS(no_kind_create, no_kind_destroy, memkind_default),
};

struct memkind_ops static_kind_dram_ops = {
    KIND_OPERATIONS_WITH_HEAP(memkind_arena_create, memkind_arena_destroy),
    .finalize = memkind_arena_finalize,
};

/* ---- the kinds --------------------------------------------------------- */

#define KIND(NAME, OPS, PROPERTIES)                                            \
    [MEMKIND_PARTITION_##NAME] = {                                             \
        .ops = &(OPS),                                                         \
        .partition = MEMKIND_PARTITION_##NAME,                                 \
        .name = "memkind_" #NAME,                                              \
        .init_once = PTHREAD_ONCE_INIT,                                        \
        .properties = (PROPERTIES),                                            \
    }
#define DRAM_KIND(NAME) KIND(NAME, MEMKIND_DEFAULT_OPS, KIND_MAKES_HEAP_LATE)
#define NUMA_KIND(NAME) KIND(NAME, numa_kind_ops, KIND_MAKES_HEAP_LATE)
#define NO_KIND(NAME) KIND(NAME, no_kind_ops, 0)

static struct memkind static_kinds[MEMKIND_NUM_BASE_KIND] = {
    DRAM_KIND(DEFAULT),
    NUMA_KIND(REGULAR),
    NUMA_KIND(HBW),
    NUMA_KIND(HBW_HUGETLB),
    NUMA_KIND(HBW_PREFERRED),
    NUMA_KIND(HBW_PREFERRED_HUGETLB),
    NUMA_KIND(HUGETLB),
    NO_KIND(HBW_GBTLB),
    NO_KIND(HBW_PREFERRED_GBTLB),
    NO_KIND(GBTLB),
    NUMA_KIND(HBW_INTERLEAVE),
    NUMA_KIND(INTERLEAVE),
    NUMA_KIND(HBW_ALL),
    NUMA_KIND(HBW_ALL_HUGETLB),
    NUMA_KIND(DAX_KMEM),
    NUMA_KIND(DAX_KMEM_ALL),
    NUMA_KIND(DAX_KMEM_PREFERRED),
    NUMA_KIND(DAX_KMEM_INTERLEAVE),
    NUMA_KIND(HIGHEST_CAPACITY),
    NUMA_KIND(HIGHEST_CAPACITY_PREFERRED),
    NUMA_KIND(HIGHEST_CAPACITY_LOCAL),
    NUMA_KIND(HIGHEST_CAPACITY_LOCAL_PREFERRED),
    NUMA_KIND(LOWEST_LATENCY_LOCAL),
    NUMA_KIND(LOWEST_LATENCY_LOCAL_PREFERRED),
    NUMA_KIND(HIGHEST_BANDWIDTH_LOCAL),
    NUMA_KIND(HIGHEST_BANDWIDTH_LOCAL_PREFERRED),
};

/* NOLINTBEGIN(bugprone-macro-parentheses): a definition, no expression */
#define HANDLE(NAME)                                                           \
    memkind_t MEMKIND_##NAME = &static_kinds[MEMKIND_PARTITION_##NAME]
/* NOLINTEND(bugprone-macro-parentheses) */

HANDLE(DEFAULT);
HANDLE(REGULAR);
HANDLE(HUGETLB);
HANDLE(INTERLEAVE);
HANDLE(HBW);
HANDLE(HBW_ALL);
HANDLE(HBW_PREFERRED);
HANDLE(HBW_HUGETLB);
HANDLE(HBW_ALL_HUGETLB);
HANDLE(HBW_PREFERRED_HUGETLB);
HANDLE(HBW_INTERLEAVE);
HANDLE(HBW_GBTLB);
HANDLE(HBW_PREFERRED_GBTLB);
HANDLE(GBTLB);
HANDLE(DAX_KMEM);
HANDLE(DAX_KMEM_ALL);
HANDLE(DAX_KMEM_PREFERRED);
HANDLE(DAX_KMEM_INTERLEAVE);
HANDLE(HIGHEST_CAPACITY);
HANDLE(HIGHEST_CAPACITY_PREFERRED);
HANDLE(HIGHEST_CAPACITY_LOCAL);
HANDLE(HIGHEST_CAPACITY_LOCAL_PREFERRED);
HANDLE(LOWEST_LATENCY_LOCAL);
HANDLE(LOWEST_LATENCY_LOCAL_PREFERRED);
HANDLE(HIGHEST_BANDWIDTH_LOCAL);
HANDLE(HIGHEST_BANDWIDTH_LOCAL_PREFERRED);

struct memkind *static_kind(int partition)
{
    if (partition < 0 || partition >= MEMKIND_NUM_BASE_KIND)
        return NULL;
    return &static_kinds[partition];
}

bool static_kind_owns(const struct memkind *kind)
{
    return kind >= static_kinds && kind < static_kinds + MEMKIND_NUM_BASE_KIND;
}
