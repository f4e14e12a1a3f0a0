/* SPDX-License-Identifier: BSD-2-Clause */
#include "pool_growth.h"

#include <errno.h>
#include <string.h>

#include "address_space.h"
#include "debug_log.h"
#include "descriptor.h"
#include "file_mapping.h"
#include "file_space.h"
#include "file_system.h"
#include "file_system_space.h"
#include "huge_pages.h"
#include "pool_files.h"
#include "pool_regions.h"
#include "pool_state.h"
#include "pool_stripes.h"
#include "rounding.h"
#include "sys_calls.h"

#define MIB ((size_t)1 << 20)
#define GIB ((size_t)1 << 30)

/* Address space of a first region. Arenas take it in blocks of growing size
 * that other arenas cannot use, hence the generous multiple of the limit, or of
 * what the place can hold at all. */
#define REGION_SIZE_UNLIMITED (64 * GIB)
/* If a region takes all that it may need at once; further ones double. */
#define REGION_SIZE_MODEST (64 * MIB)
#define REGION_SIZE_PER_BUDGET 8
#define REGION_SIZE_PER_CAPACITY 4

/* A file that has less room than this part of what is wanted is as good as
 * full; there can only be so many regions. */
#define LEAST_PART 8

/* No region is larger than the address space that most processes have; if a
 * process has more, further regions take it. */
#define ADDRESS_SPACE ((size_t)1 << 47)

/* ---- sizes ---- */

size_t pool_first_size(size_t max_size)
{
    if (max_size == 0)
        return REGION_SIZE_UNLIMITED;
    if (max_size < REGION_SIZE_UNLIMITED) {
        size_t size = power_of_two_from(max_size) * REGION_SIZE_PER_BUDGET;
        return size < GIB ? GIB : size;
    }
    if (max_size <= ADDRESS_SPACE / 2)
        return round_up(max_size, GIB) * 2;
    return ADDRESS_SPACE; /* less will do */
}

size_t pool_limit_first_size(size_t capacity, size_t size)
{
    size_t most = SIZE_MAX;
    if (capacity != 0 && capacity <= ADDRESS_SPACE / REGION_SIZE_PER_CAPACITY)
        most = power_of_two_from(capacity) * REGION_SIZE_PER_CAPACITY;
    if (most < GIB)
        most = GIB;
    return size < most ? size : most;
}

/* What to try after `size` bytes could not be mapped. */
static size_t smaller_size(const struct memkind_region_pool *pool, size_t size,
                           size_t least)
{
    size_t smaller = size / 2 & ~(pool_region_unit(pool) - 1);
    /* If the system counts memory when it is mapped (vm.overcommit_memory=2),
     * all others lack what a kind has and does not use. */
    size_t modest = REGION_SIZE_MODEST << pool->following;
    if (pool->backing == REGION_MEMORY && smaller > modest)
        smaller = modest;
    return smaller > least ? smaller : least;
}

/* If files have no holes, a region takes all its space at once: as much as the
 * limit, or a little at a time. */
static size_t size_without_holes(const struct memkind_region_pool *pool,
                                 size_t least)
{
    size_t size = REGION_SIZE_MODEST << pool->following;
    if (pool->budget < ADDRESS_SPACE)
        size = round_up(pool->budget, pool_region_unit(pool));
    else if (pool->budget != SIZE_MAX)
        size = ADDRESS_SPACE; /* less will do */
    return size > least ? size : least;
}

/* ---- mapping ---- */

/* What a region is to be mapped of. */
struct ground {
    struct pool_place *place;
    int fd;        /* -1: memory */
    size_t offset; /* in the file */
    bool is_pmem;
    bool still_mapped; /* something of it, which cannot be undone */
};

static int map_memory(const struct memkind_region_pool *pool, size_t size,
                      struct mapping *mapping)
{
    void *base;
    int result = address_space_reserve(size, pool_guard_margin(), &base);
    if (result != 0)
        return result;
    /* There was no room for aligned addresses. */
    if (pool->has_huge_pages && (uintptr_t)base % HUGE_PAGE_SIZE != 0) {
        sys.munmap(base, size);
        return -ENOMEM;
    }
    *mapping = (struct mapping){.base = base, .size = size};
    return 0;
}

