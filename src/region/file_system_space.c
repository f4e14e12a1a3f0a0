/* SPDX-License-Identifier: BSD-2-Clause */
#include "file_system_space.h"

#include <linux/capability.h>
#include <stdint.h>
#include <sys/statvfs.h>

#include "sys_calls.h"

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

size_t file_system_free(int fd)
{
    struct statvfs st;
    size_t size;
    if (sys.fstatvfs(fd, &st) != 0 || block_size(&st) == 0 || st.f_blocks == 0)
        return SIZE_MAX;
    const fsblkcnt_t blocks = st.f_bavail < st.f_bfree && !may_take_reserve()
                                  ? st.f_bavail
                                  : st.f_bfree;
    if (__builtin_mul_overflow((size_t)blocks, block_size(&st), &size))
        return SIZE_MAX;
    return size;
}

bool file_system_lacks(int fd, size_t size)
{
    struct statvfs st;
    if (sys.fstatvfs(fd, &st) != 0)
        return false;
    const size_t block = block_size(&st);
    /* File systems that count nothing report no size, or nothing free: a tmpfs
     * without a limit, FUSE. If nothing is free in fact, trying takes nothing
     * from others. */
    if (block == 0 || st.f_blocks == 0 || st.f_bfree == 0)
        return false;
    const size_t blocks = size / block;
    return blocks > st.f_bfree || (blocks > st.f_bavail && !may_take_reserve());
}
