/* SPDX-License-Identifier: BSD-2-Clause */
#include "region_pool.h"

#include <errno.h>
#include <fcntl.h>
#include <libpmem.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "address_space.h"
#include "address_table.h"
#include "cpu_count.h"
#include "debug_log.h"
#include "leak_roots.h"
#include "memory_marks.h"
#include "region_align.h"
#include "region_dump.h"
#include "region_file.h"
#include "region_fork.h"
#include "region_grains.h"
#include "region_owed.h"
#include "region_private.h"
#include "region_readahead.h"
#include "region_tags.h"
#include "sys_calls.h"

#define MIB ((size_t)1 << 20)
#define GIB ((size_t)1 << 30)

/* Address space of a first region. Arenas take it in blocks of growing size
 * that other arenas cannot use, hence the generous multiple of the limit, or of
 * what can be held at all. */
#define REGION_SIZE_UNLIMITED (64 * GIB)
#define REGION_SIZE_MIN (16 * MIB)
/* Where a region takes all that it may need at once; further ones double. */
#define REGION_SIZE_MODEST (64 * MIB)
#define REGION_SIZE_PER_BUDGET 8
#define REGION_SIZE_PER_CAPACITY 4

/* Blocks are opened by so much at once: no mapping by large pages is split. */
#define OPEN_STEP (2 * MIB)

/* A file that has less room than this part of what is wanted is as good as
 * full; there can only be so many regions. */
#define LEAST_PART 8

/* No region is larger than what most processes have; where there is more,
 * further regions take it. */
#define ADDRESS_SPACE ((size_t)1 << 47)

#define BLOCK_ALWAYS_TRIED (8 * GIB)

/* Pages of 16 KiB are mapped 32 MiB at once, pages of 64 KiB 512 MiB. The
 * former is a grain for pools that hold many of them. The latter is out of
 * proportion to what an arena starts with, and what small pages cost is little
 * with pages of that size. */
#define DAX_GRAIN REGION_ALIGN_GRAIN
#define DAX_GRAIN_MOST (32 * MIB)
#define DAX_GRAINS_LEAST 64

/* From here on, streaming stores cost less than what they push out of the
 * caches is worth. */
#define STREAMED_LEAST (64 << 10)

/* How much of a limited pool is worth an arena, which has slabs of some pages
 * for each size. */
#define BUDGET_PER_ARENA (8 * MIB)
#define EXTENT_PAGES_PER_ARENA 1024

size_t region_page_size(void)
{
    static _Atomic size_t page_size;
    size_t size = atomic_load_explicit(&page_size, memory_order_relaxed);
    if (size == 0) {
        size = (size_t)sys.sysconf(_SC_PAGESIZE);
        atomic_store_explicit(&page_size, size, memory_order_relaxed);
    }
    return size;
}

/* In bytes; 0 where it is not known. */
static size_t physical_memory(void)
{
    long pages = sys.sysconf(_SC_PHYS_PAGES);
    return pages > 0 ? (size_t)pages * region_page_size() : 0;
}

static size_t round_up(size_t value, size_t unit)
{
    return (value + unit - 1) & ~(unit - 1);
}

static size_t power_of_two_from(size_t value)
{
    size_t power = 1;
    while (power < value && power <= SIZE_MAX / 2)
        power *= 2;
    return power;
}

/* ---- mapping regions ------------------------------------------------------
 */

bool region_pool_is_fixed(const struct memkind_region_pool *pool)
{
    return pool->backing == REGION_BUFFER || pool->backing == REGION_DEVICE ||
           (pool->no_holes && pool->budget != SIZE_MAX);
}

/* Space that is the pool's from the start, and that nobody else has a use for.
 * Were some of it committed and some not, extents would not merge. */
static bool is_always_committed(const struct memkind_region_pool *pool)
{
    return pool->backing == REGION_BUFFER ||
           (pool->no_holes && region_pool_is_fixed(pool));
}

static bool can_grow(const struct memkind_region_pool *pool)
{
    return !region_pool_is_fixed(pool);
}

/* Devices and buffers can be touched as a whole: neither takes anything for
 * that. */
static bool is_reserved(const struct memkind_region_pool *pool)
{
    return pool->backing != REGION_BUFFER && pool->backing != REGION_DEVICE;
}

static bool has_files(const struct memkind_region_pool *pool)
{
    return pool->backing == REGION_FILES || pool->backing == REGION_FILE;
}

/* Failures that less address space, or a smaller file, may not meet. */
static bool worth_retrying_smaller(int error)
{
    return error == -ENOMEM || error == -EFBIG || error == -ENOSPC ||
           error == -EINVAL || error == -EOVERFLOW || error == -EDQUOT ||
           error == -EAGAIN;
}

/* ---- guard pages ----------------------------------------------------------
 */

static atomic_bool guards_are_used;

void region_pool_use_guards(bool use)
{
    atomic_store(&guards_are_used, use);
}

/* False where there is something else already. */
static bool make_guard(char *addr)
{
    const size_t page_size = region_page_size();
    void *guard = sys.mmap(addr, page_size, PROT_NONE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE |
                               MAP_FIXED_NOREPLACE,
                           -1, 0);
    if (guard == addr)
        return true;
    /* Kernels before 4.17 take the address for a hint. */
    if (guard != MAP_FAILED)
        sys.munmap(guard, page_size);
    return false;
}

