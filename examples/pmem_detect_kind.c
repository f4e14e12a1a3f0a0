/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Finding the kind that an address came from: memkind_detect_kind().
 *
 * Run: pmem_detect_kind [DIR]
 */
#include "example.h"

static void show(const char *what, void *address, memkind_t expected)
{
    memkind_t found = memkind_detect_kind(address);
    printf("%-30s %s\n", what,
           found != expected ? "WRONG"
           : found == NULL   ? "no kind"
                             : "found");
    example_check(found == expected, "the right kind is found");
}

static void show_object(const char *what, memkind_t kind, size_t size)
{
    char *object = memkind_malloc(kind, size);
    example_expect(object != NULL, "memkind_malloc");
    show(what, object, kind);
    memkind_free(kind, object);
}

int main(int argc, char *argv[])
{
    const char *dir = example_dir(argc, argv);
    memkind_t first = NULL;
    int err = memkind_create_pmem(dir, 16 * EXAMPLE_MIB, &first);
    example_expect_success(err);
    memkind_t second = NULL;
    err = memkind_create_pmem(dir, 0, &second);
    example_expect_success(err);

    show_object("small, first kind:", first, 40);
    show_object("large, first kind:", first, 3 * EXAMPLE_MIB);
    show_object("small, second kind:", second, 40);
    show_object("large, second kind:", second, 3 * EXAMPLE_MIB);
    show_object("small, ordinary memory:", MEMKIND_DEFAULT, 40);
    show_object("large, ordinary memory:", MEMKIND_DEFAULT, 3 * EXAMPLE_MIB);

    static char constant[64];
    char local[64] = "";
    char *libc = malloc(64);
    example_expect(libc != NULL, "malloc");
    show("a static variable:", constant, NULL);
    show("a local variable:", local, NULL);
    show("malloc() of the C library:", libc, NULL);
    show("the null pointer:", NULL, NULL);
    free(libc);

    err = memkind_destroy_kind(second);
    example_expect_success(err);
    err = memkind_destroy_kind(first);
    example_expect_success(err);
    return EXIT_SUCCESS;
}
