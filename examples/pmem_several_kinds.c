/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Several kinds in one process, side by side with ordinary memory: filling or
 * destroying one of them leaves the others alone.
 *
 * Run: pmem_several_kinds [DIR]
 */
#include "example.h"

#define KINDS 6
#define SIZE 30000

struct owner {
    memkind_t kind;
    void *object;
};

static int allocate(struct owner *owner, size_t seed)
{
    owner->object = memkind_malloc(owner->kind, SIZE);
    if (owner->object == NULL) {
        return example_fail_errno("memkind_malloc");
    }
    example_fill(owner->object, SIZE, seed);
    return EXIT_SUCCESS;
}

static bool all_as_written(const struct owner *owners, size_t first)
{
    for (size_t i = first; i <= KINDS; i++) {
        if (!example_verify(owners[i].object, SIZE, i)) {
            return false;
        }
    }
    return true;
}

/* Allocates all that the kind has; it goes when the kind is destroyed. */
static size_t exhaust(memkind_t kind)
{
    size_t count = 0;
    while (memkind_malloc(kind, 100000) != NULL) {
        count++;
    }
    return count;
}

static int use_kinds(struct owner *owners)
{
    for (size_t i = 0; i <= KINDS; i++) {
        if (allocate(&owners[i], i) != EXIT_SUCCESS) {
            return EXIT_FAILURE;
        }
    }
    printf("one object in each of %d file-backed kinds and in ordinary "
           "memory\n",
           KINDS);

    printf("kind 0 filled up with %zu objects\n", exhaust(owners[0].kind));
    if (!all_as_written(owners, 0)) {
        return example_fail_check("a full kind does not disturb the others");
    }
    void *object = memkind_malloc(owners[1].kind, SIZE);
    if (object == NULL) {
        return example_fail_errno("memkind_malloc from kind 1");
    }
    memkind_free(owners[1].kind, object);

    int err = memkind_destroy_kind(owners[0].kind);
    owners[0].kind = NULL;
    if (err != MEMKIND_SUCCESS) {
        return example_fail("memkind_destroy_kind", err);
    }
    if (!all_as_written(owners, 1)) {
        return example_fail_check("the others outlive a destroyed kind");
    }
    printf("kind 0 destroyed, the other objects are as they were\n");
    return EXIT_SUCCESS;
}

int main(int argc, char *argv[])
{
    const char *dir = example_dir(argc, argv);
    /* the last one is ordinary memory, which is never destroyed */
    struct owner owners[KINDS + 1] = {{NULL, NULL}};
    owners[KINDS].kind = MEMKIND_DEFAULT;

    int status = EXIT_SUCCESS;
    for (size_t i = 0; i < KINDS && status == EXIT_SUCCESS; i++) {
        /* kinds with and without a limit */
        size_t limit = i % 2 == 0 ? MEMKIND_PMEM_MIN_SIZE : 0;
        int err = memkind_create_pmem(dir, limit, &owners[i].kind);
        if (err != MEMKIND_SUCCESS) {
            owners[i].kind = NULL;
            status = example_fail("memkind_create_pmem", err);
        }
    }
    if (status == EXIT_SUCCESS) {
        status = use_kinds(owners);
    }
    memkind_free(MEMKIND_DEFAULT, owners[KINDS].object);
    for (size_t i = 0; i < KINDS; i++) {
        if (owners[i].kind != NULL) {
            status = example_destroy(owners[i].kind, status);
        }
    }
    return status;
}
