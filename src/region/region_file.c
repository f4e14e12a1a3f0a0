/* SPDX-License-Identifier: BSD-2-Clause */
#include "region_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libpmem.h>
#include <limits.h>
#include <linux/magic.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "address_space.h"
#include "debug_log.h"
#include "file_size_limit.h"
#include "file_system.h"
#include "sys_calls.h"

/* One fallocate(2) call asks for this much at most: on tmpfs a signal makes
 * the call undo all it did, and large ones would never get done. */
#define ALLOCATE_STEP ((size_t)64 << 20)
#define ALLOCATE_STEP_MIN ((size_t)64 << 10)

/* Of Linux 5.14 and 5.18, which headers may not have yet. */
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24
#endif

/* So much of a file is mapped to see what it lies on. */
#define PROBE_SIZE ((size_t)64 << 10)

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

int region_file_identify(int fd, struct file_identity *identity)
{
    struct stat st;
    /* Whatever else fails may succeed the next time. */
    if (sys.fstat(fd, &st) != 0 && (errno == EBADF || sys.fstat(fd, &st) != 0))
        return -errno;
    *identity = (struct file_identity){st.st_dev, st.st_ino};
    return 0;
}

bool region_file_is(int fd, const struct file_identity *identity)
{
    struct file_identity now;
    return fd >= 0 && region_file_identify(fd, &now) == 0 &&
           now.device == identity->device && now.inode == identity->inode;
}

/* What others print to the standard descriptors where those are closed must
 * not go into a file of ours. */
static int above_standard(int fd)
{
    if (fd < 0 || fd > STDERR_FILENO)
        return fd;
    int above = region_file_duplicate(fd);
    sys.close(fd);
    return above;
}

int region_file_duplicate(int fd)
{
    int copy = sys.dup_cloexec(fd);
    return copy >= 0 ? copy : -errno;
}

int region_file_open_directory(const char *path)
{
    int fd = sys.open(path, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
    return fd >= 0 ? above_standard(fd) : -errno;
}

static int create_unnamed(int directory)
{
    /* O_EXCL: the file can never be given a name. */
    int fd = sys.openat(directory, ".", O_TMPFILE | O_RDWR | O_CLOEXEC | O_EXCL,
                        0600);
    return fd >= 0 ? fd : -errno;
}

/* No two calls at a time get the same name; what is there already is not
 * opened. */
static void invent_name(char *name, size_t size)
{
    static atomic_uint counter;
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_REALTIME, &now);
    uint64_t mix = (uint64_t)now.tv_sec * 1000000007 + (uint64_t)now.tv_nsec;
    mix = (mix ^ ((uint64_t)getpid() << 32)) + atomic_fetch_add(&counter, 1);
    mix *= 0x9e3779b97f4a7c15U;
    snprintf(name, size, "memkind.%016" PRIx64, mix ^ (mix >> 29));
}

static int create_and_unlink(int directory)
{
    enum { TRIES = 100 };
    char name[32];
    /* No signal handler may leave (by longjmp or exit) a file with a name. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    int result = -EEXIST;
    for (int i = 0; i < TRIES && result == -EEXIST; i++) {
        invent_name(name, sizeof name);
        int fd = sys.openat(directory, name,
                            O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
        result = fd >= 0 ? fd : -errno;
    }
    if (result >= 0 && sys.unlinkat(directory, name, 0) != 0) {
        int error = -errno;
        sys.close(result);
        result = error;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return result;
}

int region_file_create(int directory)
{
    int fd = create_unnamed(directory);
    /* What kernels and file systems without O_TMPFILE answer; EISDIR is that
     * of kernels which take it for O_DIRECTORY. */
    if (fd == -EOPNOTSUPP || fd == -EISDIR || fd == -ENOENT || fd == -EINVAL)
        fd = create_and_unlink(directory);
    fd = above_standard(fd);
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
    struct file_size_guard guard;
    if (size > INT64_MAX || !file_size_is_allowed(size))
        return -EFBIG;
    file_size_guard_begin(&guard);
    int result;
    do
        result = sys.ftruncate(fd, (off_t)size) == 0 ? 0 : -errno;
    while (result == -EINTR);
    file_size_guard_end(&guard, result == -EFBIG);
    return result;
}

