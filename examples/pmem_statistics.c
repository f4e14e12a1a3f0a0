/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a kind holds: memkind_update_cached_stats() takes a snapshot, and
 * memkind_get_stat() then reads its numbers one by one.
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

static struct numbers read_numbers(const char *when, memkind_t kind)
{
    struct numbers now = {0, 0, 0};
    int err = memkind_update_cached_stats();
    example_expect_success(err);
    err = memkind_get_stat(kind, MEMKIND_STAT_TYPE_RESIDENT, &now.resident);
    example_expect_success(err);
    err = memkind_get_stat(kind, MEMKIND_STAT_TYPE_ACTIVE, &now.active);
    example_expect_success(err);
    err = memkind_get_stat(kind, MEMKIND_STAT_TYPE_ALLOCATED, &now.allocated);
    example_expect_success(err);
    printf("%-24s resident %6zu KiB, active %6zu KiB, allocated %6zu KiB\n",
           when, now.resident / EXAMPLE_KIB, now.active / EXAMPLE_KIB,
           now.allocated / EXAMPLE_KIB);

    example_check(now.allocated <= now.active && now.active <= now.resident,
                  "allocated <= active <= resident");
    return now;
}

int main(int argc, char *argv[])
{
    const char *dir = example_dir(argc, argv);
    memkind_t kind = NULL;
    int err = memkind_create_pmem(dir, LIMIT, &kind);
    example_expect_success(err);
    ssize_t capacity = memkind_get_capacity(kind);
    printf("a kind of %zu KiB in %s, capacity: %zd KiB\n", LIMIT / EXAMPLE_KIB,
           dir, capacity / (ssize_t)EXAMPLE_KIB);

    struct numbers before = read_numbers("nothing allocated:", kind);
    static void *objects[OBJECTS];
    size_t usable = 0;
    for (size_t i = 0; i < OBJECTS; i++) {
        objects[i] = memkind_malloc(kind, SIZE);
        example_expect(objects[i] != NULL, "memkind_malloc");
        usable += memkind_malloc_usable_size(kind, objects[i]);
    }
    struct numbers full = read_numbers("2000 objects of 5000 B:", kind);
    for (size_t i = 0; i < OBJECTS / 2; i++) {
        memkind_free(kind, objects[i]);
    }
    struct numbers half = read_numbers("half of them freed:", kind);

    /* NULL stands for all kinds */
    size_t whole = 0;
    err = memkind_get_stat(NULL, MEMKIND_STAT_TYPE_ALLOCATED, &whole);
    example_expect_success(err);
    printf("%-24s allocated %zu KiB\n", "whole library:", whole / EXAMPLE_KIB);
    err = memkind_destroy_kind(kind);
    example_expect_success(err);

    example_check(capacity == (ssize_t)LIMIT, "the capacity is the limit");
    example_check(full.allocated - before.allocated >= usable,
                  "all live objects are counted");
    example_check(full.resident <= LIMIT, "the kind stays within its limit");
    example_check(half.allocated <= full.allocated - usable / 2,
                  "freed objects are no longer counted");
    example_check(whole >= half.allocated,
                  "the whole is no less than one kind");
    return EXIT_SUCCESS;
}
