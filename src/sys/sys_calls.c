/* SPDX-License-Identifier: BSD-2-Clause */
#include "sys_calls.h"

#include <fcntl.h>
#include <libpmem.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

static int real_open(const char *path, int flags, mode_t mode)
{
    return open(path, flags, mode);
}

static int real_dup_cloexec(int fd)
{
    return fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

static int real_membarrier(int command)
{
    return (int)syscall(SYS_membarrier, command, 0, 0);
}

static void *real_mremap(void *addr, size_t len, size_t new_len, int flags,
                         void *new_addr)
{
    return mremap(addr, len, new_len, flags, new_addr);
}

static int real_get_flags(int fd)
{
    return fcntl(fd, F_GETFL);
}

static int real_get_file_size_limit(struct rlimit *limit)
{
    return getrlimit(RLIMIT_FSIZE, limit);
}

struct sys_calls sys = {
    .open = real_open,
    .mkostemp = mkostemp,
    .unlink = unlink,
    .close = close,
    .dup_cloexec = real_dup_cloexec,
    .get_flags = real_get_flags,
    .flock = flock,
    .fchmod = fchmod,
    .stat = stat,
    .fstat = fstat,
    .fstatfs = fstatfs,
    .fstatvfs = fstatvfs,
    .realpath = realpath,
    .get_file_size_limit = real_get_file_size_limit,
    .ftruncate = ftruncate,
    .fallocate = fallocate,
    .lseek = lseek,
    .sysconf = sysconf,
    .pread = pread,
    .pwrite = pwrite,
    .mmap = mmap,
    .munmap = munmap,
    .mremap = real_mremap,
    .madvise = madvise,
    .membarrier = real_membarrier,
    .mprotect = mprotect,
    .pthread_create = pthread_create,
    .pmem_map_file = pmem_map_file,
    .pmem_unmap = pmem_unmap,
    .pmem_msync = pmem_msync,
};
