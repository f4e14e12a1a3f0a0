/* SPDX-License-Identifier: BSD-2-Clause */
/* How large the file system is that a file is on, and what is free in it. */
#ifndef FILE_SYSTEM_SPACE_H
#define FILE_SYSTEM_SPACE_H

#include <stdbool.h>
#include <stddef.h>

/* Size of the file system, in bytes; 0 if not known. */
size_t file_system_size(int fd);

/* Whether it is certain that the file system has less than `size` bytes for
 * this process. */
bool file_system_lacks(int fd, size_t size);

/* Most bytes that this process can get of the file system, after an allocation
 * has failed for lack of space; SIZE_MAX if not known. A quota may leave less.
 */
size_t file_system_free(int fd);

#endif