/* Maps the first region, and addresses for stripes behind it. libpmem maps a
 * file as a whole. */
static int map_range(const struct ground *ground, size_t size, size_t room,
                     struct mapping *mapping)
{
    const size_t mapped = ground->is_pmem ? size + room : size;
    int result = file_space_resize(ground->fd, mapped);
    if (result != 0)
        return result;
    if (!ground->is_pmem)
        return file_mapping_map_with_room(ground->fd, size, room,
                                          pool_guard_margin(), mapping);
    result = file_mapping_map_pmem(ground->fd, 0, mapped, false, mapping);
    if (result != 0)
        return result;
    result = file_mapping_make_room(mapping, room);
    if (result == 0)
        result = file_space_resize(ground->fd, size);
    if (result != 0)
        (void)file_mapping_unmap(mapping);
    return result;
}

static int map_once(const struct memkind_region_pool *pool,
                    const struct ground *ground, size_t size,
                    struct mapping *mapping)
{
    if (ground->fd < 0)
        return map_memory(pool, size, mapping);
    const size_t room = pool_stripes_room(pool, size);
    if (room != 0 && map_range(ground, size, room, mapping) == 0)
        return 0;
    *mapping = (struct mapping){0};
    int result = file_space_resize(ground->fd, ground->offset + size);
    if (result != 0)
        return result;
    if (!ground->is_pmem)
        return file_mapping_map(ground->fd, ground->offset, size,
                                pool_guard_margin(), mapping);
    /* After a crash there is no file without a name. */
    return file_mapping_map_pmem(ground->fd, ground->offset, size,
                                 pool->backing == REGION_FILE, mapping);
}

static int map_and_add(struct memkind_region_pool *pool, struct ground *ground,
                       size_t size)
{
    struct mapping mapping = {0};
    int result = map_once(pool, ground, size, &mapping);
    if (result != 0)
        return result;
    result = pool_add_region(pool, &mapping, ground->place, ground->fd,
                             ground->offset);
    if (result != 0 && file_mapping_unmap(&mapping) != 0)
        ground->still_mapped = true;
    return result;
}

/* Finds out whether so much could be mapped. */
static int map_for_a_moment(const struct memkind_region_pool *pool,
                            struct ground *ground, size_t size)
{
    struct mapping mapping = {0};
    int result = map_once(pool, ground, size, &mapping);
    if (result == 0 && file_mapping_unmap(&mapping) != 0)
        ground->still_mapped = true;
    return result;
}

/* Failures that less address space, or a smaller file, may not meet. */
static bool is_worth_retrying_smaller(int error)
{
    return error == -ENOMEM || error == -EFBIG || error == -ENOSPC ||
           error == -EINVAL || error == -EOVERFLOW || error == -EDQUOT ||
           error == -EAGAIN;
}

/*
 * Adds a region of `size` bytes, or as much less as can be had, down to
 * `least`. If address space is scarce, others need some of it: half of what
 * there is stays free.
 */
static int add_largest(struct memkind_region_pool *pool, struct ground *ground,
                       size_t size, size_t least)
{
    bool is_scarce = false;
    for (;;) {
        int result = is_scarce ? map_for_a_moment(pool, ground, size)
                               : map_and_add(pool, ground, size);
        if (result == 0 && !is_scarce)
            return 0;
        if (ground->still_mapped ||
            (result != 0 &&
             (size <= least || !is_worth_retrying_smaller(result))))
            return result != 0 ? result : -ENOMEM;
        if (result != 0)
            debug_log("no region of %zu MiB (%s), trying less", size / MIB,
                      strerror(-result));
        size = smaller_size(pool, size, least);
        /* -EAGAIN: the process locks its memory, and may lock no more. */
        is_scarce = (result == -ENOMEM || result == -EAGAIN) &&
                    pool->backing != REGION_MEMORY && size / 2 >= least;
    }
}

/* ---- files ---- */

