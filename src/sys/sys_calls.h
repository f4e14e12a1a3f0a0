/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The system calls that the library makes, and those by which its private
 * jemalloc gets memory and threads, behind a table: a test can replace an entry
 * to make the Nth call fail with a chosen errno. An entry behaves as the call
 * that it is named after.
 */
#ifndef SYS_CALLS_H
#define SYS_CALLS_H

#include <linux/fiemap.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/types.h>

/* NOLINTBEGIN(bugprone-reserved-identifier): the kernel's names */
struct __user_cap_data_struct;
struct __user_cap_header_struct;
/* NOLINTEND(bugprone-reserved-identifier) */
struct rlimit;
struct stat;
struct statfs;
struct statvfs;

/* New in Linux 5.14; headers may not have it. */
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

#define FILE_EXTENTS_MOST 16

/* The kernel's struct fiemap, with room for extents. */
struct file_extents {
    uint64_t start, length; /* the part of the file that is asked for, bytes */
    uint32_t flags;
    uint32_t mapped; /* out: how many extents there are in the list */
    uint32_t count;  /* room in the list */
    uint32_t reserved;
    struct fiemap_extent list[FILE_EXTENTS_MOST];
};

struct sys_calls {
    int (*open)(const char *path, int flags, mode_t mode);
    int (*openat)(int dir, const char *name, int flags, mode_t mode);
    int (*unlinkat)(int dir, const char *name, int flags);
    int (*close)(int fd);
    /* To a number from kept_descriptors_least() on, or any but the standard
     * ones if the process can have no such number. */
    int (*dup_cloexec)(int fd);
    int (*get_flags)(int fd); /* fcntl(2)'s F_GETFL */
    int (*flock)(int fd, int operation);
    int (*fchmod)(int fd, mode_t mode);
    int (*stat)(const char *path, struct stat *st);
    int (*fstat)(int fd, struct stat *st);
    int (*fstatfs)(int fd, struct statfs *fs);
    int (*fstatvfs)(int fd, struct statvfs *fs);
    char *(*realpath)(const char *path, char *resolved);
    int (*get_file_size_limit)(struct rlimit *limit);  /* RLIMIT_FSIZE */
    int (*get_descriptor_limit)(struct rlimit *limit); /* RLIMIT_NOFILE */
    int (*get_node)(unsigned *node); /* the calling thread's: getcpu(2) */
    int (*ftruncate)(int fd, off_t length);
    /* posix_fadvise(3): returns an error, and leaves errno alone. */
    int (*fadvise)(int fd, off_t offset, off_t len, int advice);
    /* ioctl(2)'s FS_IOC_GETFLAGS and FS_IOC_SETFLAGS */
    int (*ioctl)(int fd, unsigned long request, int *flags);
    int (*capget)(struct __user_cap_header_struct *header,
                  struct __user_cap_data_struct *data);
    int (*fallocate)(int fd, int mode, off_t offset, off_t len);
    int (*fiemap)(int fd, struct file_extents *extents); /* FS_IOC_FIEMAP */
    int (*fsync)(int fd);
    int (*memfd_create)(const char *name, unsigned flags);
    int (*add_seals)(int fd, int seals); /* fcntl(2)'s F_ADD_SEALS */
    off_t (*lseek)(int fd, off_t offset, int whence);
    long (*sysconf)(int name);
    ssize_t (*pread)(int fd, void *buf, size_t count, off_t offset);
    ssize_t (*pwrite)(int fd, const void *buf, size_t count, off_t offset);
    void *(*mmap)(void *addr, size_t len, int prot, int flags, int fd,
                  off_t offset);
    int (*munmap)(void *addr, size_t len);
    void *(*mremap)(void *addr, size_t len, size_t new_len, int flags,
                    void *new_addr);
    int (*sync_file_range)(int fd, off_t offset, off_t len, unsigned flags);
    int (*mincore)(void *addr, size_t len, unsigned char *pages);
    int (*madvise)(void *addr, size_t len, int advice);
    int (*membarrier)(int command);
    /* mbind(2) without flags; move_pages(2) of this process, which moves none
     * and says which nodes they are on. */
    int (*mbind)(void *addr, size_t len, int mode, const unsigned long *nodes,
                 unsigned long bits);
    int (*move_pages)(size_t count, void **pages, int *status);
    int (*getcpu)(unsigned *cpu, unsigned *node);
    int (*mprotect)(void *addr, size_t len, int prot);
    int (*pthread_create)(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*start)(void *), void *argument);
    /* libpmem */
    void *(*pmem_map_file)(const char *path, size_t len, int flags, mode_t mode,
                           size_t *mapped_len, int *is_pmem);
    int (*pmem_unmap)(void *addr, size_t len);
    int (*pmem_msync)(const void *addr, size_t len);
};

/* Replaced only while no other thread runs. */
extern struct sys_calls sys;

#endif
