/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files for regions: making, mapping, and moving their file space. Returns are
 * 0 or a negative errno.
 */
#ifndef REGION_FILE_H
#define REGION_FILE_H

#include <stdbool.h>
#include <stddef.h>

struct mapping {
    void *base;
    size_t size;
    bool is_pmem;
    bool by_libpmem;
};

/*
 * A new file in `dir` that has no name: mode 0600, close-on-exec. Returns the
 * descriptor or a negative errno.
 */
int region_file_create(const char *dir);

/* Sets the file's size without ever raising SIGXFSZ. */
int region_file_resize(int fd, size_t size);

/*
 * Whether the file system keeps holes in files. Where it does not (vfat, say),
 * a file's size is the space that it takes.
 */
bool region_file_has_holes(int fd);

/*
 * Maps the whole file (or device, whose size may be given as 0), by libpmem
 * where /proc lets it open the file. A mapping that is persistent memory is
 * MAP_SYNC, which makes the first store to each page wait for the file system.
 */
int region_file_map(int fd, size_t size, struct mapping *mapping);

/* Makes a mapping of a file whose contents need not outlive a crash an
 * ordinary one, at the same place. On failure the mapping is gone. */
int region_file_map_unsynced(int fd, struct mapping *mapping);

/* Returns 0 or a negative errno: the mapping, and what it maps, stay then. */
int region_file_unmap(const struct mapping *mapping);

/*
 * Allocates file space for a hole; all of it or none. *no_fallocate is set
 * where the file system knows no fallocate(2): zeroes are written then.
 */
int region_file_allocate(int fd, size_t offset, size_t size,
                         bool *no_fallocate);

/* Punches a hole. -EOPNOTSUPP where the file system cannot. */
int region_file_punch(int fd, size_t offset, size_t size);

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

/* Size of the file system that the file is on, in bytes; 0 if not known. */
size_t region_file_system_size(int fd);

#endif
