/* SPDX-License-Identifier: BSD-2-Clause */
#include "file_mapping.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "address_space.h"
#include "debug_log.h"
#include "file_space.h"
#include "ranked_lock.h"
#include "sys_calls.h"

/* So much of a file is mapped to see what it is on. */
#define PROBE_SIZE ((size_t)64 << 10)

/* Held around libpmem's calls. */
static struct ranked_lock libpmem_lock = RANKED_LOCK_INITIALIZER(RANK_LIBPMEM);
static bool libpmem_is_stuck;

void file_mapping_lock(void)
{
    ranked_lock_take(&libpmem_lock);
}

void file_mapping_unlock(void)
{
    ranked_lock_release(&libpmem_lock);
}

void file_mapping_renew_lock(void)
{
    if (!ranked_lock_renew(&libpmem_lock, RANK_LIBPMEM))
        libpmem_is_stuck = true;
}

static int unmap_by_libpmem(void *base, size_t size)
{
    file_mapping_lock();
    int result = sys.pmem_unmap(base, size);
    file_mapping_unlock();
    return result;
}

static void *map_by_path(const char *process, int fd, size_t *mapped,
                         int *is_pmem)
{
    char path[sizeof "/proc/thread-self/fd/" + 3 * sizeof fd];
    snprintf(path, sizeof path, "/proc/%s/fd/%d", process, fd);
    return sys.pmem_map_file(path, 0, 0, 0, mapped, is_pmem);
}

static void map_by_libpmem(int fd, size_t size, struct mapping *mapping)
{
    size_t mapped = 0;
    int is_pmem = 0;
    file_mapping_lock();
    /* The process's own folder is empty once the main thread has ended. */
    void *base = map_by_path("thread-self", fd, &mapped, &is_pmem);
    if (base == NULL && errno == ENOENT) /* before Linux 3.17 */
        base = map_by_path("self", fd, &mapped, &is_pmem);
    int error = errno;
    file_mapping_unlock();
    errno = error;
    if (base == NULL)
        return;
    if (size != 0 && mapped != size) {
        (void)unmap_by_libpmem(base, mapped);
        errno = EINVAL;
        return;
    }
    mapping->base = base;
    mapping->size = mapped;
    mapping->is_pmem = is_pmem != 0;
    mapping->by_libpmem = true;
}

int file_mapping_map_whole(int fd, size_t size, struct mapping *mapping)
{
    errno = EBUSY;
    if (!libpmem_is_stuck)
        map_by_libpmem(fd, size, mapping);
    return mapping->base == NULL ? -errno : 0;
}

/* Asks libpmem about a small part of the file. Its full size may be mapped only
 * when mlockall(2) does not fill it. */
static int probe_pmem(int fd, bool *is_pmem)
{
    struct mapping mapping = {0};
    int result = file_space_resize(fd, PROBE_SIZE);
    if (result != 0)
        return result;
    result = file_mapping_map_whole(fd, PROBE_SIZE, &mapping);
    if (mapping.base != NULL) {
        *is_pmem = mapping.is_pmem;
        return file_mapping_unmap(&mapping);
    }
    if (result == -ENOMEM || result == -EAGAIN || result == -EMFILE ||
        result == -ENFILE)
        return result;
    /* No /proc, or one that hides the descriptors: the mapping is the same,
     * only that nothing can be said about persistence. */
    debug_log("libpmem cannot map the file (%s), mapping it directly",
              strerror(-result));
    return 0;
}

int file_mapping_is_pmem(int fd, bool *is_pmem)
{
    *is_pmem = false;
    int result = probe_pmem(fd, is_pmem);
    /* This also frees what mlockall(2) has filled. */
    int emptied = file_space_resize(fd, 0);
    return result != 0 ? result : emptied;
}

static int map_over(void *base, size_t size, int fd, size_t offset)
{
    return sys.mmap(base, size, PROT_NONE, MAP_SHARED | MAP_FIXED, fd,
                    (off_t)offset) != MAP_FAILED
               ? 0
               : -errno;
}

