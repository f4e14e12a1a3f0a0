/* SPDX-License-Identifier: BSD-2-Clause */
#include "address_space.h"

#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>

#include "sys_calls.h"

/* New in Linux 5.18; headers may not have it. */
#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24
#endif

#define LARGE_PAGE ((size_t)2 << 20)
#define HUGE_PAGE ((size_t)1 << 30)

/* Unmaps address space that is not needed. If that fails, it does no harm. */
static void unmap_rest(char *from, const char *to)
{
    if (from < to)
        sys.munmap(from, (size_t)(to - from));
}

static int reserve_aligned(size_t size, size_t margin, size_t alignment,
                           void **base)
{
    const size_t room = size + 2 * margin + alignment;
    if (room < size)
        return -ENOMEM;
    char *all = sys.mmap(NULL, room, PROT_NONE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (all == MAP_FAILED)
        return -errno;
    char *start = all + margin;
    if (alignment != 0)
        start += -(uintptr_t)start & (alignment - 1);
    unmap_rest(all, start);
    unmap_rest(start + size, all + room);
    (void)sys.madvise(start, size, MADV_DONTDUMP);
    *base = start;
    return 0;
}

int address_space_reserve(size_t size, size_t margin, void **base)
{
    int result = -ENOMEM;
    if (size >= HUGE_PAGE)
        result = reserve_aligned(size, margin, HUGE_PAGE, base);
    if (result != 0 && size >= LARGE_PAGE)
        result = reserve_aligned(size, margin, LARGE_PAGE, base);
    if (result != 0)
        result = reserve_aligned(size, margin, 0, base);
    return result;
}

int address_space_open(void *addr, size_t size)
{
    return sys.mprotect(addr, size, PROT_READ | PROT_WRITE) == 0 ? 0 : -errno;
}

int address_space_advise(void *addr, size_t size, int advice)
{
    int result;
    do
        result = sys.madvise(addr, size, advice);
    while (result != 0 && errno == EINTR);
    return result == 0 ? 0 : -errno;
}

int address_space_drop(void *addr, size_t size)
{
    int result = address_space_advise(addr, size, MADV_DONTNEED);
    if (result == -EINVAL)
        result = address_space_advise(addr, size, MADV_DONTNEED_LOCKED);
    return result;
}
