/* SPDX-License-Identifier: BSD-2-Clause */
#include "kind_regions.h"

#include <errno.h>
#include <sys/mman.h>

#include "allocator_gate.h"
#include "cancellation.h"
#include "hardening.h"
#include "heap.h"
#include "jemalloc_private.h"
#include "kind_error.h"
#include "last_error.h"
#include "late_close.h"

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
        last_error_reason(REASON_REENTERED);
        errno = EDEADLK;
        return MEMKIND_ERROR_OPERATION_FAILED;
    }
    const int saved_errno = errno;
    int err = MEMKIND_ERROR_MALLOC;
    struct memkind_region_pool *pool = JE_NAME(mallocx)(sizeof *pool, 0);
    if (pool != NULL) {
        region_pool_use_guards(hardening_is_on());
        err = kind_error_of_region(open(pool, source, kind));
        if (err == MEMKIND_SUCCESS) {
            *result_pool = pool;
            errno = saved_errno;
        } else {
            JE_NAME(dallocx)(pool, 0);
        }
    }
    allocator_leave();
    return err;
}

void kind_regions_delete(struct memkind_region_pool *pool)
{
    const int cancellation = cancellation_disable();
    bool entered = allocator_enter();
    struct late_close *late = region_pool_close(pool);
    JE_NAME(dallocx)(pool, 0);
    if (entered)
        allocator_leave();
    if (late != NULL)
        late_close_start(late);
    cancellation_restore(cancellation);
}

static bool pool_is_on(const struct memkind_region_pool *pool,
                       enum kind_place place)
{
    if (pool == NULL || pool->backing == REGION_MEMORY)
        return false;
    return (pool->backing == REGION_BUFFER) == (place == KIND_ON_AREA);
}

/* In a place of fixed size the arena has all memory already. An extent hook
 * that gets here (of a kind whose mmap operation is the program's own) must not
 * ask the arena. */
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

void *kind_regions_mmap(struct memkind *kind, size_t size,
                        enum kind_place place)
{
    const size_t page_size = region_page_size();
    if (kind == NULL || !pool_is_on(kind->regions, place) || size == 0) {
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
    const int saved_errno = errno;
    /* A hook that calls this is inside already. */
    bool entered = allocator_enter();
    void *block =
        region_pool_alloc(kind->regions, size, page_size, &commit, &zeroed);
    if (entered)
        allocator_leave();
    if (block == NULL)
        block = block_of_heap(kind, size);
    if (block == NULL)
        return MAP_FAILED;
    errno = saved_errno;
    return block;
}
