/* SPDX-License-Identifier: BSD-2-Clause */
#include "libc_malloc.h"

#include <dlfcn.h>
#include <stdatomic.h>
#include <stdbool.h>

static size_t (*_Atomic of_usable_size)(void *ptr);
static struct mallinfo2 (*_Atomic of_mallinfo)(void);
static int (*_Atomic of_trim)(size_t pad);

static void find_functions(void)
{
    /* A program may be linked with another malloc, which may have some of these
     * names or all, __libc_malloc() among them. All are to be of one library.
     */
    __extension__ void *address = (void *)__libc_malloc;
    Dl_info info;
    if (dladdr(address, &info) == 0)
        return;
    void *library = dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
    if (library == NULL)
        return;
    /* (POSIX has objects' and functions' pointers alike.) */
    of_usable_size =
        __extension__(size_t(*)(void *)) dlsym(library, "malloc_usable_size");
    of_mallinfo =
        __extension__(struct mallinfo2(*)(void)) dlsym(library, "mallinfo2");
    of_trim = __extension__(int (*)(size_t)) dlsym(library, "malloc_trim");
}

/* Constructors of other libraries come earlier than this one's, and a process
 * with more privileges than its caller runs nothing of it. */
static void find_if_unknown(void)
{
    static atomic_bool was_tried;
    if (!atomic_load_explicit(&was_tried, memory_order_acquire)) {
        find_functions();
        atomic_store_explicit(&was_tried, true, memory_order_release);
    }
}

size_t libc_usable_size(void *ptr)
{
    find_if_unknown();
    size_t (*function)(void *) = of_usable_size;
    return function != NULL && ptr != NULL ? function(ptr) : 0;
}

struct mallinfo2 libc_mallinfo(void)
{
    find_if_unknown();
    struct mallinfo2 (*function)(void) = of_mallinfo;
    return function != NULL ? function() : (struct mallinfo2){0};
}

int libc_trim(size_t pad)
{
    find_if_unknown();
    int (*function)(size_t) = of_trim;
    return function != NULL ? function(pad) : 0;
}

void libc_malloc_find(void)
{
    find_if_unknown();
}
