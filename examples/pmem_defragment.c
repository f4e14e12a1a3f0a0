/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Defragmentation: of many small objects only one in sixteen is kept, so that
 * nearly every page is still in use, but hardly used. Offering each survivor
 * to memkind_defrag_reallocate() brings them together.
 *
 * Run: pmem_defragment [DIR]
 */
#include "example.h"

#define OBJECTS 60000
#define KEEP 16
#define PASSES 3

static size_t size_of(size_t object)
{
    const size_t sizes[] = {40, 100, 200, 320};
    return sizes[(object / KEEP) % 4];
}

static size_t defragment(memkind_t kind, void **objects)
{
    size_t moved = 0;
    for (size_t i = 0; i < OBJECTS; i += KEEP) {
        void *moved_to = memkind_defrag_reallocate(kind, objects[i]);
        if (moved_to != NULL) {
            /* the old address is free now */
            objects[i] = moved_to;
            moved++;
        }
    }
    return moved;
}

int main(int argc, char *argv[])
{
    const char *dir = example_dir(argc, argv);
    memkind_t kind = NULL;
    int err = memkind_create_pmem(dir, 64 * EXAMPLE_MIB, &kind);
    example_expect_success(err);
    printf("a kind of 64 MiB in %s\n", dir);

    static void *objects[OBJECTS];
    for (size_t i = 0; i < OBJECTS; i++) {
        objects[i] = memkind_malloc(kind, size_of(i));
        example_expect(objects[i] != NULL, "memkind_malloc");
        example_fill(objects[i], size_of(i), i);
    }
    for (size_t i = 0; i < OBJECTS; i++) {
        if (i % KEEP != 0) {
            memkind_free(kind, objects[i]);
        }
    }
    size_t before = example_stat(kind, MEMKIND_STAT_TYPE_ACTIVE);
    printf("%d objects, one in %d kept: %zu KiB of pages in use\n", OBJECTS,
           KEEP, before / EXAMPLE_KIB);

    size_t moved = 0;
    for (int pass = 0; pass < PASSES; pass++) {
        moved += defragment(kind, objects);
    }
    size_t after = example_stat(kind, MEMKIND_STAT_TYPE_ACTIVE);
    printf("%zu moves in %d passes: %zu KiB of pages in use\n", moved, PASSES,
           after / EXAMPLE_KIB);

    bool kept = true;
    for (size_t i = 0; i < OBJECTS; i += KEEP) {
        kept = example_verify(objects[i], size_of(i), i) && kept;
        memkind_free(kind, objects[i]);
    }
    err = memkind_destroy_kind(kind);
    example_expect_success(err);

    example_check(kept, "moved objects keep their contents");
    example_check(moved > 0 && after <= before / 2,
                  "less than half of the pages remain in use");
    return EXIT_SUCCESS;
}
