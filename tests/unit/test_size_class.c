/* SPDX-License-Identifier: BSD-2-Clause */
/* jemalloc's size classes as the caches know them, and the tags of slabs. */
#include <stdint.h>
#include <stdlib.h>

#include "jemalloc_private.h"
#include "layer_test.h"
#include "size_class.h"

static void test_classes_are_jemallocs(void)
{
    unsigned wrong = 0;
    for (size_t size = 1; size <= 40000; size++)
        wrong +=
            size_class_sizes[size_class_of(size)] != JE_NAME(nallocx)(size, 0);
    CHECK_EQ(wrong, 0);
    for (unsigned i = SIZE_CLASS_FIRST; i <= SIZE_CLASS_LAST; i++) {
        size_t size = size_class_sizes[i];
        CHECK_EQ(size_class_of(size), i);
        CHECK_EQ(size_class_of(size - 1), i);
        CHECK_EQ(size_class_of(size + 1), i + 1);
        CHECK_EQ(JE_NAME(nallocx)(size, 0), size);
    }
    CHECK_EQ(size_class_sizes[SIZE_CLASS_LAST], 8 * MIB);
}

static void test_sizes_at_the_ends(void)
{
    CHECK_EQ(size_class_of(0), SIZE_CLASS_NONE);
    CHECK_EQ(size_class_of(1), SIZE_CLASS_FIRST);
    CHECK_EQ(size_class_of(8 * MIB), SIZE_CLASS_LAST);
    for (size_t size = 8 * MIB + 1; size < SIZE_MAX / 2; size *= 2)
        CHECK_EQ(size_class_of(size), SIZE_CLASS_HUGE);
    CHECK_EQ(size_class_of(SIZE_MAX), SIZE_CLASS_HUGE);
    CHECK_EQ(size_class_of(SIZE_MAX / 2 + 2), SIZE_CLASS_HUGE);
}

/* An address behind the last object would fit the slab's tag. */
static void test_slabs_are_used_up(void)
{
    for (unsigned i = SIZE_CLASS_FIRST; i < size_class_first_large; i++)
        CHECK_EQ(size_class_pages[i] % size_class_sizes[i], 0);
}

/* All objects of a slab fit their tags, and no other address of it does. */
static void test_tags_of_a_slab(void)
{
    const uintptr_t slab = (uintptr_t)77 << 20;
    for (unsigned class = SIZE_CLASS_FIRST; class < size_class_first_large;
         class ++) {
        const size_t size = size_class_sizes[class];
        const size_t end = size * 4096; /* more than any slab */
        const size_t limit = end < 64 * KIB ? end : 64 * KIB;
        unsigned wrong = 0, tag = SIZE_CLASS_NONE;
        uintptr_t tagged = 0;
        for (uintptr_t at = slab; at < slab + limit; at++) {
            bool is_object = (at - slab) % size == 0;
            if (is_object && (at >> 12 != tagged >> 12 || tagged == 0)) {
                tag = tag_of(class, at);
                tagged = at;
                wrong += tag_class(tag) != class;
            }
            if (at >> 12 != tagged >> 12)
                continue; /* no object starts in this unit */
            if (is_object)
                wrong += tag_of(class, at) != tag;
            wrong += tag_fits(tag, at) != is_object;
        }
        CHECK_EQ(wrong, 0);
    }
}

static void test_tags_of_large_objects(void)
{
    for (unsigned class = size_class_first_large; class <= SIZE_CLASS_HUGE;
         class ++) {
        const uintptr_t at = (uintptr_t)5 << 30;
        unsigned tag = tag_of(class, at);
        CHECK_EQ(tag_class(tag), class);
        CHECK(tag_fits(tag, at));
        unsigned wrong = 0;
        for (uintptr_t offset = 1; offset < 4096; offset++)
            wrong += tag_fits(tag, at + offset);
        CHECK_EQ(wrong, 0);
    }
}

static void test_no_class_fits_nothing(void)
{
    unsigned wrong = 0;
    for (uintptr_t at = 0; at < 8192; at++)
        wrong += tag_fits(SIZE_CLASS_NONE, at);
    CHECK_EQ(wrong, 0);
}

/* The places at which jemalloc really puts its objects. */
static void test_tags_of_real_objects(void)
{
    enum { COUNT = 300 };
    void *objects[COUNT];
    for (unsigned class = SIZE_CLASS_FIRST; class <= SIZE_CLASS_LAST - 12;
         class ++) {
        unsigned wrong = 0;
        for (int i = 0; i < COUNT; i++) {
            objects[i] = JE_NAME(mallocx)(size_class_sizes[class], 0);
            uintptr_t at = (uintptr_t)objects[i];
            unsigned tag = tag_of(class, at);
            wrong += tag_class(tag) != class || !tag_fits(tag, at);
        }
        for (int i = 0; i < COUNT; i++)
            JE_NAME(dallocx)(objects[i], 0);
        CHECK_EQ(wrong, 0);
    }
}

static const struct test_case tests[] = {
    {"classes are jemalloc's", test_classes_are_jemallocs},
    {"sizes at the ends", test_sizes_at_the_ends},
    {"slabs are used up", test_slabs_are_used_up},
    {"tags of a slab", test_tags_of_a_slab},
    {"tags of large objects", test_tags_of_large_objects},
    {"no class fits nothing", test_no_class_fits_nothing},
    {"tags of real objects", test_tags_of_real_objects},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    if (size_class_init() != 0)
        return EXIT_FAILURE;
    return test_main("size classes", tests, argc, argv);
}
