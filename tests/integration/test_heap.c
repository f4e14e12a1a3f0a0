/* SPDX-License-Identifier: BSD-2-Clause */
/* malloc and its family, on files and on DRAM. */
#include <errno.h>
#include <memkind.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "test_kinds.h"

/* No function of the library sets it. */
#define UNTOUCHED 4711

static void on_every_kind(void (*run)(memkind_t kind))
{
    memkind_t files = kind_make_limited(0);
    run(files);
    CHECK_EQ(memkind_destroy_kind(files), MEMKIND_SUCCESS);
    run(MEMKIND_DEFAULT);
    run(MEMKIND_REGULAR);
}

/* Both ends of a large object stand for all of it. */
#define ENDS (32 * KIB)

static void fill(void *object, size_t size, unsigned seed)
{
    if (size <= 2 * ENDS) {
        test_fill(object, size, seed);
        return;
    }
    test_fill(object, ENDS, seed);
    test_fill((char *)object + size - ENDS, ENDS, seed + 1);
}

static bool check(const void *object, size_t size, unsigned seed)
{
    if (size <= 2 * ENDS)
        return test_check(object, size, seed);
    return test_check(object, ENDS, seed) &&
           test_check((const char *)object + size - ENDS, ENDS, seed + 1);
}

static bool is_zero(const void *object, size_t size)
{
    const char *bytes = object;
    return size == 0 ||
           (bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0);
}

/* Calls run() with sizes around each power of two up to `most`, and each of
 * the three steps between it and the next one. */
static void for_sizes_up_to(size_t most, memkind_t kind,
                            void (*run)(memkind_t kind, size_t size))
{
    for (size_t power = 1; power <= most; power *= 2)
        for (size_t quarter = 4; quarter < 8; quarter++) {
            size_t middle = power * quarter / 4;
            if (middle * 4 != power * quarter || middle > most)
                continue;
            if (middle > 1)
                run(kind, middle - 1);
            run(kind, middle);
            run(kind, middle + 1);
        }
}

/* ---- what an object is ------------------------------------------------- */

static void check_object_of_size(memkind_t kind, size_t size)
{
    unsigned char *object = memkind_malloc(kind, size);
    REQUIRE_NOT_NULL(object);
    size_t usable = memkind_malloc_usable_size(kind, object);
    CHECK_GE(usable, size);
    CHECK_EQ(memkind_malloc_usable_size(NULL, object), usable);
    CHECK_EQ((uintptr_t)object % (size > 8 ? 16 : 8), 0);
    CHECK_EQ(memkind_detect_kind(object), kind);
    CHECK_EQ(memkind_detect_kind(object + usable - 1), kind);
    fill(object, usable, (unsigned)size);
    CHECK(check(object, usable, (unsigned)size));
    errno = UNTOUCHED;
    memkind_free(kind, object);
    CHECK_EQ(errno, UNTOUCHED);
}

static void check_objects(memkind_t kind)
{
    for_sizes_up_to(64 * MIB, kind, check_object_of_size);
}

static void test_objects_of_every_size(void)
{
    on_every_kind(check_objects);
}

static void check_small_sizes_one_by_one(memkind_t kind)
{
    for (size_t size = 1; size <= 5000; size++)
        check_object_of_size(kind, size);
}

static void test_every_size_up_to_a_page(void)
{
    on_every_kind(check_small_sizes_one_by_one);
}

/* ---- no two objects share a byte --------------------------------------- */

struct live_object {
    unsigned char *start;
    size_t size;
    unsigned seed;
};

static int by_address(const void *a, const void *b)
{
    const struct live_object *one = a, *other = b;
    return (one->start > other->start) - (one->start < other->start);
}

