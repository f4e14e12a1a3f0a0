/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <memkind.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test_kinds.h"

#define COUNT 60000

static struct object {
    unsigned char *start;
    size_t size;
} objects[COUNT];

/* Fills the kind with objects of `least`..`most` bytes, and leaves one out of
 * ten, at random. */
static void make_sparse(memkind_t kind, size_t least, size_t most)
{
    unsigned long long random = 31;
    for (size_t i = 0; i < COUNT; i++) {
        objects[i].size = least + test_random(&random) % (most - least + 1);
        objects[i].start = memkind_malloc(kind, objects[i].size);
        REQUIRE_NOT_NULL(objects[i].start);
        test_fill(objects[i].start, objects[i].size, (unsigned)i);
    }
    for (size_t i = 0; i < COUNT; i++)
        if (test_random(&random) % 10 != 0) {
            memkind_free(kind, objects[i].start);
            objects[i].start = NULL;
        }
}

/* Returns how many objects have moved. */
static size_t defragment(memkind_t kind, memkind_t named)
{
    size_t moves = 0;
    for (size_t i = 0; i < COUNT; i++) {
        if (objects[i].start == NULL)
            continue;
        unsigned char *moved =
            memkind_defrag_reallocate(named, objects[i].start);
        if (moved == NULL)
            continue;
        CHECK_NE(moved, objects[i].start);
        CHECK_EQ(memkind_detect_kind(moved), kind);
        objects[i].start = moved;
        moves++;
    }
    return moves;
}

static void check_and_free(memkind_t kind)
{
    for (size_t i = 0; i < COUNT; i++) {
        if (objects[i].start == NULL)
            continue;
        CHECK(test_check(objects[i].start, objects[i].size, (unsigned)i));
        memkind_free(kind, objects[i].start);
    }
    CHECK_EQ(kind_allocated(kind), 0);
}

static void check_defragmentation(memkind_t kind, memkind_t named, size_t least,
                                  size_t most)
{
    make_sparse(kind, least, most);
    size_t live = kind_allocated(kind), before = kind_active(kind);
    size_t moves = defragment(kind, named);
    CHECK_GT(moves, 0);
    size_t after = kind_active(kind);
    printf("[%zu moved, active %zu -> %zu KiB] ", moves, before / 1024,
           after / 1024);
    CHECK_EQ(kind_allocated(kind), live);
    /* Large pages make large slabs, and few for each size. */
    size_t slack = 32 * (test_heap_page() - 4096);
    CHECK_LT(after, before / 2 + slack);
    CHECK_GE(after, live);
    check_and_free(kind);
}

static void test_objects_of_one_size(void)
{
    memkind_t kind = kind_make_limited(0);
    check_defragmentation(kind, kind, 128, 128);
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
}

static void test_objects_of_many_sizes(void)
{
    memkind_t kind = kind_make_limited(0);
    check_defragmentation(kind, kind, 16, 1000);
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
}

static void test_the_kind_is_found(void)
{
    memkind_t kind = kind_make_limited(0);
    check_defragmentation(kind, NULL, 48, 300);
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
    check_defragmentation(MEMKIND_DEFAULT, NULL, 48, 300);
}

static void test_the_wrong_kind_is_named(void)
{
    memkind_t kind = kind_make_limited(0), other = kind_make_limited(0);
    check_defragmentation(kind, other, 48, 300);
    CHECK_EQ(kind_allocated(other), 0);
    CHECK_EQ(memkind_destroy_kind(other), MEMKIND_SUCCESS);
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
}

/* Few objects move if nothing is to be gained, or defragmentation was done
 * before. */
static void test_full_slabs_stay(void)
{
    memkind_t kind = kind_make_limited(0);
    for (size_t i = 0; i < COUNT; i++) {
        objects[i].size = 64;
        objects[i].start = memkind_malloc(kind, 64);
        REQUIRE_NOT_NULL(objects[i].start);
        test_fill(objects[i].start, 64, (unsigned)i);
    }
    CHECK_LE(defragment(kind, kind), 256);
    check_and_free(kind);
    make_sparse(kind, 64, 64);
    size_t first = defragment(kind, kind);
    size_t second = defragment(kind, kind);
    size_t third = defragment(kind, kind);
    CHECK_GT(first, 0);
    CHECK_LT(second + third, first);
    check_and_free(kind);
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
}

static void test_what_is_never_moved(void)
{
    static const size_t sizes[] = {32768, 100000, MIB, 9 * MIB};
    int on_stack = 0;
    memkind_t kind = kind_make_limited(0);
    CHECK_NULL(memkind_defrag_reallocate(NULL, NULL));
    CHECK_NULL(memkind_defrag_reallocate(kind, NULL));
    CHECK_NULL(memkind_defrag_reallocate(kind, &on_stack));
    CHECK_NULL(memkind_defrag_reallocate(NULL, &on_stack));
    CHECK_NULL(memkind_defrag_reallocate(MEMKIND_HBW, &on_stack));
    CHECK_NULL(memkind_defrag_reallocate(kind, (void *)UINTPTR_MAX));
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        void *object = memkind_malloc(kind, sizes[i]);
        REQUIRE_NOT_NULL(object);
        CHECK_NULL(memkind_defrag_reallocate(kind, object));
        CHECK_NULL(memkind_defrag_reallocate(NULL, object));
        memkind_free(kind, object);
    }
    void *single = memkind_malloc(kind, 100);
    CHECK_NULL(memkind_defrag_reallocate(kind, single));
    CHECK_NULL(memkind_defrag_reallocate(MEMKIND_HBW, single));
    memkind_free(kind, single);
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
}

static const struct test_case tests[] = {
    {"objects of one size", test_objects_of_one_size},
    {"objects of many sizes", test_objects_of_many_sizes},
    {"the kind is found", test_the_kind_is_found},
    {"the wrong kind is named", test_the_wrong_kind_is_named},
    {"full slabs stay", test_full_slabs_stay},
    {"what is never moved", test_what_is_never_moved},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("defragmentation", tests, argc, argv);
}
