/* SPDX-License-Identifier: BSD-2-Clause */
#include "region_space.h"

#include <assert.h>
#include <errno.h>
#include <libpmem.h>
#include <sys/mman.h>

#include "address_space.h"
#include "file_space.h"
#include "file_system_space.h"
#include "huge_pages.h"
#include "pool_files.h"
#include "region_align.h"
#include "region_detach.h"
#include "region_readahead.h"
#include "sys_calls.h"

/* ---- the budget ---- */

static bool charge_within_budget(struct memkind_region_pool *pool, size_t size)
{
    size_t held = atomic_load_explicit(&pool->charged, memory_order_relaxed);
    do {
        if (held > pool->budget || size > pool->budget - held) {
            region_space_note_refusal(pool);
            return false;
        }
    } while (!atomic_compare_exchange_weak_explicit(
        &pool->charged, &held, held + size, memory_order_relaxed,
        memory_order_relaxed));
    return true;
}

void region_space_credit(struct memkind_region_pool *pool, size_t size)
{
    const size_t held =
        atomic_fetch_sub_explicit(&pool->charged, size, memory_order_relaxed);
    assert(held >= size);
    (void)held;
}

/* ---- file space ---- */

static void set_flag(atomic_bool *flag, bool value)
{
    if (atomic_load_explicit(flag, memory_order_relaxed) != value)
        atomic_store_explicit(flag, value, memory_order_relaxed);
}

/* Notes whether it is the file system that has no space. The pool has none only
 * when none of its places has any. */
static void note_whether_full(struct memkind_region_pool *pool,
                              const struct region *region, int result)
{
    const bool lacks = result == -ENOSPC || result == -EDQUOT;
    if (lacks)
        atomic_fetch_add_explicit(&pool->refusals.passing, 1,
                                  memory_order_relaxed);
    set_flag(&region->place->lacks_space, lacks);
    set_flag(&pool->lacks_space, lacks && !pool_avoids_full_places(pool));
}

/* Whole grains are placed so that large pages can map them. Only regions with
 * tables have those, and the grain_lock is held then. */
static int allocate_by_number(struct memkind_region_pool *pool,
                              struct region *region, size_t offset, size_t size,
                              bool *no_fallocate)
{
    const struct region_align_file file = {region->fd, &region->identity,
                                           region->place->directory};
    const size_t at = region->file_offset + offset;
    if (!region->is_pmem || pool->grain != REGION_ALIGN_GRAIN ||
        (at | size) % REGION_ALIGN_GRAIN != 0)
        return file_space_allocate(region->fd, at, size, no_fallocate);
    return region_align_allocate(&region->align, &file, at, size, no_fallocate);
}

/* ---- files in memory ---- */

/* Whether huge pages are to be had for a range: it is made of whole ones, and
 * no grain of the pool has only a part of its space. */
static bool fits_huge_pages(const struct memkind_region_pool *pool,
                            const struct region *region, size_t offset,
                            size_t size)
{
    return pool->file_system.has_huge_pages && !region->is_pmem &&
           ((region->file_offset + offset) | size) % FILE_SYSTEM_HUGE_PAGE ==
               0 &&
           atomic_load_explicit(&pool->part_grains, memory_order_relaxed) == 0;
}

/*
 * Takes the space of whole huge pages by the mapping. fallocate(2) knows
 * nothing of what the mapping asks for, and takes them page by page. If there
 * is no huge page, the kernel takes small ones here as well. -EAGAIN: the space
 * has to be had in another way.
 */
static int allocate_huge_pages(const struct region *region, size_t offset,
                               size_t size)
{
    /* What cannot fit is not tried. */
    if (size > FILE_SYSTEM_HUGE_PAGE && file_system_lacks(region->fd, size))
        return -ENOSPC;
    int result = file_space_populate(region->base + offset, size);
    if (result == 0)
        return 0;
    /* Some of it may have been taken. */
    (void)region_space_punch(region, offset, size);
    return result == -ENOSPC ? result : -EAGAIN;
}

/*
 * Sizes for which it pays to map pages whose space has just been taken, in one
 * call instead of a page fault each: those of slabs and of objects that are
 * about to be filled. With less, that call takes the space as well. Larger
 * objects may stay empty for the most part.
 */
#define MAP_AT_ONCE_LEAST ((size_t)32 << 10)
#define MAP_AT_ONCE_MOST ((size_t)2 << 20)

/*
 * Takes the space of a few pages of a file in memory by mapping them, in one
 * call. By the descriptor there are five, to see whose that is and to keep a
 * signal away, and a page fault for each page. If it fails, some of the space
 * may have been taken, and all of it is to be taken by the descriptor.
 */
static bool populate_few(struct memkind_region_pool *pool,
                         const struct region *region, size_t offset,
                         size_t size)
{
    if (!pool->file_system.is_memory || size >= MAP_AT_ONCE_LEAST ||
        pool->grain > region_page_size() || region_readahead_matters(pool) ||
        atomic_load_explicit(&pool->no_populate, memory_order_relaxed))
        return false;
    if (sys.madvise(region->base + offset, size, MADV_POPULATE_WRITE) == 0)
        return true;
    /* The kernel does not know it. */
    if (errno == EINVAL)
        atomic_store(&pool->no_populate, true);
    return false;
}