static void check_no_overlap(memkind_t kind)
{
    enum { OBJECTS = 3000, ROUNDS = 6 };
    static struct live_object live[OBJECTS];
    unsigned long long random = 20;
    memset(live, 0, sizeof live);
    for (int round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < OBJECTS; i++) {
            if (test_random(&random) % 2 == 0)
                continue;
            if (live[i].start != NULL) {
                CHECK(check(live[i].start, live[i].size, live[i].seed));
                memkind_free(kind, live[i].start);
            }
            size_t most = (size_t)16 << test_random(&random) % 15;
            live[i].start =
                memkind_malloc(kind, 1 + test_random(&random) % most);
            REQUIRE_NOT_NULL(live[i].start);
            live[i].size = memkind_malloc_usable_size(kind, live[i].start);
            live[i].seed = (unsigned)test_random(&random);
            fill(live[i].start, live[i].size, live[i].seed);
        }
        qsort(live, OBJECTS, sizeof live[0], by_address);
        for (size_t i = 1; i < OBJECTS; i++)
            if (live[i - 1].start != NULL)
                CHECK_LE(live[i - 1].start + live[i - 1].size, live[i].start);
    }
    for (size_t i = 0; i < OBJECTS; i++) {
        if (live[i].start != NULL)
            CHECK(check(live[i].start, live[i].size, live[i].seed));
        memkind_free(kind, live[i].start);
    }
}

static void test_objects_do_not_overlap(void)
{
    on_every_kind(check_no_overlap);
}

/* ---- sizes of nothing and of too much ---------------------------------- */

static void check_nothing_is_null(memkind_t kind)
{
    void *object = &object;
    errno = UNTOUCHED;
    CHECK_NULL(memkind_malloc(kind, 0));
    CHECK_NULL(memkind_calloc(kind, 0, 8));
    CHECK_NULL(memkind_calloc(kind, 8, 0));
    CHECK_NULL(memkind_calloc(kind, 0, SIZE_MAX));
    CHECK_NULL(memkind_realloc(kind, NULL, 0));
    CHECK_EQ(memkind_posix_memalign(kind, &object, 64, 0), 0);
    CHECK_NULL(object);
    CHECK_EQ(errno, UNTOUCHED);
    object = memkind_malloc(kind, 100);
    errno = UNTOUCHED;
    CHECK_NULL(memkind_realloc(kind, object, 0));
    CHECK_EQ(errno, UNTOUCHED);
}

static void test_nothing_is_null_by_default(void)
{
    on_every_kind(check_nothing_is_null);
}

static void check_nothing_is_an_object(memkind_t kind)
{
    enum { COUNT = 6 };
    void *objects[COUNT] = {NULL};
    memkind_set_allow_zero_allocs(kind, true);
    objects[0] = memkind_malloc(kind, 0);
    objects[1] = memkind_calloc(kind, 0, 8);
    objects[2] = memkind_calloc(kind, 8, 0);
    objects[3] = memkind_realloc(kind, NULL, 0);
    CHECK_EQ(memkind_posix_memalign(kind, &objects[4], 4096, 0), 0);
    objects[5] = memkind_malloc(kind, 0);
    for (int i = 0; i < COUNT; i++) {
        CHECK_EQ(memkind_detect_kind(objects[i]), kind);
        CHECK_GT(memkind_malloc_usable_size(kind, objects[i]), 0);
        for (int j = 0; j < i; j++)
            CHECK_NE(objects[i], objects[j]);
    }
    CHECK_EQ((uintptr_t)objects[4] % 4096, 0);
    /* A realloc to nothing still frees. */
    CHECK_NULL(memkind_realloc(kind, objects[0], 0));
    for (int i = 1; i < COUNT; i++)
        memkind_free(kind, objects[i]);
    memkind_set_allow_zero_allocs(kind, false);
    CHECK_NULL(memkind_malloc(kind, 0));
}

static void test_nothing_is_an_object_if_wanted(void)
{
    on_every_kind(check_nothing_is_an_object);
}

