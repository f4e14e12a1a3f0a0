/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Finding the kind that an address came from: memkind_detect_kind().
 *
 * Run: pmem_detect_kind [DIR]
 */
#include "example.h"

static int check_address(const char *what, void *address, memkind_t expected)
{
    memkind_t found = memkind_detect_kind(address);
    printf("%-30s %s\n", what,
           found != expected ? "WRONG"
           : found == NULL   ? "no kind"
                             : "found");
    return found == expected ? EXIT_SUCCESS
                             : example_fail_check("the right kind is found");
}

static int check_kind(const char *what, memkind_t kind, size_t size)
{
    char *object = memkind_malloc(kind, size);
    if (object == NULL) {
        return example_fail_errno("memkind_malloc");
    }
    int status = check_address(what, object, kind);
    memkind_free(kind, object);
    return status;
}

static int use_kinds(memkind_t first, memkind_t second)
{
    const struct {
        const char *what;
        memkind_t kind;
        size_t size;
    } cases[] = {
        {"small, first kind:", first, 40},
        {"large, first kind:", first, 3 * EXAMPLE_MIB},
        {"small, second kind:", second, 40},
        {"large, second kind:", second, 3 * EXAMPLE_MIB},
        {"small, ordinary memory:", MEMKIND_DEFAULT, 40},
        {"large, ordinary memory:", MEMKIND_DEFAULT, 3 * EXAMPLE_MIB},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (check_kind(cases[i].what, cases[i].kind, cases[i].size) !=
            EXIT_SUCCESS) {
            return EXIT_FAILURE;
        }
    }

    static char constant[64];
    char local[64] = "";
    char *libc = malloc(64);
    if (libc == NULL) {
        return example_fail_errno("malloc");
    }
    int status = EXIT_SUCCESS;
    if (check_address("a static variable:", constant, NULL) != EXIT_SUCCESS ||
        check_address("a local variable:", local, NULL) != EXIT_SUCCESS ||
        check_address("malloc() of the C library:", libc, NULL) !=
            EXIT_SUCCESS ||
        check_address("the null pointer:", NULL, NULL) != EXIT_SUCCESS) {
        status = EXIT_FAILURE;
    }
    free(libc);
    return status;
}

int main(int argc, char *argv[])
{
    const char *dir = example_dir(argc, argv);
    memkind_t first = NULL;
    int err = memkind_create_pmem(dir, 16 * EXAMPLE_MIB, &first);
    if (err != MEMKIND_SUCCESS) {
        return example_fail("memkind_create_pmem", err);
    }
    memkind_t second = NULL;
    err = memkind_create_pmem(dir, 0, &second);
    if (err != MEMKIND_SUCCESS) {
        return example_destroy(first, example_fail("memkind_create_pmem", err));
    }
    int status = use_kinds(first, second);
    status = example_destroy(second, status);
    return example_destroy(first, status);
}