static int unmap_by_libpmem(void *base, size_t size)
{
    region_file_lock();
    int result = sys.pmem_unmap(base, size);
    region_file_unlock();
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
    region_file_lock();
    /* The process's own folder is empty once the main thread has ended. */
    void *base = map_by_path("thread-self", fd, &mapped, &is_pmem);
    if (base == NULL && errno == ENOENT) /* before Linux 3.17 */
        base = map_by_path("self", fd, &mapped, &is_pmem);
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

int region_file_map_device(int fd, struct mapping *mapping)
{
    *mapping = (struct mapping){0};
    if (is_unknown_to_libndctl(fd))
        return map_device_directly(fd, mapping);
    errno = EBUSY;
    if (!libpmem_is_stuck)
        map_by_libpmem(fd, 0, mapping);
    if (mapping->base == NULL)
        return -errno;
    return 0;
}

/* A page of the file tells: what may be mapped in full only when mlockall(2)
 * does not fill it. */
static int probe_pmem(int fd, bool *is_pmem)
{
    struct mapping mapping = {0};
    int result = region_file_resize(fd, PROBE_SIZE);
    if (result != 0)
        return result;
    errno = EBUSY;
    if (!libpmem_is_stuck)
        map_by_libpmem(fd, PROBE_SIZE, &mapping);
    if (mapping.base != NULL) {
        *is_pmem = mapping.is_pmem;
        return region_file_unmap(&mapping);
    }
    if (errno == ENOMEM || errno == EAGAIN || errno == EMFILE ||
        errno == ENFILE)
        return -errno;
    /* No /proc, or one that hides the descriptors: the mapping is the same,
     * only that nothing can be said about persistence. */
    debug_log("libpmem cannot map the file (%s), mapping it directly",
              strerror(errno));
    return 0;
}

int region_file_is_pmem(int fd, bool *is_pmem)
{
    *is_pmem = false;
    int result = probe_pmem(fd, is_pmem);
    /* With it goes what mlockall(2) has put there. */
    int emptied = region_file_resize(fd, 0);
    return result != 0 ? result : emptied;
}

int region_file_map(int fd, size_t offset, size_t size, size_t margin,
                    struct mapping *mapping)
{
    void *base;
    int result = address_space_reserve(size, margin, &base);
    if (result != 0)
        return result;
    if (sys.mmap(base, size, PROT_NONE, MAP_SHARED | MAP_FIXED, fd,
                 (off_t)offset) == MAP_FAILED) {
        result = -errno;
        sys.munmap(base, size);
        return result;
    }
    *mapping = (struct mapping){.base = base, .size = size};
    return 0;
}

static bool map_synced(int fd, size_t offset, const struct mapping *mapping)
{
    return sys.mmap(mapping->base, mapping->size, PROT_NONE,
                    MAP_SHARED_VALIDATE | MAP_SYNC | MAP_FIXED, fd,
                    (off_t)offset) != MAP_FAILED;
}

/* In place of what libpmem has mapped, which knows the place from then on. */
static int close_mapping(int fd, bool durable, struct mapping *mapping)
{
    if (durable ? sys.mprotect(mapping->base, mapping->size, PROT_NONE) == 0
                : sys.mmap(mapping->base, mapping->size, PROT_NONE,
                           MAP_SHARED | MAP_FIXED, fd, 0) != MAP_FAILED)
        return 0;
    int error = -errno;
    (void)region_file_unmap(mapping);
    *mapping = (struct mapping){0};
    return error;
}

/* Where mlockall(2) reads all of a new mapping: holes take no space on DAX, but
 * they do where libpmem was told what to think. */
static void drop_what_was_filled(int fd, size_t size)
{
    struct stat st;
    if (sys.fstat(fd, &st) == 0 && st.st_blocks != 0)
        (void)region_file_punch(fd, 0, size);
}

int region_file_map_pmem(int fd, size_t offset, size_t size, bool durable,
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
    int result = region_file_map(fd, offset, size, 0, mapping);
    if (result != 0)
        return result;
    mapping->is_pmem = true;
    /* Who cannot do that has not done so for libpmem either. */
    if (!durable || map_synced(fd, offset, mapping) || errno == EOPNOTSUPP ||
        errno == EINVAL)
        return 0;
    result = -errno;
    (void)region_file_unmap(mapping);
    return result;
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

/* Calls again what a signal has interrupted. */
static int advise(void *addr, size_t size, int advice)
{
    int result;
    do
        result = sys.madvise(addr, size, advice);
    while (result != 0 && errno == EINTR);
    return result == 0 ? 0 : -errno;
}

int region_file_remove(void *addr, size_t size)
{
    return advise(addr, size, MADV_REMOVE);
}

int region_file_populate(void *addr, size_t size)
{
    int result = advise(addr, size, MADV_POPULATE_WRITE);
    if (result == 0)
        return 0;
    (void)region_file_remove(addr, size);
    if (result == -EFAULT) /* what is SIGBUS to others */
        return -ENOSPC;
    return result == -EINVAL ? -ENOMEM : result;
}

int region_memory_drop(void *addr, size_t size)
{
    int result = advise(addr, size, MADV_DONTNEED);
    if (result == -EINVAL)
        result = advise(addr, size, MADV_DONTNEED_LOCKED);
    return result;
}

static int write_zeroes(int fd, size_t offset, size_t size)
{
    static const char zeroes[64 << 10];
    struct file_identity identity;
    bool at_once = size <= sizeof zeroes;
    int known = at_once ? 0 : region_file_identify(fd, &identity);
    if (known != 0)
        return known;
    while (size > 0) {
        size_t step = size < sizeof zeroes ? size : sizeof zeroes;
        ssize_t written = sys.pwrite(fd, zeroes, step, (off_t)offset);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return written < 0 ? -errno : -ENOSPC;
        offset += (size_t)written;
        size -= (size_t)written;
        if (!at_once && !region_file_is(fd, &identity))
            return -EBADF;
    }
    return 0;
}

static int allocate_by_writing(int fd, size_t offset, size_t size)
{
    struct file_size_guard guard;
    if (!file_size_is_allowed(offset + size))
        return -EFBIG;
    file_size_guard_begin(&guard);
    int result = write_zeroes(fd, offset, size);
    file_size_guard_end(&guard, result == -EFBIG);
    return result;
}

static int allocate_step(int fd, size_t offset, size_t size)
{
    struct file_size_guard guard;
    /* Within the file the limit is of no matter, unless somebody has made it
     * shorter. */
    file_size_guard_begin(&guard);
    int result = sys.fallocate(fd, 0, (off_t)offset, (off_t)size);
    file_size_guard_end(&guard, result != 0 && errno == EFBIG);
    return result;
}

static int allocate_by_fallocate(int fd, size_t offset, size_t size)
{
    size_t step = ALLOCATE_STEP;
    struct file_identity identity;
    bool at_once = size <= step;
    int known = at_once ? 0 : region_file_identify(fd, &identity);
    if (known != 0)
        return known;
    /* What cannot fit is not tried: on its way to ENOSPC it would take all the
     * space from everyone else. */
    if (size > ALLOCATE_STEP && file_system_lacks(fd, size))
        return -ENOSPC;
    while (size > 0) {
        if (step > size)
            step = size;
        if (allocate_step(fd, offset, step) != 0) {
            if (errno != EINTR)
                return -errno;
            if (step > ALLOCATE_STEP_MIN)
                step /= 2;
            continue;
        }
        offset += step;
        size -= step;
        if (!at_once && !region_file_is(fd, &identity))
            return -EBADF;
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
    if (result != 0 && result != -EBADF)
        (void)region_file_punch(fd, offset, size);
    return result;
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
    fd = above_standard(fd);
    if (fd < 0)
        return fd;
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

static int probe_device(const char *path, bool *is_dax)
{
    struct mapping mapping;
    int fd = open_device_shared(path);
    if (fd < 0)
        return fd;
    int result = region_file_map_device(fd, &mapping);
    if (result == 0) {
        *is_dax = mapping.is_pmem;
        (void)region_file_unmap(&mapping);
    }
    sys.close(fd);
    return result;
}

int region_file_probe_dax(const char *path, bool *is_dax)
{
    if (region_file_is_device(path))
        return probe_device(path, is_dax);
    int directory = region_file_open_directory(path);
    if (directory < 0)
        return directory;
    int fd = region_file_create(directory);
    int result = fd;
    if (fd >= 0) {
        result = region_file_is_pmem(fd, is_dax);
        sys.close(fd);
    }
    sys.close(directory);
    return result;
}
