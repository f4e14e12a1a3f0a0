/* SPDX-License-Identifier: BSD-2-Clause */
#include "static_kinds.h"

#include <errno.h>

#include "kind_error.h"
#include "kind_heap.h"
#include "kind_operations.h"
#include "kind_shortage.h"
#include "last_error.h"

/* ---- DRAM -------------------------------------------------------------- */

static int refuse_create(struct memkind *kind, struct memkind_ops *ops,
                         const char *name)
{
    (void)kind, (void)ops, (void)name;
    return MEMKIND_ERROR_OPERATION_FAILED;
}

static int refuse_destroy(struct memkind *kind)
{
    (void)kind;
    return MEMKIND_ERROR_OPERATION_FAILED;
}

struct memkind_ops MEMKIND_DEFAULT_OPS = {
    KIND_OPERATIONS(refuse_create, refuse_destroy, memkind_default),
};

struct memkind_ops static_kind_dram_ops = {
    KIND_OPERATIONS_WITH_HEAP(memkind_arena_create, memkind_arena_destroy),
    .finalize = memkind_arena_finalize,
};

/* ---- kinds that cannot be had ------------------------------------------ */

/* What libmemkind returns on a machine without the memory that the kind is
 * made of. MEMKIND_INTERLEAVE, which it has everywhere, gets the general code,
 * like the kinds of persistent memory that is a NUMA node. */
static int say_unavailable(struct memkind *kind)
{
    switch (kind->partition) {
    case MEMKIND_PARTITION_HUGETLB:
    case MEMKIND_PARTITION_GBTLB:
    case MEMKIND_PARTITION_HBW_GBTLB:
    case MEMKIND_PARTITION_HBW_PREFERRED_GBTLB:
        return MEMKIND_ERROR_HUGETLB;
    case MEMKIND_PARTITION_INTERLEAVE:
    case MEMKIND_PARTITION_DAX_KMEM:
    case MEMKIND_PARTITION_DAX_KMEM_ALL:
    case MEMKIND_PARTITION_DAX_KMEM_PREFERRED:
    case MEMKIND_PARTITION_DAX_KMEM_INTERLEAVE:
        return MEMKIND_ERROR_UNAVAILABLE;
    default:
        return MEMKIND_ERROR_MEMTYPE_NOT_AVAILABLE;
    }
}

static void *refuse_size(const char *function, size_t size)
{
    if (size == 0)
        return NULL;
    last_error_of_shortage(function, SHORTAGE_KIND_UNAVAILABLE, size, 0, 0);
    errno = ENOMEM;
    return NULL;
}

static void *no_malloc(struct memkind *kind, size_t size)
{
    (void)kind;
    return refuse_size("memkind_malloc", size);
}

static void *no_calloc(struct memkind *kind, size_t num, size_t size)
{
    (void)kind;
    return refuse_size("memkind_calloc", num != 0 ? size : 0);
}

static int no_posix_memalign(struct memkind *kind, void **memptr,
                             size_t alignment, size_t size)
{
    static const char name[] = "memkind_posix_memalign";
    if (memptr == NULL || memkind_posix_check_alignment(kind, alignment) != 0) {
        kind_shortage_refuse(name, kind_error_text(EINVAL));
        return kind_refuse_memalign(memptr, EINVAL);
    }
    *memptr = NULL;
    if (size == 0)
        return 0;
    last_error_of_shortage(name, SHORTAGE_KIND_UNAVAILABLE, size, 0, 0);
    return ENOMEM;
}

/* A kind that cannot be had has no objects: this one is another kind's. */
static void *no_realloc(struct memkind *kind, void *ptr, size_t size)
{
    if (ptr == NULL)
        return refuse_size("memkind_realloc", size);
    return memkind_arena_realloc(kind, ptr, size);
}

static void no_free(struct memkind *kind, void *ptr)
{
    memkind_arena_free(kind, ptr);
}

struct memkind_ops static_kind_unavailable_ops = {
    .create = refuse_create,
    .destroy = refuse_destroy,
    .malloc = no_malloc,
    .calloc = no_calloc,
    .posix_memalign = no_posix_memalign,
    .realloc = no_realloc,
    .free = no_free,
    .check_available = say_unavailable,
    .malloc_usable_size = memkind_default_malloc_usable_size,
    .get_stat = memkind_arena_get_kind_stat,
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
#define NO_KIND(NAME) KIND(NAME, static_kind_unavailable_ops, 0)

static struct memkind static_kinds[MEMKIND_NUM_BASE_KIND] = {
    DRAM_KIND(DEFAULT),
    DRAM_KIND(REGULAR),
    NO_KIND(HBW),
    NO_KIND(HBW_HUGETLB),
    NO_KIND(HBW_PREFERRED),
    NO_KIND(HBW_PREFERRED_HUGETLB),
    NO_KIND(HUGETLB),
    NO_KIND(HBW_GBTLB),
    NO_KIND(HBW_PREFERRED_GBTLB),
    NO_KIND(GBTLB),
    NO_KIND(HBW_INTERLEAVE),
    NO_KIND(INTERLEAVE),
    NO_KIND(HBW_ALL),
    NO_KIND(HBW_ALL_HUGETLB),
    NO_KIND(DAX_KMEM),
    NO_KIND(DAX_KMEM_ALL),
    NO_KIND(DAX_KMEM_PREFERRED),
    NO_KIND(DAX_KMEM_INTERLEAVE),
    NO_KIND(HIGHEST_CAPACITY),
    NO_KIND(HIGHEST_CAPACITY_PREFERRED),
    NO_KIND(HIGHEST_CAPACITY_LOCAL),
    NO_KIND(HIGHEST_CAPACITY_LOCAL_PREFERRED),
    NO_KIND(LOWEST_LATENCY_LOCAL),
    NO_KIND(LOWEST_LATENCY_LOCAL_PREFERRED),
    NO_KIND(HIGHEST_BANDWIDTH_LOCAL),
    NO_KIND(HIGHEST_BANDWIDTH_LOCAL_PREFERRED),
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
