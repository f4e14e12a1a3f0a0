/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The system calls that the region layer makes, behind a table: a test can
 * replace an entry to make the Nth call fail with a chosen errno. An entry
 * behaves as the call that it is named after.
 */
#ifndef SYS_CALLS_H
#define SYS_CALLS_H

#include <stddef.h>
#include <sys/types.h>

struct stat;

struct sys_calls {
    int (*open)(const char *path, int flags, mode_t mode);
    int (*mkostemp)(char *path_template, int flags);
    int (*unlink)(const char *path);
    int (*close)(int fd);
    int (*dup_cloexec)(int fd);
    int (*fchmod)(int fd, mode_t mode);
    int (*fstat)(int fd, struct stat *st);
    int (*ftruncate)(int fd, off_t length);
    int (*fallocate)(int fd, int mode, off_t offset, off_t len);
    off_t (*lseek)(int fd, off_t offset, int whence);
    ssize_t (*pread)(int fd, void *buf, size_t count, off_t offset);
    ssize_t (*pwrite)(int fd, const void *buf, size_t count, off_t offset);
    void *(*mmap)(void *addr, size_t len, int prot, int flags, int fd,
                  off_t offset);
    int (*munmap)(void *addr, size_t len);
    void *(*mremap)(void *addr, size_t len, size_t new_len, int flags,
                    void *new_addr);
    int (*madvise)(void *addr, size_t len, int advice);
    int (*membarrier)(int command);
    /* libpmem */
    void *(*pmem_map_file)(const char *path, size_t len, int flags, mode_t mode,
                           size_t *mapped_len, int *is_pmem);
    int (*pmem_unmap)(void *addr, size_t len);
};

/* Replaced only while no other thread runs. */
extern struct sys_calls sys;

#endif
