/* SPDX-License-Identifier: BSD-2-Clause */
#include "region_align.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>

#include "debug_log.h"
#include "file_space.h"
#include "sys_calls.h"

#define GRAIN REGION_ALIGN_GRAIN

/* So much has to be free, and a few times what is set aside: other programs
 * would miss it. */
#define ROOM_LEAST (8 * GRAIN)
#define ROOM_PER_ASIDE (4 * GRAIN)

/* So much is taken and looked at at once: what is wrong is given back. */
#define PART_MOST (32 * GRAIN)

/* How often something is set aside for one grain, and in one call. */
#define TRIES_FOR_GRAIN 8
#define ASIDE_MOST 16

/* After a search in vain: so many grains without one, twice as many each time.
 */
#define SKIP_LEAST 1
#define SKIP_MOST 256

/* Bytes of a sector in sysfs, whatever the device has. */
#define SECTOR 512

size_t region_align_start(int fd)
{
    struct stat st;
    char path[64], text[32] = "";
    if (sys.fstat(fd, &st) != 0)
        return 0;
    snprintf(path, sizeof path, "/sys/dev/block/%u:%u/start", major(st.st_dev),
             minor(st.st_dev));
    int file = sys.open(path, O_RDONLY | O_CLOEXEC, 0);
    if (file < 0)
        return 0; /* a whole device, most likely */
    ssize_t length = sys.pread(file, text, sizeof text - 1, 0);
    sys.close(file);
    return length > 0 ? strtoull(text, NULL, 10) % (GRAIN / SECTOR) * SECTOR
                      : 0;
}

/* ---- where blocks are ---- */

/* Whether an extent's place is one on the device. */
static bool has_place(const struct fiemap_extent *extent)
{
    return (extent->fe_flags &
            (FIEMAP_EXTENT_UNKNOWN | FIEMAP_EXTENT_DELALLOC |
             FIEMAP_EXTENT_ENCODED | FIEMAP_EXTENT_DATA_INLINE |
             FIEMAP_EXTENT_NOT_ALIGNED)) == 0;
}

/* Where the block of a file offset in the extent is, within a grain. */
static size_t place_of(const struct region_align *align,
                       const struct fiemap_extent *extent, size_t offset)
{
    return (extent->fe_physical + (offset - extent->fe_logical) +
            align->start) %
           GRAIN;
}

static int get_extents(struct region_align *align, int fd, size_t offset,
                       size_t size, struct file_extents *extents)
{
    *extents = (struct file_extents){
        .start = offset, .length = size, .count = FILE_EXTENTS_MOST};
    if (sys.fiemap(fd, extents) == 0)
        return 0;
    int error = -errno;
    if (error == -EOPNOTSUPP || error == -ENOTTY || error == -ENOSYS ||
        error == -EINVAL || error == -EBADR)
        align->is_off = true;
    return error;
}

/* Goes on over the grains from offset + *aligned that lie in the extents, as
 * long as they are aligned. */
static int count_aligned(struct region_align *align,
                         const struct file_extents *extents, size_t offset,
                         size_t *aligned)
{
    for (unsigned i = 0; i < extents->mapped; i++) {
        const struct fiemap_extent *extent = &extents->list[i];
        size_t end = extent->fe_logical + extent->fe_length;
        size_t at = offset + *aligned;
        if (!has_place(extent)) {
            align->is_off = true;
            return -EOPNOTSUPP;
        }
        /* A large page cannot cross a border of extents. */
        if (extent->fe_logical > at || end < at + GRAIN ||
            place_of(align, extent, at) != 0)
            break;
        *aligned = (end - offset) & ~(GRAIN - 1);
    }
    return 0;
}

/* Finds how much of a range is aligned, from its beginning on. Fails if the
 * file system does not report it. */
