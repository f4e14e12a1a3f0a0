/* SPDX-License-Identifier: BSD-2-Clause */
/* Mapping memory for kinds without regions, and a check of alignments. */
#include <memkind/internal/memkind_default.h>

#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>

#include "huge_pages.h"
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
    void *block = sys.mmap(addr, size, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (block == MAP_FAILED)
        return MAP_FAILED;
    if ((kind->ops->mbind != NULL &&
         kind->ops->mbind(kind, block, size) != 0) ||
        (kind->ops->madvise != NULL &&
         kind->ops->madvise(kind, block, size) != 0)) {
        sys.munmap(block, size);
        errno = ENOMEM;
        return MAP_FAILED;
    }
    return block;
}

int memkind_nohugepage_madvise(struct memkind *kind, void *addr, size_t size)
{
    (void)kind;
    return sys.madvise(addr, size, MADV_NOHUGEPAGE) == 0
               ? MEMKIND_SUCCESS
               : MEMKIND_ERROR_OPERATION_FAILED;
}

int memkind_posix_check_alignment(struct memkind *kind, size_t alignment)
{
    (void)kind;
    bool valid =
        alignment >= sizeof(void *) && (alignment & (alignment - 1)) == 0;
    return valid ? 0 : EINVAL;
}
