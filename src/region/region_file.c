/* SPDX-License-Identifier: BSD-2-Clause */
#include "region_file.h"

#include <errno.h>
#include <fcntl.h>
#include <libpmem.h>
#include <limits.h>
#include <linux/magic.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "debug_log.h"
#include "sys_calls.h"

/* One fallocate(2) call asks for this much at most: on tmpfs a signal makes
 * the call undo all it did, and large ones would never get done. */
#define ALLOCATE_STEP ((size_t)64 << 20)
#define ALLOCATE_STEP_MIN ((size_t)64 << 10)

/* Held around libpmem's calls. */
static pthread_mutex_t libpmem_lock = PTHREAD_MUTEX_INITIALIZER;
static bool libpmem_is_stuck;

void region_file_lock(void)
{
    pthread_mutex_lock(&libpmem_lock);
}

void region_file_unlock(void)
{
    pthread_mutex_unlock(&libpmem_lock);
}

void region_file_renew(void)
{
    if (pthread_mutex_trylock(&libpmem_lock) != 0)
        libpmem_is_stuck = true;
    pthread_mutex_init(&libpmem_lock, NULL);
}

static int create_unnamed(const char *dir)
{
    /* O_EXCL: the file can never be given a name. */
    int fd = sys.open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC | O_EXCL, 0600);
    return fd >= 0 ? fd : -errno;
}

static int create_and_unlink(const char *dir)
{
    static const char name[] = "/memkind.XXXXXX";
    char path[PATH_MAX];
    int length = snprintf(path, sizeof path, "%s%s", dir, name);
    if (length < 0 || (size_t)length >= sizeof path)
        return -ENAMETOOLONG;

    /* No signal handler may leave (by longjmp or exit) a file with a name. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    int fd = sys.mkostemp(path, O_CLOEXEC);
    int result = fd >= 0 ? fd : -errno;
    if (fd >= 0 && sys.unlink(path) != 0) {
        result = -errno;
        sys.close(fd);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return result;
}

int region_file_create(const char *dir)
{
    /* The fallback would take the root directory for it. */
    if (dir[0] == '\0')
        return -ENOENT;
    int fd = create_unnamed(dir);
    /* What kernels and file systems without O_TMPFILE answer; EISDIR is that
     * of kernels which take it for O_DIRECTORY. */
    if (fd == -EOPNOTSUPP || fd == -EISDIR || fd == -ENOENT || fd == -EINVAL)
        fd = create_and_unlink(dir);
    if (fd < 0)
        return fd;
    /* The umask may have taken the owner's rights, without which libpmem
     * could not open the file once more. A file system without modes (vfat)
     * may refuse; that loses nothing. */
    (void)sys.fchmod(fd, 0600);
    return fd;
}

int region_file_resize(int fd, size_t size)
{
    struct rlimit limit;
    if (size > INT64_MAX)
        return -EFBIG;
    if (sys.get_file_size_limit(&limit) == 0 &&
        limit.rlim_cur != RLIM_INFINITY && size > limit.rlim_cur)
        return -EFBIG;
    int result;
    do
        result = sys.ftruncate(fd, (off_t)size);
    while (result != 0 && errno == EINTR);
    return result == 0 ? 0 : -errno;
}

static int unmap_by_libpmem(void *base, size_t size)
{
    region_file_lock();
    int result = sys.pmem_unmap(base, size);
    region_file_unlock();
    return result;
}

static void map_by_libpmem(int fd, size_t size, struct mapping *mapping)
{
    char path[sizeof "/proc/self/fd/" + 3 * sizeof fd];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    size_t mapped = 0;
    int is_pmem = 0;
    region_file_lock();
    void *base = sys.pmem_map_file(path, 0, 0, 0, &mapped, &is_pmem);
    int error = errno;
    region_file_unlock();
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

/* A path below a device's folder in sysfs, without its links. */
static bool sysfs_path(const struct stat *st, const char *name,
                       char target[PATH_MAX])
{
    char path[64];
    snprintf(path, sizeof path, "/sys/dev/char/%u:%u/%s", major(st->st_rdev),
             minor(st->st_rdev), name);
    return sys.realpath(path, target) != NULL;
}

/*
 * A device DAX that is no NVDIMM's, but memory that the firmware has set aside,
 * say. libpmem 1.12 asks libndctl for its namespace, is given none, and crashes
 * with it in libndctl.
 */
static bool is_unknown_to_libndctl(int fd)
{
    struct stat st;
    char path[PATH_MAX];
    return sys.fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) &&
           sysfs_path(&st, ".", path) && strstr(path, "/ndbus") == NULL;
}

