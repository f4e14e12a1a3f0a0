/* SPDX-License-Identifier: BSD-2-Clause */
#include "region_copy.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sys_calls.h"

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

/* Reads all but holes: to read those would take DRAM, and by the mapping also
 * file space on tmpfs. */
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

void region_copy_make(struct region *region)
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
    /* The program may use the same file offset. */
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

void region_copy_drop(struct region *region)
{
    if (region->copy != NULL)
        sys.munmap(region->copy, region->copy_size);
    region->copy = NULL;
}

bool region_copy_move(struct region *region)
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
