/* SPDX-License-Identifier: BSD-2-Clause */
#include "file_system.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "file_space.h"
#include "file_system_space.h"
#include "kernel_number.h"
#include "last_error.h"
#include "page_size.h"
#include "rounding.h"
#include "sys_calls.h"

/* Headers may not have these yet. */
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

static unsigned long type_of(const struct statfs *fs)
{
    /* Some systems have it as a signed int, some as a long. */
    return (unsigned long)fs->f_type & 0xffffffff;
}

size_t file_system_held_by(int fd)
{
    struct stat st;
    return sys.fstat(fd, &st) == 0 ? (size_t)st.st_blocks * 512 : 0;
}

/* ---- writing to new places ---- */

/* File systems that write all data back to a new place, so that each first
 * store to a page needs space anew. */
static bool copies_on_write(unsigned long type)
{
    return type == BTRFS_SUPER_MAGIC || type == BCACHEFS_SUPER_MAGIC;
}

/* Makes an empty file keep its places; others cannot be changed. Compressed
 * extents cannot stay. */
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
    /* An overlay does not say what it lies on; it hands the flag down. */
    if (!copies_on_write(type) && type != OVERLAYFS_SUPER_MAGIC)
        return 0;
    if (forbid_copies(fd) || !copies_on_write(type))
        return 0;
    last_error_reason("the file system (type %#lx) does not let files keep "
                      "their places",
                      type);
    return -EOPNOTSUPP;
}

/* ---- readahead ---- */

/* Finds the readahead of the file's device, in KiB; false if it is not
 * known. */
static bool readahead_of(int fd, long long *kib)
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
        if (kernel_number_read(path, kib))
            return true;
    }
    return false;
}

/* Bytes that have to be read for the kernel to change over to large folios, and
 * the part of the file in which it has certainly done so. */
#define PROBE_READ ((size_t)512 << 10)
#define PROBE_SIZE ((size_t)2 << 20)

/* Stores to one page that was read ahead, in an empty file. True if more than a
 * page gets space by that. */
static bool store_takes_more(int fd, size_t at)
{
    const size_t page = region_page_size();
    const size_t before = file_system_held_by(fd);
    char *mapped =
        sys.mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)at);
    if (mapped == MAP_FAILED)
        return true;
    /* On a full file system a plain store would be SIGBUS. */
    bool stored = sys.madvise(mapped, page, MADV_POPULATE_WRITE) == 0;
    const size_t after = file_system_held_by(fd);
    sys.munmap(mapped, page);
    return !stored || after - before > page;
}

