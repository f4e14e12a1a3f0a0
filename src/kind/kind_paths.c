/* SPDX-License-Identifier: BSD-2-Clause */
#include "kind_paths.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "last_error.h"
#include "sys_calls.h"

/* Copies the first part of a list; returns what follows it, or NULL if it is
 * the last. A part that is too long becomes "". */
static const char *next_path(const char *list, char *part)
{
    const char *colon = strchrnul(list, ':');
    const size_t length = (size_t)(colon - list);
    part[0] = '\0';
    if (length < PATH_MAX) {
        memcpy(part, list, length);
        part[length] = '\0';
    }
    return *colon == ':' ? colon + 1 : NULL;
}

static bool is_existing_directory(const char *path)
{
    struct stat st;
    return path[0] != '\0' && sys.stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

bool kind_paths_is_list(const char *text)
{
    char part[PATH_MAX];
    struct stat st;
    if (strchr(text, ':') == NULL || sys.stat(text, &st) == 0 ||
        (errno != ENOENT && errno != ENOTDIR && errno != ENAMETOOLONG))
        return false;
    while (text != NULL) {
        text = next_path(text, part);
        if (!is_existing_directory(part))
            return false;
    }
    return true;
}

int kind_paths_split(struct kind_paths *paths, const char *text)
{
    char *place = paths->text;
    paths->count = 0;
    while (text != NULL) {
        if (paths->count == MEMKIND_PMEM_MAX_PATHS) {
            last_error_reason("more than %d directories "
                              "(MEMKIND_PMEM_MAX_PATHS)",
                              MEMKIND_PMEM_MAX_PATHS);
            return -EINVAL;
        }
        text = next_path(text, place);
        paths->dirs[paths->count++] = place;
        place += strlen(place) + 1;
    }
    return 0;
}
