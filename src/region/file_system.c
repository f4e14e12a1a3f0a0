/* SPDX-License-Identifier: BSD-2-Clause */
#include "file_system.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "debug_log.h"
#include "region_file.h"
#include "region_pool.h"
#include "sys_calls.h"

/* Not in older headers. */
#ifndef BCACHEFS_SUPER_MAGIC
#define BCACHEFS_SUPER_MAGIC 0xca451a4e
#endif
#ifndef XFS_SUPER_MAGIC
#define XFS_SUPER_MAGIC 0x58465342
#endif

/* With pages of 4 KiB the kernel makes no folio that is larger than a huge
 * page. */
#define PAGE_WITH_KNOWN_FOLIOS 4096
#define LARGEST_OF_KNOWN_FOLIOS ((size_t)2 << 20)

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

static size_t power_of_two_to(size_t value)
{
    size_t power = 1;
    while (power <= value / 2)
        power *= 2;
    return power;
}

static unsigned long type_of(const struct statfs *fs)
{
    /* Some have it as a signed int, some as a long. */
    return (unsigned long)fs->f_type & 0xffffffff;
}

/* Bytes of space that a file has. */
static size_t held_by(int fd)
{
    struct stat st;
    return sys.fstat(fd, &st) == 0 ? (size_t)st.st_blocks * 512 : 0;
}

/* ---- writing to new places ------------------------------------------------
 */

/* File systems that write whatever was written back to a new place, so that
 * each first store to a page needs space anew. */
static bool copies_on_write(unsigned long type)
{
    return type == BTRFS_SUPER_MAGIC || type == BCACHEFS_SUPER_MAGIC;
}

/* Only an empty file can be made to stay where it is. Compressed extents cannot
 * stay. */
static bool forbid_copies(int fd)
{
    int flags = 0;
    if (sys.ioctl(fd, FS_IOC_GETFLAGS, &flags) != 0)
        return false;
    if ((flags & FS_NOCOW_FL) != 0)
        return true;
    flags = (flags & ~FS_COMPR_FL) | FS_NOCOW_FL;
    if (sys.ioctl(fd, FS_IOC_SETFLAGS, &flags) != 0)
        return false;
    flags = 0;
    return sys.ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0 &&
           (flags & FS_NOCOW_FL) != 0;
}

static int keep_places(int fd, const struct statfs *fs)
{
    const unsigned long type = type_of(fs);
    /* What an overlay lies on nobody tells; it hands the flag down. */
    if (!copies_on_write(type) && type != OVERLAYFS_SUPER_MAGIC)
        return 0;
    if (forbid_copies(fd) || !copies_on_write(type))
        return 0;
    debug_log("the file system (%#lx) does not let files keep their places",
              type);
    return -EOPNOTSUPP;
}

/* ---- readahead ------------------------------------------------------------
 */

static bool read_number(const char *path, unsigned long long *number)
{
    char text[32] = "";
    char *end;
    int fd = sys.open(path, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return false;
    ssize_t length = sys.pread(fd, text, sizeof text - 1, 0);
    sys.close(fd);
    if (length <= 0)
        return false;
    *number = strtoull(text, &end, 10);
    return end != text;
}

/* In KiB, of the file's device; false where it is not known. */
static bool readahead_of(int fd, unsigned long long *kib)
{
    static const char *const places[] = {
        "/sys/class/bdi/%u:%u/read_ahead_kb",
        "/sys/dev/block/%u:%u/queue/read_ahead_kb",
        "/sys/dev/block/%u:%u/../queue/read_ahead_kb", /* a partition */
    };
    struct stat st;
    char path[80];
    if (sys.fstat(fd, &st) != 0)
        return false;
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        snprintf(path, sizeof path, places[i], major(st.st_dev),
                 minor(st.st_dev));
        if (read_number(path, kib))
            return true;
    }
    return false;
}

/* Bytes that have to be read for the kernel to go over to large folios, and
 * where it has them for sure. */
#define PROBE_READ ((size_t)512 << 10)
#define PROBE_SIZE ((size_t)2 << 20)

/* Stores to one page that was read ahead, in an empty file. True where more
 * than a page gets space by that. */
static bool store_takes_more(int fd, size_t at)
{
    const size_t page = region_page_size();
    const size_t before = held_by(fd);
    char *mapped =
        sys.mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)at);
    if (mapped == MAP_FAILED)
        return true;
    /* On a full file system a plain store would be SIGBUS. */
    bool stored = sys.madvise(mapped, page, MADV_POPULATE_WRITE) == 0;
    const size_t after = held_by(fd);
    sys.munmap(mapped, page);
    return !stored || after - before > page;
}

