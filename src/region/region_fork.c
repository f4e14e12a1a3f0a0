/* SPDX-License-Identifier: BSD-2-Clause */
#include "region_fork.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "address_table.h"
#include "debug_log.h"
#include "mapping_count.h"
#include "region_dump.h"
#include "region_file.h"
#include "region_private.h"
#include "region_readahead.h"
#include "sys_calls.h"

/*
 * A jemalloc that is no part of this library has registered its handlers
 * before anything of ours runs. To hold its hooks' locks before it takes its
 * own would be a deadlock; the child then takes them as it finds them.
 */
#ifdef MEMKIND_JEMALLOC_EMBEDDED
#define LOCKS_ARE_HELD true
#else
#define LOCKS_ARE_HELD false
#endif

static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static struct memkind_region_pool *pools; /* guarded by list_lock */

void region_fork_add(struct memkind_region_pool *pool)
{
    pthread_mutex_lock(&list_lock);
    pool->prev = NULL;
    pool->next = pools;
    if (pools != NULL)
        pools->prev = pool;
    pools = pool;
    pthread_mutex_unlock(&list_lock);
}

void region_fork_remove(struct memkind_region_pool *pool)
{
    pthread_mutex_lock(&list_lock);
    if (pool->prev != NULL)
        pool->prev->next = pool->next;
    else
        pools = pool->next;
    if (pool->next != NULL)
        pool->next->prev = pool->prev;
    pthread_mutex_unlock(&list_lock);
}

static bool has_directory(const struct memkind_region_pool *pool, int number,
                          const struct file_identity *identity)
{
    return pool->directory == number &&
           pool->directory_identity.device == identity->device &&
           pool->directory_identity.inode == identity->inode;
}

/* The program's own descriptor of a directory may have the number by now; it
 * is one to read. */
static bool is_ours(int number, const struct file_identity *identity)
{
    return region_file_is(number, identity) &&
           (sys.get_flags(number) & O_PATH) != 0;
}

int region_fork_share_directory(struct memkind_region_pool *pool, int directory)
{
    struct file_identity *identity = &pool->directory_identity;
    int result = region_file_identify(directory, identity);
    if (result != 0) {
        sys.close(directory);
        return result;
    }
    pthread_mutex_lock(&list_lock);
    pool->directory = directory;
    for (struct memkind_region_pool *other = pools; other != NULL;
         other = other->next)
        if (other != pool && other->directory >= 0 &&
            is_ours(other->directory, identity)) {
            pool->directory = other->directory;
            break;
        }
    if (pool->directory != directory)
        sys.close(directory);
    pthread_mutex_unlock(&list_lock);
    return 0;
}

void region_fork_drop_directory(struct memkind_region_pool *pool)
{
    const struct file_identity *identity = &pool->directory_identity;
    pthread_mutex_lock(&list_lock);
    const struct memkind_region_pool *other = pools;
    while (other != NULL && !has_directory(other, pool->directory, identity))
        other = other->next;
    if (other == NULL && is_ours(pool->directory, identity))
        sys.close(pool->directory);
    pool->directory = -1;
    pthread_mutex_unlock(&list_lock);
}

/* ---- mapping over a region ------------------------------------------------
 */

static bool map_over(char *base, size_t size, int prot, int flags, int fd,
                     size_t offset)
{
    return size == 0 ||
           sys.mmap(base, size, prot, flags | MAP_FIXED | MAP_NORESERVE, fd,
                    (off_t)offset) != MAP_FAILED;
}

