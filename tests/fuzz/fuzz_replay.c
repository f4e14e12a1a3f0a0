/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs a fuzz target on files, without an engine:
 *   replay_TARGET FILE-OR-DIRECTORY...
 */
#include "fuzz_target.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static unsigned inputs;

static bool run_file(const char *path)
{
    static uint8_t data[1 << 20];
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        return false;
    }
    size_t size = fread(data, 1, sizeof data, file);
    fclose(file);
    fprintf(stderr, "%s: %zu bytes\n", path, size);
    LLVMFuzzerTestOneInput(data, size);
    inputs++;
    return true;
}

static bool run_path(const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0) {
        perror(path);
        return false;
    }
    if (!S_ISDIR(st.st_mode))
        return run_file(path);
    struct dirent **entries;
    int count = scandir(path, &entries, NULL, alphasort);
    bool right = count >= 0;
    for (int i = 0; i < count; i++) {
        char name[8192];
        snprintf(name, sizeof name, "%s/%s", path, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.')
            right = run_file(name) && right;
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
    return right;
}

int main(int argc, char **argv)
{
    bool right = argc > 1;
    for (int i = 1; i < argc; i++)
        right = run_path(argv[i]) && right;
    printf("%u inputs\n", inputs);
    return right && inputs > 0 ? 0 : 1;
}