static size_t device_size(int fd)
{
    struct stat st;
    char path[PATH_MAX];
    unsigned long long size = 0;
    char text[32];
    if (sys.fstat(fd, &st) != 0 || !sysfs_path(&st, "size", path))
        return 0;
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return 0;
    if (fgets(text, sizeof text, file) != NULL)
        size = strtoull(text, NULL, 10);
    fclose(file);
    return (size_t)size;
}

static int map_device_directly(int fd, struct mapping *mapping)
{
    /* As libpmem has it. */
    const char *force = getenv("PMEM_IS_PMEM_FORCE");
    size_t size = device_size(fd);
    if (size == 0)
        return -ENODEV;
    void *base =
        sys.mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (base == MAP_FAILED)
        return -errno;
    mapping->base = base;
    mapping->size = size;
    mapping->is_pmem = force == NULL || strtol(force, NULL, 10) != 0;
    return 0;
}

/*
 * Where a file system has large folios (ext4 since 6.16), a page fault reads
 * ahead into one that reaches over the neighbouring holes, and a store to any
 * page of it allocates blocks for all: space that nobody has charged, or SIGBUS
 * where there is none. Without readahead there are no such folios.
 */
static void forbid_readahead(const struct mapping *mapping)
{
    if (!mapping->is_pmem)
        (void)sys.madvise(mapping->base, mapping->size, MADV_RANDOM);
}

int region_file_map(int fd, size_t size, struct mapping *mapping)
{
    *mapping = (struct mapping){0};
    if (size == 0 && is_unknown_to_libndctl(fd))
        return map_device_directly(fd, mapping);
    errno = EBUSY;
    if (!libpmem_is_stuck)
        map_by_libpmem(fd, size, mapping);
    if (mapping->base != NULL) {
        forbid_readahead(mapping);
        return 0;
    }
    if (errno == ENOMEM || errno == EAGAIN || size == 0)
        return -errno;

    /* No /proc, or one that hides the descriptors: the mapping is the same,
     * only that nothing can be said about persistence. */
    debug_log("libpmem cannot map the file (%s), mapping it directly",
              strerror(errno));
    void *base =
        sys.mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (base == MAP_FAILED)
        return -errno;
    mapping->base = base;
    mapping->size = size;
    forbid_readahead(mapping);
    return 0;
}

int region_file_map_unsynced(int fd, struct mapping *mapping)
{
    void *base = sys.mmap(mapping->base, mapping->size, PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_FIXED, fd, 0);
    if (base != MAP_FAILED)
        return 0;
    int error = -errno;
    (void)region_file_unmap(mapping);
    *mapping = (struct mapping){0};
    return error;
}

int region_file_unmap(const struct mapping *mapping)
{
    int result = mapping->by_libpmem && !libpmem_is_stuck
                     ? unmap_by_libpmem(mapping->base, mapping->size)
                     : sys.munmap(mapping->base, mapping->size);
    if (result == 0)
        return 0;
    int error = -errno;
    debug_log("%zu bytes at %p cannot be unmapped: %s", mapping->size,
              mapping->base, strerror(-error));
    return error;
}

int region_file_punch(int fd, size_t offset, size_t size)
{
    int result;
    do
        result = sys.fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                               (off_t)offset, (off_t)size);
    while (result != 0 && errno == EINTR);
    return result == 0 ? 0 : -errno;
}

static int allocate_by_writing(int fd, size_t offset, size_t size)
{
    static const char zeroes[64 << 10];
    while (size > 0) {
        size_t step = size < sizeof zeroes ? size : sizeof zeroes;
        ssize_t written = sys.pwrite(fd, zeroes, step, (off_t)offset);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return written < 0 ? -errno : -ENOSPC;
        offset += (size_t)written;
        size -= (size_t)written;
    }
    return 0;
}

/* What cannot fit is not tried: on its way to ENOSPC it would take all the
 * space from everyone else. */
static bool cannot_fit(int fd, size_t size)
{
    struct statvfs st;
    return size > ALLOCATE_STEP && sys.fstatvfs(fd, &st) == 0 &&
           size / st.f_frsize > st.f_bfree;
}

