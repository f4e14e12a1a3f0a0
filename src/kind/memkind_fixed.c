/* SPDX-License-Identifier: BSD-2-Clause */
#include <memkind/internal/memkind_fixed.h>

#include <stdint.h>

#include "jemalloc_ctl.h"
#include "kind_regions.h"

struct memkind_ops MEMKIND_FIXED_OPS = {
    .create = memkind_fixed_create,
    .destroy = memkind_fixed_destroy,
    .malloc = memkind_arena_malloc,
    .calloc = memkind_arena_calloc,
    .posix_memalign = memkind_arena_posix_memalign,
    .realloc = memkind_arena_realloc,
    .free = memkind_arena_free,
    .mmap = memkind_fixed_mmap,
    .get_mmap_flags = memkind_default_get_mmap_flags,
    .get_arena = memkind_thread_get_arena,
    .finalize = memkind_fixed_destroy,
    .malloc_usable_size = memkind_default_malloc_usable_size,
    .update_memory_usage_policy = memkind_arena_update_memory_usage_policy,
    .get_stat = memkind_arena_get_kind_stat,
    .defrag_reallocate = memkind_arena_defrag_reallocate,
};

int memkind_fixed_set_source(struct memkind *kind,
                             const struct memkind_fixed_source *source)
{
    return kind_regions_set_source(kind, source);
}

static int open_source(struct memkind_region_pool *pool, const void *context,
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
    return kind_regions_create(kind, ops, name, open_source,
                               memkind_fixed_mmap);
}

int memkind_fixed_destroy(struct memkind *kind)
{
    return kind_regions_destroy(kind);
}

void *memkind_fixed_mmap(struct memkind *kind, void *addr, size_t size)
{
    (void)addr;
    return kind_regions_mmap(kind, size, memkind_fixed_mmap);
}