/* A region on the caller's own memory has the caller's around it. */
static void make_guards(const struct memkind_region_pool *pool,
                        struct region *region)
{
    if (pool->backing == REGION_BUFFER || !atomic_load(&guards_are_used))
        return;
    region->guard_before = make_guard(region->base - region_page_size());
    region->guard_behind = make_guard(region->base + region->size);
    if (!region->guard_before || !region->guard_behind)
        debug_log("no room for a guard page at %p", (void *)region->base);
}

static void drop_guards(struct region *region)
{
    const size_t page_size = region_page_size();
    if (region->guard_before)
        sys.munmap(region->base - page_size, page_size);
    if (region->guard_behind)
        sys.munmap(region->base + region->size, page_size);
    region->guard_before = region->guard_behind = false;
}

/* ---- where regions come from ----------------------------------------------
 */

/* What a region is to be mapped of. */
struct ground {
    int fd;        /* -1: memory */
    size_t offset; /* in the file */
    bool is_pmem;
    bool still_mapped; /* something of it, which cannot be undone */
};

/* Bytes around a mapping that are to stay free. */
static size_t margin(void)
{
    return atomic_load(&guards_are_used) ? region_page_size() : 0;
}

static int map_memory(size_t size, struct mapping *mapping)
{
    void *base;
    int result = address_space_reserve(size, margin(), &base);
    if (result == 0)
        *mapping = (struct mapping){.base = base, .size = size};
    return result;
}

static int map_once(const struct memkind_region_pool *pool,
                    const struct ground *ground, size_t size,
                    struct mapping *mapping)
{
    if (ground->fd < 0)
        return map_memory(size, mapping);
    int result = region_file_resize(ground->fd, ground->offset + size);
    if (result != 0)
        return result;
    if (!ground->is_pmem)
        return region_file_map(ground->fd, ground->offset, size, margin(),
                               mapping);
    /* Nobody will see an unnamed file after a crash. */
    return region_file_map_pmem(ground->fd, ground->offset, size,
                                pool->backing == REGION_FILE, mapping);
}

/* What the size of a region is a multiple of. */
static size_t region_unit(const struct memkind_region_pool *pool)
{
    return pool->grain > DAX_GRAIN ? pool->grain : DAX_GRAIN;
}

/* What to try after `size` bytes could not be mapped. */
static size_t smaller_size(const struct memkind_region_pool *pool, size_t size,
                           size_t least)
{
    size_t smaller = size / 2 & ~(region_unit(pool) - 1);
    /* Where the system counts memory when it is mapped
     * (vm.overcommit_memory=2), what a kind has and does not use is missed by
     * all others. */
    size_t modest = REGION_SIZE_MODEST << atomic_load(&pool->count);
    if (pool->backing == REGION_MEMORY && smaller > modest)
        smaller = modest;
    return smaller > least ? smaller : least;
}

/* still_mapped: a mapping that cannot be undone keeps a file without a name. */
static void close_region_file(const struct memkind_region_pool *pool, int fd,
                              bool still_mapped)
{
    if (fd < 0)
        return;
    /* The caller's file outlives the pool; its space must not. A child that
     * shares it is not the one to decide. */
    if ((pool->backing == REGION_FILE && !pool->is_inherited) ||
        (pool->backing == REGION_FILES && still_mapped))
        (void)region_file_resize(fd, 0);
    sys.close(fd);
}

bool region_has_descriptor(const struct region *region)
{
    return region->fd >= 0 && region_file_is(region->fd, &region->identity);
}

/* Whether the region's file cannot be emptied by its number, and may be there
 * when the mapping is gone. A file without a name is not kept by a number that
 * is another one's by now; a forked child, if anyone, still reads it. */
static bool may_stay_behind(const struct memkind_region_pool *pool,
                            const struct region *region)
{
    struct file_identity unused;
    if (!has_files(pool) || pool->is_inherited)
        return false;
    if (pool->backing == REGION_FILE)
        return !region_has_descriptor(region);
    return region_file_identify(region->fd, &unused) != 0 &&
           sys.get_flags(region->fd) >= 0;
}

/* Returns whether it is gone. */
static bool unmap_region(const struct memkind_region_pool *pool,
                         const struct region *region)
{
    if (may_stay_behind(pool, region))
        (void)region_file_remove(region->base, region->open);
    const struct mapping mapping = {.base = region->base,
                                    .size = region->size,
                                    .by_libpmem = region->by_libpmem};
    return pool->backing == REGION_BUFFER || region_file_unmap(&mapping) == 0;
}

/* Once there is the first region. */
static size_t dax_grain(const struct memkind_region_pool *pool)
{
    const size_t page_size = region_page_size();
    const size_t large = page_size / sizeof(uint64_t) * page_size;
    const size_t size = pool->regions[0].size;
    if (large <= DAX_GRAIN || large > DAX_GRAIN_MOST || size % large != 0 ||
        size / large < DAX_GRAINS_LEAST ||
        region_pool_capacity(pool) / large < DAX_GRAINS_LEAST)
        return DAX_GRAIN;
    return large;
}

/* By the first region; the others are on the same file system. */
static void choose_grain(struct memkind_region_pool *pool,
                         const struct region *region)
{
    size_t capacity = pool->first_capacity;
    if (capacity == 0 || capacity > pool->budget)
        capacity = pool->budget;
    /* No readahead on DAX; and where there are no holes, it does no harm. */
    if (region->is_pmem || pool->no_holes)
        pool->file_system.largest_folio = 0;
    if (region->is_pmem)
        pool->grain = dax_grain(pool);
    else if (!pool->no_holes)
        pool->grain = region_readahead_grain(&pool->file_system, capacity);
}

