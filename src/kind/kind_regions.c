/* SPDX-License-Identifier: BSD-2-Clause */
#include "kind_regions.h"

#include <errno.h>
#include <sys/mman.h>

#include <memkind/internal/memkind_arena.h>

#include "allocator_gate.h"
#include "hardening.h"
#include "heap.h"
#include "heap_fixed.h"
#include "jemalloc_private.h"
#include "kind_error.h"

int kind_regions_set_source(struct memkind *kind, const void *source)
{
    if (kind == NULL || source == NULL || kind->heap != NULL)
        return MEMKIND_ERROR_INVALID;
    kind->priv = (void *)source;
    return MEMKIND_SUCCESS;
}

int kind_regions_new(struct memkind *kind, const void *source,
                     kind_open_fn *open,
                     struct memkind_region_pool **result_pool)
{
    if (!allocator_enter()) {
        errno = EDEADLK;
        return MEMKIND_ERROR_OPERATION_FAILED;
    }
    int err = MEMKIND_ERROR_MALLOC;
    struct memkind_region_pool *pool = JE_NAME(mallocx)(sizeof *pool, 0);
    if (pool != NULL) {
        region_pool_use_guards(hardening_is_on());
        err = kind_error_of_region(open(pool, source, kind));
        if (err == MEMKIND_SUCCESS)
            *result_pool = pool;
        else
            JE_NAME(dallocx)(pool, 0);
    }
    allocator_leave();
    return err;
}

void kind_regions_delete(struct memkind_region_pool *pool)
{
    bool entered = allocator_enter();
    region_pool_close(pool);
    JE_NAME(dallocx)(pool, 0);
    if (entered)
        allocator_leave();
}

int kind_regions_create(struct memkind *kind, struct memkind_ops *ops,
                        const char *name, kind_open_fn *open,
                        kind_mmap_fn *mmap)
{
    if (kind == NULL || kind->heap != NULL || kind->priv == NULL)
        return MEMKIND_ERROR_INVALID;
    const void *source = kind->priv;
    kind->priv = NULL; /* the source is the caller's, and may go now */
    const int saved_errno = errno;
    struct memkind_region_pool *pool = NULL;
    int err = kind_regions_new(kind, source, open, &pool);
    if (err != MEMKIND_SUCCESS)
        return err;

    kind->regions = pool;
    kind->regions_mmap = mmap;
    err = memkind_arena_create(kind, ops, name);
    if (err != MEMKIND_SUCCESS) {
        kind->regions = NULL;
        kind->regions_mmap = NULL;
        kind_regions_delete(pool);
        return err;
    }
    if (region_pool_is_fixed(pool))
        heap_fixed_adopt_pool(kind->heap);
    errno = saved_errno;
    return MEMKIND_SUCCESS;
}

int kind_regions_destroy(struct memkind *kind)
{
    if (kind == NULL || kind->regions == NULL)
        return MEMKIND_ERROR_INVALID;
    struct memkind_region_pool *pool = kind->regions;
    int err = memkind_arena_destroy(kind);
    kind->regions = NULL;
    kind->regions_mmap = NULL;
    kind_regions_delete(pool);
    return err;
}

/* What is fixed is the arena's already. An extent hook that gets here (of a
 * kind whose mmap operation is the program's own) must not ask the arena. */
static void *block_of_heap(struct memkind *kind, size_t size)
{
    const struct memkind_region_pool *pool = kind->regions;
    if (!region_pool_is_fixed(pool) || kind->heap == NULL ||
        allocator_is_inside())
        return NULL;
    int flags = JE_LG_ALIGN(__builtin_ctzl(region_page_size()));
    if (pool->backing != REGION_BUFFER)
        flags |= JE_ZERO;
    return heap_malloc(kind->heap, size, flags);
}

void *kind_regions_mmap(struct memkind *kind, size_t size, kind_mmap_fn *self)
{
    const size_t page_size = region_page_size();
    if (kind == NULL || kind->regions == NULL || kind->regions_mmap != self ||
        size == 0) {
        errno = EINVAL;
        return MAP_FAILED;
    }
    if (size > SIZE_MAX - page_size) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    size = (size + page_size - 1) & ~(page_size - 1);
    bool commit = true;
    bool zeroed;
    /* A hook may have called this, which is inside already. */
    bool entered = allocator_enter();
    void *block =
        region_pool_alloc(kind->regions, size, page_size, &commit, &zeroed);
    if (entered)
        allocator_leave();
    if (block == NULL)
        block = block_of_heap(kind, size);
    return block != NULL ? block : MAP_FAILED;
}
