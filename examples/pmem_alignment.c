/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Objects at multiples of a power of two: memkind_posix_memalign().
 *
 * Run: pmem_alignment [DIR]
 */
#include "example.h"
#include <stdint.h>

static int use_alignment(memkind_t kind, size_t alignment)
{
    const size_t sizes[] = {1, 100, 4096, 70000};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        void *object = NULL;
        int err = memkind_posix_memalign(kind, &object, alignment, sizes[i]);
        if (err != 0) {
            return example_fail("memkind_posix_memalign", err);
        }
        bool aligned = (uintptr_t)object % alignment == 0;
        example_fill(object, sizes[i], alignment);
        bool kept = example_verify(object, sizes[i], alignment);
        memkind_free(kind, object);
        if (!aligned || !kept) {
            return example_fail_check("an aligned and usable object");
        }
    }
    return EXIT_SUCCESS;
}

static int use_kind(memkind_t kind)
{
    for (size_t alignment = sizeof(void *); alignment <= 2 * EXAMPLE_MIB;
         alignment *= 2) {
        if (use_alignment(kind, alignment) != EXIT_SUCCESS) {
            return EXIT_FAILURE;
        }
    }
    printf("objects at all multiples from %zu bytes to 2 MiB\n",
           sizeof(void *));

    const size_t bad[] = {0, 1, sizeof(void *) / 2, 24, 1000};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        void *object = NULL;
        int err = memkind_posix_memalign(kind, &object, bad[i], 100);
        if (err != EINVAL || object != NULL) {
            memkind_free(kind, object);
            return example_fail_check("a bad alignment is refused");
        }
    }
    printf("alignments of 0, 1, %zu, 24 and 1000 are refused with EINVAL\n",
           sizeof(void *) / 2);
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
