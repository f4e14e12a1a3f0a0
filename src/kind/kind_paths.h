/* SPDX-License-Identifier: BSD-2-Clause */
/* A list of directories in one text: "/mnt/pmem0:/mnt/pmem1". */
#ifndef KIND_PATHS_H
#define KIND_PATHS_H

#include <limits.h>
#include <stdbool.h>

#include <memkind.h>

struct kind_paths {
    unsigned count;
    const char *dirs[MEMKIND_PMEM_MAX_PATHS];
    char text[MEMKIND_PMEM_MAX_PATHS * PATH_MAX];
};

/* Whether a text is such a list: there is nothing with that name, and each part
 * is the path of a directory. */
bool kind_paths_is_list(const char *text);

/* Takes such a list apart, with copies of its parts. -EINVAL, with a reason, if
 * there are too many. */
int kind_paths_split(struct kind_paths *paths, const char *text);

#endif