static int find_aligned(struct region_align *align, int fd, size_t offset,
                        size_t size, size_t *aligned)
{
    struct file_extents extents;
    size_t before;
    *aligned = 0;
    do {
        before = *aligned;
        int result =
            get_extents(align, fd, offset + before, size - before, &extents);
        if (result == 0)
            result = count_aligned(align, &extents, offset, aligned);
        if (result != 0)
            return result;
    } while (*aligned<size && * aligned> before &&
             extents.mapped == FILE_EXTENTS_MOST);
    if (*aligned > size)
        *aligned = size;
    return 0;
}

/* Finds how many bytes lie between the first grain of a file that has nothing
 * else and the next place that is aligned; 0 if it is aligned, or if the file
 * system does not report it. */
static size_t find_missing(struct region_align *align, int fd)
{
    struct file_extents extents;
    if (get_extents(align, fd, 0, GRAIN, &extents) != 0 ||
        extents.mapped == 0 || !has_place(&extents.list[0]))
        return 0;
    /* What comes next follows the last piece. */
    const struct fiemap_extent *last = &extents.list[extents.mapped - 1];
    size_t place = place_of(align, last, GRAIN);
    return (GRAIN - place) % GRAIN;
}

/* ---- setting aside ---- */

/* A file that holds blocks, so that they are not given out. */
struct aside {
    int fd;
    struct file_identity identity;
};

/* One call's work. */
struct placing {
    struct region_align *align;
    const struct region_align_file *file;
    bool *no_fallocate;
    struct aside aside[ASIDE_MOST];
    unsigned aside_count;
    bool is_flushed; /* the journal has released what it held back */
};

static bool has_room(const struct placing *placing)
{
    struct statvfs st;
    size_t needed = ROOM_LEAST + placing->aside_count * ROOM_PER_ASIDE;
    return sys.fstatvfs(placing->file->fd, &st) == 0 && st.f_frsize != 0 &&
           st.f_bavail > needed / st.f_frsize;
}

/* Takes space beyond the end of the file, which stays: no limit of file sizes
 * is met. */
static bool hold_blocks(int fd, size_t offset, size_t size)
{
    return sys.fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)size) ==
           0;
}

/* Makes such a file, on the same file system: a number may have become that of
 * another directory. */
static bool make_aside(struct placing *placing, struct aside *aside)
{
    aside->fd = placing->file->directory < 0
                    ? -1
                    : descriptor_create_file(placing->file->directory);
    if (aside->fd < 0)
        return false;
    if (descriptor_identify(aside->fd, &aside->identity) == 0 &&
        aside->identity.device == placing->file->identity->device)
        return true;
    sys.close(aside->fd);
    return false;
}

/*
 * Takes what the file system gives out next, up to a place that is aligned.
 * That it was not aligned may be because the journal holds back what is: freed
 * blocks wait there for some seconds.
 */
static bool set_aside(struct placing *placing)
{
    if (placing->aside_count == ASIDE_MOST)
        return false;
    struct aside *aside = &placing->aside[placing->aside_count];
    if (!make_aside(placing, aside))
        return false;
    placing->aside_count++;
    if (!hold_blocks(aside->fd, 0, GRAIN))
        return false;
    size_t missing = find_missing(placing->align, aside->fd);
    if (missing == 0)
        return true;
    (void)hold_blocks(aside->fd, GRAIN, missing);
    if (!placing->is_flushed)
        (void)sys.fsync(aside->fd);
    placing->is_flushed = true;
    return true;
}

/* Closes the files, unless the program has closed one and put another one in
 * its place. */
static void release_asides(struct placing *placing)
{
    while (placing->aside_count > 0) {
        const struct aside *aside = &placing->aside[--placing->aside_count];
        if (descriptor_is_of(aside->fd, &aside->identity))
            sys.close(aside->fd);
    }
}

/* ---- placing grains ---- */

static int allocate_blocks(struct placing *placing, size_t offset, size_t size)
{
    return file_space_allocate(placing->file->fd, offset, size,
                               placing->no_fallocate);
}

static int punch_blocks(struct placing *placing, size_t offset, size_t size)
{
    if (!descriptor_is_of(placing->file->fd, placing->file->identity))
        return -EBADF;
    return file_space_punch(placing->file->fd, offset, size);
}

