/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A kind without a limit (size 0): it grows until the file system is full.
 * The program uses somewhat more than the least size of a limited kind.
 *
 * Run: pmem_unlimited [DIR]
 */
#include "example.h"

#define OBJECTS 24

int main(int argc, char *argv[])
{
    const char *dir = example_dir(argc, argv);
    memkind_t kind = NULL;
    int err = memkind_create_pmem(dir, 0, &kind);
    example_expect_success(err);
    ssize_t capacity = memkind_get_capacity(kind);
    printf("an unlimited kind in %s: it could hold up to %zd MiB\n", dir,
           capacity / (ssize_t)EXAMPLE_MIB);

    char *objects[OBJECTS];
    for (size_t i = 0; i < OBJECTS; i++) {
        objects[i] = memkind_malloc(kind, EXAMPLE_MIB);
        example_expect(objects[i] != NULL, "memkind_malloc");
        example_fill(objects[i], EXAMPLE_MIB, i);
    }
    bool kept = true;
    for (size_t i = 0; i < OBJECTS; i++) {
        kept = example_verify(objects[i], EXAMPLE_MIB, i) && kept;
    }
    for (size_t i = 0; i < OBJECTS; i++) {
        memkind_free(kind, objects[i]);
    }
    err = memkind_destroy_kind(kind);
    example_expect_success(err);
    printf("%d objects of 1 MiB written, read back, and freed\n", OBJECTS);

    example_check(capacity >= 0, "the capacity is known");
    example_check(kept, "the objects keep what was written");
    return EXIT_SUCCESS;
}
