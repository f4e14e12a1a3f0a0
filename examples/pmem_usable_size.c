/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How large objects really are: memkind_malloc_usable_size(), and that all of
 * those bytes may be used.
 *
 * Run: pmem_usable_size [DIR]
 */
#include "example.h"

static int use_size(memkind_t kind, size_t size)
{
    void *object = memkind_malloc(kind, size);
    if (object == NULL) {
        return example_fail_errno("memkind_malloc");
    }
    size_t usable = memkind_malloc_usable_size(kind, object);
    size_t detected = memkind_malloc_usable_size(NULL, object);
    printf("%8zu asked for, %8zu usable\n", size, usable);
    bool good = usable >= size && detected == usable;
    if (good) {
        example_fill(object, usable, size);
        good = example_verify(object, usable, size);
    }
    memkind_free(kind, object);
    return good ? EXIT_SUCCESS
                : example_fail_check("at least the size asked for is usable");
}

static int use_kind(memkind_t kind)
{
    const size_t sizes[] = {1, 8, 9, 100, 1000, 5000, 20000, 100000, 3000000};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        if (use_size(kind, sizes[i]) != EXIT_SUCCESS) {
            return EXIT_FAILURE;
        }
    }
    if (memkind_malloc_usable_size(kind, NULL) != 0) {
        return example_fail_check("nothing is usable at the null pointer");
    }
    return EXIT_SUCCESS;
}

int main(int argc, char *argv[])
{
    const char *dir = example_dir(argc, argv);
    memkind_t kind = NULL;
    int err = memkind_create_pmem(dir, 32 * EXAMPLE_MIB, &kind);
    if (err != MEMKIND_SUCCESS) {
        return example_fail("memkind_create_pmem", err);
    }
    printf("a kind of 32 MiB in %s\n", dir);
    return example_destroy(kind, use_kind(kind));
}
