/* SPDX-License-Identifier: BSD-2-Clause */
#include "numa_pages.h"

#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sys_calls.h"

#define PAGES_AT_ONCE 64

static int populate(char *base, size_t size)
{
    int result;
    do
        result = sys.madvise(base, size, MADV_POPULATE_WRITE);
    while (result != 0 && errno == EINTR);
    return result == 0 ? 0 : -errno;
}

/* Stores to each page what it contains. The kernel does that without a fault
 * that would end the process. An old one cannot, and says what a new one says
 * of memory that must not be written; of memory that can be written, it differs
 * from that. */
static int touch_pages(char *base, size_t size, uintptr_t page_size)
{
    char own = 0;
    char *own_page = &own - ((uintptr_t)&own & (page_size - 1));
    const int result = populate(base, size);
    if (result != -EINVAL || populate(own_page, page_size) != -EINVAL)
        return result;
    for (size_t at = 0; at < size; at += page_size)
        (void)__atomic_fetch_or(base + at, 0, __ATOMIC_RELAXED);
    return 0;
}

static int check_pages(const struct numa_set *set, void **pages, size_t count)
{
    int nodes[PAGES_AT_ONCE];
    if (sys.move_pages(count, pages, nodes) != 0)
        return -errno;
    for (size_t i = 0; i < count; i++)
        if (nodes[i] < 0 || !numa_set_has(set, (unsigned)nodes[i]))
            return -EXDEV;
    return 0;
}

int numa_pages_are_on(const struct numa_set *set, void *addr, size_t size,
                      bool touch)
{
    const uintptr_t page_size = (uintptr_t)sys.sysconf(_SC_PAGESIZE);
    const uintptr_t begin = (uintptr_t)addr & ~(page_size - 1);
    const uintptr_t end = (uintptr_t)addr + size;
    char *base = (char *)addr - ((uintptr_t)addr - begin);
    if (end < (uintptr_t)addr || end > UINTPTR_MAX - page_size)
        return -EFAULT;
    const size_t length = (end - begin + page_size - 1) & ~(page_size - 1);
    int result = touch ? touch_pages(base, length, page_size) : 0;
    size_t at = 0;
    while (result == 0 && at < length) {
        void *pages[PAGES_AT_ONCE];
        size_t count = 0;
        for (; count < PAGES_AT_ONCE && at < length; at += page_size)
            pages[count++] = base + at;
        result = check_pages(set, pages, count);
    }
    return result;
}
