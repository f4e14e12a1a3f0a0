/* SPDX-License-Identifier: BSD-2-Clause */
#include "descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "kept_descriptors.h"
#include "sys_calls.h"

int descriptor_identify(int fd, struct file_identity *identity)
{
    struct stat st;
    /* Anything but EBADF may succeed the next time. */
    if (sys.fstat(fd, &st) != 0 && (errno == EBADF || sys.fstat(fd, &st) != 0))
        return -errno;
    *identity = (struct file_identity){st.st_dev, st.st_ino};
    return 0;
}

bool descriptor_is_of(int fd, const struct file_identity *identity)
{
    struct file_identity now = {0};
    return fd >= 0 && descriptor_identify(fd, &now) == 0 &&
           now.device == identity->device && now.inode == identity->inode;
}

/* If the standard descriptors are closed, what a program prints to them must
 * not go into a file of ours. */
int descriptor_above_standard(int fd)
{
    if (fd < 0)
        return fd;
    if (fd < kept_descriptors_least()) {
        int above = descriptor_duplicate(fd);
        if (above >= 0 || fd <= STDERR_FILENO) {
            sys.close(fd);
            return above;
        }
    }
    kept_descriptors_note(fd);
    return fd;
}

int descriptor_duplicate(int fd)
{
    int copy = sys.dup_cloexec(fd);
    if (copy < 0)
        return -errno;
    kept_descriptors_note(copy);
    return copy;
}

int descriptor_open_directory(const char *path)
{
    int fd = sys.open(path, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
    return fd >= 0 ? descriptor_above_standard(fd) : -errno;
}

static int create_unnamed(int directory)
{
    /* O_EXCL: the file can never be given a name. */
    int fd = sys.openat(directory, ".", O_TMPFILE | O_RDWR | O_CLOEXEC | O_EXCL,
                        0600);
    return fd >= 0 ? fd : -errno;
}

/* Makes up a name that no two calls at a time get. A file that has it already
 * is not opened. */
static void invent_name(char *name, size_t size)
{
    static atomic_uint counter;
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_REALTIME, &now);
    uint64_t mix = (uint64_t)now.tv_sec * 1000000007 + (uint64_t)now.tv_nsec;
    mix = (mix ^ ((uint64_t)getpid() << 32)) + atomic_fetch_add(&counter, 1);
    mix *= 0x9e3779b97f4a7c15U;
    snprintf(name, size, "memkind.%016" PRIx64, mix ^ (mix >> 29));
}

static int create_and_unlink(int directory)
{
    enum { TRIES = 100 };
    char name[32];
    /* No signal handler may leave (by longjmp or exit) a file with a name. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    int result = -EEXIST;
    for (int i = 0; i < TRIES && result == -EEXIST; i++) {
        invent_name(name, sizeof name);
        int fd = sys.openat(directory, name,
                            O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
        result = fd >= 0 ? fd : -errno;
    }
    if (result >= 0 && sys.unlinkat(directory, name, 0) != 0) {
        int error = -errno;
        sys.close(result);
        result = error;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return result;
}

/* A directory that was removed takes no files, either. */
static bool directory_is_removed(int directory)
{
    struct stat st;
    return sys.fstat(directory, &st) == 0 && st.st_nlink == 0;
}

int descriptor_create_file(int directory)
{
    int fd = create_unnamed(directory);
    /* The answers of kernels and file systems without O_TMPFILE; EISDIR is that
     * of kernels which take it for O_DIRECTORY. */
    if (fd == -EOPNOTSUPP || fd == -EISDIR || fd == -ENOENT || fd == -EINVAL)
        fd = create_and_unlink(directory);
    /* The answer of file systems that have no files to make, such as proc: a
     * caller would take it for that of a directory which is not there. */
    if (fd == -ENOENT && !directory_is_removed(directory))
        fd = -EOPNOTSUPP;
    fd = descriptor_above_standard(fd);
    if (fd < 0)
        return fd;
    /* The umask may have taken the owner's rights, without which libpmem could
     * not open the file once more. A file system without modes (vfat) may
     * refuse; that does no harm. */
    (void)sys.fchmod(fd, 0600);
    return fd;
}
