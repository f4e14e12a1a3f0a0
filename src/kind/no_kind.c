/* SPDX-License-Identifier: BSD-2-Clause */
#include "no_kind.h"

#include <errno.h>

#include <memkind/internal/memkind_arena.h>
#include <memkind/internal/memkind_default.h>

#include "kind_error.h"
#include "kind_shortage.h"
#include "last_error.h"

int no_kind_create(struct memkind *kind, struct memkind_ops *ops,
                   const char *name)
{
    (void)kind, (void)ops, (void)name;
    return MEMKIND_ERROR_OPERATION_FAILED;
}

int no_kind_destroy(struct memkind *kind)
{
    (void)kind;
    return MEMKIND_ERROR_OPERATION_FAILED;
}

/* What libmemkind returns on a machine without the memory that the kind is
 * made of. MEMKIND_INTERLEAVE, which it has everywhere, gets the general code,
 * like the kinds of persistent memory that is a NUMA node. */
int no_kind_say_unavailable(struct memkind *kind)
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

void *no_kind_malloc(struct memkind *kind, size_t size)
{
    (void)kind;
    return refuse_size("memkind_malloc", size);
}

void *no_kind_calloc(struct memkind *kind, size_t num, size_t size)
{
    (void)kind;
    return refuse_size("memkind_calloc", num != 0 ? size : 0);
}

int no_kind_posix_memalign(struct memkind *kind, void **memptr,
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
void *no_kind_realloc(struct memkind *kind, void *ptr, size_t size)
{
    if (ptr == NULL)
        return refuse_size("memkind_realloc", size);
    return memkind_arena_realloc(kind, ptr, size);
}

struct memkind_ops no_kind_ops = {
    .create = no_kind_create,
    .destroy = no_kind_destroy,
    .malloc = no_kind_malloc,
    .calloc = no_kind_calloc,
    .posix_memalign = no_kind_posix_memalign,
    .realloc = no_kind_realloc,
    .free = memkind_arena_free,
    .check_available = no_kind_say_unavailable,
    .malloc_usable_size = memkind_default_malloc_usable_size,
    .get_stat = memkind_arena_get_kind_stat,
};