static bool map_nothing(char *base, size_t size)
{
    return map_over(base, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

/* ---- copies ----------------------------------------------------------------
 * Made in the parent, before fork() and with all locks held, so that the child
 * gets what there is at that moment. The child's fork() copies the copy, which
 * costs its page tables only.
 */

static bool read_range(int fd, char *to, size_t offset, size_t size)
{
    while (size > 0) {
        ssize_t got = sys.pread(fd, to, size, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        to += got;
        offset += (size_t)got;
        size -= (size_t)got;
    }
    return true;
}

/* Holes are left out: reading them would take file space on tmpfs, if done by
 * the mapping, and DRAM in any case. */
static bool read_data(int fd, char *to, size_t offset, size_t size)
{
    const size_t end = offset + size;
    size_t at = offset;
    while (at < end) {
        off_t data = sys.lseek(fd, (off_t)at, SEEK_DATA);
        if (data < 0 && errno == ENXIO) /* nothing but a hole */
            return true;
        off_t hole = data >= 0 ? sys.lseek(fd, data, SEEK_HOLE) : -1;
        if (data < 0 || hole < 0)
            return errno == EINVAL && read_range(fd, to, offset, size);
        size_t first = (size_t)data;
        if (first >= end)
            return true;
        at = (size_t)hole < end ? (size_t)hole : end;
        if (!read_range(fd, to + (first - offset), first, at - first))
            return false;
    }
    return true;
}

static void copy_region(struct region *region)
{
    const size_t size = region->used;
    region->copy = NULL;
    region->copy_size = 0;
    if (region->is_private || size == 0 || !region_has_descriptor(region))
        return;
    char *copy = sys.mmap(NULL, size, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (copy == MAP_FAILED)
        return;
    /* The place in the file may be the caller's, too. */
    off_t place = sys.lseek(region->fd, 0, SEEK_CUR);
    bool whole = read_data(region->fd, copy, region->file_offset, size);
    if (place >= 0)
        (void)sys.lseek(region->fd, place, SEEK_SET);
    if (!whole) {
        sys.munmap(copy, size);
        return;
    }
    region->copy = copy;
    region->copy_size = size;
}

static void drop_copy(struct region *region)
{
    if (region->copy != NULL)
        sys.munmap(region->copy, region->copy_size);
    region->copy = NULL;
}

static bool move_copy(struct region *region)
{
    if (region->used == 0)
        return true;
    if (region->copy == NULL ||
        sys.mremap(region->copy, region->copy_size, region->copy_size,
                   MREMAP_MAYMOVE | MREMAP_FIXED, region->base) == MAP_FAILED)
        return false;
    region->copy = NULL;
    return true;
}

/* ---- in the child ----------------------------------------------------------
 */

static bool is_copied(const struct memkind_region_pool *pool)
{
    return pool->fork_policy == REGION_FORK_COPY &&
           pool->backing != REGION_DEVICE;
}

/* The file itself, but with stores that stay here. */
static bool map_private(const struct memkind_region_pool *pool,
                        const struct region *region)
{
    if (!region_has_descriptor(region) ||
        !map_over(region->base, region->used, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE, region->fd, region->file_offset))
        return false;
    /* Of the holes that the parent makes from now on, nobody tells; its stores
     * must not meet what is read ahead here. */
    if (region_readahead_matters(pool) && region->used != 0)
        (void)sys.madvise(region->base, region->used, MADV_RANDOM);
    return true;
}

static bool make_private(const struct memkind_region_pool *pool,
                         struct region *region)
{
    const bool copied = is_copied(pool);
    const size_t size = copied ? region->copy_size : region->used;
    char *unused = region->base + size;
    if (pool->backing == REGION_DEVICE)
        return false;
    if (!(copied ? move_copy(region) : map_private(pool, region)))
        return false;
    region_private_init(region, size, copied);
    /* What gets used is opened as ever. */
    region->open = size;
    return map_nothing(unused, region->size - size);
}

/* Where the descriptor is gone, the mapping that is there will do. */
static bool map_readable(const struct region *region, size_t size, int flags)
{
    if (!region_has_descriptor(region))
        return sys.mprotect(region->base, size, PROT_READ) == 0;
    return map_over(region->base, size, PROT_READ, flags, region->fd,
                    region->file_offset);
}

/* What cannot be made private can perhaps be read, and must not be written. */
static void make_unavailable(const struct memkind_region_pool *pool,
                             struct region *region)
{
    const bool device = pool->backing == REGION_DEVICE;
    const size_t size = device ? region->size : region->used;
    const bool readable = pool->fork_policy != REGION_FORK_UNAVAILABLE;
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
static bool inherit_region(const struct memkind_region_pool *pool,
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
    drop_copy(region);
    region_dump_inherit(region, usable && is_copied(pool));
    region->is_private = true;
    region->is_pmem = false;
    return usable;
}

/* Once none of the regions that are in them has a use for them any more. */
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
        /* See map_private(). For good. */
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

/* ---- handlers --------------------------------------------------------------
 */

static void lock_pool(struct memkind_region_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    unsigned count = atomic_load(&pool->count);
    for (unsigned i = 0; i < count; i++)
        pthread_mutex_lock(&pool->regions[i].grain_lock);
}

static void unlock_pool(struct memkind_region_pool *pool)
{
    unsigned count = atomic_load(&pool->count);
    for (unsigned i = 0; i < count; i++)
        pthread_mutex_unlock(&pool->regions[i].grain_lock);
    pthread_mutex_unlock(&pool->lock);
}

/* In the child: locks that other threads may have left locked. What they guard
 * is usable half-way, but for the tables of a region. */
static void renew_pool_locks(struct memkind_region_pool *pool)
{
    unsigned count = atomic_load(&pool->count);
    for (unsigned i = 0; i < count; i++) {
        struct region *region = &pool->regions[i];
        bool has_tables = region->grain_live != NULL || region->owed != NULL;
        if (pthread_mutex_trylock(&region->grain_lock) != 0 && has_tables)
            pool->is_lost = true;
        pthread_mutex_init(&region->grain_lock, NULL);
    }
    pthread_mutex_init(&pool->lock, NULL);
    pthread_mutex_init(&pool->readahead_lock, NULL);
}

static void lock_all(void)
{
    for (struct memkind_region_pool *pool = pools; pool != NULL;
         pool = pool->next)
        lock_pool(pool);
    region_file_lock();
    address_table_lock();
    mapping_count_lock();
}

static void unlock_all(void)
{
    mapping_count_unlock();
    address_table_unlock();
    region_file_unlock();
    for (struct memkind_region_pool *pool = pools; pool != NULL;
         pool = pool->next)
        unlock_pool(pool);
}

static void renew_all(void)
{
    address_table_renew();
    region_file_renew();
    mapping_count_renew();
    for (struct memkind_region_pool *pool = pools; pool != NULL;
         pool = pool->next)
        renew_pool_locks(pool);
}

static void prepare(void)
{
    pthread_mutex_lock(&list_lock);
    if (LOCKS_ARE_HELD)
        lock_all();
    for (struct memkind_region_pool *pool = pools; pool != NULL;
         pool = pool->next)
        for (unsigned i = 0; is_copied(pool) && i < atomic_load(&pool->count);
             i++)
            copy_region(&pool->regions[i]);
}

static void parent(void)
{
    for (struct memkind_region_pool *pool = pools; pool != NULL;
         pool = pool->next)
        for (unsigned i = 0; is_copied(pool) && i < atomic_load(&pool->count);
             i++)
            drop_copy(&pool->regions[i]);
    if (LOCKS_ARE_HELD)
        unlock_all();
    pthread_mutex_unlock(&list_lock);
}

static void child(void)
{
    int saved_errno = errno;
    if (!LOCKS_ARE_HELD)
        renew_all();
    for (struct memkind_region_pool *pool = pools; pool != NULL;
         pool = pool->next)
        inherit_pool(pool);
    if (LOCKS_ARE_HELD)
        unlock_all();
    pthread_mutex_unlock(&list_lock);
    errno = saved_errno;
}

void region_fork_init(void)
{
    (void)pthread_atfork(prepare, parent, child);
}