/* Takes blocks. again: they were there before, so that a failure may pass. */
static int take_blocks(struct placing *placing, size_t offset, size_t size,
                       bool again)
{
    int result = file_space_allocate(placing->file->fd, offset, size,
                                     placing->no_fallocate);
    /* It may be what was set aside that is missing. */
    if (result != 0 && (again || placing->aside_count > 0)) {
        release_asides(placing);
        result = allocate_blocks(placing, offset, size);
    }
    return result;
}

static void note_search_in_vain(struct region_align *align)
{
    unsigned skip = align->last_skip == 0 ? SKIP_LEAST : 2 * align->last_skip;
    align->last_skip = align->skip = skip < SKIP_MOST ? skip : SKIP_MOST;
    debug_log("no aligned place for 2 MiB of a file; the next %u are taken as "
              "they come",
              align->skip);
}

/* Looks for a better place for a grain that has its blocks. Fails only if the
 * grain has none any more. */
static int search_aligned_place(struct placing *placing, size_t offset)
{
    struct region_align *align = placing->align;
    size_t aligned = 0;
    bool more = true;
    for (unsigned tries = 0; more && tries <= TRIES_FOR_GRAIN; tries++) {
        if (!has_room(placing) || punch_blocks(placing, offset, GRAIN) != 0)
            break;
        /* At first it may be enough not to follow the blocks before it. */
        more = tries == 0 || set_aside(placing);
        int result = take_blocks(placing, offset, GRAIN, true);
        if (result != 0 || *placing->no_fallocate)
            return result;
        if (find_aligned(align, placing->file->fd, offset, GRAIN, &aligned) !=
            0)
            return 0;
        if (aligned != 0) {
            align->end = offset + GRAIN;
            align->last_skip = 0;
            return 0;
        }
    }
    note_search_in_vain(align);
    return 0;
}

/* Takes a part of the range. *size: out: how much of it has blocks then. If
 * only a first part of them is aligned, only that part is kept. */
static int place_part(struct placing *placing, size_t offset, size_t *size)
{
    struct region_align *align = placing->align;
    size_t aligned;
    int result = take_blocks(placing, offset, *size, false);
    if (result != 0 || align->is_off || *placing->no_fallocate)
        return result;
    if (align->skip > 0) {
        align->skip--;
        return 0;
    }
    if (find_aligned(align, placing->file->fd, offset, *size, &aligned) != 0)
        return 0;
    if (aligned != 0)
        align->end = offset + aligned;
    if (aligned == *size)
        return 0;
    if (*size == GRAIN)
        return search_aligned_place(placing, offset);
    if (has_room(placing) &&
        punch_blocks(placing, offset + aligned, *size - aligned) == 0)
        *size = aligned;
    return 0;
}

/* How much to take next: a grain alone, or all that is behind an aligned one;
 * grain by grain once that has gone wrong. */
static size_t next_part(const struct placing *placing, size_t offset,
                        size_t left, bool is_wary)
{
    const struct region_align *align = placing->align;
    if (align->is_off || *placing->no_fallocate)
        return left;
    if (is_wary || align->skip > 0 || align->end == 0 || align->end != offset)
        return GRAIN;
    return left < PART_MOST ? left : PART_MOST;
}

static int place_all(struct placing *placing, size_t offset, size_t size)
{
    bool is_wary = false;
    for (size_t done = 0; done < size;) {
        size_t part = next_part(placing, offset + done, size - done, is_wary);
        size_t kept = part;
        int result = place_part(placing, offset + done, &kept);
        if (result != 0) {
            if (done > 0)
                (void)punch_blocks(placing, offset, done);
            return result;
        }
        is_wary |= kept < part;
        done += kept;
    }
    return 0;
}

int region_align_allocate(struct region_align *align,
                          const struct region_align_file *file, size_t offset,
                          size_t size, bool *no_fallocate)
{
    struct placing placing = {
        .align = align, .file = file, .no_fallocate = no_fallocate};
    int result = place_all(&placing, offset, size);
    release_asides(&placing);
    return result;
}
