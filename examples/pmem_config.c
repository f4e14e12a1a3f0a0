/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A kind that is made from a configuration object, with the conservative
 * policy: it gives freed pages back to the file system at once.
 *
 * Run: pmem_config [DIR]
 */
#include "example.h"

#define OBJECTS 16

static int resident(memkind_t kind, size_t *bytes)
{
    int err = memkind_update_cached_stats();
    if (err == MEMKIND_SUCCESS) {
        err = memkind_get_stat(kind, MEMKIND_STAT_TYPE_RESIDENT, bytes);
    }
    return err;
}

static int use_kind(memkind_t kind)
{
    int status = EXIT_SUCCESS;
    void *objects[OBJECTS] = {0};
    for (size_t i = 0; i < OBJECTS && status == EXIT_SUCCESS; i++) {
        objects[i] = memkind_calloc(kind, 1, EXAMPLE_MIB);
        if (objects[i] == NULL) {
            status = example_fail_errno("memkind_calloc");
        } else {
            example_fill(objects[i], EXAMPLE_MIB, i);
        }
    }

    size_t full = 0;
    int err = resident(kind, &full);
    for (size_t i = 0; i < OBJECTS; i++) {
        memkind_free(kind, objects[i]);
    }
    if (status != EXIT_SUCCESS) {
        return status;
    }
    size_t empty = 0;
    if (err == MEMKIND_SUCCESS) {
        err = resident(kind, &empty);
    }
    if (err != MEMKIND_SUCCESS) {
        return example_fail("reading the statistics", err);
    }
    printf("file space held: %zu KiB with %d objects of 1 MiB, "
           "%zu KiB after freeing them\n",
           full / EXAMPLE_KIB, OBJECTS, empty / EXAMPLE_KIB);
    if (full < OBJECTS * EXAMPLE_MIB || empty > full / 4) {
        return example_fail_check("freed pages are given back at once");
    }
    return EXIT_SUCCESS;
}

int main(int argc, char *argv[])
{
    const char *dir = example_dir(argc, argv);
    struct memkind_config *config = memkind_config_new();
    if (config == NULL) {
        return example_fail_errno("memkind_config_new");
    }
    memkind_config_set_path(config, dir);
    memkind_config_set_size(config, 64 * EXAMPLE_MIB);
    memkind_config_set_memory_usage_policy(
        config, MEMKIND_MEM_USAGE_POLICY_CONSERVATIVE);

    memkind_t kind = NULL;
    int err = memkind_create_pmem_with_config(config, &kind);
    /* the kind does not need its configuration any more */
    memkind_config_delete(config);
    if (err != MEMKIND_SUCCESS) {
        return example_fail("memkind_create_pmem_with_config", err);
    }
    printf("a kind of 64 MiB in %s, conservative policy\n", dir);
    return example_destroy(kind, use_kind(kind));
}
