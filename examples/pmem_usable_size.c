/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How large objects really are: memkind_malloc_usable_size(), and that all of
 * those bytes may be used.
 *
 * Run: pmem_usable_size [DIR]
 */
#include "example.h"

static void use_size(memkind_t kind, size_t size)
{
    void *object = memkind_malloc(kind, size);
    example_expect(object != NULL, "memkind_malloc");
    size_t usable = memkind_malloc_usable_size(kind, object);
    size_t detected = memkind_malloc_usable_size(NULL, object);
    printf("%8zu asked for, %8zu usable\n", size, usable);
    example_fill(object, usable, size);
    bool kept = example_verify(object, usable, size);
    memkind_free(kind, object);

    example_check(usable >= size && detected == usable && kept,
                  "at least the size asked for is usable");
}

int main(int argc, char *argv[])
{
    const char *dir = example_dir(argc, argv);
    memkind_t kind = NULL;
    int err = memkind_create_pmem(dir, 32 * EXAMPLE_MIB, &kind);
    example_expect_success(err);
    printf("a kind of 32 MiB in %s\n", dir);

    const size_t sizes[] = {1, 8, 9, 100, 1000, 5000, 20000, 100000, 3000000};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        use_size(kind, sizes[i]);
    }
    size_t of_nothing = memkind_malloc_usable_size(kind, NULL);
    err = memkind_destroy_kind(kind);
    example_expect_success(err);

    example_check(of_nothing == 0, "nothing is usable at the null pointer");
    return EXIT_SUCCESS;
}