static void check_too_much(memkind_t kind)
{
    static const size_t sizes[] = {
        SIZE_MAX,        SIZE_MAX - 1,     SIZE_MAX - 4095,
        SIZE_MAX - 4096, SIZE_MAX / 2 + 2, (size_t)PTRDIFF_MAX + 1,
        PTRDIFF_MAX,     PTRDIFF_MAX - 1,  PTRDIFF_MAX - 4096,
    };
    unsigned char *kept = memkind_malloc(kind, 1000);
    REQUIRE_NOT_NULL(kept);
    fill(kept, 1000, 1);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        void *object = kept;
        errno = 0;
        CHECK_NULL(memkind_malloc(kind, sizes[i]));
        CHECK_EQ(errno, ENOMEM);
        errno = 0;
        CHECK_NULL(memkind_calloc(kind, 1, sizes[i]));
        CHECK_EQ(errno, ENOMEM);
        errno = 0;
        CHECK_NULL(memkind_realloc(kind, NULL, sizes[i]));
        CHECK_EQ(errno, ENOMEM);
        errno = 0;
        CHECK_NULL(memkind_realloc(kind, kept, sizes[i]));
        CHECK_EQ(errno, ENOMEM);
        errno = 0;
        CHECK_NULL(memkind_realloc(NULL, kept, sizes[i]));
        CHECK_EQ(errno, ENOMEM);
        errno = UNTOUCHED;
        CHECK_EQ(memkind_posix_memalign(kind, &object, 64, sizes[i]), ENOMEM);
        CHECK_NULL(object);
        CHECK_EQ(errno, UNTOUCHED);
    }
    CHECK(check(kept, 1000, 1));
    memkind_free(kind, kept);
}

static void test_too_much_is_refused(void)
{
    on_every_kind(check_too_much);
}

/* A limited kind does not even try what it could never hold. */
static void test_more_than_the_limit_is_refused(void)
{
    memkind_t kind = kind_make_limited(MEMKIND_PMEM_MIN_SIZE);
    for (size_t size = 17 * MIB; size != 0 && size < SIZE_MAX / 3; size *= 3) {
        errno = 0;
        CHECK_NULL(memkind_malloc(kind, size));
        CHECK_EQ(errno, ENOMEM);
    }
    for (size_t i = 25; i < 64; i++) {
        errno = 0;
        CHECK_NULL(memkind_calloc(kind, 1, (size_t)1 << i));
        CHECK_EQ(errno, ENOMEM);
    }
    check_object_of_size(kind, 8 * MIB);
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
}

/* ---- calloc ------------------------------------------------------------ */

static void check_calloc_overflow(memkind_t kind)
{
    static const size_t products[][2] = {
        {SIZE_MAX, 2},         {2, SIZE_MAX},
        {SIZE_MAX / 2 + 1, 2}, {(size_t)1 << 32, (size_t)1 << 32},
        {SIZE_MAX, SIZE_MAX},  {SIZE_MAX / 3 + 1, 3},
        {(size_t)1 << 63, 2},  {SIZE_MAX / 16 + 1, 16},
    };
    for (size_t i = 0; i < sizeof products / sizeof products[0]; i++) {
        errno = 0;
        CHECK_NULL(memkind_calloc(kind, products[i][0], products[i][1]));
        CHECK_EQ(errno, ENOMEM);
    }
}

static void test_calloc_notices_an_overflow(void)
{
    on_every_kind(check_calloc_overflow);
}

static void check_calloc_after_dirt(memkind_t kind, size_t size)
{
    void *dirty[4];
    for (int i = 0; i < 4; i++) {
        dirty[i] = memkind_malloc(kind, size);
        REQUIRE_NOT_NULL(dirty[i]);
        memset(dirty[i], 0xa5, memkind_malloc_usable_size(kind, dirty[i]));
    }
    for (int i = 0; i < 4; i++)
        memkind_free(kind, dirty[i]);
    for (int i = 0; i < 4; i++) {
        size_t num = size % 4 == 0 ? 4 : 1;
        dirty[i] = memkind_calloc(kind, num, size / num);
        REQUIRE_NOT_NULL(dirty[i]);
        CHECK(is_zero(dirty[i], size));
        memset(dirty[i], 0xa5, size);
    }
    for (int i = 0; i < 4; i++)
        memkind_free(kind, dirty[i]);
}

static void check_calloc(memkind_t kind)
{
    for_sizes_up_to(2 * MIB, kind, check_calloc_after_dirt);
    check_calloc_after_dirt(kind, 16 * MIB);
}

static void test_calloc_clears_used_memory(void)
{
    on_every_kind(check_calloc);
}

