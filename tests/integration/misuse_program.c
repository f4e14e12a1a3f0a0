/* SPDX-License-Identifier: BSD-2-Clause */
/* One thing wrong with an object of a kind, for a tool to find:
 * misuse_program DIRECTORY WHAT. Exits with 0 if no tool is in its way. */
#include <memkind.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define SIZE 100

static int forget(memkind_t kind)
{
    /* Hidden: no tool finds the address. */
    static uintptr_t hidden;
    hidden = ~(uintptr_t)memkind_malloc(kind, SIZE);
    return hidden == 0;
}

static int misuse(memkind_t kind, unsigned char *volatile object,
                  const char *what)
{
    unsigned char *volatile before = object;
    if (strcmp(what, "overrun") == 0)
        object[SIZE] = 1;
    else if (strcmp(what, "underrun") == 0)
        object[-1] = 1;
    else if (strcmp(what, "after-free") == 0) {
        memkind_free(kind, object);
        object[10] = 1;
        return 0;
    } else if (strcmp(what, "after-realloc") == 0) {
        object = memkind_realloc(kind, object, 5 * SIZE);
        before[10] = 1;
    } else if (strcmp(what, "double-free") == 0)
        memkind_free(kind, object);
    else if (strcmp(what, "leak") == 0)
        return forget(kind);
    else if (strcmp(what, "nothing") != 0)
        return 2;
    memkind_free(kind, object);
    return 0;
}

/* All that is right: no tool may complain. */
static int use(memkind_t kind)
{
    enum { COUNT = 300 };
    unsigned char *objects[COUNT];
    void *aligned = NULL;
    for (size_t round = 0; round < 3; round++) {
        for (size_t i = 0; i < COUNT; i++) {
            objects[i] = memkind_calloc(kind, i + 1, 37);
            if (objects[i] == NULL || objects[i][i * 37] != 0)
                return 3;
            memset(objects[i], 1, memkind_malloc_usable_size(kind, objects[i]));
        }
        for (size_t i = 0; i < COUNT; i += 3)
            objects[i] = memkind_realloc(kind, objects[i], i * 100 + 1);
        for (size_t i = 0; i < COUNT; i += 2)
            memkind_free(NULL, objects[i]);
        for (size_t i = 1; i < COUNT; i += 2) {
            unsigned char *moved = memkind_defrag_reallocate(kind, objects[i]);
            memkind_free(kind, moved != NULL ? moved : objects[i]);
        }
        if (memkind_posix_memalign(kind, &aligned, 8192, 20000) != 0)
            return 4;
        memset(aligned, 2, 20000);
        memkind_free(kind, aligned);
        if (memkind_purge_kind(kind) != 0 || memkind_update_cached_stats() != 0)
            return 5;
    }
    return 0;
}

int main(int argc, char **argv)
{
    static unsigned char buffer[1 << 20];
    memkind_t kind, fixed;
    if (argc != 3 || memkind_create_pmem(argv[1], 0, &kind) != 0 ||
        memkind_create_fixed(buffer, sizeof buffer, &fixed) != 0)
        return 1;
    int status = strcmp(argv[2], "nothing") == 0 ? use(kind) : 0;
    /* What a kind leaves behind is the program's own again. */
    (void)memkind_malloc(fixed, 1000);
    memkind_free(fixed, memkind_malloc(fixed, 1000));
    if (memkind_destroy_kind(fixed) != 0)
        return 6;
    memset(buffer, 1, sizeof buffer);
    if (status == 0)
        status = misuse(kind, memkind_malloc(kind, SIZE), argv[2]);
    /* A kind that is left to the end of the process: else nothing leaks. */
    return status;
}
