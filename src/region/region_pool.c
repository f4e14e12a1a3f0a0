/* SPDX-License-Identifier: BSD-2-Clause */
#include "region_pool.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "dax_device.h"
#include "descriptor.h"
#include "file_mapping.h"
#include "file_system_space.h"
#include "huge_pages.h"
#include "last_error.h"
#include "late_close.h"
#include "parallel.h"
#include "place_node.h"
#include "pool_files.h"
#include "pool_growth.h"
#include "pool_list.h"
#include "pool_stripes.h"
#include "sys_calls.h"

/* Adds the first region of a pool that is being opened. */
static int add_first_region(struct memkind_region_pool *pool,
                            const struct mapping *mapping, int fd)
{
    ranked_lock_take(&pool->lock);
    int result = pool_add_region(pool, mapping, &pool->place, fd, 0);
    ranked_lock_release(&pool->lock);
    return result;
}

static int grow_first_region(struct memkind_region_pool *pool, int fd)
{
    ranked_lock_take(&pool->lock);
    int result = pool_grow(pool, fd, POOL_REGION_SIZE_MIN);
    ranked_lock_release(&pool->lock);
    return result;
}

static void init_pool(struct memkind_region_pool *pool,
                      enum region_backing backing, size_t max_size, void *owner)
{
    *pool = (struct memkind_region_pool){
        .backing = backing,
        .budget =
            max_size == 0 ? SIZE_MAX : max_size & ~(region_page_size() - 1),
        .grain = region_page_size(),
        .new_size = pool_first_size(max_size),
        .owner = owner,
        .place = {.directory = -1, .node = -1},
    };
    ranked_lock_init(&pool->lock, RANK_POOL);
    ranked_lock_init(&pool->readahead_lock, RANK_READAHEAD);
    pool_list_add(pool);
}

static int fail_open(struct memkind_region_pool *pool, int error)
{
    pool_list_remove(pool);
    ranked_lock_destroy(&pool->lock);
    ranked_lock_destroy(&pool->readahead_lock);
    return error;
}

/* Says which path an error is about, and what could not be done there. */
static int explain(const char *path, const char *what, int error)
{
    last_error_reason_at(path, what, -error);
    return error;
}

/* ---- directories ---- */

static int open_place(struct pool_place *place, const char *dir)
{
    /* The descriptor is kept: further files are made there even if the process
     * has changed its directory or its root by then. */
    int directory = descriptor_open_directory(dir);
    if (directory < 0)
        return explain(dir, NULL, directory);
    int result = pool_list_share_directory(place, directory);
    if (result == 0 && sys.realpath(dir, place->path) == NULL)
        place->path[0] = '\0';
    return result;
}

