/* SPDX-License-Identifier: BSD-2-Clause */
#include "libc_malloc.h"

#include <dlfcn.h>
#include <stdatomic.h>

static size_t (*_Atomic next_usable_size)(void *ptr);
static struct mallinfo2 (*_Atomic next_mallinfo)(void);
static int (*_Atomic next_trim)(size_t pad);

void libc_malloc_find(void)
{
    /* (POSIX has objects' and functions' pointers alike.) */
    next_usable_size =
        __extension__(size_t(*)(void *)) dlsym(RTLD_NEXT, "malloc_usable_size");
    next_mallinfo =
        __extension__(struct mallinfo2(*)(void)) dlsym(RTLD_NEXT, "mallinfo2");
    next_trim = __extension__(int (*)(size_t)) dlsym(RTLD_NEXT, "malloc_trim");
}

size_t libc_usable_size(void *ptr)
{
    size_t (*function)(void *) = next_usable_size;
    return function != NULL && ptr != NULL ? function(ptr) : 0;
}

struct mallinfo2 libc_mallinfo(void)
{
    struct mallinfo2 (*function)(void) = next_mallinfo;
    return function != NULL ? function() : (struct mallinfo2){0};
}

int libc_trim(size_t pad)
{
    int (*function)(size_t) = next_trim;
    return function != NULL ? function(pad) : 0;
}
