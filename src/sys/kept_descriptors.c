/* SPDX-License-Identifier: BSD-2-Clause */
#include "kept_descriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

/* The file that a number was noted for. No file system has an inode 0 that can
 * be opened. */
struct kept {
    _Atomic uint64_t device;
    _Atomic uint64_t inode; /* 0: not noted */
    _Atomic int flags;      /* how it was opened */
};

static struct kept table[KEPT_DESCRIPTORS_END];
static atomic_int end; /* no greater number was ever noted */
static atomic_int least = STDERR_FILENO + 1;

/* A program may open the directory of a kind, too. It would not do so with
 * O_PATH, and dup2(2) makes no descriptor that is closed by execve(2). */
static int flags_of(int fd)
{
    const int flags = fcntl(fd, F_GETFL), closes = fcntl(fd, F_GETFD);
    return flags < 0 || closes < 0 || (closes & FD_CLOEXEC) == 0
               ? -1
               : flags & (O_PATH | O_ACCMODE);
}

void kept_descriptors_note(int fd)
{
    const int saved_errno = errno;
    struct stat file;
    if (fd >= 0 && fd < KEPT_DESCRIPTORS_END && fstat(fd, &file) == 0) {
        atomic_store(&table[fd].flags, flags_of(fd));
        atomic_store(&table[fd].device, file.st_dev);
        atomic_store(&table[fd].inode, file.st_ino);
        int seen = atomic_load(&end);
        while (seen <= fd && !atomic_compare_exchange_weak(&end, &seen, fd + 1))
            ;
    }
    errno = saved_errno;
}

void kept_descriptors_forget(int fd)
{
    if (fd >= 0 && fd < atomic_load(&end))
        atomic_store(&table[fd].inode, 0);
}

static bool is_kept(int fd)
{
    struct stat file;
    const uint64_t inode =
        atomic_load_explicit(&table[fd].inode, memory_order_acquire);
    return inode != 0 && fstat(fd, &file) == 0 && file.st_ino == inode &&
           file.st_dev == atomic_load(&table[fd].device) &&
           flags_of(fd) == atomic_load(&table[fd].flags);
}

int kept_descriptors_next(int first, int last)
{
    const int noted_end = atomic_load_explicit(&end, memory_order_acquire);
    const int fd_end = last < noted_end ? last + 1 : noted_end;
    const int saved_errno = errno;
    int fd = first > 0 ? first : 0;
    while (fd < fd_end && !is_kept(fd))
        fd++;
    errno = saved_errno;
    return fd < fd_end ? fd : -1;
}

int kept_descriptors_least(void)
{
    return atomic_load(&least);
}

void kept_descriptors_set_least(int number)
{
    atomic_store(&least, number);
}
