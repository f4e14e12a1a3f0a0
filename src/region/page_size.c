/* SPDX-License-Identifier: BSD-2-Clause */
#include "page_size.h"

#include <stdatomic.h>
#include <unistd.h>

#include "sys_calls.h"

size_t region_page_size(void)
{
    static _Atomic size_t page_size;
    size_t size = atomic_load_explicit(&page_size, memory_order_relaxed);
    if (size == 0) {
        size = (size_t)sys.sysconf(_SC_PAGESIZE);
        atomic_store_explicit(&page_size, size, memory_order_relaxed);
    }
    return size;
}

/* A table is a page of entries of 8 bytes; POWER's are smaller. */
size_t region_large_page_size(void)
{
#ifdef __powerpc64__
    return (size_t)2 << 20;
#else
    return region_page_size() / 8 * region_page_size();
#endif
}

size_t physical_memory_size(void)
{
    long pages = sys.sysconf(_SC_PHYS_PAGES);
    return pages > 0 ? (size_t)pages * region_page_size() : 0;
}