/* Makes a mapping the pool's next region. Called with the lock held, or before
 * anyone else knows the pool. */
static int add_region(struct memkind_region_pool *pool,
                      const struct mapping *mapping, int fd, size_t file_offset)
{
    unsigned count = atomic_load(&pool->count);
    struct region *region = &pool->regions[count];
    *region = (struct region){
        .base = mapping->base,
        .size = mapping->size,
        .open = is_reserved(pool) ? 0 : mapping->size,
        .fd = fd,
        .file_offset = file_offset,
        .owns_file = fd >= 0 && file_offset == 0,
        .is_private = fd < 0 && has_files(pool),
        .is_pmem = mapping->is_pmem,
        .by_libpmem = mapping->by_libpmem,
    };
    if (count == 0 && has_files(pool))
        choose_grain(pool, region);
    int result = fd < 0 ? 0 : region_file_identify(fd, &region->identity);
    if (result == 0)
        result = region_tags_make(region);
    if (result != 0)
        return result;
    result = region_grains_init(pool, region);
    if (result != 0)
        goto fail_grains;
    result = address_table_add(region->base, region->size, pool->owner);
    if (result != 0)
        goto fail_address;
    make_guards(pool, region);
    region_dump_init(pool, region);
    /* Grains are written to where nothing is committed yet. */
    if (!is_always_committed(pool) && region->grain_live == NULL)
        memory_mark_unusable(region->base, region->size);
    atomic_store_explicit(&pool->count, count + 1, memory_order_release);
    region_readahead_add(pool, region);
    return 0;

fail_address:
    region_grains_fini(pool, region);
fail_grains:
    region_tags_drop(region);
    return result;
}

/* Where files have no holes, a region takes all its space at once: that of the
 * limit, or a little at a time. */
static size_t size_without_holes(const struct memkind_region_pool *pool,
                                 size_t least)
{
    size_t size = REGION_SIZE_MODEST << atomic_load(&pool->count);
    if (pool->budget < ADDRESS_SPACE)
        size = round_up(pool->budget, region_unit(pool));
    else if (pool->budget != SIZE_MAX)
        size = ADDRESS_SPACE; /* less will do */
    return size > least ? size : least;
}

static int map_and_add(struct memkind_region_pool *pool, struct ground *ground,
                       size_t size)
{
    struct mapping mapping = {0};
    int result = map_once(pool, ground, size, &mapping);
    if (result != 0)
        return result;
    result = add_region(pool, &mapping, ground->fd, ground->offset);
    if (result != 0 && region_file_unmap(&mapping) != 0)
        ground->still_mapped = true;
    return result;
}

/* Whether so much could be mapped. */
static int map_for_a_moment(const struct memkind_region_pool *pool,
                            struct ground *ground, size_t size)
{
    struct mapping mapping = {0};
    int result = map_once(pool, ground, size, &mapping);
    if (result == 0 && region_file_unmap(&mapping) != 0)
        ground->still_mapped = true;
    return result;
}

/*
 * Adds a region of `size` bytes, or as much less as can be had, down to
 * `least`. Where address space is scarce, others need some of it: of what there
 * is, half is left.
 */
static int add_largest(struct memkind_region_pool *pool, struct ground *ground,
                       size_t size, size_t least)
{
    bool scarce = false;
    for (;;) {
        int result = scarce ? map_for_a_moment(pool, ground, size)
                            : map_and_add(pool, ground, size);
        if (result == 0 && !scarce)
            return 0;
        if (ground->still_mapped ||
            (result != 0 && (size <= least || !worth_retrying_smaller(result))))
            return result != 0 ? result : -ENOMEM;
        if (result != 0)
            debug_log("no region of %zu MiB (%s), trying less", size / MIB,
                      strerror(-result));
        size = smaller_size(pool, size, least);
        /* -EAGAIN: of a process that locks its memory, as much as it may. */
        scarce = (result == -ENOMEM || result == -EAGAIN) &&
                 pool->backing != REGION_MEMORY && size / 2 >= least;
    }
}

/* An empty one, for the next region. */
static int prepare_file(struct memkind_region_pool *pool, int fd)
{
    struct file_system file_system;
    int result = file_system_prepare(fd, &file_system);
    if (result != 0)
        return result;
    if (!region_file_has_holes(fd))
        pool->no_holes = true;
    if (atomic_load(&pool->count) == 0)
        pool->file_system = file_system;
    return 0;
}

/* A first region need not be larger than what the place can hold. */
static size_t size_within(size_t capacity, size_t size)
{
    size_t most = SIZE_MAX;
    if (capacity != 0 && capacity <= ADDRESS_SPACE / REGION_SIZE_PER_CAPACITY)
        most = power_of_two_from(capacity) * REGION_SIZE_PER_CAPACITY;
    if (most < GIB)
        most = GIB;
    return size < most ? size : most;
}

