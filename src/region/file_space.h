/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Size and space of files: what is allocated, and given back. Functions return
 * 0 or a negative errno.
 */
#ifndef FILE_SPACE_H
#define FILE_SPACE_H

#include <stdbool.h>
#include <stddef.h>

/* Sets the file's size without ever raising SIGXFSZ. */
int file_space_resize(int fd, size_t size);

/*
 * Whether the file system keeps holes in files. If it does not (vfat, say), a
 * file's size is the space that it takes. The file is empty, before and after.
 */
bool file_space_has_holes(int fd);

/*
 * Allocates file space for a hole, all of it or none. If the file system knows
 * no fallocate(2), *no_fallocate is set and zeroes are written; -EFBIG then if
 * the process may not write that far (RLIMIT_FSIZE).
 * What takes several steps fails with -EBADF as soon as the number is another
 * file's: the program may put one there at any time. Some of the space is
 * allocated then.
 */
int file_space_allocate(int fd, size_t offset, size_t size, bool *no_fallocate);

/*
 * Allocates the file space that a range lacks, by fallocate(2) alone, of whose
 * errors it has any. What is in the range stays, whether this fails or not; if
 * it fails, some of the holes may have space.
 */
int file_space_complete(int fd, size_t offset, size_t size);

/*
 * Allocates the file space of a mapping's holes, without a descriptor; no byte
 * of it raises SIGBUS afterwards. -ENOSPC if there is no space, -ENOMEM if the
 * kernel cannot do it (before Linux 5.14).
 */
int file_space_populate(void *addr, size_t size);

/* Punches a hole. -EOPNOTSUPP if the file system cannot. */
int file_space_punch(int fd, size_t offset, size_t size);

/* Punches a hole in what is mapped, without a descriptor. -EINVAL if pages of
 * it are locked. */
int file_space_remove(void *addr, size_t size);

#endif
