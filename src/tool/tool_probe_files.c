/* SPDX-License-Identifier: BSD-2-Clause */
#include "tool_probe_files.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tool_file.h"
#include "tool_units.h"

#define FILE_SIZE_MOST MIB
#define FILE_SIZE_LEAST (64 * KIB)
/* At most this part of the free space is used. */
#define FREE_PART 16

static struct trial trial_of(enum answer answer)
{
    return (struct trial){.answer = answer};
}

/* A failed call means "no" if the kernel or the file system lacks it. */
static struct trial trial_of_errno(void)
{
    bool no = errno == EOPNOTSUPP || errno == ENOSYS;
    return (struct trial){no ? ANSWER_NO : ANSWER_UNKNOWN, errno};
}

static uint64_t file_space(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 ? (uint64_t)st.st_blocks * 512 : 0;
}

/* Whether the file takes about `size` bytes less than it had. Some file systems
 * count only what they have written. */
static bool space_is_gone(int fd, uint64_t had, uint64_t size)
{
    if (file_space(fd) + size / 2 < had)
        return true;
    (void)fsync(fd);
    return file_space(fd) + size / 2 < had;
}

static struct trial try_holes(int fd, uint64_t size)
{
    uint64_t before = file_space(fd);
    if (ftruncate(fd, (off_t)size) != 0)
        return (struct trial){ANSWER_UNKNOWN, errno};
    return trial_of(file_space(fd) < before + size / 2 ? ANSWER_YES
                                                       : ANSWER_NO);
}

static struct trial try_fallocate(int fd, uint64_t size)
{
    if (fallocate(fd, 0, 0, (off_t)size) != 0)
        return trial_of_errno();
    return trial_of(ANSWER_YES);
}

static bool try_writing(int fd, uint64_t size)
{
    static const char zeroes[FILE_SIZE_LEAST];
    for (uint64_t at = 0; at < size; at += sizeof zeroes)
        if (pwrite(fd, zeroes, sizeof zeroes, (off_t)at) < 0)
            return false;
    return true;
}

static struct trial try_punch(int fd, uint64_t size)
{
    const int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    if (!try_writing(fd, size))
        return (struct trial){ANSWER_UNKNOWN, errno};
    uint64_t had = file_space(fd);
    if (fallocate(fd, mode, 0, (off_t)size) != 0)
        return trial_of_errno();
    return trial_of(space_is_gone(fd, had, size) ? ANSWER_YES : ANSWER_NO);
}

/* The largest size that a file can be set to, found bit by bit; the file is one
 * hole. */
static uint64_t find_largest_file(int fd, uint64_t limit)
{
    uint64_t size = 0;
    for (int bit = 62; bit >= 12; bit--) {
        uint64_t larger = size | (uint64_t)1 << bit;
        if (larger <= limit && ftruncate(fd, (off_t)larger) == 0)
            size = larger;
    }
    return size;
}

/* A multiple of the least size, or 0 if too little is free. */
static uint64_t size_to_try(const struct limits *limits)
{
    uint64_t size = limits->known ? limits->fits / FREE_PART : FILE_SIZE_LEAST;
    size -= size % FILE_SIZE_LEAST;
    return size < FILE_SIZE_MOST ? size : FILE_SIZE_MOST;
}

void probe_files(struct probe *probe)
{
    probe->holes = probe->fallocate = probe->punch = trial_of(ANSWER_UNKNOWN);
    struct file_trial trial;
    int fd = file_make(&trial, probe->place.path);
    if (fd < 0) {
        probe->file = (struct trial){ANSWER_NO, errno};
        return;
    }
    probe->file = trial_of(ANSWER_YES);
    uint64_t size = size_to_try(&probe->limits);
    if (size != 0) {
        probe->holes = try_holes(fd, size);
        (void)ftruncate(fd, 0);
        probe->fallocate = try_fallocate(fd, size);
        probe->punch = try_punch(fd, size);
        (void)ftruncate(fd, 0);
    } else {
        probe->holes.error = probe->fallocate.error = probe->punch.error =
            ENOSPC;
    }
    if (probe->holes.answer == ANSWER_YES)
        probe->largest_file = find_largest_file(fd, probe->limits.file_size);
    close(fd);
}
