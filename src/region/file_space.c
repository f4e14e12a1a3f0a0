/* SPDX-License-Identifier: BSD-2-Clause */
#include "file_space.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/vfs.h>

#include "address_space.h"
#include "descriptor.h"
#include "file_size_limit.h"
#include "file_system_space.h"
#include "late_space.h"
#include "sys_calls.h"

/* One fallocate(2) call asks for this much at most: on tmpfs a signal makes the
 * call undo all it did, and large calls would never end. */
#define ALLOCATE_STEP ((size_t)64 << 20)
#define ALLOCATE_STEP_MIN ((size_t)64 << 10)

/* Whether there may be space by now: it was lacking, and what kinds that are
 * gone still held has been waited for. */
static bool is_worth_another_try(int result)
{
    return (result == -ENOSPC || result == -EDQUOT) && late_space_wait();
}

static int resize(int fd, size_t size)
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

int file_space_resize(int fd, size_t size)
{
    int result = resize(fd, size);
    if (is_worth_another_try(result))
        result = resize(fd, size);
    return result;
}

/* Makes the file longer, and looks at how much space it takes. The file systems
 * that are known to keep holes need no trial. */
bool file_space_has_holes(int fd)
{
    struct statfs fs;
    struct stat before, after;
    const size_t probe = (size_t)1 << 20;
    if (sys.fstatfs(fd, &fs) != 0 || fs.f_type == TMPFS_MAGIC ||
        fs.f_type == EXT4_SUPER_MAGIC || fs.f_type == XFS_SUPER_MAGIC ||
        fs.f_type == BTRFS_SUPER_MAGIC)
        return true;
    if (sys.fstat(fd, &before) != 0 || file_space_resize(fd, probe) != 0)
        return true;
    bool has_holes =
        sys.fstat(fd, &after) != 0 ||
        (size_t)(after.st_blocks - before.st_blocks) * 512 < probe / 2;
    (void)file_space_resize(fd, 0);
    return has_holes;
}

int file_space_punch(int fd, size_t offset, size_t size)
{
    int result;
    do
        result = sys.fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                               (off_t)offset, (off_t)size);
    while (result != 0 && errno == EINTR);
    return result == 0 ? 0 : -errno;
}

int file_space_remove(void *addr, size_t size)
{
    return address_space_advise(addr, size, MADV_REMOVE);
}

int file_space_populate(void *addr, size_t size)
{
    int result = address_space_advise(addr, size, MADV_POPULATE_WRITE);
    if (result == -EFAULT && late_space_wait())
        result = address_space_advise(addr, size, MADV_POPULATE_WRITE);
    if (result == 0)
        return 0;
    (void)file_space_remove(addr, size);
    if (result == -EFAULT) /* a plain store would raise SIGBUS */
        return -ENOSPC;
    return result == -EINVAL ? -ENOMEM : result;
}

static int write_zeroes(int fd, size_t offset, size_t size)
{
    static const char zeroes[64 << 10];
    struct file_identity identity;
    bool at_once = size <= sizeof zeroes;
    int known = at_once ? 0 : descriptor_identify(fd, &identity);
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
        if (!at_once && !descriptor_is_of(fd, &identity))
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
    /* Within the file the limit does not matter, unless another process has
     * made the file shorter. */
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
    int known = at_once ? 0 : descriptor_identify(fd, &identity);
    if (known != 0)
        return known;
    /* What cannot fit is not tried: on its way to ENOSPC it would take all the
     * space from other programs. */
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
        if (!at_once && !descriptor_is_of(fd, &identity))
            return -EBADF;
    }
    return 0;
}

int file_space_complete(int fd, size_t offset, size_t size)
{
    int result = allocate_by_fallocate(fd, offset, size);
    if (is_worth_another_try(result))
        result = allocate_by_fallocate(fd, offset, size);
    return result;
}

static int allocate_once(int fd, size_t offset, size_t size, bool *no_fallocate)
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
        (void)file_space_punch(fd, offset, size);
    return result;
}

int file_space_allocate(int fd, size_t offset, size_t size, bool *no_fallocate)
{
    int result = allocate_once(fd, offset, size, no_fallocate);
    if (is_worth_another_try(result))
        result = allocate_once(fd, offset, size, no_fallocate);
    return result;
}
