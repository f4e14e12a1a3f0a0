/* SPDX-License-Identifier: BSD-2-Clause */
#include "pool_stores.h"

#include <errno.h>
#include <libpmem.h>
#include <string.h>

#include "pool_state.h"
#include "region_detach.h"
#include "sys_calls.h"

/* From here on, streaming stores cost less than what they push out of the
 * caches is worth. */
#define STREAMED_LEAST (64 << 10)

static bool is_worth_streaming(const struct memkind_region_pool *pool,
                               size_t size)
{
    return size >= STREAMED_LEAST && pool != NULL && region_pool_is_pmem(pool);
}

void region_pool_clear(const struct memkind_region_pool *pool, void *ptr,
                       size_t size)
{
    if (!is_worth_streaming(pool, size)) {
        memset(ptr, 0, size);
        return;
    }
    pmem_memset(ptr, 0, size, PMEM_F_MEM_NODRAIN | PMEM_F_MEM_NONTEMPORAL);
    pmem_drain(); /* before another thread gets the object */
}

void region_pool_copy(const struct memkind_region_pool *pool, void *to,
                      const void *from, size_t size)
{
    if (!is_worth_streaming(pool, size)) {
        memcpy(to, from, size);
        return;
    }
    pmem_memcpy(to, from, size, PMEM_F_MEM_NODRAIN | PMEM_F_MEM_NONTEMPORAL);
    pmem_drain();
}

int region_pool_persist(struct memkind_region_pool *pool, const void *addr,
                        size_t size)
{
    struct region *region = region_pool_find(pool, addr);
    if (region == NULL || (region->fd < 0 && !region->is_private))
        return -EINVAL;
    size_t offset = (size_t)((const char *)addr - region->base);
    if (size > region->size - offset)
        return -EINVAL;
    if (region->is_private || region_detach_has(region, offset, size))
        return -EOPNOTSUPP;
    if (region->is_pmem)
        pmem_persist(addr, size);
    else if (size != 0 && sys.pmem_msync(addr, size) != 0)
        return -errno;
    return 0;
}
