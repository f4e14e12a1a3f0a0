/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Objects at multiples of a power of two: memkind_posix_memalign().
 *
 * Run: pmem_alignment [DIR]
 */
#include "example.h"
#include <stdint.h>

static void use_alignment(memkind_t kind, size_t alignment)
{
    const size_t sizes[] = {1, 100, 4096, 70000};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        void *object = NULL;
        int err = memkind_posix_memalign(kind, &object, alignment, sizes[i]);
        example_expect_success(err);
        example_fill(object, sizes[i], alignment);
        bool kept = example_verify(object, sizes[i], alignment);
        bool aligned = (uintptr_t)object % alignment == 0;
        memkind_free(kind, object);

        example_check(aligned && kept, "an aligned and usable object");
    }
}

int main(int argc, char *argv[])
{
    const char *dir = example_dir(argc, argv);
    memkind_t kind = NULL;
    int err = memkind_create_pmem(dir, 32 * EXAMPLE_MIB, &kind);
    example_expect_success(err);
    printf("a kind of 32 MiB in %s\n", dir);

    for (size_t alignment = sizeof(void *); alignment <= 2 * EXAMPLE_MIB;
         alignment *= 2) {
        use_alignment(kind, alignment);
    }
    printf("objects at all multiples from %zu bytes to 2 MiB\n",
           sizeof(void *));

    const size_t bad[] = {0, 1, sizeof(void *) / 2, 24, 1000};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        void *object = NULL;
        err = memkind_posix_memalign(kind, &object, bad[i], 100);
        example_check(err == EINVAL && object == NULL,
                      "a bad alignment is refused");
    }
    printf("alignments of 0, 1, %zu, 24 and 1000 are refused with EINVAL\n",
           sizeof(void *) / 2);
    err = memkind_destroy_kind(kind);
    example_expect_success(err);
    return EXIT_SUCCESS;
}
