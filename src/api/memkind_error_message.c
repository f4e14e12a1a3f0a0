/* SPDX-License-Identifier: BSD-2-Clause */
#include <memkind.h>

#include <errno.h>
#include <stdio.h>

/* Programs look for it, as it is what libmemkind's messages begin with. */
#define PREFIX "<memkind> "

static const char *text_of(int err)
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

void memkind_error_message(int err, char *msg, size_t size)
{
    if (msg == NULL || size == 0)
        return;
    const char *text = text_of(err);
    if (text != NULL)
        snprintf(msg, size, PREFIX "%s", text);
    else
        snprintf(msg, size, PREFIX "Undefined error number: %d", err);
}
