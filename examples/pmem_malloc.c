/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The basic calls: a kind of limited size is made, and malloc, calloc, realloc
 * and free are called on it. The memory lies in a file.
 *
 * Run: pmem_malloc [DIR]
 */
#include "example.h"

#define COUNT ((size_t)5000)

int main(int argc, char *argv[])
{
    const char *dir = example_dir(argc, argv);
    memkind_t kind = NULL;
    int err = memkind_create_pmem(dir, 32 * EXAMPLE_MIB, &kind);
    example_expect_success(err);
    printf("a kind of 32 MiB in %s\n", dir);

    const size_t size = 10000;
    char *text = memkind_malloc(kind, size);
    example_expect(text != NULL, "memkind_malloc");
    (void)snprintf(text, size, "this text lies in a file");
    printf("malloc:  \"%s\"\n", text);

    unsigned *numbers = memkind_calloc(kind, COUNT, sizeof(*numbers));
    example_expect(numbers != NULL, "memkind_calloc");
    unsigned bits = 0;
    for (size_t i = 0; i < COUNT; i++) {
        bits |= numbers[i];
        numbers[i] = (unsigned)i;
    }
    printf("calloc:  %zu numbers, all of them zero\n", COUNT);

    unsigned *more =
        memkind_realloc(kind, numbers, 100 * COUNT * sizeof(*more));
    example_expect(more != NULL, "memkind_realloc");
    size_t kept = 0;
    while (kept < COUNT && more[kept] == kept) {
        kept++;
    }
    printf("realloc: 100 times larger, %zu of %zu numbers kept\n", kept, COUNT);

    bool text_kept = strcmp(text, "this text lies in a file") == 0;
    memkind_free(kind, more);
    memkind_free(kind, text);
    err = memkind_destroy_kind(kind);
    example_expect_success(err);
    printf("free:    done\n");

    example_check(bits == 0, "calloc gives zeroes");
    example_check(kept == COUNT, "realloc keeps the contents");
    example_check(text_kept, "the other object is left alone");
    return EXIT_SUCCESS;
}
