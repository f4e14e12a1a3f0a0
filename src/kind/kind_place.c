/* SPDX-License-Identifier: BSD-2-Clause */
#include "kind_place.h"

#include <errno.h>

#include <memkind/internal/memkind_arena.h>

#include "heap_fixed.h"
#include "region_pool.h"

int kind_place_create(struct memkind *kind, struct memkind_ops *ops,
                      const char *name, kind_open_fn *open, kind_mmap_fn *mmap)
{
    if (kind == NULL || kind->heap != NULL || kind->priv == NULL)
        return MEMKIND_ERROR_INVALID;
    const void *source = kind->priv;
    kind->priv = NULL; /* the source is the caller's, which may free it */
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

int kind_place_destroy(struct memkind *kind)
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