bool file_system_has_large_folios(int fd)
{
    static const size_t places[] = {PROBE_READ / 2, PROBE_READ / 4 * 3,
                                    PROBE_READ / 8 * 7};
    char *buffer = sys.mmap(NULL, PROBE_READ, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    bool found =
        buffer == MAP_FAILED || region_file_resize(fd, PROBE_SIZE) != 0;
    for (size_t at = 0; !found && at < PROBE_READ; at += PROBE_READ / 8)
        found = sys.pread(fd, buffer, PROBE_READ / 8, (off_t)at) <= 0;
    for (size_t i = 0; !found && i < sizeof places / sizeof places[0]; i++)
        found = store_takes_more(fd, places[i]);
    if (buffer != MAP_FAILED)
        sys.munmap(buffer, PROBE_READ);
    return region_file_resize(fd, 0) != 0 || found;
}

static bool kernel_is_before(unsigned major_wanted, unsigned minor_wanted)
{
    struct utsname name;
    unsigned major_found, minor_found;
    return uname(&name) == 0 &&
           sscanf(name.release, "%u.%u", &major_found, &minor_found) == 2 &&
           (major_found < major_wanted ||
            (major_found == major_wanted && minor_found < minor_wanted));
}

/* Whether a file system is one that cannot have large folios, by what is known
 * of its versions and by trying: a distribution's kernel may be newer than it
 * says. */
static bool is_without_large_folios(int fd, unsigned long type)
{
    bool expected = type == BTRFS_SUPER_MAGIC ||
                    (type == EXT4_SUPER_MAGIC && kernel_is_before(6, 16)) ||
                    (type == XFS_SUPER_MAGIC && kernel_is_before(5, 18));
    return expected && !file_system_has_large_folios(fd);
}

/*
 * A folio is a power of two of pages, at a multiple of its size in the file,
 * and no larger than what is read ahead at once. Which file system has large
 * ones depends on the kernel: they are taken for possible.
 */
static size_t largest_folio(int fd, const struct statfs *fs)
{
    const unsigned long type = type_of(fs);
    const size_t page = region_page_size();
    size_t largest =
        page == PAGE_WITH_KNOWN_FOLIOS ? LARGEST_OF_KNOWN_FOLIOS : SIZE_MAX;
    unsigned long long kib = 0;
    /* Nothing is read ahead there. */
    if (type == TMPFS_MAGIC || type == RAMFS_MAGIC ||
        is_without_large_folios(fd, type))
        return page;
    /* It frees an extent as a whole, or not at all: small ones are better. */
    if (type == BTRFS_SUPER_MAGIC)
        return SIZE_MAX;
    if (readahead_of(fd, &kib) && kib < largest / 1024)
        largest = power_of_two_to((size_t)kib * 1024);
    return largest > page ? largest : page;
}

/* ---- clusters -------------------------------------------------------------
 */

/* What one page takes. Few file systems have another way to tell. */
static int find_unit(int fd, size_t *unit)
{
    const size_t page = region_page_size();
    const size_t before = held_by(fd);
    int result = region_file_resize(fd, page);
    if (result != 0)
        return result;
    do
        result = sys.fallocate(fd, 0, 0, (off_t)page) == 0 ? 0 : -errno;
    while (result == -EINTR);
    const size_t after = held_by(fd);
    *unit = page;
    while (result == 0 && *unit < FILE_SYSTEM_UNIT_MAX && after > before &&
           *unit < after - before)
        *unit *= 2;
    /* Where it has no space, that is found out when some is asked for. */
    if (result != -EOPNOTSUPP && result != -ENOSYS)
        result = 0;
    int emptied = region_file_resize(fd, 0);
    return emptied != 0 ? emptied : result;
}

int file_system_prepare(int fd, struct file_system *file_system)
{
    struct statfs fs = {0};
    *file_system = (struct file_system){.unit = region_page_size(),
                                        .largest_folio = SIZE_MAX};
    if (sys.fstatfs(fd, &fs) != 0)
        fs.f_type = 0;
    int result = keep_places(fd, &fs);
    if (result != 0)
        return result;
    file_system->largest_folio = largest_folio(fd, &fs);
    /* What is read by calls is copied, and nothing is read ahead. */
    (void)sys.fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
    result = find_unit(fd, &file_system->unit);
    if (result != -EOPNOTSUPP && result != -ENOSYS)
        return result;
    /* On zoned devices these have neither fallocate(2) nor places to keep. */
    if (!copies_on_write(type_of(&fs)) && type_of(&fs) != XFS_SUPER_MAGIC)
        return 0;
    debug_log("the file system (%#lx) cannot allocate space for good",
              type_of(&fs));
    return -EOPNOTSUPP;
}

/* ---- space ----------------------------------------------------------------
 */

/* Some file systems leave one of the two out. */
static size_t block_size(const struct statvfs *st)
{
    return st->f_frsize != 0 ? st->f_frsize : st->f_bsize;
}

size_t file_system_size(int fd)
{
    struct statvfs st;
    size_t size;
    if (sys.fstatvfs(fd, &st) != 0)
        return 0;
    if (__builtin_mul_overflow((size_t)st.f_blocks, block_size(&st), &size))
        return SIZE_MAX;
    return size;
}

/* Whether this process may have what is kept for privileged ones. */
static bool may_take_reserve(void)
{
    struct __user_cap_header_struct header = {.version =
                                                  _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {{0}};
    return sys.capget(&header, data) == 0 &&
           (data[0].effective & 1U << CAP_SYS_RESOURCE) != 0;
}

bool file_system_lacks(int fd, size_t size)
{
    struct statvfs st;
    if (sys.fstatvfs(fd, &st) != 0)
        return false;
    const size_t block = block_size(&st);
    /* No size, or nothing free, is also what those say that count nothing: a
     * tmpfs without a limit, FUSE. Where it is true, trying takes nothing from
     * anybody. */
    if (block == 0 || st.f_blocks == 0 || st.f_bfree == 0)
        return false;
    const size_t blocks = size / block;
    return blocks > st.f_bfree || (blocks > st.f_bavail && !may_take_reserve());
}
