/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Freeing and resizing objects without knowing their kind: memkind_free() and
 * memkind_realloc() find it by the address if they are passed NULL for it.
 *
 * Run: pmem_free_unknown_kind [DIR]
 */
#include "example.h"

#define KINDS 3
#define ROUNDS 300

/* Code like this may be far away from where the object was allocated. */
static void release(void *object)
{
    memkind_free(NULL, object);
}

static void *resize(void *object, size_t size)
{
    return memkind_realloc(NULL, object, size);
}

static void use_object(memkind_t kind, size_t round)
{
    const size_t size = 10 + round * 37;
    void *object = memkind_malloc(kind, size);
    example_expect(object != NULL, "memkind_malloc");
    example_fill(object, size, round);

    void *larger = resize(object, 5 * size);
    example_expect(larger != NULL, "memkind_realloc");
    bool kept = example_verify(larger, size, round);
    bool same_kind = memkind_detect_kind(larger) == kind;
    release(larger);

    example_check(kept, "the contents are kept");
    example_check(same_kind, "a resized object stays in its kind");
}

int main(int argc, char *argv[])
{
    const char *dir = example_dir(argc, argv);
    memkind_t kinds[KINDS] = {NULL, NULL, MEMKIND_DEFAULT};
    int err = memkind_create_pmem(dir, 16 * EXAMPLE_MIB, &kinds[0]);
    example_expect_success(err);
    err = memkind_create_pmem(dir, 0, &kinds[1]);
    example_expect_success(err);

    for (size_t round = 0; round < ROUNDS; round++) {
        use_object(kinds[round % KINDS], round);
    }
    printf("%d objects of %d kinds resized and freed by address only\n", ROUNDS,
           KINDS);

    /* a size of 0 frees as well */
    void *object = memkind_malloc(kinds[0], 100);
    example_expect(object != NULL, "memkind_malloc");
    void *nothing = resize(object, 0);
    release(NULL);
    printf("an object freed by resizing it to 0, and NULL freed\n");

    err = memkind_destroy_kind(kinds[1]);
    example_expect_success(err);
    err = memkind_destroy_kind(kinds[0]);
    example_expect_success(err);

    example_check(nothing == NULL, "resizing to 0 gives NULL");
    return EXIT_SUCCESS;
}