/* Adds a region of an empty file. */
static int grow_on(struct memkind_region_pool *pool, int fd, size_t size,
                   size_t least, bool *still_mapped)
{
    struct ground ground = {.fd = fd};
    int result = prepare_file(pool, fd);
    if (result == 0)
        result = region_file_is_pmem(fd, &ground.is_pmem);
    if (result != 0)
        return result;
    if (atomic_load(&pool->count) == 0) {
        pool->first_capacity = file_system_size(fd);
        size = size_within(pool->first_capacity, size);
    }
    if (size < least)
        size = least;
    if (pool->no_holes)
        size = size_without_holes(pool, least);
    result = add_largest(pool, &ground, size, least);
    *still_mapped = ground.still_mapped;
    return result;
}

/* By the descriptor of the directory; where that is gone, by a path that leads
 * there still. */
static int create_file(const struct memkind_region_pool *pool)
{
    const struct file_identity *identity = &pool->directory_identity;
    if (region_file_is(pool->directory, identity))
        return region_file_create(pool->directory);
    int directory = region_file_open_directory(pool->path);
    if (directory < 0)
        return directory;
    int fd = region_file_is(directory, identity) ? region_file_create(directory)
                                                 : -EBADF;
    sys.close(directory);
    return fd;
}

static int grow_on_new_file(struct memkind_region_pool *pool, size_t size,
                            size_t least)
{
    bool still_mapped = false;
    int fd = create_file(pool);
    if (fd < 0)
        return fd;
    int result = grow_on(pool, fd, size, least, &still_mapped);
    if (result != 0)
        close_region_file(pool, fd, still_mapped);
    return result;
}

/* Adds a region behind the last one in its file. */
static int grow_last_file(struct memkind_region_pool *pool, size_t size,
                          size_t least)
{
    const struct region *last = &pool->regions[atomic_load(&pool->count) - 1];
    struct ground ground = {.fd = last->fd,
                            .offset = last->file_offset + last->size,
                            .is_pmem = last->is_pmem};
    if (last->is_parents_file || !region_has_descriptor(last))
        return -EBADF;
    if (pool->no_holes)
        size = size_without_holes(pool, least);
    int result = add_largest(pool, &ground, size, least);
    if (result != 0)
        (void)region_file_resize(ground.fd, ground.offset);
    return result;
}

/* Failures that another file would meet as well: no address space, or no space
 * where a file takes all of its size at once. */
static bool is_about_no_file(int error)
{
    return error == -ENOMEM || error == -EAGAIN || error == -ENOSPC ||
           error == -EDQUOT;
}

/* The file that is there, unless libpmem has to map another one; and what a
 * file has left at its end only when there can be no other. */
