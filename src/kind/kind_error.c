/* SPDX-License-Identifier: BSD-2-Clause */
#include "kind_error.h"

#include <errno.h>
#include <memkind.h>

int kind_error_of_region(int error)
{
    if (error == 0)
        return MEMKIND_SUCCESS;
    errno = -error;
    switch (-error) {
    case ENOMEM:
    case EAGAIN:
    case ENODEV:
    case EFBIG:
    case EOVERFLOW:
    case ENOSPC:
    case EDQUOT:
        return MEMKIND_ERROR_MMAP;
    case EBUSY: /* a device that another kind has */
        return MEMKIND_ERROR_UNAVAILABLE;
    default:
        return MEMKIND_ERROR_INVALID;
    }
}

int kind_error_of_heap(int error)
{
    switch (-error) {
    case 0:
        return MEMKIND_SUCCESS;
    case ENOMEM:
        return MEMKIND_ERROR_MALLOC;
    case ENOSPC:
        return MEMKIND_ERROR_TOOMANY;
    default:
        return MEMKIND_ERROR_ARENAS_CREATE;
    }
}
