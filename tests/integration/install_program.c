/* SPDX-License-Identifier: BSD-2-Clause */
/* Another project's C program: one kind, one object. */
#include <memkind.h>
#include <memkind/internal/memkind_pmem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void)
{
    const char *dir = getenv("MEMKIND_TEST_DIR");
    memkind_t kind = NULL;
    int err = memkind_create_pmem(dir, MEMKIND_PMEM_MIN_SIZE, &kind);
    if (err != MEMKIND_SUCCESS) {
        fprintf(stderr, "no kind in %s: %d\n", dir, err);
        return 1;
    }
    char *object = memkind_malloc(kind, 1000);
    if (object == NULL || memkind_detect_kind(object) != kind)
        return 1;
    memset(object, 1, 1000);
    if (memkind_pmem_persist(kind, object, 1000) != MEMKIND_SUCCESS)
        return 1;
    memkind_free(kind, object);
    object = memkind_malloc(MEMKIND_DEFAULT, 1000);
    if (object == NULL || memkind_detect_kind(object) != MEMKIND_DEFAULT)
        return 1;
    memkind_free(NULL, object);
    if (memkind_destroy_kind(kind) != MEMKIND_SUCCESS)
        return 1;
    /* To be compared with what the package files say. */
    int version = memkind_get_version();
    printf("%d.%d.%d\n", version / 1000000, version / 1000 % 1000,
           version % 1000);
    return 0;
}
