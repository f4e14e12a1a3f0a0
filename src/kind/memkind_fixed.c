/* SPDX-License-Identifier: BSD-2-Clause */
#include <memkind/internal/memkind_fixed.h>

#include <stdint.h>

#include "jemalloc_ctl.h"
#include "kind_error.h"
#include "kind_operations.h"
#include "kind_place.h"
#include "last_error.h"

struct memkind_ops MEMKIND_FIXED_OPS = {
    KIND_OPERATIONS_WITH_HEAP(memkind_fixed_create, memkind_fixed_destroy),
    .mmap = memkind_fixed_mmap,
    .get_mmap_flags = memkind_default_get_mmap_flags,
    .finalize = memkind_fixed_destroy,
};

int memkind_fixed_set_source(struct memkind *kind,
                             const struct memkind_fixed_source *source)
{
    last_error_begin();
    return kind_error_of_call(__func__, kind_regions_set_source(kind, source));
}

static int open_area(struct memkind_region_pool *pool, const void *context,
                     struct memkind *kind)
{
    const struct memkind_fixed_source *source = context;
    const uintptr_t base = (uintptr_t)source->addr, end = base + source->size;
    /* jemalloc's pages may be larger than the system's; of one that is not
     * whole it can use nothing. */
    const uintptr_t page = je_page_size();
    const uintptr_t first = (base + page - 1) & ~(page - 1);
    const uintptr_t last = end & ~(page - 1);
    if (page != 0 && base <= first && first < last)
        return region_pool_open_buffer(
            pool, (char *)source->addr + (first - base), last - first, kind);
    return region_pool_open_buffer(pool, source->addr, source->size, kind);
}

int memkind_fixed_create(struct memkind *kind, struct memkind_ops *ops,
                         const char *name)
{
    last_error_begin();
    return kind_error_of_call(
        __func__,
        kind_place_create(kind, ops, name, open_area, memkind_fixed_mmap));
}

int memkind_fixed_destroy(struct memkind *kind)
{
    last_error_begin();
    return kind_error_of_call(__func__, kind_place_destroy(kind));
}

void *memkind_fixed_mmap(struct memkind *kind, void *addr, size_t size)
{
    (void)addr;
    return kind_regions_mmap(kind, size, KIND_ON_AREA);
}
