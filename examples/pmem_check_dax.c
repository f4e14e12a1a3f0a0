/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Finds out whether a directory lies on a DAX file system, on which stores
 * reach the medium without the page cache. A kind works on any file system.
 *
 * Run: pmem_check_dax [DIR]
 */
#include "example.h"

int main(int argc, char *argv[])
{
    const char *dir = example_dir(argc, argv);
    int err = memkind_check_dax_path(dir);
    if (err == MEMKIND_SUCCESS) {
        printf("%s: files are mapped with DAX\n", dir);
    } else if (err == MEMKIND_ERROR_MMAP) {
        printf("%s: kinds can be made here, but not with DAX\n", dir);
    } else {
        example_expect_success(err);
    }

    int missing = memkind_check_dax_path("/nonexistent/directory");
    printf("a missing directory gives code %d\n", missing);

    memkind_t kind = NULL;
    err = memkind_create_pmem(dir, MEMKIND_PMEM_MIN_SIZE, &kind);
    example_expect_success(err);
    err = memkind_destroy_kind(kind);
    example_expect_success(err);

    example_check(missing != MEMKIND_SUCCESS && missing != MEMKIND_ERROR_MMAP,
                  "a missing directory is an error, not an answer");
    return EXIT_SUCCESS;
}
