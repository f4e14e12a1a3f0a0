/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A kind without a limit (size 0): it grows until the file system is full.
 * The program uses somewhat more than the least size of a limited kind.
 *
 * Run: pmem_unlimited [DIR]
 */
#include "example.h"

#define OBJECTS 24

static int use_kind(memkind_t kind)
{
    ssize_t capacity = memkind_get_capacity(kind);
    if (capacity < 0) {
        return example_fail_check("the capacity is known");
    }
    printf("it could hold up to %zd MiB\n", capacity / (ssize_t)EXAMPLE_MIB);

    int status = EXIT_SUCCESS;
    char *objects[OBJECTS] = {0};
    for (size_t i = 0; i < OBJECTS && status == EXIT_SUCCESS; i++) {
        objects[i] = memkind_malloc(kind, EXAMPLE_MIB);
        if (objects[i] == NULL) {
            status = example_fail_errno("memkind_malloc");
        } else {
            example_fill(objects[i], EXAMPLE_MIB, i);
        }
    }
    for (size_t i = 0; i < OBJECTS && status == EXIT_SUCCESS; i++) {
        if (!example_verify(objects[i], EXAMPLE_MIB, i)) {
            status = example_fail_check("the objects keep what was written");
        }
    }
    if (status == EXIT_SUCCESS) {
        printf("%d objects of 1 MiB written, read back, and freed\n", OBJECTS);
    }
    for (size_t i = 0; i < OBJECTS; i++) {
        memkind_free(kind, objects[i]);
    }
    return status;
}

int main(int argc, char *argv[])
{
    const char *dir = example_dir(argc, argv);
    memkind_t kind = NULL;
    int err = memkind_create_pmem(dir, 0, &kind);
    if (err != MEMKIND_SUCCESS) {
        return example_fail("memkind_create_pmem", err);
    }
    printf("an unlimited kind in %s\n", dir);
    return example_destroy(kind, use_kind(kind));
}