static int add_place(struct memkind_region_pool *pool, const char *dir)
{
    struct pool_place *place =
        sys.mmap(NULL, sizeof *place, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (place == MAP_FAILED)
        return -ENOMEM;
    place->directory = place->node = -1;
    pool_list_add_place(pool, place);
    return open_place(place, dir);
}

static void drop_places(struct memkind_region_pool *pool)
{
    struct pool_place *next;
    for (struct pool_place *place = pool->place.next; place != NULL;
         place = next) {
        next = place->next;
        sys.munmap(place, sizeof *place);
    }
    pool->place.next = NULL;
}

/* Adds what the other file systems hold to what the first one will add. */
static void look_at_places(struct memkind_region_pool *pool)
{
    for (struct pool_place *place = &pool->place; place != NULL;
         place = place->next) {
        const struct pool_place *before = &pool->place;
        place->node = place_node(place->directory);
        while (before != place &&
               before->identity.device != place->identity.device)
            before = before->next;
        if (before == place && place != &pool->place)
            pool->first_capacity += file_system_size(place->directory);
    }
}

static int open_first_place(struct memkind_region_pool *pool, const char *dir)
{
    int fd = pool_create_file(&pool->place);
    if (fd < 0)
        return explain(dir, "no file can be made there", fd);
    int result = grow_first_region(pool, fd);
    return result == 0 ? 0
                       : explain(dir, "no file can be mapped there", result);
}

/* Makes a file in a further place. That addresses are scarce is no failure: the
 * place is used when the pool grows, if it is one that can be. */
static int use_further_place(struct memkind_region_pool *pool,
                             struct pool_place *place, const char *dir)
{
    ranked_lock_take(&pool->lock);
    int result = pool_stripes_add(pool, place);
    if (result == -ENOBUFS)
        result = pool_stripes_check(pool, place);
    ranked_lock_release(&pool->lock);
    return result == 0 ? 0
                       : explain(dir, "no file can be mapped there", result);
}

int region_pool_open_places(struct memkind_region_pool *pool,
                            const char *const *dirs, unsigned count,
                            size_t max_size, void *owner)
{
    init_pool(pool, REGION_FILES, max_size, owner);
    int result = open_place(&pool->place, dirs[0]);
    for (unsigned i = 1; i < count && result == 0; i++)
        result = add_place(pool, dirs[i]);
    if (result == 0 && count > 1)
        look_at_places(pool);
    if (result == 0)
        result = open_first_place(pool, dirs[0]);
    if (result != 0) {
        (void)fail_open(pool, result);
        drop_places(pool);
        return result;
    }
    struct pool_place *place = &pool->place;
    for (unsigned i = 1; i < count && result == 0; i++) {
        place = place->next;
        result = use_further_place(pool, place, dirs[i]);
    }
    if (result != 0)
        (void)region_pool_close(pool);
    return result;
}

int region_pool_open_files(struct memkind_region_pool *pool, const char *dir,
                           size_t max_size, void *owner)
{
    return region_pool_open_places(pool, &dir, 1, max_size, owner);
}

/* Whether a caller's file can be a kind's. */
static int check_file(int fd)
{
    struct stat st;
    if (sys.fstat(fd, &st) != 0)
        return -errno;
    const int flags = sys.get_flags(fd);
    const char *flaw = NULL;
    if (!S_ISREG(st.st_mode))
        flaw = "is no regular file's";
    else if (st.st_size != 0)
        flaw = "is that of a file which is not empty";
    else if (flags < 0 || (flags & O_ACCMODE) != O_RDWR)
        flaw = "is not open for reading and writing";
    else if ((flags & O_APPEND) != 0)
        flaw = "is open for appending";
    if (flaw == NULL)
        return 0;
    last_error_reason("descriptor %d %s", fd, flaw);
    return -EINVAL;
}

int region_pool_open_file(struct memkind_region_pool *pool, int fd,
                          size_t max_size, void *owner)
{
    int result = check_file(fd);
    if (result != 0)
        return result;
    int own = descriptor_duplicate(fd);
    if (own < 0)
        return own;
    init_pool(pool, REGION_FILE, max_size, owner);
    result = grow_first_region(pool, own);
    return result == 0 ? 0 : fail_open(pool, result);
}

int region_pool_open_device(struct memkind_region_pool *pool, const char *path,
                            size_t max_size, void *owner)
{
    struct mapping mapping;
    int fd = dax_device_open(path);
    if (fd < 0)
        return explain(path,
                       fd == -EBUSY     ? "another kind has the device"
                       : fd == -ENOTDIR ? "neither a directory nor a device DAX"
                                        : NULL,
                       fd);
    int result = dax_device_map(fd, &mapping);
    if (result != 0)
        goto fail_map;
    if (max_size == 0 || max_size > mapping.size)
        max_size = mapping.size;
    init_pool(pool, REGION_DEVICE, max_size, owner);
    result = add_first_region(pool, &mapping, fd);
    if (result != 0)
        goto fail_add;
    return 0;

fail_add:
    (void)fail_open(pool, result);
    (void)file_mapping_unmap(&mapping);
fail_map:
    sys.close(fd);
    return explain(path, "the device cannot be mapped", result);
}

int region_pool_open_buffer(struct memkind_region_pool *pool, void *addr,
                            size_t size, void *owner)
{
    const size_t page_size = region_page_size();
    uintptr_t end = (uintptr_t)addr + size;
    uintptr_t base = ((uintptr_t)addr + page_size - 1) & ~(page_size - 1);
    if (end < (uintptr_t)addr || base < (uintptr_t)addr) {
        last_error_reason("%zu bytes from %p on are beyond all addresses", size,
                          addr);
        return -EINVAL;
    }
    end &= ~(page_size - 1);
    if (addr == NULL || base >= end) {
        last_error_reason("the %zu bytes at %p hold no whole page", size, addr);
        return -EINVAL;
    }
    init_pool(pool, REGION_BUFFER, end - base, owner);
    struct mapping mapping = {.base = (char *)addr + (base - (uintptr_t)addr),
                              .size = end - base};
    int result = add_first_region(pool, &mapping, -1);
    if (result == -EEXIST)
        last_error_reason("the %zu bytes at %p are another kind's in part",
                          size, addr);
    return result == 0 ? 0 : fail_open(pool, result);
}

static int open_memory(struct memkind_region_pool *pool)
{
    pool->new_size =
        pool_limit_first_size(physical_memory_size(), pool->new_size);
    int result = grow_first_region(pool, -1);
    return result == 0 ? 0 : fail_open(pool, result);
}

int region_pool_open_memory(struct memkind_region_pool *pool, void *owner)
{
    init_pool(pool, REGION_MEMORY, 0, owner);
    return open_memory(pool);
}

/* Space is taken by the page, which is never split. */
int region_pool_open_huge_pages(struct memkind_region_pool *pool, void *owner)
{
    init_pool(pool, REGION_MEMORY, 0, owner);
    pool->has_huge_pages = true;
    pool->grain = pool->file_system.unit = HUGE_PAGE_SIZE;
    return open_memory(pool);
}

void region_pool_set_fork_policy(struct memkind_region_pool *pool,
                                 enum region_fork_policy policy)
{
    ranked_lock_take(&pool->lock);
    pool->fork_policy = policy;
    ranked_lock_release(&pool->lock);
}

void region_pool_set_numa(struct memkind_region_pool *pool,
                          const struct region_numa *numa)
{
    ranked_lock_take(&pool->lock);
    pool->numa = numa;
    ranked_lock_release(&pool->lock);
}

void region_pool_dump_objects(struct memkind_region_pool *pool)
{
    ranked_lock_take(&pool->lock);
    pool->dumps_objects = true;
    for (unsigned i = 0; i < atomic_load(&pool->count); i++)
        pool->regions[i].dumps_objects = true;
    ranked_lock_release(&pool->lock);
}

void region_pool_set_closes_late(struct memkind_region_pool *pool)
{
    pool->closes_late = true;
}

struct closing {
    const struct memkind_region_pool *pool;
    bool still_mapped;
};

/* Whether the file is this region's to close. */
static bool has_file_to_close(const struct region *region)
{
    return region->owns_file && region_has_descriptor(region);
}

/* Most of the time that a large pool's end takes is here: closing a file that
 * nothing else keeps drops its pages. */
static void close_file_of_region(void *context, unsigned index)
{
    const struct closing *closing = context;
    const struct region *region = &closing->pool->regions[index];
    if (has_file_to_close(region))
        pool_close_file(closing->pool, region->fd, closing->still_mapped);
}

/* Takes the pages of a region out of the process's tables, which the kernel
 * would do for all regions one after another when they are unmapped. */
static void empty_tables_of_region(void *context, unsigned index)
{
    const struct memkind_region_pool *pool = context;
    const struct region *region = &pool->regions[index];
    (void)sys.madvise(region->base, region->used, MADV_DONTNEED);
}

/* Gives the regions' memory back. */
static void close_regions(struct memkind_region_pool *pool, unsigned count)
{
    const bool has_threads = region_pool_is_worth_threads(pool);
    bool still_mapped = false;
    if (has_threads)
        parallel_do(count, empty_tables_of_region, pool);
    for (unsigned i = count; i-- > 0;)
        still_mapped |= !pool_remove_region(pool, &pool->regions[i], NULL);
    struct closing closing = {pool, still_mapped};
    if (has_threads)
        parallel_do(count, close_file_of_region, &closing);
    else
        for (unsigned i = 0; i < count; i++)
            close_file_of_region(&closing, i);
}

/* Leaves that to late_close_start(). */
static void close_regions_late(struct memkind_region_pool *pool, unsigned count,
                               struct late_close *list)
{
    const bool may_empty = !pool_is_needed_by_children(pool);
    for (unsigned i = count; i-- > 0;) {
        struct region *region = &pool->regions[i];
        struct late_region late = {
            .base = region->base,
            .used = region->used,
            .fd = has_file_to_close(region) ? region->fd : -1,
            .identity = region->identity,
            .may_empty = may_empty,
        };
        (void)pool_remove_region(pool, region, &late.mapping);
        late_close_add(list, &late);
    }
}

/* A device or a caller's file is the caller's again when the pool is closed. */
static struct late_close *begin_late(const struct memkind_region_pool *pool,
                                     unsigned count)
{
    if (!pool->closes_late || pool->backing != REGION_FILES ||
        pool->is_inherited)
        return NULL;
    return late_close_new(count);
}

struct late_close *region_pool_close(struct memkind_region_pool *pool)
{
    pool_list_remove(pool);
    const unsigned count = atomic_load(&pool->count);
    assert(pool_charge_is_sound(pool));
    struct late_close *late = begin_late(pool, count);
    if (late != NULL)
        close_regions_late(pool, count, late);
    else
        close_regions(pool, count);
    atomic_store(&pool->count, 0);
    pool_stripes_fini(pool);
    drop_places(pool);
    ranked_lock_destroy(&pool->lock);
    ranked_lock_destroy(&pool->readahead_lock);
    return late;
}
