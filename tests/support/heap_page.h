/* SPDX-License-Identifier: BSD-2-Clause */
/* For suites of the public interface. */
#ifndef HEAP_PAGE_H
#define HEAP_PAGE_H

#include <memkind.h>

#include "test_support.h"

/* The unit in which kinds take memory for objects: 4 KiB, or more where the
 * jemalloc in use was built for larger pages than this system's. */
static inline size_t test_heap_page(void)
{
    static size_t page;
    memkind_t kind = NULL;
    if (page != 0)
        return page;
    CU_ASSERT_EQUAL_FATAL(
        memkind_create_pmem(test_dir(), MEMKIND_PMEM_MIN_SIZE, &kind), 0);
    /* Any page is full of such. */
    void *object = memkind_malloc(kind, test_fitting(64));
    CU_ASSERT_EQUAL(memkind_update_cached_stats(), 0);
    CU_ASSERT_EQUAL(memkind_get_stat(kind, MEMKIND_STAT_TYPE_ACTIVE, &page), 0);
    memkind_free(kind, object);
    CU_ASSERT_EQUAL(memkind_destroy_kind(kind), 0);
    return page;
}

#endif
