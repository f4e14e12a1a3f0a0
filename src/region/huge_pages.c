/* SPDX-License-Identifier: BSD-2-Clause */
#include "huge_pages.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>

#include "address_space.h"
#include "cancellation.h"
#include "kernel_number.h"
#include "page_size.h"
#include "sys_calls.h"

#define POOL "hugepages/hugepages-2048kB/"

/* The number in a file; 0 if there is none. */
static size_t read_count(const char *path)
{
    long long count = 0;
    const int saved_errno = errno, cancellation = cancellation_disable();
    const bool is_known = kernel_number_read(path, &count);
    cancellation_restore(cancellation);
    errno = saved_errno;
    return is_known && count > 0 ? (size_t)count : 0;
}

#define SIZE_SHIFT 26 /* in flags: the binary logarithm of a page's size */
#define SIZE_MASK 63

/* If no size is named, the system's own is meant: that is most likely this. */
size_t huge_pages_unit(int mmap_flags)
{
    const unsigned exponent = (unsigned)mmap_flags >> SIZE_SHIFT & SIZE_MASK;
    if ((mmap_flags & MAP_HUGETLB) == 0)
        return region_page_size();
    return exponent != 0 ? (size_t)1 << exponent : HUGE_PAGE_SIZE;
}

size_t huge_pages_set_aside(const struct numa_set *nodes)
{
    size_t count = read_count("/sys/kernel/mm/" POOL "nr_overcommit_hugepages");
    if (nodes == NULL)
        count += read_count("/sys/kernel/mm/" POOL "nr_hugepages");
    for (unsigned node = 0; node < NUMA_NODES_MOST; node++) {
        char path[96];
        if (nodes == NULL || !numa_set_has(nodes, node))
            continue;
        snprintf(path, sizeof path,
                 "/sys/devices/system/node/node%u/" POOL "nr_hugepages", node);
        count += read_count(path);
    }
    return count * HUGE_PAGE_SIZE;
}

/*
 * A kernel that cannot move such a mapping unmaps what is at the new address
 * before it says so, and another thread may have got that by then: reserved
 * addresses of a pool would be no longer its own. So it is tried with addresses
 * that nothing needs, and which are left alone if it fails. Takes no page.
 */
bool huge_pages_can_move(void)
{
    static atomic_bool has_moved;
    const int flags = HUGE_PAGE_MAP_FLAGS | MAP_NORESERVE;
    if (atomic_load(&has_moved))
        return true;
    const int saved_errno = errno;
    void *from = sys.mmap(NULL, HUGE_PAGE_SIZE, PROT_NONE, flags, -1, 0);
    void *to = from != MAP_FAILED
                   ? sys.mmap(NULL, HUGE_PAGE_SIZE, PROT_NONE, flags, -1, 0)
                   : MAP_FAILED;
    if (to != MAP_FAILED &&
        sys.mremap(from, HUGE_PAGE_SIZE, HUGE_PAGE_SIZE,
                   MREMAP_MAYMOVE | MREMAP_FIXED, to) != MAP_FAILED) {
        atomic_store(&has_moved, true);
        from = to;
    }
    if (from != MAP_FAILED)
        sys.munmap(from, HUGE_PAGE_SIZE);
    errno = saved_errno;
    return atomic_load(&has_moved);
}

/*
 * A mapping that is refused at a fixed address may have unmapped what was
 * there, and another thread may have got the address by then. So the pages are
 * mapped anywhere, and moved. If the process locks its memory, all that can be
 * touched has its pages at once, and from any node.
 */
int huge_pages_map(void *addr, size_t size)
{
    void *mapped = sys.mmap(NULL, size, PROT_NONE, HUGE_PAGE_MAP_FLAGS, -1, 0);
    if (mapped == MAP_FAILED)
        return -errno;
    if (sys.mremap(mapped, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, addr) !=
        MAP_FAILED)
        return 0;
    const int error = errno;
    sys.munmap(mapped, size);
    return -error;
}

int huge_pages_take(void *addr, size_t size)
{
    int result = address_space_advise(addr, size, MADV_POPULATE_WRITE);
    if (result == 0)
        return 0;
    (void)huge_pages_give(addr, size);
    /* -EFAULT: a store would raise SIGBUS */
    return result == -EFAULT ? -ENOMEM : result;
}

int huge_pages_give(void *addr, size_t size)
{
    int result = address_space_drop(addr, size);
    return result == -EINVAL ? -EOPNOTSUPP : result;
}

void huge_pages_unmap(void *addr, size_t size)
{
    (void)sys.mmap(addr, size, PROT_NONE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1,
                   0);
}
