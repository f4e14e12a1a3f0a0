/* SPDX-License-Identifier: BSD-2-Clause */
#include "kind_error.h"

#include <errno.h>
#include <memkind.h>
#include <stddef.h>

#include "last_error.h"

const char *kind_error_text(int err)
{
    switch (err) {
    case MEMKIND_SUCCESS:
        return "success";
    case MEMKIND_ERROR_UNAVAILABLE:
        return "this kind of memory is not available here";
    case MEMKIND_ERROR_MBIND:
        return "mbind() failed";
    case MEMKIND_ERROR_MMAP:
        return "memory could not be mapped";
    case MEMKIND_ERROR_MALLOC:
        return "no DRAM for the library's own data";
    case MEMKIND_ERROR_ENVIRON:
        return "an environment variable MEMKIND_* has a value that is not "
               "valid";
    case MEMKIND_ERROR_INVALID:
        return "an argument is not valid";
    case MEMKIND_ERROR_TOOMANY:
        return "too many kinds exist already";
    case MEMKIND_ERROR_BADOPS:
        return "the table of operations is incomplete";
    case MEMKIND_ERROR_HUGETLB:
        return "no huge pages could be had";
    case MEMKIND_ERROR_MEMTYPE_NOT_AVAILABLE:
        return "this type of memory is not available here";
    case MEMKIND_ERROR_OPERATION_FAILED:
        return "the operation failed";
    case MEMKIND_ERROR_ARENAS_CREATE:
        return "jemalloc could not make an arena";
    case MEMKIND_ERROR_RUNTIME:
        return "unspecified run-time error";
    case EINVAL:
        return "the alignment is not a power of two of at least a pointer's "
               "size";
    case ENOMEM:
        return "no memory of this kind is left";
    default:
        return NULL;
    }
}

int kind_error_of_call(const char *function, int err)
{
    if (err == MEMKIND_SUCCESS)
        return err;
    const char *text = kind_error_text(err);
    last_error_of_call(function, text != NULL ? text : "unknown error");
    return err;
}

int kind_error_of_region(int error)
{
    if (error == 0)
        return MEMKIND_SUCCESS;
    errno = -error;
    if (!last_error_has_reason())
        last_error_reason("%s", error_number_text(-error));
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