bool file_system_has_large_folios(int fd)
{
    static const size_t places[] = {PROBE_READ / 2, PROBE_READ / 4 * 3,
                                    PROBE_READ / 8 * 7};
    char *buffer = sys.mmap(NULL, PROBE_READ, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    bool found = buffer == MAP_FAILED || file_space_resize(fd, PROBE_SIZE) != 0;
    for (size_t at = 0; !found && at < PROBE_READ; at += PROBE_READ / 8)
        found = sys.pread(fd, buffer, PROBE_READ / 8, (off_t)at) <= 0;
    for (size_t i = 0; !found && i < sizeof places / sizeof places[0]; i++)
        found = store_takes_more(fd, places[i]);
    if (buffer != MAP_FAILED)
        sys.munmap(buffer, PROBE_READ);
    return file_space_resize(fd, 0) != 0 || found;
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

/* Whether a file system cannot have large folios, by what is known of its
 * versions and by trying: a distribution's kernel may be newer than its version
 * number. */
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
    long long kib = 0;
    /* Nothing is read ahead on these. */
    if (type == TMPFS_MAGIC || type == RAMFS_MAGIC ||
        is_without_large_folios(fd, type))
        return page;
    /* btrfs frees an extent as a whole, or not at all: small ones are
     * better. */
    if (type == BTRFS_SUPER_MAGIC)
        return SIZE_MAX;
    if (readahead_of(fd, &kib) && kib >= 0 &&
        (unsigned long long)kib < largest / 1024)
        largest = power_of_two_to((size_t)kib * 1024);
    return largest > page ? largest : page;
}

/* ---- huge pages ---- */

/* Maps a huge page's worth of an empty file, and populates one page of it.
 * Returns how many bytes have space by that; 0 if it cannot be done. */
static size_t populate_one_page(int fd, char *at)
{
    if (sys.mmap(at, FILE_SYSTEM_HUGE_PAGE, PROT_READ | PROT_WRITE,
                 MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED ||
        sys.madvise(at, FILE_SYSTEM_HUGE_PAGE, MADV_HUGEPAGE) != 0)
        return 0;
    /* Memory that is locked is there as soon as it is mapped. */
    if (file_system_held_by(fd) != 0 ||
        sys.madvise(at, region_page_size(), MADV_POPULATE_WRITE) != 0)
        return 0;
    return file_system_held_by(fd);
}

static int try_huge_pages(int fd, size_t *populated)
{
    *populated = 0;
    char *room = sys.mmap(NULL, 2 * FILE_SYSTEM_HUGE_PAGE, PROT_NONE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (room == MAP_FAILED)
        return 0;
    if (file_space_resize(fd, FILE_SYSTEM_HUGE_PAGE) == 0)
        *populated = populate_one_page(
            fd, room + (-(uintptr_t)room & (FILE_SYSTEM_HUGE_PAGE - 1)));
    sys.munmap(room, 2 * FILE_SYSTEM_HUGE_PAGE);
    return file_space_resize(fd, 0);
}

/* The file system that was tried last: its device, moved by two bits; 2, and 1
 * if it has huge pages. To try takes a seventh of the time that a kind does. */
static _Atomic uint64_t tried_last;

void file_system_forget(void)
{
    atomic_store(&tried_last, 0);
}

/*
 * Whether a tmpfs gives huge pages to a mapping that asks for them. That
 * depends on how it is mounted (huge=), on settings of the system and on those
 * of the process, so it is tried. The file is empty, before and after. If the
 * answer has changed since, kinds work all the same: with single pages.
 */
static int find_huge_pages(int fd, bool *has_huge_pages)
{
    struct stat st;
    *has_huge_pages = false;
    if (region_page_size() != PAGE_WITH_KNOWN_FOLIOS || sys.fstat(fd, &st) != 0)
        return 0;
    const uint64_t device = (uint64_t)st.st_dev << 2 | 2;
    const uint64_t last =
        atomic_load_explicit(&tried_last, memory_order_relaxed);
    if ((last | 1) == (device | 1)) {
        *has_huge_pages = (last & 1) != 0;
        return 0;
    }
    size_t populated;
    int result = try_huge_pages(fd, &populated);
    *has_huge_pages = populated == FILE_SYSTEM_HUGE_PAGE;
    /* If it has none for want of space, the next kind may have some. */
    if (*has_huge_pages ||
        (populated != 0 && file_system_free(fd) >= 4 * FILE_SYSTEM_HUGE_PAGE))
        atomic_store_explicit(&tried_last, device | (*has_huge_pages ? 1 : 0),
                              memory_order_relaxed);
    return result;
}

/* ---- clusters ---- */

/* Finds out what space one page takes, in a file of so many bytes. Few file
 * systems report it. */
static int find_unit(int fd, size_t size, size_t *unit)
{
    const size_t page = region_page_size();
    const size_t before = file_system_held_by(fd);
    int result = file_space_resize(fd, size);
    if (result != 0)
        return result;
    do
        result = sys.fallocate(fd, 0, 0, (off_t)page) == 0 ? 0 : -errno;
    while (result == -EINTR);
    const size_t after = file_system_held_by(fd);
    *unit = page;
    while (result == 0 && *unit < FILE_SYSTEM_UNIT_MAX && after > before &&
           *unit < after - before)
        *unit *= 2;
    /* If there is no space, that is found out when some is asked for. */
    if (result != -EOPNOTSUPP && result != -ENOSYS)
        result = 0;
    int emptied = file_space_resize(fd, 0);
    return emptied != 0 ? emptied : result;
}

/* Finds out what is particular to tmpfs. */
static int look_at_memory(int fd, struct file_system *file_system)
{
    file_system->is_memory = true;
    int result = find_huge_pages(fd, &file_system->has_huge_pages);
    if (file_system->has_huge_pages &&
        file_system->unit < FILE_SYSTEM_HUGE_PAGE)
        file_system->largest_folio = FILE_SYSTEM_HUGE_PAGE;
    return result;
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
    /* What read(2) returns is a copy; no readahead is needed for it. */
    (void)sys.fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
    const bool is_tmpfs = type_of(&fs) == TMPFS_MAGIC;
    /* With huge=within_size, small files have no huge pages. */
    result =
        find_unit(fd, is_tmpfs ? FILE_SYSTEM_HUGE_PAGE : region_page_size(),
                  &file_system->unit);
    if (result == 0 && is_tmpfs)
        result = look_at_memory(fd, file_system);
    if (result != -EOPNOTSUPP && result != -ENOSYS)
        return result;
    /* On zoned devices these file systems have no fallocate(2) and keep no
     * places. */
    if (!copies_on_write(type_of(&fs)) && type_of(&fs) != XFS_SUPER_MAGIC)
        return 0;
    last_error_reason("the file system (type %#lx) cannot allocate space for "
                      "good",
                      type_of(&fs));
    return -EOPNOTSUPP;
}
