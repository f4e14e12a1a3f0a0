/* SPDX-License-Identifier: BSD-2-Clause */
/* Linked with a suite of the layers: it then runs with pages of TEST_PAGE_SIZE
 * bytes, if that is set. */
#include <stdlib.h>
#include <unistd.h>

#include "sys_calls.h"

static long with_larger_pages(int name)
{
    long value = sysconf(name);
    const long size = strtol(getenv("TEST_PAGE_SIZE"), NULL, 10);
    if (name == _SC_PHYS_PAGES)
        return value / (size / sysconf(_SC_PAGESIZE));
    return name == _SC_PAGESIZE ? size : value;
}

/* Runs before the library asks for the size. */
__attribute__((constructor(101))) static void set_larger_pages(void)
{
    if (getenv("TEST_PAGE_SIZE") != NULL)
        sys.sysconf = with_larger_pages;
}
