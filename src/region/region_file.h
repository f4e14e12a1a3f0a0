/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files for regions: making, mapping, and moving their file space. Returns are
 * 0 or a negative errno.
 */
#ifndef REGION_FILE_H
#define REGION_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct mapping {
    void *base;
    size_t size;
    bool is_pmem;
    bool by_libpmem;
};

/* What tells a file from others, whichever number it has. */
struct file_identity {
    dev_t device;
    ino_t inode;
};

/*
 * Descriptors that these functions return are none of the standard ones, which
 * others write to without asking; and they are close-on-exec.
 */

/* Which file a descriptor is of; 0 or a negative errno. */
int region_file_identify(int fd, struct file_identity *identity);

/* Whether a number is a descriptor of that file. */
bool region_file_is(int fd, const struct file_identity *identity);

/* A descriptor that stands for a directory, however it is named. */
int region_file_open_directory(const char *path);

/* A new file in a directory that has no name: mode 0600. Returns the
 * descriptor or a negative errno. */
int region_file_create(int directory);

/* Another descriptor of a file. */
int region_file_duplicate(int fd);

/* Sets the file's size without ever raising SIGXFSZ. */
int region_file_resize(int fd, size_t size);

/*
 * Whether the file system keeps holes in files. Where it does not (vfat, say),
 * a file's size is the space that it takes. The file is empty, before and
 * after.
 */
bool region_file_has_holes(int fd);

/* Whether libpmem takes mappings of the file for persistent memory; false where
 * it cannot be asked. The file is empty, before and after. */
int region_file_is_pmem(int fd, bool *is_pmem);

/*
 * Maps a part of a file. Nothing of it can be touched before
 * address_space_open(). `margin`: as for address_space_reserve().
 */
int region_file_map(int fd, size_t offset, size_t size, size_t margin,
                    struct mapping *mapping);

/*
 * The same for persistent memory. The whole of a file is mapped by libpmem,
 * which then knows it for what it is.
 * durable: what is stored and flushed outlives a crash (MAP_SYNC); the first
 *          store to each page waits for the file system then
 */
int region_file_map_pmem(int fd, size_t offset, size_t size, bool durable,
                         struct mapping *mapping);

/* Maps a whole device DAX; all of it can be touched. */
int region_file_map_device(int fd, struct mapping *mapping);

/* Returns 0 or a negative errno: the mapping, and what it maps, stay then. */
int region_file_unmap(const struct mapping *mapping);

/*
 * Allocates file space for a hole; all of it or none. *no_fallocate is set
 * where the file system knows no fallocate(2): zeroes are written then, -EFBIG
 * if the process may not write that far (RLIMIT_FSIZE).
 * What takes several steps is -EBADF as soon as the number is another file's:
 * the program may put one there at any time. Some of the space is there then.
 */
int region_file_allocate(int fd, size_t offset, size_t size,
                         bool *no_fallocate);

/*
 * The same by a mapping alone; no byte of it raises SIGBUS. -ENOSPC where there
 * is no space, -ENOMEM where the kernel cannot (before Linux 5.14).
 */
int region_file_populate(void *addr, size_t size);

/* Punches a hole. -EOPNOTSUPP where the file system cannot. */
int region_file_punch(int fd, size_t offset, size_t size);

/* The same by a mapping alone; -EINVAL where its pages are locked. */
int region_file_remove(void *addr, size_t size);

/* Drops private memory, which is zero from then on; locked or not. */
int region_memory_drop(void *addr, size_t size);

/*
 * Opens a device DAX for this process alone. Returns the descriptor, or a
 * negative errno: -EBUSY where another kind has it, -ENOTTY where the path is
 * a character device of another sort.
 */
int region_file_open_device(const char *path);

/* Whether a path is a character device, and not a directory. */
bool region_file_is_device(const char *path);

/* Whether files in a directory, or a device, are mapped with DAX. */
int region_file_probe_dax(const char *path, bool *is_dax);

/* Around fork(2): in between, nobody is inside of libpmem on our behalf, whose
 * lock has no handler of its own. */
void region_file_lock(void);
void region_file_unlock(void);

/* In a forked child, where somebody may have been: libpmem is left alone then,
 * and its mappings are made and unmade by system calls. */
void region_file_renew(void);

#endif