static int grow_files(struct memkind_region_pool *pool, size_t size,
                      size_t least)
{
    const bool whole =
        pool->backing == REGION_FILES && region_pool_is_pmem(pool);
    size_t part = size / LEAST_PART & ~(DAX_GRAIN - 1);
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

/* A child's private regions are memory, and so is what it adds to them. */
static bool grows_in_memory(const struct memkind_region_pool *pool)
{
    return !has_files(pool) ||
           (pool->is_inherited && pool->fork_policy != REGION_FORK_SHARED);
}

/* Adds a region with room for `least` bytes; the first one of an empty file, or
 * -1. */
static int grow(struct memkind_region_pool *pool, int fd, size_t least)
{
    unsigned count = atomic_load(&pool->count);
    struct ground memory = {.fd = -1};
    bool still_mapped = false;
    int result;
    if (count == REGION_POOL_MAX_REGIONS)
        return -ENOMEM;
    least = round_up(least, region_unit(pool));
    size_t size = pool->new_size > least ? pool->new_size : least;
    if (grows_in_memory(pool))
        result = add_largest(pool, &memory, size, least);
    else if (count != 0)
        result = grow_files(pool, size, least);
    else
        result = grow_on(pool, fd, size, least, &still_mapped);
    if (result == 0)
        pool->new_size = pool->regions[count].size * 2;
    else if (count == 0)
        close_region_file(pool, fd, still_mapped);
    return result;
}

/* As above, for a pool that is being opened. */
static int add_first_region(struct memkind_region_pool *pool,
                            const struct mapping *mapping, int fd)
{
    pthread_mutex_lock(&pool->lock);
    int result = add_region(pool, mapping, fd, 0);
    pthread_mutex_unlock(&pool->lock);
    return result;
}

static int grow_first_region(struct memkind_region_pool *pool, int fd)
{
    pthread_mutex_lock(&pool->lock);
    int result = grow(pool, fd, REGION_SIZE_MIN);
    pthread_mutex_unlock(&pool->lock);
    return result;
}

/* ---- opening and closing --------------------------------------------------
 */

static void init_pool(struct memkind_region_pool *pool,
                      enum region_backing backing, size_t max_size, void *owner)
{
    *pool = (struct memkind_region_pool){
        .backing = backing,
        .budget =
            max_size == 0 ? SIZE_MAX : max_size & ~(region_page_size() - 1),
        .grain = region_page_size(),
        .new_size = REGION_SIZE_UNLIMITED,
        .owner = owner,
        .directory = -1,
    };
    if (max_size != 0 && max_size < REGION_SIZE_UNLIMITED) {
        pool->new_size = power_of_two_from(max_size) * REGION_SIZE_PER_BUDGET;
        if (pool->new_size < GIB)
            pool->new_size = GIB;
    } else if (max_size != 0 && max_size <= ADDRESS_SPACE / 2) {
        pool->new_size = round_up(max_size, GIB) * 2;
    } else if (max_size != 0) {
        pool->new_size = ADDRESS_SPACE; /* less will do */
    }
    pthread_mutex_init(&pool->lock, NULL);
    pthread_mutex_init(&pool->readahead_lock, NULL);
    region_fork_add(pool);
}

static int fail_open(struct memkind_region_pool *pool, int error)
{
    region_fork_remove(pool);
    region_fork_drop_directory(pool);
    pthread_mutex_destroy(&pool->lock);
    pthread_mutex_destroy(&pool->readahead_lock);
    return error;
}

int region_pool_open_files(struct memkind_region_pool *pool, const char *dir,
                           size_t max_size, void *owner)
{
    /* It is kept: further files are made there wherever the process's own
     * directory, or its root, are by then. */
    int directory = region_file_open_directory(dir);
    if (directory < 0)
        return directory;
    init_pool(pool, REGION_FILES, max_size, owner);
    int result = region_fork_share_directory(pool, directory);
    if (result != 0)
        return fail_open(pool, result);
    if (sys.realpath(dir, pool->path) == NULL)
        pool->path[0] = '\0';
    int fd = create_file(pool);
    result = fd >= 0 ? grow_first_region(pool, fd) : fd;
    return result == 0 ? 0 : fail_open(pool, result);
}

int region_pool_open_file(struct memkind_region_pool *pool, int fd,
                          size_t max_size, void *owner)
{
    struct stat st;
    if (sys.fstat(fd, &st) != 0)
        return -errno;
    int flags = sys.get_flags(fd);
    if (!S_ISREG(st.st_mode) || st.st_size != 0 || flags < 0 ||
        (flags & O_ACCMODE) != O_RDWR || (flags & O_APPEND) != 0)
        return -EINVAL;
    int own = region_file_duplicate(fd);
    if (own < 0)
        return own;
    init_pool(pool, REGION_FILE, max_size, owner);
    int result = grow_first_region(pool, own);
    return result == 0 ? 0 : fail_open(pool, result);
}

int region_pool_open_device(struct memkind_region_pool *pool, const char *path,
                            size_t max_size, void *owner)
{
    struct mapping mapping;
    int fd = region_file_open_device(path);
    if (fd < 0)
        return fd;
    int result = region_file_map_device(fd, &mapping);
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
    (void)region_file_unmap(&mapping);
fail_map:
    sys.close(fd);
    return result;
}

int region_pool_open_buffer(struct memkind_region_pool *pool, void *addr,
                            size_t size, void *owner)
{
    const size_t page_size = region_page_size();
    uintptr_t end = (uintptr_t)addr + size;
    uintptr_t base = ((uintptr_t)addr + page_size - 1) & ~(page_size - 1);
    if (end < (uintptr_t)addr || base < (uintptr_t)addr)
        return -EINVAL;
    end &= ~(page_size - 1);
    if (addr == NULL || base >= end)
        return -EINVAL;
    init_pool(pool, REGION_BUFFER, end - base, owner);
    struct mapping mapping = {.base = (char *)addr + (base - (uintptr_t)addr),
                              .size = end - base};
    int result = add_first_region(pool, &mapping, -1);
    return result == 0 ? 0 : fail_open(pool, result);
}

int region_pool_open_memory(struct memkind_region_pool *pool, void *owner)
{
    init_pool(pool, REGION_MEMORY, 0, owner);
    pool->new_size = size_within(physical_memory(), pool->new_size);
    int result = grow_first_region(pool, -1);
    return result == 0 ? 0 : fail_open(pool, result);
}

void region_pool_set_fork_policy(struct memkind_region_pool *pool,
                                 enum region_fork_policy policy)
{
    pthread_mutex_lock(&pool->lock);
    pool->fork_policy = policy;
    pthread_mutex_unlock(&pool->lock);
}

bool region_pool_shows_parent(const struct memkind_region_pool *pool)
{
    return pool->regions[0].is_private && pool->fork_policy != REGION_FORK_COPY;
}

void region_pool_dump_objects(struct memkind_region_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->dumps_objects = true;
    for (unsigned i = 0; i < atomic_load(&pool->count); i++)
        pool->regions[i].dumps_objects = true;
    pthread_mutex_unlock(&pool->lock);
}

void region_pool_close(struct memkind_region_pool *pool)
{
    region_fork_remove(pool);
    unsigned count = atomic_load(&pool->count);
    bool still_mapped = false;
    for (unsigned i = 0; i < count; i++) {
        struct region *region = &pool->regions[i];
        address_table_remove(region->base, region->size);
        leak_roots_remove(region->base, region->size);
        drop_guards(region);
        still_mapped = !unmap_region(pool, region) || still_mapped;
        region_owed_fini(region);
        region_grains_fini(pool, region);
        region_private_fini(region);
        region_dump_fini(region);
        region_tags_drop(region);
    }
    for (unsigned i = 0; i < count; i++)
        if (pool->regions[i].owns_file &&
            region_has_descriptor(&pool->regions[i]))
            close_region_file(pool, pool->regions[i].fd, still_mapped);
    region_fork_drop_directory(pool);
    atomic_store(&pool->count, 0);
    pthread_mutex_destroy(&pool->lock);
    pthread_mutex_destroy(&pool->readahead_lock);
}

/* ---- blocks -----------------------------------------------------------------
 */

#define NO_PLACE SIZE_MAX

/* Where blocks of a region end. What is always committed is not charged by
 * commits, which would keep to the budget. */
static size_t end_of_blocks(const struct memkind_region_pool *pool,
                            const struct region *region)
{
    return is_always_committed(pool) && pool->budget < region->size
               ? pool->budget
               : region->size;
}

/* Where a block would lie in a region; NO_PLACE where there is no room. */
static size_t place_block(const struct memkind_region_pool *pool,
                          const struct region *region, size_t size,
                          size_t alignment)
{
    uintptr_t base = (uintptr_t)region->base;
    size_t offset = round_up(base + region->used, alignment) - base;
    size_t end = end_of_blocks(pool, region);
    return offset <= end && size <= end - offset ? offset : NO_PLACE;
}

size_t region_pool_room(struct memkind_region_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    const struct region *region = &pool->regions[0];
    size_t room = end_of_blocks(pool, region) - region->used;
    pthread_mutex_unlock(&pool->lock);
    return room;
}

/* Makes the start of a region usable up to `end`; what is noted about it first.
 */
static int open_up_to(const struct memkind_region_pool *pool,
                      struct region *region, size_t end)
{
    int result = region_tags_open(region, end);
    if (result == 0)
        result = region_grains_open(pool, region, end);
    if (result != 0 || end <= region->open)
        return result;
    size_t open = round_up(end, OPEN_STEP);
    if (open > region->size)
        open = region->size;
    result =
        address_space_open(region->base + region->open, open - region->open);
    if (result != 0)
        return result;
    region_dump_opened(region, region->open, open - region->open);
    region->open = open;
    return 0;
}

/* It is objects' from now on. */
static void note_committed(const struct memkind_region_pool *pool,
                           struct region *region, size_t offset, size_t size)
{
    leak_roots_add(region->base + offset, size);
    if (pool->dumps_objects && !region->is_private)
        region_dump_include(region, offset, size);
}

static void *take_block(struct memkind_region_pool *pool, struct region *region,
                        size_t offset, size_t size, bool *commit, bool *zeroed)
{
    char *block = region->base + offset;
    *zeroed = true;
    int result = open_up_to(pool, region, offset + size);
    bool always = is_always_committed(pool);
    if (result == 0 && (always || atomic_load(&pool->pretending))) {
        if (always) {
            atomic_fetch_add(&pool->charged, size);
            note_committed(pool, region, offset, size);
        }
        *commit = true;
        *zeroed = false;
    } else if (result == 0 && *commit) {
        result = region_pool_commit(pool, block, size);
    }
    if (result != 0) {
        errno = -result;
        return NULL;
    }
    region->used = offset + size;
    return block;
}

/* A block that could never be committed as a whole is not worth a region that
 * is made for it: address space does not come back. jemalloc then asks for
 * less. */
static size_t largest_block(const struct memkind_region_pool *pool)
{
    size_t capacity =
        pool->backing == REGION_MEMORY ? 0 : region_pool_capacity(pool);
    if (capacity == 0 || capacity > SIZE_MAX / 8)
        return SIZE_MAX / 4;
    size_t most = power_of_two_from(capacity) * 2;
    return most > BLOCK_ALWAYS_TRIED ? most : BLOCK_ALWAYS_TRIED;
}

/* A new one, or what there is at the end of the newest region: the largest, and
 * older ones have been used up. */
static void *take_new_block(struct memkind_region_pool *pool, size_t size,
                            size_t alignment, bool *commit, bool *zeroed)
{
    struct region *region = &pool->regions[atomic_load(&pool->count) - 1];
    size_t offset = place_block(pool, region, size, alignment);
    if (offset == NO_PLACE && can_grow(pool) && size <= largest_block(pool)) {
        int result = grow(pool, -1, size + alignment);
        pool->could_not_grow = result != 0;
        if (result != 0) {
            errno = -result;
            return NULL;
        }
        region = &pool->regions[atomic_load(&pool->count) - 1];
        offset = place_block(pool, region, size, alignment);
    }
    if (offset != NO_PLACE)
        return take_block(pool, region, offset, size, commit, zeroed);
    errno = ENOMEM;
    return NULL;
}

/* Nobody's blocks are taken back for it. */
#define NO_ARENA UINT16_MAX

/* One that was taken back, or NULL. */
static void *take_old_block(struct memkind_region_pool *pool, unsigned arena,
                            size_t size, size_t alignment, bool commit,
                            bool *zeroed)
{
    for (unsigned i = 0; i < atomic_load(&pool->count); i++) {
        struct region *region = &pool->regions[i];
        size_t offset = region_private_get(region, arena, size, alignment);
        if (offset == region->size)
            continue;
        *zeroed = true;
        char *block = region->base + offset;
        if (!commit || region_pool_commit(pool, block, size) == 0)
            return block;
        region_private_put(region, arena, offset, size);
        return NULL;
    }
    return NULL;
}

void *region_pool_alloc(struct memkind_region_pool *pool, size_t size,
                        size_t alignment, bool *commit, bool *zeroed)
{
    return region_pool_alloc_for(pool, NO_ARENA, size, alignment, commit,
                                 zeroed);
}

void *region_pool_alloc_for(struct memkind_region_pool *pool, unsigned arena,
                            size_t size, size_t alignment, bool *commit,
                            bool *zeroed)
{
    void *block = NULL;
    bool takes_back = atomic_load(&pool->takes_back);
    /* Blocks that an arena takes ahead of need would not be used by it. */
    if (size > SIZE_MAX / 4 || alignment > SIZE_MAX / 4 ||
        (*commit && size > pool->budget) || (!*commit && takes_back) ||
        pool->is_lost) {
        errno = ENOMEM;
        return NULL;
    }
    pthread_mutex_lock(&pool->lock);
    if (takes_back)
        block = take_old_block(pool, arena, size, alignment, *commit, zeroed);
    if (block == NULL)
        block = take_new_block(pool, size, alignment, commit, zeroed);
    pthread_mutex_unlock(&pool->lock);
    return block;
}

/* The decommit cannot fail once it has begun: what could, comes first. */
int region_pool_take_back(struct memkind_region_pool *pool, unsigned arena,
                          void *addr, size_t size, bool committed)
{
    if (!atomic_load_explicit(&pool->takes_back, memory_order_relaxed))
        return -EOPNOTSUPP;
    struct region *region = region_pool_find(pool, addr);
    if (region == NULL || pool->is_lost)
        return -EOPNOTSUPP;
    size_t offset = (size_t)((char *)addr - region->base);
    pthread_mutex_lock(&pool->lock);
    int result = region_private_keeps(region, offset) ? 0 : -EOPNOTSUPP;
    if (result == 0 && committed)
        result = region_pool_decommit(pool, addr, size);
    if (result == 0)
        region_private_put(region, arena, offset, size);
    pthread_mutex_unlock(&pool->lock);
    return result;
}

struct region *region_pool_find(struct memkind_region_pool *pool,
                                const void *addr)
{
    unsigned count = atomic_load_explicit(&pool->count, memory_order_acquire);
    for (unsigned i = 0; i < count; i++)
        if (region_contains(&pool->regions[i], addr))
            return &pool->regions[i];
    return NULL;
}

static bool pool_owes(const struct memkind_region_pool *pool)
{
    unsigned count = atomic_load_explicit(&pool->count, memory_order_acquire);
    for (unsigned i = 0; i < count; i++)
        if (region_owes(&pool->regions[i]))
            return true;
    return false;
}

void region_pool_pay(struct memkind_region_pool *pool)
{
    unsigned count = atomic_load_explicit(&pool->count, memory_order_acquire);
    for (unsigned i = 0; i < count; i++) {
        struct region *region = &pool->regions[i];
        if (!region_owes(region))
            continue;
        if (region->grain_live != NULL)
            region_grains_pay(pool, region);
        else
            region_owed_pay(pool, region);
    }
}

static int commit_once(struct memkind_region_pool *pool, struct region *region,
                       size_t offset, size_t size)
{
    if (region->grain_live != NULL)
        return region_grains_commit(pool, region, offset, size);
    int result = region_owed_commit(pool, region, offset, size);
    if (result == 0)
        memory_mark_usable(region->base + offset, size);
    return result;
}

static int take_space(struct memkind_region_pool *pool, struct region *region,
                      size_t offset, size_t size)
{
    int result = commit_once(pool, region, offset, size);
    if (result == 0 || !pool_owes(pool))
        return result;
    region_pool_pay(pool);
    return commit_once(pool, region, offset, size);
}

/* No file space, or none any more, or never. */
static int decommit_pages(struct memkind_region_pool *pool,
                          struct region *region, size_t offset, size_t size)
{
    int result = region_space_give(pool, region, offset, size, size);
    if (result != 0 && !region_space_is_kept(result))
        result = region_owed_add(region, offset, size);
    else if (result == 0 && pool_owes(pool))
        region_pool_pay(pool);
    if (result == 0)
        memory_mark_unusable(region->base + offset, size);
    return result;
}

static int give_space(struct memkind_region_pool *pool, struct region *region,
                      size_t offset, size_t size)
{
    if (region->grain_live == NULL)
        return decommit_pages(pool, region, offset, size);
    bool owed = region_owes(region);
    int result = region_grains_decommit(pool, region, offset, size);
    if (result == 0 && owed)
        region_pool_pay(pool);
    return result;
}

/* Whether a block of this size could be had elsewhere. */
static bool has_room_elsewhere(struct memkind_region_pool *pool, size_t size)
{
    pthread_mutex_lock(&pool->lock);
    const struct region *last = &pool->regions[atomic_load(&pool->count) - 1];
    bool has_room = (can_grow(pool) && !pool->could_not_grow) ||
                    size <= last->size - last->used;
    pthread_mutex_unlock(&pool->lock);
    return has_room;
}

/* The memory of a private region whose space has been charged. (The pool's lock
 * is not held where something is inherited.) */
static int commit_private(struct memkind_region_pool *pool,
                          struct region *region, size_t offset, size_t size)
{
    bool elsewhere =
        offset >= region->inherited || has_room_elsewhere(pool, size);
    int result = region_private_commit(region, offset, size,
                                       elsewhere ? MAPPING_NEED_LITTLE
                                                 : MAPPING_NEED_MUCH);
    if (result != -EAGAIN)
        return result;
    /* A file that has no holes takes no space when it is read. */
    if (pool->no_holes) {
        memset(region->base + offset, 0, size);
        return 0;
    }
    atomic_store_explicit(&pool->takes_back, true, memory_order_relaxed);
    return -ENOMEM;
}

int region_pool_commit(struct memkind_region_pool *pool, void *addr,
                       size_t size)
{
    struct region *region = region_pool_find(pool, addr);
    if (region == NULL)
        return -EINVAL;
    if (pool->is_lost)
        return -ENOMEM;
    if (is_always_committed(pool) || atomic_load(&pool->pretending))
        return 0;
    size_t offset = (size_t)((char *)addr - region->base);
    int result = take_space(pool, region, offset, size);
    if (result == 0 && region->is_private) {
        result = commit_private(pool, region, offset, size);
        if (result != 0)
            (void)give_space(pool, region, offset, size);
    }
    if (result == 0)
        note_committed(pool, region, offset, size);
    return result;
}

int region_pool_decommit(struct memkind_region_pool *pool, void *addr,
                         size_t size)
{
    struct region *region = region_pool_find(pool, addr);
    if (region == NULL)
        return -EINVAL;
    if (is_always_committed(pool) || pool->is_lost)
        return -EOPNOTSUPP;
    if (atomic_load(&pool->pretending))
        return 0;
    size_t offset = (size_t)((char *)addr - region->base);
    const bool is_marked = pool->dumps_objects && !region->is_private;
    int result = 0;
    if (region->is_private) /* What follows cannot fail then. */
        result = region_private_decommit(region, offset, size);
    else if (is_marked)
        result = region_dump_exclude(region, offset, size);
    if (result != 0)
        return result;
    leak_roots_remove(addr, size);
    result = give_space(pool, region, offset, size);
    if (result != 0)
        note_committed(pool, region, offset, size);
    return result;
}

void region_pool_set_pretending(struct memkind_region_pool *pool,
                                bool pretending)
{
    atomic_store(&pool->pretending, pretending);
}

bool region_pool_lacks_space(const struct memkind_region_pool *pool)
{
    return atomic_load_explicit(&pool->lacks_space, memory_order_relaxed);
}

bool region_pool_shares_space(const struct memkind_region_pool *pool,
                              const struct memkind_region_pool *other)
{
    return pool != NULL && other != NULL && has_files(pool) &&
           has_files(other) && pool->regions[0].fd >= 0 &&
           other->regions[0].fd >= 0 &&
           pool->regions[0].identity.device ==
               other->regions[0].identity.device;
}

size_t region_pool_charged(const struct memkind_region_pool *pool)
{
    return atomic_load_explicit(&pool->charged, memory_order_relaxed);
}

size_t region_pool_capacity(const struct memkind_region_pool *pool)
{
    if (pool->budget != SIZE_MAX)
        return pool->budget;
    if (has_files(pool) && pool->regions[0].fd >= 0)
        return region_has_descriptor(&pool->regions[0])
                   ? file_system_size(pool->regions[0].fd)
                   : pool->first_capacity;
    return physical_memory();
}

static bool is_worth_streaming(const struct memkind_region_pool *pool,
                               size_t size)
{
    return size >= STREAMED_LEAST && pool != NULL && region_pool_is_pmem(pool);
}

void region_pool_clear(const struct memkind_region_pool *pool, void *ptr,
                       size_t size)
{
    if (!is_worth_streaming(pool, size)) {
        memset(ptr, 0, size);
        return;
    }
    pmem_memset(ptr, 0, size, PMEM_F_MEM_NODRAIN | PMEM_F_MEM_NONTEMPORAL);
    pmem_drain(); /* before another thread is told of the object */
}

void region_pool_copy(const struct memkind_region_pool *pool, void *to,
                      const void *from, size_t size)
{
    if (!is_worth_streaming(pool, size)) {
        memcpy(to, from, size);
        return;
    }
    pmem_memcpy(to, from, size, PMEM_F_MEM_NODRAIN | PMEM_F_MEM_NONTEMPORAL);
    pmem_drain();
}

int region_pool_persist(struct memkind_region_pool *pool, const void *addr,
                        size_t size)
{
    const struct region *region = region_pool_find(pool, addr);
    if (region == NULL || (region->fd < 0 && !region->is_private))
        return -EINVAL;
    size_t offset = (size_t)((const char *)addr - region->base);
    if (size > region->size - offset)
        return -EINVAL;
    if (region->is_private)
        return -EOPNOTSUPP;
    if (region->is_pmem)
        pmem_persist(addr, size);
    else if (size != 0 && sys.pmem_msync(addr, size) != 0)
        return -errno;
    return 0;
}

bool region_pool_is_lost(const struct memkind_region_pool *pool)
{
    return pool->is_lost;
}

bool region_pool_is_pmem(const struct memkind_region_pool *pool)
{
    return atomic_load(&pool->count) != 0 && pool->regions[0].is_pmem;
}

unsigned region_pool_arenas(const struct memkind_region_pool *pool,
                            unsigned per_cpu, size_t extent_page)
{
    size_t most = (size_t)cpu_count() * per_cpu;
    size_t by_size = SIZE_MAX, least = EXTENT_PAGES_PER_ARENA * extent_page;
    if (least < BUDGET_PER_ARENA)
        least = BUDGET_PER_ARENA;
    /* Where there is no spare address space, what one arena has had, no other
     * arena gets. */
    if (region_pool_is_fixed(pool))
        return 1;
    /* An arena keeps some slabs half empty. */
    if (pool->budget != SIZE_MAX)
        by_size = pool->budget / (pool->grain + least);
    if (by_size < most)
        most = by_size;
    return most == 0 ? 1 : (unsigned)most;
}
