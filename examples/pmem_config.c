/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A kind that is made from a configuration object, with the conservative
 * policy: it gives freed pages back to the file system at once.
 *
 * Run: pmem_config [DIR]
 */
#include "example.h"

#define OBJECTS 16

int main(int argc, char *argv[])
{
    const char *dir = example_dir(argc, argv);
    struct memkind_config *config = memkind_config_new();
    example_expect(config != NULL, "memkind_config_new");
    memkind_config_set_path(config, dir);
    memkind_config_set_size(config, 64 * EXAMPLE_MIB);
    memkind_config_set_memory_usage_policy(
        config, MEMKIND_MEM_USAGE_POLICY_CONSERVATIVE);

    memkind_t kind = NULL;
    int err = memkind_create_pmem_with_config(config, &kind);
    /* the kind does not need its configuration any more */
    memkind_config_delete(config);
    example_expect_success(err);
    printf("a kind of 64 MiB in %s, conservative policy\n", dir);

    void *objects[OBJECTS];
    for (size_t i = 0; i < OBJECTS; i++) {
        objects[i] = memkind_calloc(kind, 1, EXAMPLE_MIB);
        example_expect(objects[i] != NULL, "memkind_calloc");
        example_fill(objects[i], EXAMPLE_MIB, i);
    }
    size_t full = example_stat(kind, MEMKIND_STAT_TYPE_RESIDENT);
    for (size_t i = 0; i < OBJECTS; i++) {
        memkind_free(kind, objects[i]);
    }
    size_t empty = example_stat(kind, MEMKIND_STAT_TYPE_RESIDENT);
    printf("file space held: %zu KiB with %d objects of 1 MiB, "
           "%zu KiB after freeing them\n",
           full / EXAMPLE_KIB, OBJECTS, empty / EXAMPLE_KIB);
    err = memkind_destroy_kind(kind);
    example_expect_success(err);

    example_check(full >= OBJECTS * EXAMPLE_MIB && empty <= full / 4,
                  "freed pages are given back at once");
    return EXIT_SUCCESS;
}
