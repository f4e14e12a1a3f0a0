/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Several kinds in one process, side by side with ordinary memory: filling or
 * destroying one of them leaves the others alone.
 *
 * Run: pmem_several_kinds [DIR]
 */
#include "example.h"

#define KINDS 6 /* and one more, which is ordinary memory */
#define SIZE 30000

static bool all_as_written(void *const *objects, size_t first)
{
    for (size_t i = first; i <= KINDS; i++) {
        if (!example_verify(objects[i], SIZE, i)) {
            return false;
        }
    }
    return true;
}

int main(int argc, char *argv[])
{
    const char *dir = example_dir(argc, argv);
    memkind_t kinds[KINDS + 1];
    int err = MEMKIND_SUCCESS;
    for (size_t i = 0; i < KINDS; i++) {
        /* with and without a limit */
        size_t limit = i % 2 == 0 ? MEMKIND_PMEM_MIN_SIZE : 0;
        err = memkind_create_pmem(dir, limit, &kinds[i]);
        example_expect_success(err);
    }
    kinds[KINDS] = MEMKIND_DEFAULT; /* this one is never destroyed */

    void *objects[KINDS + 1];
    for (size_t i = 0; i <= KINDS; i++) {
        objects[i] = memkind_malloc(kinds[i], SIZE);
        example_expect(objects[i] != NULL, "memkind_malloc");
        example_fill(objects[i], SIZE, i);
    }
    printf("one object in each of %d file-backed kinds and in ordinary "
           "memory\n",
           KINDS);

    /* what is not freed goes when the kind is destroyed */
    size_t count = 0;
    while (memkind_malloc(kinds[0], 100000) != NULL) {
        count++;
    }
    printf("kind 0 filled up with %zu objects\n", count);
    example_check(all_as_written(objects, 0),
                  "a full kind does not disturb the others");
    void *object = memkind_malloc(kinds[1], SIZE);
    example_expect(object != NULL, "memkind_malloc from kind 1");
    memkind_free(kinds[1], object);

    err = memkind_destroy_kind(kinds[0]);
    example_expect_success(err);
    example_check(all_as_written(objects, 1),
                  "the others outlive a destroyed kind");
    printf("kind 0 destroyed, the other objects are as they were\n");

    memkind_free(MEMKIND_DEFAULT, objects[KINDS]);
    for (size_t i = 1; i < KINDS; i++) {
        err = memkind_destroy_kind(kinds[i]);
        example_expect_success(err);
    }
    return EXIT_SUCCESS;
}