static int allocate_by_fallocate(int fd, size_t offset, size_t size)
{
    size_t step = ALLOCATE_STEP;
    if (cannot_fit(fd, size))
        return -ENOSPC;
    while (size > 0) {
        if (step > size)
            step = size;
        if (sys.fallocate(fd, 0, (off_t)offset, (off_t)step) != 0) {
            if (errno != EINTR)
                return -errno;
            if (step > ALLOCATE_STEP_MIN)
                step /= 2;
            continue;
        }
        offset += step;
        size -= step;
    }
    return 0;
}

int region_file_allocate(int fd, size_t offset, size_t size, bool *no_fallocate)
{
    int result = -EOPNOTSUPP;
    if (!*no_fallocate)
        result = allocate_by_fallocate(fd, offset, size);
    if (result == -EOPNOTSUPP || result == -ENOSYS) {
        *no_fallocate = true;
        result = allocate_by_writing(fd, offset, size);
    }
    /* ext4 keeps the part that it did allocate. */
    if (result != 0)
        (void)region_file_punch(fd, offset, size);
    return result;
}

size_t region_file_system_size(int fd)
{
    struct statvfs st;
    if (sys.fstatvfs(fd, &st) != 0)
        return 0;
    size_t size;
    if (__builtin_mul_overflow((size_t)st.f_blocks, st.f_frsize, &size))
        return SIZE_MAX;
    return size;
}

/* What a file that was made longer takes tells; for the file systems that are
 * known to keep holes, nothing needs to be tried. */
bool region_file_has_holes(int fd)
{
    struct statfs fs;
    struct stat before, after;
    const size_t probe = (size_t)1 << 20;
    if (sys.fstatfs(fd, &fs) != 0 || fs.f_type == TMPFS_MAGIC ||
        fs.f_type == EXT4_SUPER_MAGIC || fs.f_type == XFS_SUPER_MAGIC ||
        fs.f_type == BTRFS_SUPER_MAGIC)
        return true;
    if (sys.fstat(fd, &before) != 0 || region_file_resize(fd, probe) != 0)
        return true;
    bool has_holes =
        sys.fstat(fd, &after) != 0 ||
        (size_t)(after.st_blocks - before.st_blocks) * 512 < probe / 2;
    (void)region_file_resize(fd, 0);
    return has_holes;
}

bool region_file_is_device(const char *path)
{
    struct stat st;
    return sys.stat(path, &st) == 0 && S_ISCHR(st.st_mode);
}

/* Only a device DAX has this in sysfs. */
static bool is_device_dax(const struct stat *st)
{
    char target[PATH_MAX];
    if (!sysfs_path(st, "subsystem", target))
        return false;
    const char *name = strrchr(target, '/');
    return name != NULL && strcmp(name, "/dax") == 0;
}

static int open_device_shared(const char *path)
{
    struct stat named, opened;
    /* Only looked at before it is known for one: to open a device of another
     * sort can do things (rewind a tape, start a watchdog). */
    if (sys.stat(path, &named) != 0)
        return -errno;
    if (!is_device_dax(&named))
        return -ENOTTY;
    int fd = sys.open(path, O_RDWR | O_CLOEXEC | O_NOCTTY, 0);
    if (fd < 0)
        return -errno;
    if (sys.fstat(fd, &opened) == 0 && S_ISCHR(opened.st_mode) &&
        opened.st_rdev == named.st_rdev)
        return fd;
    sys.close(fd);
    return -ENOTTY;
}

int region_file_open_device(const char *path)
{
    int fd = open_device_shared(path);
    if (fd < 0 || sys.flock(fd, LOCK_EX | LOCK_NB) == 0)
        return fd;
    int error = errno == EWOULDBLOCK ? -EBUSY : -errno;
    sys.close(fd);
    return error;
}

int region_file_probe_dax(const char *path, bool *is_dax)
{
    size_t size = 0;
    int result = 0;
    struct mapping mapping;
    int fd;
    if (region_file_is_device(path)) {
        fd = open_device_shared(path);
    } else {
        size = (size_t)2 << 20;
        fd = region_file_create(path);
        if (fd >= 0)
            result = region_file_resize(fd, size);
    }
    if (fd < 0)
        return fd;
    if (result == 0)
        result = region_file_map(fd, size, &mapping);
    if (result == 0) {
        *is_dax = mapping.is_pmem;
        (void)region_file_unmap(&mapping);
    }
    sys.close(fd);
    return result;
}
