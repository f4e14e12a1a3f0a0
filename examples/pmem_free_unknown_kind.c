/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Freeing and resizing objects without knowing their kind: both
 * memkind_free() and memkind_realloc() find it where NULL stands for it.
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

static int use_object(memkind_t kind, size_t round)
{
    const size_t size = 10 + round * 37;
    void *object = memkind_malloc(kind, size);
    if (object == NULL) {
        return example_fail_errno("memkind_malloc");
    }
    example_fill(object, size, round);

    void *larger = resize(object, 5 * size);
    if (larger == NULL) {
        release(object);
        return example_fail_errno("memkind_realloc");
    }
    bool kept = example_verify(larger, size, round);
    bool same_kind = memkind_detect_kind(larger) == kind;
    release(larger);
    if (!kept) {
        return example_fail_check("the contents are kept");
    }
    if (!same_kind) {
        return example_fail_check("a resized object stays in its kind");
    }
    return EXIT_SUCCESS;
}

static int use_kinds(memkind_t *kinds)
{
    for (size_t round = 0; round < ROUNDS; round++) {
        if (use_object(kinds[round % KINDS], round) != EXIT_SUCCESS) {
            return EXIT_FAILURE;
        }
    }
    printf("%d objects of %d kinds resized and freed by address only\n", ROUNDS,
           KINDS);

    /* a size of 0 frees as well */
    void *object = memkind_malloc(kinds[0], 100);
    if (object == NULL) {
        return example_fail_errno("memkind_malloc");
    }
    if (resize(object, 0) != NULL) {
        return example_fail_check("resizing to 0 gives NULL");
    }
    release(NULL);
    printf("an object freed by resizing it to 0, and NULL freed\n");
    return EXIT_SUCCESS;
}

int main(int argc, char *argv[])
{
    const char *dir = example_dir(argc, argv);
    memkind_t kinds[KINDS] = {NULL, NULL, MEMKIND_DEFAULT};
    int err = memkind_create_pmem(dir, 16 * EXAMPLE_MIB, &kinds[0]);
    if (err != MEMKIND_SUCCESS) {
        return example_fail("memkind_create_pmem", err);
    }
    err = memkind_create_pmem(dir, 0, &kinds[1]);
    if (err != MEMKIND_SUCCESS) {
        return example_destroy(kinds[0],
                               example_fail("memkind_create_pmem", err));
    }
    int status = use_kinds(kinds);
    status = example_destroy(kinds[1], status);
    return example_destroy(kinds[0], status);
}
