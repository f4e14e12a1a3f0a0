/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The four basic calls on a kind of limited size: malloc, calloc, realloc and
 * free, on memory that lies in a file.
 *
 * Run: pmem_malloc [DIR]
 */
#include "example.h"

static int use_kind(memkind_t kind)
{
    const size_t size = 10000;
    char *text = memkind_malloc(kind, size);
    if (text == NULL) {
        return example_fail_errno("memkind_malloc");
    }
    (void)snprintf(text, size, "this text lies in a file");
    printf("malloc:  \"%s\"\n", text);

    const size_t count = 5000;
    unsigned *numbers = memkind_calloc(kind, count, sizeof(*numbers));
    if (numbers == NULL) {
        memkind_free(kind, text);
        return example_fail_errno("memkind_calloc");
    }
    unsigned bits = 0;
    for (size_t i = 0; i < count; i++) {
        bits |= numbers[i];
        numbers[i] = (unsigned)i;
    }
    printf("calloc:  %zu numbers, %s\n", count,
           bits == 0 ? "all of them zero" : "but not all of them zero");

    unsigned *more =
        memkind_realloc(kind, numbers, 100 * count * sizeof(*more));
    if (more == NULL) {
        memkind_free(kind, numbers);
        memkind_free(kind, text);
        return example_fail_errno("memkind_realloc");
    }
    size_t kept = 0;
    while (kept < count && more[kept] == kept) {
        kept++;
    }
    printf("realloc: 100 times larger, %zu of %zu numbers kept\n", kept, count);

    bool text_kept = strcmp(text, "this text lies in a file") == 0;
    memkind_free(kind, more);
    memkind_free(kind, text);
    printf("free:    done\n");

    if (bits != 0) {
        return example_fail_check("calloc gives zeroes");
    }
    if (kept != count) {
        return example_fail_check("realloc keeps the contents");
    }
    if (!text_kept) {
        return example_fail_check("the other object is left alone");
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