/* Each freed page is given back, and allocated anew. */
static void test_calloc_clears_under_the_conservative_policy(void)
{
    memkind_t kind = kind_make(.usage = MEMKIND_MEM_USAGE_POLICY_CONSERVATIVE);
    check_calloc(kind);
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
}

/* ---- alignment --------------------------------------------------------- */

static void check_alignments(memkind_t kind)
{
    enum { PER_ALIGNMENT = 3, COUNT = 28 * PER_ALIGNMENT };
    struct live_object live[COUNT];
    size_t count = 0;
    for (size_t alignment = sizeof(void *); alignment <= GIB; alignment *= 2) {
        const size_t sizes[PER_ALIGNMENT] = {
            1, alignment <= MIB ? alignment : 5000, 3 * alignment % 100000 + 1};
        for (int i = 0; i < PER_ALIGNMENT; i++) {
            void *object = NULL;
            errno = UNTOUCHED;
            REQUIRE_EQ(
                memkind_posix_memalign(kind, &object, alignment, sizes[i]), 0);
            CHECK_EQ(errno, UNTOUCHED);
            REQUIRE_NOT_NULL(object);
            CHECK_EQ((uintptr_t)object % alignment, 0);
            CHECK_EQ(memkind_detect_kind(object), kind);
            size_t usable = memkind_malloc_usable_size(kind, object);
            CHECK_GE(usable, sizes[i]);
            fill(object, usable, (unsigned)count);
            live[count] = (struct live_object){object, usable, (unsigned)count};
            count++;
        }
    }
    CHECK_EQ(count, COUNT);
    for (size_t i = 0; i < count; i++)
        CHECK(check(live[i].start, live[i].size, live[i].seed));
    for (size_t i = 0; i < count; i++)
        memkind_free(kind, live[i].start);
}

static void test_every_alignment(void)
{
    on_every_kind(check_alignments);
}

/* Programs that test the pointer instead of the result find NULL in it. */
static void check_aligned_fails(memkind_t kind, size_t alignment, size_t size,
                                int error)
{
    void *object = &object;
    CHECK_EQ(memkind_posix_memalign(kind, &object, alignment, size), error);
    CHECK_NULL(object);
}

static void check_bad_alignments(memkind_t kind)
{
    static const size_t bad[] = {0,    1,       2,        3,           4,  5,
                                 7,    9,       12,       24,          48, 4095,
                                 4097, MIB + 8, SIZE_MAX, SIZE_MAX / 2};
    errno = UNTOUCHED;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        check_aligned_fails(kind, bad[i], 64, EINVAL);
        check_aligned_fails(kind, bad[i], 0, EINVAL);
    }
    check_aligned_fails(kind, (size_t)1 << 63, 64, ENOMEM);
    check_aligned_fails(kind, (size_t)1 << 62, 64, ENOMEM);
    CHECK_EQ(memkind_posix_memalign(kind, NULL, 64, 64), EINVAL);
    CHECK_EQ(memkind_posix_memalign(kind, NULL, 3, 64), EINVAL);
    CHECK_EQ(errno, UNTOUCHED);
}

static void test_bad_alignments_are_refused(void)
{
    on_every_kind(check_bad_alignments);
}

/* Each takes more addresses than are left in the file, and so a new file. */
static void test_objects_in_further_files(void)
{
    enum { COUNT = 8 };
    memkind_t kind = kind_make_limited(MEMKIND_PMEM_MIN_SIZE);
    void *objects[COUNT] = {NULL};
    for (unsigned i = 0; i < COUNT; i++) {
        REQUIRE_EQ(memkind_posix_memalign(kind, &objects[i], GIB, MIB), 0);
        CHECK_EQ((uintptr_t)objects[i] % GIB, 0);
        fill(objects[i], MIB, i);
    }
    for (unsigned i = 0; i < COUNT; i++) {
        CHECK(check(objects[i], MIB, i));
        CHECK_EQ(memkind_detect_kind(objects[i]), kind);
        CHECK_EQ(memkind_malloc_usable_size(kind, objects[i]), MIB);
        objects[i] = memkind_realloc(kind, objects[i], MIB + 1);
        REQUIRE_NOT_NULL(objects[i]);
        CHECK(test_check(objects[i], ENDS, i));
    }
    for (unsigned i = 0; i < COUNT; i++)
        memkind_free(i % 2 ? kind : NULL, objects[i]);
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
}

