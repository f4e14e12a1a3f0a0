/* SPDX-License-Identifier: BSD-2-Clause */
/* What there is at a path, found out without opening it. */
#ifndef TOOL_PLACE_H
#define TOOL_PLACE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

enum place_type {
    PLACE_UNREACHABLE, /* nothing is there, or it may not be seen */
    PLACE_DIRECTORY,
    PLACE_DEVICE_DAX,
    PLACE_OTHER_DEVICE, /* a character device of another sort */
    PLACE_BLOCK_DEVICE,
    PLACE_FILE,
    PLACE_OTHER, /* a pipe, a socket */
};

struct place {
    const char *path; /* the caller's */
    enum place_type type;
    int error; /* errno, if it is unreachable */

    /* The file system of a directory; empty or 0 if not known. */
    char fs_type[64];
    char fs_source[PATH_MAX];
    char mount_point[PATH_MAX];
    const char *mount_options; /* each once; blanks as the kernel writes them */
    uint64_t block_size;
    /* The block device under the file system. */
    bool device_known;
    bool device_has_dax;
    uint64_t partition_start; /* in bytes */

    /* In bytes, for a device DAX; 0 if not known. */
    uint64_t device_size;
    uint64_t device_align;

    /* The NUMA node of a device DAX, or of the block device under the file
     * system; -1 if it is not known. */
    int device_node;
};

void place_look(struct place *place, const char *path);

/* "directory", "device-dax" and so on. */
const char *place_type_name(enum place_type type);

/* Whether the file system has one of the names, which NULL ends. */
bool place_is_on(const struct place *place, const char *const *names);

bool place_has_option(const struct place *place, const char *option);

/* Whether the files lie in the machine's memory and nowhere else. */
bool place_is_memory(const struct place *place);

#endif /* TOOL_PLACE_H */
