/* SPDX-License-Identifier: BSD-2-Clause */
/* Mapping memory for kinds without regions, and binding it to nodes. */
#include <memkind/internal/memkind_default.h>

#include <errno.h>
#include <linux/mempolicy.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>

#include "huge_pages.h"
#include "numa_places.h"
#include "rounding.h"
#include "sys_calls.h"

int memkind_default_get_mmap_flags(struct memkind *kind, int *flags)
{
    (void)kind;
    if (flags == NULL)
        return MEMKIND_ERROR_INVALID;
    *flags = MAP_PRIVATE | MAP_ANONYMOUS;
    return MEMKIND_SUCCESS;
}

void *memkind_default_mmap(struct memkind *kind, void *addr, size_t size)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS;
    if (kind->ops->get_mmap_flags != NULL &&
        kind->ops->get_mmap_flags(kind, &flags) != 0) {
        errno = EINVAL;
        return MAP_FAILED;
    }
    const size_t unit = huge_pages_unit(flags);
    if (size > SIZE_MAX - unit) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    size = round_up(size, unit);
    /* If the process locks its memory, all that can be touched has its pages at
     * once, from any node. An operation of the program's may touch it. */
    const bool opens_late = kind->ops->mbind == memkind_default_mbind;
    const int access = PROT_READ | PROT_WRITE;
    void *block =
        sys.mmap(addr, size, opens_late ? PROT_NONE : access, flags, -1, 0);
    if (block == MAP_FAILED)
        return MAP_FAILED;
    if ((kind->ops->mbind != NULL &&
         kind->ops->mbind(kind, block, size) != 0) ||
        (opens_late && sys.mprotect(block, size, access) != 0) ||
        (kind->ops->madvise != NULL &&
         kind->ops->madvise(kind, block, size) != 0)) {
        sys.munmap(block, size);
        errno = ENOMEM;
        return MAP_FAILED;
    }
    return block;
}

static int bind_as_kind(struct memkind *kind, void *ptr, size_t size)
{
    const struct numa_place *place;
    int err = numa_kind_find(kind, &place);
    if (err != MEMKIND_SUCCESS)
        return err;
    if (place == NULL || !place->has_nodes)
        return MEMKIND_ERROR_BADOPS;
    int result = region_numa_apply(&place->numa, ptr, size);
    if (result == 0)
        return MEMKIND_SUCCESS;
    errno = -result;
    return MEMKIND_ERROR_MBIND;
}

int memkind_default_mbind(struct memkind *kind, void *ptr, size_t size)
{
    struct numa_set nodes = {{0}};
    int mode = MPOL_BIND;
    if (kind == NULL || kind->ops == NULL)
        return MEMKIND_ERROR_INVALID;
    const struct memkind_ops *ops = kind->ops;
    if (ops->get_mbind_nodemask == NULL)
        return bind_as_kind(kind, ptr, size);
    int err = ops->get_mbind_nodemask(kind, nodes.bits, NUMA_NODES_MOST);
    if (err == MEMKIND_SUCCESS && ops->get_mbind_mode != NULL)
        err = ops->get_mbind_mode(kind, &mode);
    if (err != MEMKIND_SUCCESS)
        return err;
    return sys.mbind(ptr, size, mode, nodes.bits, NUMA_MASK_BITS) == 0
               ? MEMKIND_SUCCESS
               : MEMKIND_ERROR_MBIND;
}

int memkind_nohugepage_madvise(struct memkind *kind, void *addr, size_t size)
{
    (void)kind;
    return sys.madvise(addr, size, MADV_NOHUGEPAGE) == 0
               ? MEMKIND_SUCCESS
               : MEMKIND_ERROR_OPERATION_FAILED;
}
