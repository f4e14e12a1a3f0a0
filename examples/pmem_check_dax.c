/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Finds out whether a directory lies on a DAX file system, where stores reach
 * the medium without the page cache. A kind works there and elsewhere.
 *
 * Run: pmem_check_dax [DIR]
 */
#include "example.h"

int main(int argc, char *argv[])
{
    const char *dir = example_dir(argc, argv);
    int err = memkind_check_dax_path(dir);
    switch (err) {
    case MEMKIND_SUCCESS:
        printf("%s: files are mapped with DAX\n", dir);
        break;
    case MEMKIND_ERROR_MMAP:
        printf("%s: kinds can be made here, but not with DAX\n", dir);
        break;
    default:
        return example_fail(dir, err);
    }

    /* a directory that is not there is an error, not an answer */
    err = memkind_check_dax_path("/nonexistent/directory");
    if (err == MEMKIND_SUCCESS || err == MEMKIND_ERROR_MMAP) {
        return example_fail_check("a missing directory is an error");
    }
    printf("a missing directory gives code %d\n", err);

    memkind_t kind = NULL;
    err = memkind_create_pmem(dir, MEMKIND_PMEM_MIN_SIZE, &kind);
    if (err != MEMKIND_SUCCESS) {
        return example_fail("memkind_create_pmem", err);
    }
    return example_destroy(kind, EXIT_SUCCESS);
}
