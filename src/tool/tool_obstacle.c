/* SPDX-License-Identifier: BSD-2-Clause */
#include "tool_obstacle.h"

#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tool_text.h"

/* The path's first bytes. */
static const char *beginning(const char *path, size_t length)
{
    return text_format("%.*s", (int)length, path);
}

static const char *read_target(const char *path)
{
    char target[PATH_MAX];
    ssize_t length = readlink(path, target, sizeof target - 1);
    return length < 0 ? NULL : beginning(target, (size_t)length);
}

void obstacle_find(struct obstacle *obstacle, const char *path)
{
    struct stat st;
    size_t length = strspn(path, "/"), before = length;
    *obstacle = (struct obstacle){.path = path, .before = path};
    for (;;) {
        size_t end = length + strcspn(path + length, "/");
        obstacle->is_all = path[end] == '\0';
        obstacle->path = beginning(path, end);
        obstacle->before = before == 0 ? "." : beginning(path, before);
        if (obstacle->is_all || stat(obstacle->path, &st) != 0)
            break;
        before = end;
        length = end + strspn(path + end, "/");
    }
    obstacle->target = read_target(obstacle->path);
}
