/* SPDX-License-Identifier: BSD-2-Clause */
/* Why an allocation has failed, for memkind_last_error(). */
#ifndef KIND_SHORTAGE_H
#define KIND_SHORTAGE_H

#include <stddef.h>

struct memkind;

/* An allocation of `size` bytes at a multiple of `alignment` by a public
 * function has found no room. Keeps errno; returns NULL. */
void *kind_shortage_note(const struct memkind *kind, const char *function,
                         size_t size, size_t alignment);

/* An allocation was refused for another reason. Keeps errno; returns NULL. */
void *kind_shortage_refuse(const char *function, const char *reason);

/* The error of a posix_memalign operation. It stores NULL, as libmemkind's
 * does: programs test the pointer instead of the result. */
static inline int kind_refuse_memalign(void **memptr, int error)
{
    if (memptr != NULL)
        *memptr = NULL;
    return error;
}

#endif
