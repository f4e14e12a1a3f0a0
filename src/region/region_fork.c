/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Regions across fork(2).
 *
 * A mapping of a file is MAP_SHARED, so a forked child would write into its
 * parent's objects. Each pool therefore says what its regions become in a child
 * (enum region_fork_policy), and the child makes them so before fork() returns.
 *
 * A private region has no file: reading shows what the file holds (by a private
 * mapping of it) or held (by a copy), stores stay in this process, and what is
 * committed becomes anonymous memory (region_private.h). The child closes
 * the file's descriptor, and never allocates, punches or truncates it.
 *
 * With REGION_FORK_SNAPSHOT the file stays as it is for the parent as well
 * (region_detach.h): the child keeps the private mappings that it finds.
 *
 * Handlers of fork() are registered when the library is loaded, before jemalloc
 * registers its own. fork() prepares in reverse order: jemalloc's locks are
 * taken first, then those of this layer, which extent hooks take under them.
 */
#include "region_fork.h"

#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>

#include "address_table.h"
#include "debug_log.h"
#include "file_mapping.h"
#include "fork_mark.h"
#include "grain_small_pages.h"
#include "late_close.h"
#include "mapping_count.h"
#include "mapping_reserve.h"
#include "pool_list.h"
#include "region_copy.h"
#include "region_detach.h"
#include "region_dump.h"
#include "region_private.h"
#include "region_readahead.h"
#include "sys_calls.h"

/*
 * A jemalloc that is no part of this library has registered its handlers before
 * this library is loaded. To take the locks of its hooks before it takes its
 * own would be a deadlock; the child then takes them as they are.
 */
#ifdef MEMKIND_JEMALLOC_EMBEDDED
#define LOCKS_ARE_HELD true
#else
#define LOCKS_ARE_HELD false
#endif

/* ---- mapping over a region ---- */

static bool map_fixed(char *base, size_t size, int prot, int flags, int fd,
                      size_t offset)
{
    return size == 0 ||
           sys.mmap(base, size, prot, flags | MAP_FIXED | MAP_NORESERVE, fd,
                    (off_t)offset) != MAP_FAILED;
}

