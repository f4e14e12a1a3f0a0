/* SPDX-License-Identifier: BSD-2-Clause */
/* What a path fails at. */
#ifndef TOOL_OBSTACLE_H
#define TOOL_OBSTACLE_H

#include <stdbool.h>

struct obstacle {
    const char *path;   /* the shortest beginning of the path that fails */
    const char *before; /* the directory that this is in */
    const char *target; /* of a symbolic link at `path`; NULL: no link */
    bool is_all;        /* `path` is the whole path */
};

/* For a path that stat(2) fails at. */
void obstacle_find(struct obstacle *obstacle, const char *path);

#endif /* TOOL_OBSTACLE_H */