/* If that cannot be done, stores do it. */
static void map_at_once(const struct memkind_region_pool *pool,
                        const struct region *region, size_t offset, size_t size)
{
    if (pool->file_system.is_memory && size >= MAP_AT_ONCE_LEAST &&
        size <= MAP_AT_ONCE_MOST)
        (void)sys.madvise(region->base + offset, size, MADV_POPULATE_WRITE);
}

/* ---- taking space ---- */

/* Allocates by the descriptor; by the mapping, if that is shared, if there is
 * none, or if the process may not write that far. */
static int allocate_space(struct memkind_region_pool *pool,
                          struct region *region, size_t offset, size_t size,
                          bool is_shared)
{
    int result = -EBADF;
    if (is_shared && populate_few(pool, region, offset, size))
        return 0;
    if (region_has_descriptor(region)) {
        if (is_shared && fits_huge_pages(pool, region, offset, size)) {
            result = allocate_huge_pages(region, offset, size);
            if (result != -EAGAIN)
                return result;
        }
        bool no_fallocate = atomic_load(&pool->no_fallocate);
        result = allocate_by_number(pool, region, offset, size, &no_fallocate);
        if (no_fallocate)
            atomic_store(&pool->no_fallocate, true);
        if (result == 0 && is_shared)
            map_at_once(pool, region, offset, size);
    }
    if (!is_shared)
        return result == -EBADF ? -ENOMEM : result;
    if (result == -EBADF || result == -EFBIG)
        result = file_space_populate(region->base + offset, size);
    return result;
}

/* If space was lacking a moment ago, to ask how much there is costs less than
 * to try: what fails half way has to be undone. Some file systems count
 * nothing, and say that nothing is free. */
static bool seems_full(struct memkind_region_pool *pool,
                       const struct region *region, size_t size)
{
    struct pool_place *place = region->place;
    if (!pool_place_is_full(place) || !region_has_descriptor(region) ||
        atomic_load_explicit(&pool->has_kept, memory_order_relaxed))
        return false;
    const size_t space = file_system_free(region->fd);
    if (space == SIZE_MAX)
        return false;
    if (space != 0)
        atomic_store_explicit(&place->counts_space, true, memory_order_relaxed);
    return space < size &&
           atomic_load_explicit(&place->counts_space, memory_order_relaxed);
}

/* Whole grains that have none: `missing` is `size`. */
static int take_huge_pages(struct memkind_region_pool *pool,
                           const struct region *region, size_t offset,
                           size_t size, size_t missing)
{
    assert(missing == size);
    int result = huge_pages_take(region->base + offset, size);
    if (result != 0) {
        region_space_credit(pool, missing);
        /* Others may give some back. */
        atomic_fetch_add_explicit(&pool->refusals.passing, 1,
                                  memory_order_relaxed);
    }
    return result;
}

int region_space_take_rest(struct memkind_region_pool *pool,
                           struct region *region, size_t offset, size_t size,
                           size_t held)
{
    const size_t missing = size - held;
    const bool is_shared =
        region_detach_attach(pool, region, offset, size, held == 0) == 0;
    if (missing == 0 && !atomic_load(&pool->has_failed))
        return 0;
    if (!charge_within_budget(pool, missing))
        return -ENOMEM;
    if (pool->backing == REGION_DEVICE) {
        /* What was there before is cleared: it may be of another kind. */
        pmem_memset_nodrain(region->base + offset, 0, size);
        return 0;
    }
    if (pool->has_huge_pages)
        return take_huge_pages(pool, region, offset, size, missing);
    if (region->fd < 0)
        return 0;
    int result = seems_full(pool, region, missing)
                     ? -ENOSPC
                     : allocate_space(pool, region, offset, size, is_shared);
    if (result != 0)
        region_space_credit(pool, missing);
    if (result != 0 && held != 0)
        atomic_store(&pool->has_failed, true);
    note_whether_full(pool, region, result);
    return result;
}

/* Goes by the mapping, which is of the right file whichever file has its number
 * by now; by the number if the mapping cannot, for locked pages, say. */
int region_space_punch(const struct region *region, size_t offset, size_t size)
{
    int result = file_space_remove(region->base + offset, size);
    if (result != 0 && region_has_descriptor(region))
        result =
            file_space_punch(region->fd, region->file_offset + offset, size);
    return result;
}

int region_space_give(struct memkind_region_pool *pool, struct region *region,
                      size_t offset, size_t size, size_t held)
{
    int result = 0;
    if (region->is_private) {
        region_space_credit(pool, held);
        return 0;
    }
    if (atomic_load_explicit(&pool->no_punch, memory_order_relaxed))
        return -EOPNOTSUPP;
    if (region_detach_is_needed(region, offset, size))
        return -EBUSY;
    /* The space of a device is the device's; it is cleared when taken. */
    if (pool->has_huge_pages)
        result = huge_pages_give(region->base + offset, size);
    else if (region->fd < 0)
        result = address_space_drop(region->base + offset, size);
    else if (pool->backing != REGION_DEVICE)
        result = region_space_punch(region, offset, size);
    if (result == 0) {
        region_space_credit(pool, held);
        /* Another place was used meanwhile. */
        if (pool->place.next != NULL)
            set_flag(&region->place->lacks_space, false);
        if (!atomic_load_explicit(&pool->has_punched, memory_order_relaxed))
            atomic_store(&pool->has_punched, true);
    } else if (region_space_is_kept(result)) {
        atomic_store(&pool->no_punch, true);
    } else {
        atomic_store(&pool->has_failed, true);
    }
    return result;
}