/* ---- realloc ----------------------------------------------------------- */

static void check_realloc_from(memkind_t kind, size_t from)
{
    static const size_t targets[] = {1,         8,        100,      2000,
                                     4096,      14 * KIB, 40 * KIB, 64 * KIB,
                                     300 * KIB, MIB,      5 * MIB};
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        size_t to = targets[i];
        size_t kept = from < to ? from : to;
        if (kept > ENDS)
            kept = ENDS;
        unsigned char *object = memkind_malloc(kind, from);
        REQUIRE_NOT_NULL(object);
        test_fill(object, from < ENDS ? from : ENDS, (unsigned)from);
        object = memkind_realloc(i % 2 ? kind : NULL, object, to);
        REQUIRE_NOT_NULL(object);
        CHECK_GE(memkind_malloc_usable_size(kind, object), to);
        CHECK(test_check(object, kept, (unsigned)from));
        CHECK_EQ(memkind_detect_kind(object), kind);
        fill(object, to, 3);
        CHECK(check(object, to, 3));
        memkind_free(kind, object);
    }
}

static void check_realloc(memkind_t kind)
{
    for_sizes_up_to(3 * MIB, kind, check_realloc_from);
}

static void test_realloc_keeps_the_contents(void)
{
    on_every_kind(check_realloc);
}

static void check_realloc_in_place_at(memkind_t kind, size_t size)
{
    unsigned char *object = memkind_malloc(kind, size);
    REQUIRE_NOT_NULL(object);
    size_t usable = memkind_malloc_usable_size(kind, object);
    CHECK_EQ(memkind_realloc(kind, object, usable), object);
    CHECK_EQ(memkind_realloc(NULL, object, size), object);
    CHECK_EQ(memkind_malloc_usable_size(kind, object), usable);
    memkind_free(kind, object);
}

static void check_realloc_in_place(memkind_t kind)
{
    for_sizes_up_to(8 * MIB, kind, check_realloc_in_place_at);
}

static void test_realloc_within_the_usable_size_stays(void)
{
    on_every_kind(check_realloc_in_place);
}

static void check_realloc_step_by_step(memkind_t kind)
{
    unsigned char *object = NULL;
    for (size_t size = 1; size < 200000; size += size / 7 + 1) {
        object = memkind_realloc(kind, object, size);
        REQUIRE_NOT_NULL(object);
        CHECK(test_check(object, size - 1 < 1 ? 0 : size * 7 / 8 - 1, 9));
        test_fill(object, size, 9);
    }
    for (size_t size = 200000; size > 0; size = size * 5 / 6) {
        object = memkind_realloc(kind, object, size);
        REQUIRE_NOT_NULL(object);
        CHECK(test_check(object, size < 100000 ? size : 100000, 9));
    }
    memkind_free(kind, object);
}

static void test_realloc_step_by_step(void)
{
    on_every_kind(check_realloc_step_by_step);
}

static void test_a_failed_realloc_keeps_the_object(void)
{
    static const size_t sizes[] = {8, 100, 4000, 20 * KIB, MIB, 6 * MIB};
    memkind_t kind = kind_make_limited(MEMKIND_PMEM_MIN_SIZE);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        unsigned char *object = memkind_malloc(kind, sizes[i]);
        REQUIRE_NOT_NULL(object);
        size_t usable = memkind_malloc_usable_size(kind, object);
        fill(object, usable, (unsigned)i);
        errno = 0;
        CHECK_NULL(memkind_realloc(kind, object, 17 * MIB));
        CHECK_EQ(errno, ENOMEM);
        errno = 0;
        CHECK_NULL(memkind_realloc(NULL, object, 15 * GIB));
        CHECK_EQ(errno, ENOMEM);
        CHECK_EQ(memkind_malloc_usable_size(kind, object), usable);
        CHECK(check(object, usable, (unsigned)i));
        memkind_free(kind, object);
    }
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
}

/* ---- NULL -------------------------------------------------------------- */

