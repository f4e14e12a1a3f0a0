/* SPDX-License-Identifier: BSD-2-Clause */
/* The functions of hbwmalloc.h, over the static kinds of such memory. */
#include <hbwmalloc.h>

#include <errno.h>
#include <memkind.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <memkind/internal/memkind_default.h>

#include "kind_error.h"
#include "kind_shortage.h"
#include "numa_nodes.h"
#include "numa_pages.h"

#define GIB ((size_t)1 << 30)

/* ---- the policy --------------------------------------------------------- */

/* 0 until it is set, or an allocation has settled it. */
static atomic_int policy_set;

hbw_policy_t hbw_get_policy(void)
{
    const int policy = atomic_load(&policy_set);
    return policy != 0 ? (hbw_policy_t)policy : HBW_POLICY_PREFERRED;
}

int hbw_set_policy(hbw_policy_t mode)
{
    int unset = 0;
    if (mode < HBW_POLICY_BIND || mode > HBW_POLICY_BIND_ALL)
        return EINVAL;
    return atomic_compare_exchange_strong(&policy_set, &unset, (int)mode)
               ? 0
               : EPERM;
}

static hbw_policy_t settled_policy(void)
{
    int policy = atomic_load_explicit(&policy_set, memory_order_relaxed);
    if (__builtin_expect(policy != 0, 1))
        return (hbw_policy_t)policy;
    (void)hbw_set_policy(HBW_POLICY_PREFERRED);
    return hbw_get_policy();
}

/* ---- kinds -------------------------------------------------------------- */

/* If there is no such memory, others are as good for those who would only
 * prefer it. */
static memkind_t preferred_kind(memkind_t kind)
{
    static atomic_int is_there; /* 0: not known; 1; -1 */
    int known = atomic_load_explicit(&is_there, memory_order_relaxed);
    if (__builtin_expect(known == 0, 0)) {
        known = hbw_check_available() == 0 ? 1 : -1;
        atomic_store_explicit(&is_there, known, memory_order_relaxed);
    }
    return known > 0 ? kind : MEMKIND_DEFAULT;
}

static memkind_t kind_of_policy(void)
{
    switch (settled_policy()) {
    case HBW_POLICY_BIND:
        return MEMKIND_HBW;
    case HBW_POLICY_BIND_ALL:
        return MEMKIND_HBW_ALL;
    case HBW_POLICY_INTERLEAVE:
        return MEMKIND_HBW_INTERLEAVE;
    default:
        return preferred_kind(MEMKIND_HBW_PREFERRED);
    }
}

/* NULL: there is no such kind for the policy. */
static memkind_t kind_of_huge_pages(bool gigantic)
{
    switch (settled_policy()) {
    case HBW_POLICY_BIND:
        return gigantic ? MEMKIND_HBW_GBTLB : MEMKIND_HBW_HUGETLB;
    case HBW_POLICY_BIND_ALL:
        return gigantic ? MEMKIND_HBW_GBTLB : MEMKIND_HBW_ALL_HUGETLB;
    case HBW_POLICY_PREFERRED:
        return gigantic ? MEMKIND_HBW_PREFERRED_GBTLB
                        : MEMKIND_HBW_PREFERRED_HUGETLB;
    default:
        return NULL;
    }
}

int hbw_check_available(void)
{
    const int saved_errno = errno;
    const bool is_there =
        memkind_check_available(MEMKIND_HBW) == MEMKIND_SUCCESS;
    errno = saved_errno;
    return is_there ? 0 : ENODEV;
}

/* ---- malloc and its family ---------------------------------------------- */

void *hbw_malloc(size_t size)
{
    return memkind_malloc(kind_of_policy(), size);
}

void *hbw_calloc(size_t num, size_t size)
{
    return memkind_calloc(kind_of_policy(), num, size);
}

void *hbw_realloc(void *ptr, size_t size)
{
    return ptr == NULL ? hbw_malloc(size) : memkind_realloc(NULL, ptr, size);
}

void hbw_free(void *ptr)
{
    memkind_free(NULL, ptr);
}

size_t hbw_malloc_usable_size(void *ptr)
{
    return memkind_malloc_usable_size(NULL, ptr);
}

static int refuse_argument(void **memptr, const char *function,
                           const char *reason)
{
    (void)kind_shortage_refuse(function, reason);
    return kind_refuse_memalign(memptr, EINVAL);
}

int hbw_posix_memalign(void **memptr, size_t alignment, size_t size)
{
    return memkind_posix_memalign(kind_of_policy(), memptr, alignment, size);
}

int hbw_posix_memalign_psize(void **memptr, size_t alignment, size_t size,
                             hbw_pagesize_t pagesize)
{
    if (pagesize < HBW_PAGESIZE_4KB || pagesize >= HBW_PAGESIZE_MAX_VALUE)
        return refuse_argument(memptr, __func__, "there is no such page size");
    if (pagesize == HBW_PAGESIZE_1GB_STRICT && size % GIB != 0)
        return refuse_argument(memptr, __func__,
                               "the size is no multiple of 1 GiB");
    memkind_t kind = pagesize == HBW_PAGESIZE_4KB
                         ? kind_of_policy()
                         : kind_of_huge_pages(pagesize != HBW_PAGESIZE_2MB);
    if (kind == NULL)
        return refuse_argument(memptr, __func__,
                               "huge pages cannot be interleaved");
    return memkind_posix_memalign(kind, memptr, alignment, size);
}

/* ---- the nodes of pages ------------------------------------------------ */

int hbw_verify_memory_region(void *addr, size_t size, int flags)
{
    if (addr == NULL || size == 0 || (flags & ~HBW_TOUCH_PAGES) != 0)
        return EINVAL;
    const int saved_errno = errno;
    const int result =
        numa_pages_are_on(numa_nodes_of(NUMA_HIGH_BANDWIDTH), addr, size,
                          (flags & HBW_TOUCH_PAGES) != 0);
    errno = saved_errno;
    switch (result) {
    case 0:
        return 0;
    case -EXDEV: /* some page is not */
        return -1;
    default:
        return EFAULT;
    }
}
