/* SPDX-License-Identifier: BSD-2-Clause */
#include "tool_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tool_text.h"

static int make_named_file(const char *dir)
{
    char path[PATH_MAX];
    int length = snprintf(path, sizeof path, "%s/memkind-pmem.XXXXXX", dir);
    if (length < 0 || (size_t)length >= sizeof path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    /* A signal (Ctrl-C) must not end the program before the name is gone. */
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &before);
    int fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0)
        (void)unlink(path);
    int saved_errno = errno;
    sigprocmask(SIG_SETMASK, &before, NULL);
    errno = saved_errno;
    return fd;
}

int file_make(struct file_trial *trial, const char *dir)
{
    *trial = (struct file_trial){0};
    int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC | O_EXCL, 0600);
    if (fd >= 0)
        return fd;
    trial->unnamed = errno;
    if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)
        return -1;
    fd = make_named_file(dir);
    if (fd < 0)
        trial->named = errno;
    return fd;
}

const char *file_line_after(const char *path, const char *beginning)
{
    const size_t length = strlen(beginning);
    const char *found = NULL;
    char *line = NULL;
    size_t size = 0;
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return NULL;
    while (found == NULL && getline(&line, &size, file) > 0)
        if (strncmp(line, beginning, length) == 0) {
            line[strcspn(line, "\n")] = '\0';
            found = text_format("%s", line + length);
        }
    free(line);
    fclose(file);
    return found;
}

const char *file_first_line(const char *path)
{
    return file_line_after(path, "");
}
