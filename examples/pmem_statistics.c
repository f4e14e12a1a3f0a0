/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a kind holds: memkind_update_cached_stats() takes a snapshot, of which
 * memkind_get_stat() then reads single numbers.
 *
 * Run: pmem_statistics [DIR]
 */
#include "example.h"

#define LIMIT (64 * EXAMPLE_MIB)
#define OBJECTS 2000
#define SIZE 5000

struct numbers {
    size_t resident;  /* file space held */
    size_t active;    /* pages with live objects */
    size_t allocated; /* live objects */
};

static int read_numbers(const char *when, memkind_t kind, struct numbers *now)
{
    int err = memkind_update_cached_stats();
    if (err != MEMKIND_SUCCESS) {
        return example_fail("memkind_update_cached_stats", err);
    }
    const struct {
        memkind_stat_type type;
        size_t *value;
    } wanted[] = {
        {MEMKIND_STAT_TYPE_RESIDENT, &now->resident},
        {MEMKIND_STAT_TYPE_ACTIVE, &now->active},
        {MEMKIND_STAT_TYPE_ALLOCATED, &now->allocated},
    };
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        err = memkind_get_stat(kind, wanted[i].type, wanted[i].value);
        if (err != MEMKIND_SUCCESS) {
            return example_fail("memkind_get_stat", err);
        }
    }
    printf("%-24s resident %6zu KiB, active %6zu KiB, allocated %6zu KiB\n",
           when, now->resident / EXAMPLE_KIB, now->active / EXAMPLE_KIB,
           now->allocated / EXAMPLE_KIB);
    if (now->allocated > now->active || now->active > now->resident) {
        return example_fail_check("allocated <= active <= resident");
    }
    return EXIT_SUCCESS;
}

static int use_kind(memkind_t kind)
{
    static void *objects[OBJECTS];
    struct numbers before = {0, 0, 0};
    struct numbers full = {0, 0, 0};
    struct numbers half = {0, 0, 0};

    ssize_t capacity = memkind_get_capacity(kind);
    printf("capacity: %zd KiB\n", capacity / (ssize_t)EXAMPLE_KIB);
    if (capacity != (ssize_t)LIMIT) {
        return example_fail_check("the capacity is the limit");
    }
    if (read_numbers("nothing allocated:", kind, &before) != EXIT_SUCCESS) {
        return EXIT_FAILURE;
    }

    size_t usable = 0;
    for (size_t i = 0; i < OBJECTS; i++) {
        objects[i] = memkind_malloc(kind, SIZE);
        if (objects[i] == NULL) {
            return example_fail_errno("memkind_malloc");
        }
        usable += memkind_malloc_usable_size(kind, objects[i]);
    }
    if (read_numbers("2000 objects of 5000 B:", kind, &full) != EXIT_SUCCESS) {
        return EXIT_FAILURE;
    }
    for (size_t i = 0; i < OBJECTS / 2; i++) {
        memkind_free(kind, objects[i]);
    }
    if (read_numbers("half of them freed:", kind, &half) != EXIT_SUCCESS) {
        return EXIT_FAILURE;
    }

    size_t whole = 0;
    int err = memkind_get_stat(NULL, MEMKIND_STAT_TYPE_ALLOCATED, &whole);
    if (err != MEMKIND_SUCCESS) {
        return example_fail("memkind_get_stat of the whole library", err);
    }
    printf("%-24s allocated %zu KiB\n", "whole library:", whole / EXAMPLE_KIB);

    if (full.allocated - before.allocated < usable) {
        return example_fail_check("all live objects are counted");
    }
    if (full.resident > LIMIT) {
        return example_fail_check("the kind stays within its limit");
    }
    if (half.allocated > full.allocated - usable / 2) {
        return example_fail_check("freed objects are no longer counted");
    }
    if (whole < half.allocated) {
        return example_fail_check("the whole is no less than one kind");
    }
    return EXIT_SUCCESS;
}

int main(int argc, char *argv[])
{
    const char *dir = example_dir(argc, argv);
    memkind_t kind = NULL;
    int err = memkind_create_pmem(dir, LIMIT, &kind);
    if (err != MEMKIND_SUCCESS) {
        return example_fail("memkind_create_pmem", err);
    }
    printf("a kind of %zu KiB in %s\n", LIMIT / EXAMPLE_KIB, dir);
    return example_destroy(kind, use_kind(kind));
}
