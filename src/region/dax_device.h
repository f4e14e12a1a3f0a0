/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Device DAX: a character device all of which is memory, and places in which
 * files are mapped with DAX. Functions return 0 or a negative errno.
 */
#ifndef DAX_DEVICE_H
#define DAX_DEVICE_H

#include <stdbool.h>

#include "file_mapping.h"

/*
 * Opens a device DAX for this process alone, and returns the descriptor.
 * -EBUSY if another kind has it; -ENOTDIR if the path is a character device of
 * another sort.
 */
int dax_device_open(const char *path);

/* Maps the whole of a device DAX; all of it can be touched. */
int dax_device_map(int fd, struct mapping *mapping);

/* Whether a path is a character device, and not a directory. */
bool region_file_is_device(const char *path);

/* Whether files in a directory, or a device, are mapped with DAX. */
int region_file_probe_dax(const char *path, bool *is_dax);

#endif
