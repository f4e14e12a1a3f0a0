/* SPDX-License-Identifier: BSD-2-Clause */
#include "fuzz_target.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char dir[4096];

static void remove_dir(void)
{
    if (rmdir(dir) != 0)
        perror(dir);
}

const char *fuzz_dir(void)
{
    if (dir[0] != '\0')
        return dir;
    const char *parent = getenv("MEMKIND_TEST_DIR");
    snprintf(dir, sizeof dir, "%s/memkind-fuzz-XXXXXX",
             parent != NULL ? parent : "/dev/shm");
    if (mkdtemp(dir) == NULL) {
        perror(dir);
        abort();
    }
    atexit(remove_dir);
    return dir;
}
