/* SPDX-License-Identifier: BSD-2-Clause */
#include "root_paths.h"

#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Appends a path of that length, with the current directory before it if it is
 * a relative one. */
static char *append(char *end, const char *path, size_t length,
                    const char *here)
{
    if (length != 0 && path[0] != '/') {
        end = stpcpy(end, here);
        *end++ = '/';
    }
    return (char *)mempcpy(end, path, length);
}

static size_t count_colons(const char *text)
{
    size_t count = 0;
    while ((text = strchr(text, ':')) != NULL) {
        count++;
        text++;
    }
    return count;
}

char *root_paths(const char *list)
{
    char here[PATH_MAX];
    if (getcwd(here, sizeof here) == NULL)
        return NULL;
    /* As the library has it. */
    const bool is_one = access(list, F_OK) == 0;
    char *paths = malloc((count_colons(list) + 1) * (strlen(here) + 1) +
                         strlen(list) + 1);
    if (paths == NULL)
        return NULL;
    char *end = paths;
    for (const char *part = list;; part++) {
        const size_t length = is_one ? strlen(part) : strcspn(part, ":");
        end = append(end, part, length, here);
        part += length;
        if (*part == '\0')
            break;
        *end++ = ':';
    }
    *end = '\0';
    return paths;
}
