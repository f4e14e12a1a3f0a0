/* SPDX-License-Identifier: BSD-2-Clause */
#include "own_pages.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "page_bits.h"
#include "page_size.h"
#include "sys_calls.h"

/* Bits of an entry of /proc/PID/pagemap. */
#define PAGE_IS_PRESENT ((uint64_t)1 << 63)
#define PAGE_IS_SWAPPED ((uint64_t)1 << 62)
#define PAGE_IS_OF_FILE ((uint64_t)1 << 61)

int own_pages_open(void)
{
    int fd = sys.open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC, 0);
    return fd < 0 ? -errno : fd;
}

static bool is_own_page(uint64_t entry)
{
    return (entry & (PAGE_IS_PRESENT | PAGE_IS_SWAPPED)) != 0 &&
           (entry & PAGE_IS_OF_FILE) == 0;
}

bool own_pages_find(int fd, const void *addr, size_t pages, uint64_t *own)
{
    uint64_t entries[OWN_PAGES_MOST];
    const size_t bytes = pages * sizeof entries[0];
    const off_t at =
        (off_t)((uintptr_t)addr / region_page_size() * sizeof entries[0]);
    assert(pages <= OWN_PAGES_MOST);
    memset(own, 0, page_bits_bytes(pages));
    if (sys.pread(fd, entries, bytes, at) != (ssize_t)bytes)
        return false;
    for (size_t i = 0; i < pages; i++)
        if (is_own_page(entries[i]))
            page_bits_fill(own, i, i + 1, true);
    return true;
}