static bool map_nothing(char *base, size_t size)
{
    return map_fixed(base, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

/* ---- in the child ---- */

static bool is_copied(const struct memkind_region_pool *pool)
{
    return pool->fork_policy == REGION_FORK_COPY &&
           pool->backing != REGION_DEVICE;
}

static bool is_snapshot(const struct memkind_region_pool *pool)
{
    return pool->fork_policy == REGION_FORK_SNAPSHOT &&
           pool->backing != REGION_DEVICE;
}

/* Maps the file, with stores that stay in this process. */
static bool map_private(const struct memkind_region_pool *pool,
                        const struct region *region)
{
    if (!region_has_descriptor(region) ||
        !map_fixed(region->base, region->used, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE, region->fd, region->file_offset))
        return false;
    /* The parent may make holes at any time. Its stores there must not meet
     * what is read ahead here. */
    if (region_readahead_matters(pool) && region->used != 0)
        (void)sys.madvise(region->base, region->used, MADV_RANDOM);
    return true;
}

static bool make_private(const struct memkind_region_pool *pool,
                         struct region *region)
{
    const bool copied = is_copied(pool);
    const size_t size = copied              ? region->copy_size
                        : is_snapshot(pool) ? region->snapshot_size
                                            : region->used;
    char *unused = region->base + size;
    if (pool->backing == REGION_DEVICE)
        return false;
    if (!(copied              ? region_copy_move(region)
          : is_snapshot(pool) ? region->is_snapshot
                              : map_private(pool, region)))
        return false;
    region_private_init(region, size, copied);
    /* Blocks that are taken are opened as ever. */
    region->open = size;
    return map_nothing(unused, region->size - size);
}

/* If the descriptor is gone, the mapping that is there will do. */
static bool map_readable(const struct region *region, size_t size, int flags)
{
    if (!region_has_descriptor(region))
        return sys.mprotect(region->base, size, PROT_READ) == 0;
    return map_fixed(region->base, size, PROT_READ, flags, region->fd,
                     region->file_offset);
}

/* What cannot be made private can perhaps be read, and must not be written. */
static void make_unavailable(const struct memkind_region_pool *pool,
                             struct region *region)
{
    const bool device = pool->backing == REGION_DEVICE;
    const size_t size = device ? region->size : region->used;
    /* What the parent has stored since an earlier fork is not in the file. */
    const bool readable =
        pool->fork_policy != REGION_FORK_UNAVAILABLE && !is_snapshot(pool);
    char *unused = region->base + size;
    if (readable &&
        map_readable(region, size, device ? MAP_SHARED : MAP_PRIVATE) &&
        map_nothing(unused, region->size - size))
        return;
    if (map_nothing(region->base, region->size))
        return;
    /* Another mapping may get these addresses. Better that than the parent's
     * objects. */
    sys.munmap(region->base, region->size);
}

/* Returns whether the region is one that this process can use. */
static bool inherit_region(struct memkind_region_pool *pool,
                           struct region *region)
{
    if (region->is_private) {
        region_private_inherit(region);
        return true;
    }
    bool usable = !pool->is_lost &&
                  pool->fork_policy != REGION_FORK_UNAVAILABLE &&
                  make_private(pool, region);
    if (!usable)
        make_unavailable(pool, region);
    region_copy_drop(region);
    region_detach_child(pool, region);
    region_dump_inherit(region, usable && is_copied(pool));
    region->is_private = true;
    region->is_pmem = false;
    return usable;
}

/* To be called when no region that is in the files uses them any more. */
static void close_files(struct memkind_region_pool *pool)
{
    unsigned count = atomic_load(&pool->count);
    for (unsigned i = 0; i < count; i++) {
        struct region *region = &pool->regions[i];
        if (region->owns_file && region_has_descriptor(region))
            sys.close(region->fd);
        region->fd = -1;
        region->owns_file = false;
    }
}

/* A file that parent and child share grows for the parent. */
static void share_files(struct memkind_region_pool *pool)
{
    unsigned count = atomic_load(&pool->count);
    for (unsigned i = 0; i < count; i++)
        pool->regions[i].is_parents_file = true;
}

static void inherit_pool(struct memkind_region_pool *pool)
{
    if (pool->backing == REGION_BUFFER || pool->backing == REGION_MEMORY)
        return;
    pool->is_inherited = true;
    if (pool->fork_policy == REGION_FORK_SHARED) {
        share_files(pool);
        /* For good; map_private() says why. */
        (void)region_readahead_forbid(pool);
        return;
    }
    unsigned count = atomic_load(&pool->count);
    for (unsigned i = 0; i < count; i++) {
        if (inherit_region(pool, &pool->regions[i]))
            continue;
        if (pool->fork_policy != REGION_FORK_UNAVAILABLE)
            debug_log("a region of %zu MiB is not available in the child",
                      pool->regions[i].size >> 20);
        pool->is_lost = true;
    }
    close_files(pool);
}

/* ---- locks ---- */

static void lock_grains(struct memkind_region_pool *pool)
{
    unsigned count = atomic_load(&pool->count);
    for (unsigned i = 0; i < count; i++)
        ranked_lock_take(&pool->regions[i].grain_lock);
}

static void lock_detached(struct memkind_region_pool *pool)
{
    unsigned count = atomic_load(&pool->count);
    for (unsigned i = 0; i < count; i++)
        ranked_lock_take(&pool->regions[i].detach_lock);
}

static void unlock_detached(struct memkind_region_pool *pool)
{
    unsigned count = atomic_load(&pool->count);
    for (unsigned i = 0; i < count; i++)
        ranked_lock_release(&pool->regions[i].detach_lock);
}

static void unlock_grains(struct memkind_region_pool *pool)
{
    unsigned count = atomic_load(&pool->count);
    for (unsigned i = 0; i < count; i++)
        ranked_lock_release(&pool->regions[i].grain_lock);
}

/* In the child: locks that other threads may have left locked. What they guard
 * is usable even if half done, except the tables of a region. */
static void renew_pool_locks(struct memkind_region_pool *pool)
{
    unsigned count = atomic_load(&pool->count);
    for (unsigned i = 0; i < count; i++) {
        struct region *region = &pool->regions[i];
        bool has_tables =
            region->grain_live != NULL || region->owed.level[0] != NULL;
        if (!ranked_lock_renew(&region->grain_lock, RANK_GRAINS) && has_tables)
            pool->is_lost = true;
        (void)ranked_lock_renew(&region->detach_lock, RANK_DETACHED);
    }
    (void)ranked_lock_renew(&pool->lock, RANK_POOL);
    (void)ranked_lock_renew(&pool->readahead_lock, RANK_READAHEAD);
}

/* All locks of this layer, in their order: each pool's, then each region's. */
static void lock_all(void)
{
    struct memkind_region_pool *pool;
    lock_rank_allow_equal(true);
    for (pool = pool_list_first(); pool != NULL; pool = pool->next)
        ranked_lock_take(&pool->lock);
    for (pool = pool_list_first(); pool != NULL; pool = pool->next)
        lock_grains(pool);
    for (pool = pool_list_first(); pool != NULL; pool = pool->next)
        lock_detached(pool);
    lock_rank_allow_equal(false);
    late_close_lock();
    file_mapping_lock();
    address_table_lock();
    mapping_count_lock();
}

static void unlock_all(void)
{
    struct memkind_region_pool *pool;
    mapping_count_unlock();
    address_table_unlock();
    file_mapping_unlock();
    late_close_unlock();
    for (pool = pool_list_first(); pool != NULL; pool = pool->next)
        unlock_detached(pool);
    for (pool = pool_list_first(); pool != NULL; pool = pool->next)
        unlock_grains(pool);
    for (pool = pool_list_first(); pool != NULL; pool = pool->next)
        ranked_lock_release(&pool->lock);
}

static void renew_all(void)
{
    address_table_renew_lock();
    file_mapping_renew_lock();
    late_close_renew_lock();
    mapping_count_renew_lock();
    for (struct memkind_region_pool *pool = pool_list_first(); pool != NULL;
         pool = pool->next)
        renew_pool_locks(pool);
}

/* ---- snapshots ---- */

static void detach_region(struct memkind_region_pool *pool,
                          struct region *region)
{
    if (region->is_private || region->fd < 0)
        return;
    if (!LOCKS_ARE_HELD) {
        ranked_lock_take(&region->detach_lock);
        mapping_count_lock();
    }
    region_detach_prepare(pool, region);
    if (!LOCKS_ARE_HELD) {
        mapping_count_unlock();
        ranked_lock_release(&region->detach_lock);
    }
}

static bool any_is_snapshot(void)
{
    for (const struct memkind_region_pool *pool = pool_list_first();
         pool != NULL; pool = pool->next)
        if (is_snapshot(pool))
            return true;
    return false;
}

/* A child whose end would not be noticed does not get the file. */
static void take_snapshots(void)
{
    if (!any_is_snapshot() || !fork_mark_prepare())
        return;
    for (struct memkind_region_pool *pool = pool_list_first(); pool != NULL;
         pool = pool->next)
        for (unsigned i = 0; is_snapshot(pool) && i < atomic_load(&pool->count);
             i++)
            detach_region(pool, &pool->regions[i]);
}

static void end_snapshots(void)
{
    if (!any_is_snapshot())
        return;
    for (struct memkind_region_pool *pool = pool_list_first(); pool != NULL;
         pool = pool->next)
        for (unsigned i = 0; is_snapshot(pool) && i < atomic_load(&pool->count);
             i++)
            region_detach_parent(&pool->regions[i]);
    fork_mark_parent();
}

/* ---- handlers ---- */

/* Each side may split grains that the other has mapped, which that is not
 * told. */
static void prepare_to_share(struct memkind_region_pool *pool)
{
    const int saved_errno = errno;
    if (atomic_exchange(&pool->is_shared, true))
        return;
    for (unsigned i = 0; i < atomic_load(&pool->count); i++)
        grain_small_pages_only(&pool->regions[i], pool->regions[i].base,
                               pool->regions[i].size);
    errno = saved_errno;
}

static void prepare_fork(void)
{
    pool_list_lock();
    mapping_reserve_release();
    if (LOCKS_ARE_HELD)
        lock_all();
    for (struct memkind_region_pool *pool = pool_list_first(); pool != NULL;
         pool = pool->next) {
        if (pool->fork_policy == REGION_FORK_SHARED)
            prepare_to_share(pool);
        for (unsigned i = 0; is_copied(pool) && i < atomic_load(&pool->count);
             i++)
            region_copy_make(&pool->regions[i]);
    }
    take_snapshots();
}

static void continue_in_parent(void)
{
    for (struct memkind_region_pool *pool = pool_list_first(); pool != NULL;
         pool = pool->next)
        for (unsigned i = 0; is_copied(pool) && i < atomic_load(&pool->count);
             i++)
            region_copy_drop(&pool->regions[i]);
    end_snapshots();
    mapping_reserve_renew();
    if (LOCKS_ARE_HELD)
        unlock_all();
    pool_list_unlock();
}

static void continue_in_child(void)
{
    int saved_errno = errno;
    if (!LOCKS_ARE_HELD) {
        renew_all();
        lock_all();
    }
    for (struct memkind_region_pool *pool = pool_list_first(); pool != NULL;
         pool = pool->next)
        inherit_pool(pool);
    fork_mark_child();
    late_close_child();
    unlock_all();
    pool_list_unlock();
    errno = saved_errno;
}

void region_fork_init(void)
{
    (void)pthread_atfork(prepare_fork, continue_in_parent, continue_in_child);
}
