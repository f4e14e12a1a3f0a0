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

/* Maps the whole file, by libpmem where /proc lets it open the file. */
int region_file_map(int fd, size_t size, struct mapping *mapping);
void region_file_unmap(const struct mapping *mapping);

/*
 * Allocates file space for a hole; all of it or none. *no_fallocate is set
 * where the file system knows no fallocate(2): zeroes are written then.
 */
int region_file_allocate(int fd, size_t offset, size_t size,
                         bool *no_fallocate);

/* Punches a hole. -EOPNOTSUPP where the file system cannot. */
int region_file_punch(int fd, size_t offset, size_t size);

/* Whether files in `dir` are mapped with DAX. */
int region_file_probe_dax(const char *dir, bool *is_dax);

/* Size of the file system that the file is on, in bytes; 0 if not known. */
size_t region_file_system_size(int fd);

#endif
