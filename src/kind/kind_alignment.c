/* SPDX-License-Identifier: BSD-2-Clause */
/* A check of alignments, which heap operations of all sorts make. */
#include <memkind/internal/memkind_default.h>

#include <errno.h>
#include <stdbool.h>

int memkind_posix_check_alignment(struct memkind *kind, size_t alignment)
{
    (void)kind;
    bool valid =
        alignment >= sizeof(void *) && (alignment & (alignment - 1)) == 0;
    return valid ? 0 : EINVAL;
}