int file_mapping_map(int fd, size_t offset, size_t size, size_t margin,
                     struct mapping *mapping)
{
    void *base;
    int result = address_space_reserve(size, margin, &base);
    if (result != 0)
        return result;
    result = map_over(base, size, fd, offset);
    if (result != 0) {
        sys.munmap(base, size);
        return result;
    }
    *mapping = (struct mapping){.base = base, .size = size};
    return 0;
}

int file_mapping_map_with_room(int fd, size_t size, size_t room, size_t margin,
                               struct mapping *mapping)
{
    void *base;
    const size_t all = size + room;
    int result = address_space_reserve(2 * all, margin, &base);
    if (result != 0)
        return result;
    result = map_over(base, size, fd, 0);
    if (result == 0 && sys.munmap((char *)base + all, all) != 0)
        result = -errno;
    if (result != 0) {
        sys.munmap(base, 2 * all);
        return result;
    }
    *mapping = (struct mapping){.base = base, .size = size, .room = room};
    return 0;
}

int file_mapping_empty_room(void *base, size_t size)
{
    if (sys.mmap(base, size, PROT_NONE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1,
                 0) == MAP_FAILED)
        return -errno;
    (void)sys.madvise(base, size, MADV_DONTDUMP);
    return 0;
}

int file_mapping_make_room(struct mapping *mapping, size_t room)
{
    int result = file_mapping_empty_room(
        (char *)mapping->base + (mapping->size - room), room);
    if (result != 0)
        return result;
    mapping->size -= room;
    mapping->room = room;
    return 0;
}

int file_mapping_fill_room(void *base, size_t size, int fd)
{
    return map_over(base, size, fd, 0);
}

static bool map_synced(int fd, size_t offset, const struct mapping *mapping)
{
    return sys.mmap(mapping->base, mapping->size, PROT_NONE,
                    MAP_SHARED_VALIDATE | MAP_SYNC | MAP_FIXED, fd,
                    (off_t)offset) != MAP_FAILED;
}

/* Makes a mapping of libpmem's one that cannot be touched. libpmem knows the
 * addresses for persistent memory from then on. */
static int close_mapping(int fd, bool durable, struct mapping *mapping)
{
    if (durable ? sys.mprotect(mapping->base, mapping->size, PROT_NONE) == 0
                : sys.mmap(mapping->base, mapping->size, PROT_NONE,
                           MAP_SHARED | MAP_FIXED, fd, 0) != MAP_FAILED)
        return 0;
    int error = -errno;
    (void)file_mapping_unmap(mapping);
    *mapping = (struct mapping){0};
    return error;
}

/* If mlockall(2) reads all of a new mapping, holes take no space on DAX; but
 * they do on a file system that PMEM_IS_PMEM_FORCE makes libpmem take for
 * DAX. */
static void drop_what_was_filled(int fd, size_t size)
{
    struct stat st;
    if (sys.fstat(fd, &st) == 0 && st.st_blocks != 0)
        (void)file_space_punch(fd, 0, size);
}

int file_mapping_map_pmem(int fd, size_t offset, size_t size, bool durable,
                          struct mapping *mapping)
{
    *mapping = (struct mapping){0};
    if (offset == 0 && !libpmem_is_stuck) {
        map_by_libpmem(fd, size, mapping);
        if (mapping->base == NULL)
            return -errno;
        int closed = close_mapping(fd, durable, mapping);
        drop_what_was_filled(fd, size);
        return closed;
    }
    int result = file_mapping_map(fd, offset, size, 0, mapping);
    if (result != 0)
        return result;
    mapping->is_pmem = true;
    /* A system that cannot do that has not done so for libpmem either. */
    if (!durable || map_synced(fd, offset, mapping) || errno == EOPNOTSUPP ||
        errno == EINVAL)
        return 0;
    result = -errno;
    (void)file_mapping_unmap(mapping);
    return result;
}

int file_mapping_unmap(const struct mapping *mapping)
{
    const size_t size = mapping->size + mapping->room;
    int result = mapping->by_libpmem && !libpmem_is_stuck
                     ? unmap_by_libpmem(mapping->base, size)
                     : sys.munmap(mapping->base, size);
    if (result == 0)
        return 0;
    int error = -errno;
    debug_log("%zu bytes at %p cannot be unmapped: %s", size, mapping->base,
              strerror(-error));
    return error;
}