/* Adds a region of an empty file. */
static int grow_on(struct memkind_region_pool *pool, struct pool_place *place,
                   int fd, size_t size, size_t least, bool *still_mapped)
{
    struct ground ground = {.place = place, .fd = fd};
    struct file_system file_system;
    int result = pool_prepare_file(pool, fd, &file_system);
    if (result == 0)
        result = file_mapping_is_pmem(fd, &ground.is_pmem);
    if (result != 0)
        return result;
    if (atomic_load(&pool->count) == 0) {
        pool->file_system = file_system;
        pool->first_capacity += file_system_size(fd);
        size = pool_limit_first_size(pool->first_capacity, size);
        pool_stripes_plan(pool, size);
    }
    if (size < least)
        size = least;
    if (pool->no_holes)
        size = size_without_holes(pool, least);
    result = add_largest(pool, &ground, size, least);
    *still_mapped = ground.still_mapped;
    return result;
}

static int grow_on_new_file(struct memkind_region_pool *pool, size_t size,
                            size_t least)
{
    bool still_mapped = false;
    struct pool_place *place = pool_place_with_space(pool);
    int fd = pool_create_file(place);
    if (fd < 0)
        return fd;
    int result = grow_on(pool, place, fd, size, least, &still_mapped);
    if (result != 0)
        pool_close_file(pool, fd, still_mapped);
    return result;
}

/* Adds a region behind the last one in its file. */
static int grow_last_file(struct memkind_region_pool *pool, size_t size,
                          size_t least)
{
    const struct region *last = &pool->regions[pool->newest];
    struct ground ground = {.place = last->place,
                            .fd = last->fd,
                            .offset = last->file_offset + last->size,
                            .is_pmem = last->is_pmem};
    if (last->is_parents_file || !region_has_descriptor(last))
        return -EBADF;
    if (pool->no_holes)
        size = size_without_holes(pool, least);
    int result = add_largest(pool, &ground, size, least);
    if (result != 0)
        (void)file_space_resize(ground.fd, ground.offset);
    return result;
}

/* Failures that another file would meet as well: no address space; or no space,
 * if a file takes all of its size at once. */
static bool is_about_no_file(int error)
{
    return error == -ENOMEM || error == -EAGAIN || error == -ENOSPC ||
           error == -EDQUOT;
}

/* Grows the file that is there, unless libpmem has to map another one. The last
 * bit of a file is used only when there can be no other file. */
static int grow_files(struct memkind_region_pool *pool, size_t size,
                      size_t least)
{
    const bool whole =
        pool->backing == REGION_FILES &&
        (region_pool_is_pmem(pool) ||
         (pool_avoids_full_places(pool) &&
          pool_place_is_full(pool->regions[pool->newest].place)));
    size_t part = size / LEAST_PART & ~(REGION_ALIGN_GRAIN - 1);
    if (part < least || pool->no_holes)
        part = least;
    int result = whole ? -EBADF : grow_last_file(pool, size, part);
    if (result == 0 || (part == least && is_about_no_file(result)))
        return result;
    if (pool->backing == REGION_FILES && !is_about_no_file(result))
        result = grow_on_new_file(pool, size, least);
    if (result == 0 || (part == least && !whole))
        return result;
    int last_result = grow_last_file(pool, size, least);
    return last_result == -EBADF ? result : last_result;
}

/* ---- the pool ---- */

/* A child's private regions are memory, and so is what the child adds. */
static bool grows_in_memory(const struct memkind_region_pool *pool)
{
    return !pool_has_files(pool) ||
           (pool->is_inherited && pool->fork_policy != REGION_FORK_SHARED);
}

int pool_grow(struct memkind_region_pool *pool, int fd, size_t least)
{
    ranked_lock_assert_held(&pool->lock);
    unsigned count = atomic_load(&pool->count);
    struct ground memory = {.place = &pool->place, .fd = -1};
    bool still_mapped = false;
    int result;
    if (pool->following == REGION_POOL_MAX_REGIONS)
        return -ENOMEM;
    least = round_up(least, pool_region_unit(pool));
    size_t size = pool->new_size > least ? pool->new_size : least;
    if (grows_in_memory(pool))
        result = add_largest(pool, &memory, size, least);
    else if (count != 0)
        result = grow_files(pool, size, least);
    else
        result = grow_on(pool, &pool->place, fd, size, least, &still_mapped);
    if (result == 0)
        pool->new_size = pool->regions[pool->newest].size * 2;
    if (result == 0 && count == 0)
        pool_stripes_note_room(pool, pool->regions[0].room);
    else if (count == 0)
        pool_close_file(pool, fd, still_mapped);
    return result;
}
