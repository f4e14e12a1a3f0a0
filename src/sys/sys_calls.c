/* SPDX-License-Identifier: BSD-2-Clause */
#include "sys_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <libpmem.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "cancellation.h"
#include "kept_descriptors.h"

static int real_open(const char *path, int flags, mode_t mode)
{
    cancellation_forbid();
    return open(path, flags, mode);
}

static int real_openat(int dir, const char *name, int flags, mode_t mode)
{
    cancellation_forbid();
    return openat(dir, name, flags, mode);
}

static int real_close(int fd)
{
    kept_descriptors_forget(fd);
    cancellation_forbid();
    return close(fd);
}

/* Any number will do if none of those is free, or may be had. */
static int real_dup_cloexec(int fd)
{
    const int copy = fcntl(fd, F_DUPFD_CLOEXEC, kept_descriptors_least());
    return copy >= 0 || (errno != EINVAL && errno != EMFILE)
               ? copy
               : fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
}

_Static_assert(offsetof(struct file_extents, list) ==
                       offsetof(struct fiemap, fm_extents) &&
                   offsetof(struct file_extents, mapped) ==
                       offsetof(struct fiemap, fm_mapped_extents) &&
                   offsetof(struct file_extents, count) ==
                       offsetof(struct fiemap, fm_extent_count),
               "struct file_extents is the kernel's struct fiemap");

static int real_fiemap(int fd, struct file_extents *extents)
{
    return ioctl(fd, FS_IOC_FIEMAP, extents);
}

static int real_fallocate(int fd, int mode, off_t offset, off_t len)
{
    cancellation_forbid();
    return fallocate(fd, mode, offset, len);
}

static ssize_t real_pread(int fd, void *buffer, size_t size, off_t offset)
{
    cancellation_forbid();
    return pread(fd, buffer, size, offset);
}

static ssize_t real_pwrite(int fd, const void *buffer, size_t size,
                           off_t offset)
{
    cancellation_forbid();
    return pwrite(fd, buffer, size, offset);
}

static int real_sync_file_range(int fd, off64_t offset, off64_t size,
                                unsigned flags)
{
    cancellation_forbid();
    return sync_file_range(fd, offset, size, flags);
}

static void *real_pmem_map_file(const char *path, size_t len, int flags,
                                mode_t mode, size_t *mapped, int *is_pmem)
{
    cancellation_forbid();
    return pmem_map_file(path, len, flags, mode, mapped, is_pmem);
}

static int real_pmem_unmap(void *addr, size_t len)
{
    cancellation_forbid();
    return pmem_unmap(addr, len);
}

static int real_pmem_msync(const void *addr, size_t len)
{
    cancellation_forbid();
    return pmem_msync(addr, len);
}

/* Unlike fsync(), no cancellation point. */
static int real_fsync(int fd)
{
    return (int)syscall(SYS_fsync, fd);
}

/* glibc before 2.27 has no function for it. */
static int real_memfd_create(const char *name, unsigned flags)
{
    return (int)syscall(SYS_memfd_create, name, flags);
}

static int real_add_seals(int fd, int seals)
{
    return fcntl(fd, F_ADD_SEALS, seals);
}

static int real_membarrier(int command)
{
    return (int)syscall(SYS_membarrier, command, 0, 0);
}

static int real_mbind(void *addr, size_t len, int mode,
                      const unsigned long *nodes, unsigned long bits)
{
    return (int)syscall(SYS_mbind, addr, len, mode, nodes, bits, 0);
}

static int real_move_pages(size_t count, void **pages, int *status)
{
    return (int)syscall(SYS_move_pages, 0, count, pages, NULL, status, 0);
}

static int real_getcpu(unsigned *cpu, unsigned *node)
{
    return (int)syscall(SYS_getcpu, cpu, node, NULL);
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

static int real_get_descriptor_limit(struct rlimit *limit)
{
    return getrlimit(RLIMIT_NOFILE, limit);
}

static int real_get_node(unsigned *node)
{
    return (int)syscall(SYS_getcpu, NULL, node, NULL);
}

static int real_ioctl(int fd, unsigned long request, int *flags)
{
    return ioctl(fd, request, flags);
}

/* The C library has no function for it. */
static int real_capget(struct __user_cap_header_struct *header,
                       struct __user_cap_data_struct *data)
{
    return (int)syscall(SYS_capget, header, data);
}

struct sys_calls sys = {
    .open = real_open,
    .openat = real_openat,
    .unlinkat = unlinkat,
    .close = real_close,
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
    .get_descriptor_limit = real_get_descriptor_limit,
    .get_node = real_get_node,
    .ftruncate = ftruncate,
    .fadvise = posix_fadvise,
    .ioctl = real_ioctl,
    .capget = real_capget,
    .fallocate = real_fallocate,
    .fiemap = real_fiemap,
    .fsync = real_fsync,
    .memfd_create = real_memfd_create,
    .add_seals = real_add_seals,
    .lseek = lseek,
    .sysconf = sysconf,
    .pread = real_pread,
    .pwrite = real_pwrite,
    .mmap = mmap,
    .munmap = munmap,
    .mremap = real_mremap,
    .sync_file_range = real_sync_file_range,
    .mincore = mincore,
    .madvise = madvise,
    .membarrier = real_membarrier,
    .mbind = real_mbind,
    .move_pages = real_move_pages,
    .getcpu = real_getcpu,
    .mprotect = mprotect,
    .pthread_create = pthread_create,
    .pmem_map_file = real_pmem_map_file,
    .pmem_unmap = real_pmem_unmap,
    .pmem_msync = real_pmem_msync,
};
