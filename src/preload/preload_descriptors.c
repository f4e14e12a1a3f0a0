/* SPDX-License-Identifier: BSD-2-Clause */
#include "preload_descriptors.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <memkind.h>

#include "preload_names.h"

/* New in Linux 5.9 and 5.11; headers may not have them. */
#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#ifndef CLOSE_RANGE_UNSHARE
#define CLOSE_RANGE_UNSHARE (1U << 1)
#endif

/* The C library's functions: they are cancellation points, or do without the
 * system call. They are known before the program starts a thread. */
static int (*next_close)(int fd);
static void (*next_closefrom)(int low);

void preload_descriptors_find(void)
{
    /* (POSIX has objects' and functions' pointers alike.) */
    next_close = __extension__(int (*)(int)) dlsym(RTLD_NEXT, "close");
    next_closefrom = __extension__(void (*)(int)) dlsym(RTLD_NEXT, "closefrom");
    /* There may be none, about which the program need not hear. */
    (void)dlerror();
}

void preload_descriptors_set_apart(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur >= 1024)
        (void)memkind_set_least_descriptor(512);
}

/* The heap's first descriptor of those from `first` to `last`, or -1. */
static int next_of_heap(unsigned first, unsigned last)
{
    if (first > INT_MAX)
        return -1;
    return memkind_next_descriptor((int)first,
                                   last < INT_MAX ? (int)last : INT_MAX);
}

static int close_by_kernel(unsigned first, unsigned last, int flags)
{
    return (int)syscall(SYS_close_range, first, last, flags);
}

/* Under names of our own: headers may declare them, or not. */
int preload_close_range(unsigned first, unsigned last,
                        int flags) __asm__("close_range");
void preload_closefrom(int low) __asm__("closefrom");

PRELOAD_EXPORT int close(int fd)
{
    if (memkind_next_descriptor(fd, fd) >= 0) {
        errno = EBADF;
        return -1;
    }
    return next_close != NULL ? next_close(fd) : (int)syscall(SYS_close, fd);
}

/* With other flags nothing is closed, or the flags are wrong. */
PRELOAD_EXPORT int preload_close_range(unsigned first, unsigned last, int flags)
{
    if (((unsigned)flags & ~CLOSE_RANGE_UNSHARE) != 0 || first > last)
        return close_by_kernel(first, last, flags);
    for (int kept; (kept = next_of_heap(first, last)) >= 0;
         first = (unsigned)kept + 1) {
        if ((unsigned)kept > first &&
            close_by_kernel(first, (unsigned)kept - 1, flags) != 0)
            return -1;
        if ((unsigned)kept == last)
            return 0;
    }
    return close_by_kernel(first, last, flags);
}

PRELOAD_EXPORT void preload_closefrom(int low)
{
    unsigned first = low > 0 ? (unsigned)low : 0;
    for (int kept; (kept = next_of_heap(first, INT_MAX)) >= 0;
         first = (unsigned)kept + 1)
        if ((unsigned)kept > first &&
            close_by_kernel(first, (unsigned)kept - 1, 0) != 0)
            for (int fd = (int)first; fd < kept; fd++)
                (void)close(fd);
    if (next_closefrom != NULL)
        next_closefrom((int)first);
    else
        (void)close_by_kernel(first, UINT_MAX, 0);
}