static void test_no_kind(void)
{
    errno = 0;
    CHECK_NULL(memkind_malloc(NULL, 8));
    CHECK_EQ(errno, EINVAL);
    errno = 0;
    CHECK_NULL(memkind_calloc(NULL, 8, 8));
    CHECK_EQ(errno, EINVAL);
    errno = 0;
    CHECK_NULL(memkind_realloc(NULL, NULL, 8));
    CHECK_EQ(errno, EINVAL);
    errno = UNTOUCHED;
    check_aligned_fails(NULL, 64, 8, EINVAL);
    CHECK_EQ(memkind_posix_memalign(NULL, NULL, 64, 8), EINVAL);
    memkind_free(NULL, NULL);
    memkind_set_allow_zero_allocs(NULL, true);
    CHECK_EQ(memkind_malloc_usable_size(NULL, NULL), 0);
    CHECK_NULL(memkind_detect_kind(NULL));
    CHECK_NULL(memkind_defrag_reallocate(NULL, NULL));
    CHECK_EQ(errno, UNTOUCHED);
}

static void check_no_object(memkind_t kind)
{
    errno = UNTOUCHED;
    memkind_free(kind, NULL);
    CHECK_EQ(memkind_malloc_usable_size(kind, NULL), 0);
    CHECK_NULL(memkind_defrag_reallocate(kind, NULL));
    CHECK_EQ(errno, UNTOUCHED);
    void *object = memkind_realloc(kind, NULL, 100);
    CHECK_EQ(memkind_detect_kind(object), kind);
    memkind_free(kind, object);
}

static void test_no_object(void)
{
    on_every_kind(check_no_object);
}

static void test_kinds_that_cannot_be_had(void)
{
    errno = 0;
    CHECK_NULL(memkind_malloc(MEMKIND_HBW_GBTLB, 8));
    CHECK_EQ(errno, ENOMEM);
    errno = 0;
    CHECK_NULL(memkind_calloc(MEMKIND_HBW_PREFERRED_GBTLB, 8, 8));
    CHECK_EQ(errno, ENOMEM);
    errno = 0;
    CHECK_NULL(memkind_realloc(MEMKIND_GBTLB, NULL, 8));
    CHECK_EQ(errno, ENOMEM);
    errno = UNTOUCHED;
    check_aligned_fails(MEMKIND_GBTLB, 64, 8, ENOMEM);
    check_aligned_fails(MEMKIND_GBTLB, 3, 8, EINVAL);
    check_aligned_fails(MEMKIND_GBTLB, 64, 0, 0);
    CHECK_EQ(memkind_posix_memalign(MEMKIND_GBTLB, NULL, 64, 8), EINVAL);
    memkind_free(MEMKIND_HBW_GBTLB, NULL);
    CHECK_EQ(errno, UNTOUCHED);
}

static const struct test_case tests[] = {
    {"objects of every size", test_objects_of_every_size},
    {"every size up to a page", test_every_size_up_to_a_page},
    {"objects do not overlap", test_objects_do_not_overlap},
    {"nothing is NULL by default", test_nothing_is_null_by_default},
    {"nothing is an object if wanted", test_nothing_is_an_object_if_wanted},
    {"too much is refused", test_too_much_is_refused},
    {"more than the limit is refused", test_more_than_the_limit_is_refused},
    {"calloc notices an overflow", test_calloc_notices_an_overflow},
    {"calloc clears used memory", test_calloc_clears_used_memory},
    {"calloc clears under the conservative policy",
     test_calloc_clears_under_the_conservative_policy},
    {"every alignment", test_every_alignment},
    {"bad alignments are refused", test_bad_alignments_are_refused},
    {"objects in further files", test_objects_in_further_files},
    {"realloc keeps the contents", test_realloc_keeps_the_contents},
    {"realloc within the usable size stays",
     test_realloc_within_the_usable_size_stays},
    {"realloc step by step", test_realloc_step_by_step},
    {"a failed realloc keeps the object",
     test_a_failed_realloc_keeps_the_object},
    {"no kind", test_no_kind},
    {"no object", test_no_object},
    {"kinds that cannot be had", test_kinds_that_cannot_be_had},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("heap", tests, argc, argv);
}
