/* SPDX-License-Identifier: BSD-2-Clause */
/* memkind_memtier.h: builders, both policies, and what is counted. */
#include <errno.h>
#include <memkind_memtier.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "test_child.h"
#include "test_kinds.h"

#define THREADS 4
#define KIB ((size_t)1 << 10)

/* ---- tiers -------------------------------------------------------------- */

static memkind_t far_kind;

static void make_far_kind(void)
{
    far_kind = kind_make_limited(0);
}

static void drop_far_kind(void)
{
    kind_destroy(far_kind);
    far_kind = NULL;
}

/* DRAM and files by a ratio; by size if `policy` says so. */
static struct memtier_builder *build(memtier_policy_t policy, unsigned near,
                                     unsigned far)
{
    struct memtier_builder *builder = memtier_builder_new(policy);
    REQUIRE_NOT_NULL(builder);
    REQUIRE_EQ(memtier_builder_add_tier(builder, MEMKIND_DEFAULT, near), 0);
    REQUIRE_EQ(memtier_builder_add_tier(builder, far_kind, far), 0);
    return builder;
}

static struct memtier_memory *make(struct memtier_builder *builder)
{
    struct memtier_memory *memory =
        memtier_builder_construct_memtier_memory(builder);
    REQUIRE_NOT_NULL(memory);
    memtier_builder_delete(builder);
    return memory;
}

static struct memtier_memory *make_static(unsigned near, unsigned far)
{
    return make(build(MEMTIER_POLICY_STATIC_RATIO, near, far));
}

/* What is allocated in files, for each byte in DRAM. */
static double ratio(void)
{
    return (double)memtier_kind_allocated_size(far_kind) /
           (double)memtier_kind_allocated_size(MEMKIND_DEFAULT);
}

static void check_nothing_is_counted(void)
{
    CHECK_EQ(memtier_kind_allocated_size(MEMKIND_DEFAULT), 0);
    CHECK_EQ(memtier_kind_allocated_size(far_kind), 0);
}

/* ---- builders ----------------------------------------------------------- */

static void test_builder_arguments(void)
{
    errno = 0;
    CHECK_NULL(memtier_builder_new(MEMTIER_POLICY_MAX_VALUE));
    CHECK_EQ(errno, EINVAL);
    CHECK_NULL(memtier_builder_new((memtier_policy_t)-1));
    memtier_builder_delete(NULL);
    memtier_delete_memtier_memory(NULL);

    struct memtier_builder *builder =
        memtier_builder_new(MEMTIER_POLICY_STATIC_RATIO);
    REQUIRE_NOT_NULL(builder);
    struct memkind no_kind = {0};
    CHECK_EQ(memtier_builder_add_tier(NULL, MEMKIND_DEFAULT, 1),
             MEMKIND_ERROR_INVALID);
    CHECK_EQ(memtier_builder_add_tier(builder, NULL, 1), MEMKIND_ERROR_INVALID);
    CHECK_EQ(memtier_builder_add_tier(builder, &no_kind, 1),
             MEMKIND_ERROR_INVALID);
    CHECK_EQ(memtier_builder_add_tier(builder, MEMKIND_DEFAULT, 0),
             MEMKIND_ERROR_INVALID);
    CHECK_STR(memkind_last_error(), "memtier_builder_add_tier: the ratio is 0");
    errno = 0;
    CHECK_NULL(memtier_builder_construct_memtier_memory(builder));
    CHECK_EQ(errno, EINVAL);
    CHECK_NULL(memtier_builder_construct_memtier_memory(NULL));
    CHECK_EQ(memtier_builder_add_tier(builder, MEMKIND_DEFAULT, UINT32_MAX), 0);
    CHECK_EQ(memtier_builder_add_tier(builder, MEMKIND_DEFAULT, 1),
             MEMKIND_ERROR_INVALID);
    memtier_builder_delete(builder);
}

/* A builder makes several memories, and is not needed by them. */
static void test_builder_again(void)
{
    struct memtier_builder *builder =
        memtier_builder_new(MEMTIER_POLICY_STATIC_RATIO);
    REQUIRE_EQ(memtier_builder_add_tier(builder, far_kind, 1), 0);
    struct memtier_memory *one =
        memtier_builder_construct_memtier_memory(builder);
    REQUIRE_EQ(memtier_builder_add_tier(builder, MEMKIND_DEFAULT, 1), 0);
    struct memtier_memory *both =
        memtier_builder_construct_memtier_memory(builder);
    memtier_builder_delete(builder);
    REQUIRE_NOT_NULL(one);
    REQUIRE_NOT_NULL(both);
    void *first = memtier_malloc(one, 100), *second = memtier_malloc(one, 100);
    void *third = memtier_malloc(both, 100);
    CHECK_EQ(memkind_detect_kind(first), far_kind);
    CHECK_EQ(memkind_detect_kind(second), far_kind);
    CHECK_EQ(memkind_detect_kind(third), MEMKIND_DEFAULT);
    memtier_delete_memtier_memory(one);
    memtier_delete_memtier_memory(both);
    memtier_free(first);
    memtier_free(second);
    memtier_free(third);
    check_nothing_is_counted();
}

/* ---- properties --------------------------------------------------------- */

#define PROPERTY "policy.dynamic_threshold."
#define THRESHOLD(number) PROPERTY "thresholds[" #number "]."

static void test_properties(void)
{
    static const char *const good[][2] = {
        {THRESHOLD(0) "val", "100"},
        {THRESHOLD(0) "min", "1"},
        {THRESHOLD(0) "max", "200"},
        {THRESHOLD(1) "val", "18446744073709551615"},
        {PROPERTY "check_cnt", "1"},
        {PROPERTY "check_cnt", "4294967295"},
        {PROPERTY "trigger", "0"},
        {PROPERTY "trigger", "0.000001"},
        {PROPERTY "degree", "0.15"},
        {PROPERTY "degree", "999.5"},
        {PROPERTY "degree", "1."},
    };
    static const char *const bad[][2] = {
        {THRESHOLD(2) "val", "100"},
        {THRESHOLD(0) "value", "100"},
        {THRESHOLD(0) "val.x", "100"},
        {THRESHOLD(x) "val", "100"},
        {THRESHOLD(-1) "val", "100"},
        {PROPERTY "thresholds[0]", "100"},
        {PROPERTY "thresholds[0", "100"},
        {PROPERTY "thresholds", "100"},
        {PROPERTY "", "100"},
        {PROPERTY "check", "100"},
        {"policy", "100"},
        {"", "100"},
        {THRESHOLD(0) "val", ""},
        {THRESHOLD(0) "val", "-1"},
        {THRESHOLD(0) "val", " 1"},
        {THRESHOLD(0) "val", "1K"},
        {THRESHOLD(0) "val", "18446744073709551616"},
        {PROPERTY "check_cnt", "0"},
        {PROPERTY "check_cnt", "4294967296"},
        {PROPERTY "trigger", "-0.1"},
        {PROPERTY "trigger", ".5"},
        {PROPERTY "trigger", "1e-3"},
        {PROPERTY "trigger", "0.0000001"},
        {PROPERTY "degree", "0,15"},
        {PROPERTY "degree", "1000"},
        {PROPERTY "degree", "nan"},
    };
    struct memtier_builder *builder =
        build(MEMTIER_POLICY_DYNAMIC_THRESHOLD, 1, 1);
    REQUIRE_EQ(memtier_builder_add_tier(builder, MEMKIND_REGULAR, 1), 0);
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        if (memtier_ctl_set(builder, good[i][0], good[i][1]) != 0)
            CHECK_STR(good[i][0], memkind_last_error());
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (memtier_ctl_set(builder, bad[i][0], bad[i][1]) !=
            MEMKIND_ERROR_INVALID)
            CHECK_STR(bad[i][0], "refused");
    CHECK_EQ(memtier_ctl_set(NULL, good[0][0], "1"), MEMKIND_ERROR_INVALID);
    CHECK_EQ(memtier_ctl_set(builder, NULL, "1"), MEMKIND_ERROR_INVALID);
    CHECK_EQ(memtier_ctl_set(builder, good[0][0], NULL), MEMKIND_ERROR_INVALID);
    memtier_builder_delete(builder);

    builder = build(MEMTIER_POLICY_STATIC_RATIO, 1, 1);
    CHECK_EQ(memtier_ctl_set(builder, PROPERTY "check_cnt", "5"),
             MEMKIND_ERROR_INVALID);
    memtier_builder_delete(builder);
}

/* Whether thresholds with these properties will do. */
static bool thresholds_are_valid(const char *const values[6])
{
    static const char *const names[6] = {
        THRESHOLD(0) "min", THRESHOLD(0) "val", THRESHOLD(0) "max",
        THRESHOLD(1) "min", THRESHOLD(1) "val", THRESHOLD(1) "max"};
    struct memtier_builder *builder =
        build(MEMTIER_POLICY_DYNAMIC_THRESHOLD, 1, 1);
    REQUIRE_EQ(memtier_builder_add_tier(builder, MEMKIND_REGULAR, 1), 0);
    for (int i = 0; i < 6; i++)
        if (values[i] != NULL)
            CHECK_EQ(memtier_ctl_set(builder, names[i], values[i]), 0);
    errno = 0;
    struct memtier_memory *memory =
        memtier_builder_construct_memtier_memory(builder);
    CHECK_EQ(errno, memory != NULL ? 0 : EINVAL);
    memtier_builder_delete(builder);
    memtier_delete_memtier_memory(memory);
    return memory != NULL;
}

static void test_thresholds(void)
{
    CHECK(thresholds_are_valid((const char *[6]){NULL}));
    CHECK(thresholds_are_valid((const char *[6]){"1", "1", "1"}));
    CHECK(thresholds_are_valid((const char *[6]){"1", "1", "1537"}));
    CHECK(!thresholds_are_valid((const char *[6]){"0", "1", "2"}));
    CHECK(!thresholds_are_valid((const char *[6]){"3", "2", "4"}));
    CHECK(!thresholds_are_valid((const char *[6]){"3", "5", "4"}));
    CHECK(!thresholds_are_valid((const char *[6]){NULL, NULL, "1538"}));
    CHECK(!thresholds_are_valid(
        (const char *[6]){NULL, NULL, NULL, "100", "200", "300"}));
    /* One tier has no threshold. */
    struct memtier_builder *builder =
        memtier_builder_new(MEMTIER_POLICY_DYNAMIC_THRESHOLD);
    CHECK_EQ(memtier_builder_add_tier(builder, MEMKIND_DEFAULT, 1), 0);
    CHECK_NULL(memtier_builder_construct_memtier_memory(builder));
    memtier_builder_delete(builder);
}

/* ---- allocating --------------------------------------------------------- */

/* Both tiers, one after the other, by each function. */
static void test_functions(void)
{
    struct memtier_memory *memory = make_static(1, 1);
    size_t held = 0;
    void *objects[8];
    for (int i = 0; i < 8; i++) {
        switch (i / 2) {
        case 0:
            objects[i] = memtier_malloc(memory, 1000);
            break;
        case 1:
            objects[i] = memtier_calloc(memory, 10, 100);
            for (int at = 0; at < 1000; at++)
                CHECK_EQ(((char *)objects[i])[at], 0);
            break;
        case 2:
            objects[i] = memtier_realloc(memory, NULL, 1000);
            break;
        default:
            CHECK_EQ(memtier_posix_memalign(memory, &objects[i], 512, 1000), 0);
            CHECK_EQ((uintptr_t)objects[i] % 512, 0);
        }
        REQUIRE_NOT_NULL(objects[i]);
        CHECK_GE(memtier_usable_size(objects[i]), 1000);
        CHECK_EQ(memtier_usable_size(objects[i]),
                 memkind_malloc_usable_size(NULL, objects[i]));
        memset(objects[i], i, 1000);
        CHECK_EQ(memkind_detect_kind(objects[i]),
                 i % 2 == 0 ? MEMKIND_DEFAULT : far_kind);
        if (i % 2 == 0)
            held += memtier_usable_size(objects[i]);
    }
    CHECK_EQ(memtier_kind_allocated_size(MEMKIND_DEFAULT), held);
    CHECK_EQ(memtier_kind_allocated_size(far_kind), held);
    CHECK_EQ(kind_allocated(far_kind), held);
    for (int i = 0; i < 8; i++)
        memtier_kind_free(i % 3 == 0 ? NULL : memkind_detect_kind(objects[i]),
                          objects[i]);
    check_nothing_is_counted();
    memtier_free(NULL);
    memtier_kind_free(far_kind, NULL);
    memtier_delete_memtier_memory(memory);
}

static void test_kind_functions(void)
{
    void *ptr = memtier_kind_malloc(far_kind, 100);
    void *other = memtier_kind_calloc(MEMKIND_DEFAULT, 3, 100);
    size_t size = memtier_usable_size(ptr);
    CHECK_EQ(memtier_kind_allocated_size(far_kind), size);
    CHECK_EQ(memtier_kind_allocated_size(MEMKIND_DEFAULT),
             memtier_usable_size(other));
    ptr = memtier_kind_realloc(far_kind, ptr, 100 * KIB);
    size = memtier_usable_size(ptr);
    CHECK_EQ(memtier_kind_allocated_size(far_kind), size);
    ptr = memtier_kind_realloc(NULL, ptr, 50);
    size = memtier_usable_size(ptr);
    CHECK_EQ(memtier_kind_allocated_size(far_kind), size);
    CHECK_NULL(memtier_kind_realloc(far_kind, ptr, 0));
    CHECK_NULL(memtier_kind_realloc(NULL, other, 0));
    check_nothing_is_counted();
    ptr = memtier_kind_realloc(far_kind, NULL, 64 * KIB);
    CHECK_EQ(memkind_detect_kind(ptr), far_kind);
    memtier_kind_free(far_kind, ptr);
    CHECK_EQ(memtier_kind_posix_memalign(far_kind, &ptr, 4096, 100), 0);
    CHECK_EQ((uintptr_t)ptr % 4096, 0);
    memtier_kind_free(NULL, ptr);
    check_nothing_is_counted();
    CHECK_EQ(memtier_kind_allocated_size(NULL), 0);
    CHECK_EQ(memtier_usable_size(NULL), 0);
    CHECK_EQ(memtier_usable_size(&ptr), 0);
}

static void test_refused(void)
{
    struct memtier_memory *memory = make_static(1, 1);
    void *ptr = memory;
    errno = 0;
    CHECK_NULL(memtier_malloc(NULL, 1));
    CHECK_EQ(errno, EINVAL);
    CHECK_NULL(memtier_calloc(NULL, 1, 1));
    CHECK_NULL(memtier_realloc(NULL, NULL, 1));
    CHECK_EQ(memtier_posix_memalign(NULL, &ptr, 8, 1), EINVAL);
    CHECK_NULL(ptr);
    CHECK_EQ(memtier_posix_memalign(memory, NULL, 8, 1), EINVAL);
    CHECK_EQ(memtier_posix_memalign(memory, &ptr, 3, 1), EINVAL);
    CHECK_EQ(memtier_posix_memalign(memory, &ptr, 8, SIZE_MAX / 2), ENOMEM);
    CHECK_EQ(memtier_kind_posix_memalign(NULL, &ptr, 8, 1), EINVAL);
    errno = 0;
    CHECK_NULL(memtier_malloc(memory, 0));
    CHECK_NULL(memtier_calloc(memory, 0, 5));
    CHECK_EQ(memtier_posix_memalign(memory, &ptr, 8, 0), 0);
    CHECK_NULL(ptr);
    CHECK_EQ(errno, 0);
    CHECK_NULL(memtier_malloc(memory, SIZE_MAX));
    CHECK_NULL(memtier_malloc(memory, SIZE_MAX / 2 + 1));
    CHECK_EQ(errno, ENOMEM);
    errno = 0;
    CHECK_NULL(memtier_calloc(memory, SIZE_MAX / 2, 3));
    CHECK_EQ(errno, ENOMEM);
    errno = 0;
    CHECK_NULL(memtier_kind_malloc(NULL, 1));
    CHECK_EQ(errno, EINVAL);
    CHECK_NULL(memtier_kind_realloc(NULL, NULL, 1));
    CHECK_NULL(memtier_kind_malloc(MEMKIND_GBTLB, 1));
    /* An object that cannot grow stays, and so does its count. */
    ptr = memtier_malloc(memory, 100);
    const size_t size = memtier_usable_size(ptr);
    CHECK_NULL(memtier_realloc(memory, ptr, SIZE_MAX / 2));
    CHECK_EQ(memtier_kind_allocated_size(memkind_detect_kind(ptr)), size);
    memtier_free(ptr);
    check_nothing_is_counted();
    memtier_delete_memtier_memory(memory);
}

/* A kind that is made later gets nothing of the count of one that was
 * destroyed with objects in it. */
static void test_destroyed_kind(void)
{
    for (int i = 0; i < 3; i++) {
        memkind_t kind = kind_make_limited(0);
        CHECK_EQ(memtier_kind_allocated_size(kind), 0);
        CHECK_NOT_NULL(memtier_kind_malloc(kind, 100));
        CHECK_GE(memtier_kind_allocated_size(kind), 100);
        kind_destroy(kind);
    }
}

/* ---- by ratio ----------------------------------------------------------- */

/* One thread's choices are exact: no tier is off by more than an object. */
static void test_ratio_is_exact(void)
{
    static const unsigned ratios[][2] = {{1, 1}, {1, 4},   {4, 1},
                                         {3, 7}, {1, 100}, {UINT32_MAX, 1}};
    for (size_t i = 0; i < sizeof ratios / sizeof ratios[0]; i++) {
        struct memtier_memory *memory = make_static(ratios[i][0], ratios[i][1]);
        void *objects[1000];
        for (int n = 0; n < 1000; n++) {
            objects[n] = memtier_malloc(memory, 1024);
            const double sum = 1024.0 * (n + 1);
            const double wanted =
                sum * ratios[i][1] / ((double)ratios[i][0] + ratios[i][1]);
            const double is = (double)memtier_kind_allocated_size(far_kind);
            if (!test_is_hardened()) {
                CHECK_LE(is, wanted + 1024);
                CHECK_GE(is, wanted - 1024);
            }
        }
        for (int n = 0; n < 1000; n++)
            memtier_free(objects[n]);
        check_nothing_is_counted();
        memtier_delete_memtier_memory(memory);
    }
}

#define PLACES 8000
#define ROUNDS (SANITIZED ? 40000 : 200000)

static struct memtier_memory *shared;
static void *_Atomic places[PLACES];
static atomic_size_t total; /* bytes, as usable sizes say */

/* Takes whatever is in a place, and does something to it: objects are freed and
 * resized by other threads than made them. */
static void *use_places(void *number)
{
    unsigned long long random = 77 + (uintptr_t)number;
    for (int i = 0; i < ROUNDS; i++) {
        void *_Atomic *place = &places[test_random(&random) % PLACES];
        const size_t size = 1 + test_random(&random) % 4096;
        void *ptr = atomic_exchange(place, NULL);
        const size_t before = memtier_usable_size(ptr);
        switch (test_random(&random) % 4) {
        case 0:
            memtier_free(ptr);
            ptr = NULL;
            break;
        case 1:
        case 2:
            ptr = memtier_realloc(shared, ptr, size);
            break;
        default:
            memtier_free(ptr);
            ptr = memtier_malloc(shared, size);
        }
        atomic_fetch_add(&total, memtier_usable_size(ptr) - before);
        ptr = atomic_exchange(place, ptr);
        atomic_fetch_sub(&total, memtier_usable_size(ptr));
        memtier_free(ptr);
    }
    return NULL;
}

static void run_threads(void *(*run)(void *number))
{
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        REQUIRE_EQ(pthread_create(&threads[i], NULL, run, (void *)i), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

static void free_places(void)
{
    for (int i = 0; i < PLACES; i++)
        memtier_free(atomic_exchange(&places[i], NULL));
}

/* Within 1 %, after four threads have allocated, resized and freed; and what is
 * counted is what is there. */
static void test_ratio_of_threads(void)
{
    static const unsigned ratios[][2] = {{1, 4}, {1, 1}, {5, 2}};
    for (size_t i = 0; i < sizeof ratios / sizeof ratios[0]; i++) {
        const double wanted = (double)ratios[i][1] / ratios[i][0];
        shared = make_static(ratios[i][0], ratios[i][1]);
        atomic_store(&total, 0);
        run_threads(use_places);
        CHECK_EQ(memtier_kind_allocated_size(MEMKIND_DEFAULT) +
                     memtier_kind_allocated_size(far_kind),
                 atomic_load(&total));
        CHECK_EQ(memtier_kind_allocated_size(far_kind),
                 kind_allocated(far_kind));
        CHECK_GE(ratio(), wanted * 0.99);
        CHECK_LE(ratio(), wanted * 1.01);
        free_places();
        check_nothing_is_counted();
        memtier_delete_memtier_memory(shared);
    }
}

/* More threads than there are stripes of the count. */
static void *allocate_and_free(void *argument)
{
    (void)argument;
    void *ptr = memtier_malloc(shared, 1000);
    memtier_free(memtier_realloc(shared, ptr, 3000));
    return memtier_malloc(shared, 500);
}

static void test_many_threads(void)
{
    pthread_t threads[200];
    shared = make_static(1, 1);
    for (int i = 0; i < 200; i++)
        REQUIRE_EQ(pthread_create(&threads[i], NULL, allocate_and_free, NULL),
                   0);
    for (int i = 0; i < 200; i++) {
        void *ptr = NULL;
        pthread_join(threads[i], &ptr);
        memtier_free(ptr);
    }
    check_nothing_is_counted();
    memtier_delete_memtier_memory(shared);
}

/* ---- by size ------------------------------------------------------------ */

static bool goes_far(struct memtier_memory *memory, size_t size)
{
    void *ptr = memtier_malloc(memory, size);
    const bool is_far = memkind_detect_kind(ptr) == far_kind;
    memtier_free(ptr);
    return is_far;
}

static struct memtier_memory *make_dynamic(unsigned near, unsigned far,
                                           const char *interval)
{
    struct memtier_builder *builder =
        build(MEMTIER_POLICY_DYNAMIC_THRESHOLD, near, far);
    CHECK_EQ(memtier_ctl_set(builder, PROPERTY "check_cnt", interval), 0);
    return make(builder);
}

static void test_sizes(void)
{
    struct memtier_memory *memory = make_dynamic(1, 1, "4294967295");
    CHECK(!goes_far(memory, 1));
    CHECK(!goes_far(memory, 1023));
    CHECK(goes_far(memory, 1024));
    CHECK(goes_far(memory, MIB));
    memtier_delete_memtier_memory(memory);

    struct memtier_builder *builder =
        build(MEMTIER_POLICY_DYNAMIC_THRESHOLD, 1, 1);
    REQUIRE_EQ(memtier_builder_add_tier(builder, MEMKIND_REGULAR, 1), 0);
    CHECK_EQ(memtier_ctl_set(builder, PROPERTY "check_cnt", "1000"), 0);
    memory = make(builder);
    CHECK(!goes_far(memory, 1023));
    CHECK(goes_far(memory, 2047));
    CHECK(!goes_far(memory, 2048));
    void *ptr = memtier_calloc(memory, 2, 1024);
    CHECK_EQ(memkind_detect_kind(ptr), MEMKIND_REGULAR);
    memtier_free(ptr);
    memtier_delete_memtier_memory(memory);
}

/* Each look moves a threshold by 15 %, towards what is lacking, and no farther
 * than its limits. */
static void test_threshold_moves(void)
{
    struct memtier_memory *memory = make_dynamic(1, 1, "1");
    void *far[8], *near[100];
    for (int i = 0; i < 8; i++) /* from now on there is too much in files */
        far[i] = memtier_kind_malloc(far_kind, 4096);
    CHECK(!goes_far(memory, 1100)); /* 1024 * 1.15 = 1177 */
    CHECK(!goes_far(memory, 1352)); /* 1177 * 1.15 = 1353 */
    for (int i = 0; i < 10; i++)
        CHECK(!goes_far(memory, 1200));
    CHECK(goes_far(memory, 1536));
    for (int i = 0; i < 100; i++) /* and now too little */
        near[i] = memtier_kind_malloc(MEMKIND_DEFAULT, 4096);
    for (int i = 0; i < 10; i++)
        (void)goes_far(memory, 100);
    CHECK(goes_far(memory, 513));
    CHECK(!goes_far(memory, 512));
    for (int i = 0; i < 8; i++)
        memtier_free(far[i]);
    for (int i = 0; i < 100; i++)
        memtier_free(near[i]);
    memtier_delete_memtier_memory(memory);
    check_nothing_is_counted();
}

/* No threshold moves while the ratio is off by less than the trigger. */
static void test_trigger(void)
{
    struct memtier_builder *builder =
        build(MEMTIER_POLICY_DYNAMIC_THRESHOLD, 1, 1);
    CHECK_EQ(memtier_ctl_set(builder, PROPERTY "check_cnt", "1"), 0);
    CHECK_EQ(memtier_ctl_set(builder, PROPERTY "trigger", "0.5"), 0);
    struct memtier_memory *memory = make(builder);
    void *near = memtier_kind_malloc(MEMKIND_DEFAULT, 64 * KIB);
    void *far = memtier_kind_malloc(far_kind, 80 * KIB); /* 0.25 too much */
    for (int i = 0; i < 10; i++)
        CHECK(goes_far(memory, 1024));
    far = memtier_kind_realloc(far_kind, far, 96 * KIB); /* 0.5 */
    for (int i = 0; i < 10; i++)
        (void)goes_far(memory, 100);
    CHECK(!goes_far(memory, 1500));
    memtier_free(near);
    memtier_free(far);
    memtier_delete_memtier_memory(memory);
    check_nothing_is_counted();
}

static atomic_int resizes;

/* The sizes lie on both sides of any threshold. */
static void *use_sizes(void *number)
{
    unsigned long long random = 5 + (uintptr_t)number;
    for (int i = 0; i < ROUNDS; i++) {
        void *_Atomic *place = &places[test_random(&random) % PLACES];
        const size_t size = 1 + test_random(&random) % 2000;
        memtier_free(atomic_exchange(place, NULL));
        void *ptr = memtier_malloc(shared, size);
        if (i % 16 == 0) {
            ptr = memtier_realloc(shared, ptr, size + 100);
            atomic_fetch_add(&resizes, 1);
        }
        memtier_free(atomic_exchange(place, ptr));
    }
    return NULL;
}

/* The threshold comes to where the ratio is nearly the one that is wanted. With
 * 1024 it would be 2.8. */
static void test_threshold_of_threads(void)
{
    static const unsigned ratios[][2] = {{1, 2}, {1, 5}, {1, 1}};
    for (size_t i = 0; i < sizeof ratios / sizeof ratios[0]; i++) {
        const double wanted = (double)ratios[i][1] / ratios[i][0];
        struct memtier_builder *builder =
            build(MEMTIER_POLICY_DYNAMIC_THRESHOLD, ratios[i][0], ratios[i][1]);
        CHECK_EQ(memtier_ctl_set(builder, PROPERTY "degree", "0.01"), 0);
        CHECK_EQ(memtier_ctl_set(builder, THRESHOLD(0) "min", "100"), 0);
        CHECK_EQ(memtier_ctl_set(builder, THRESHOLD(0) "max", "1900"), 0);
        shared = make(builder);
        run_threads(use_sizes);
        CHECK_GE(ratio(), wanted * 0.8);
        CHECK_LE(ratio(), wanted * 1.25);
        free_places();
        memtier_delete_memtier_memory(shared);
        check_nothing_is_counted();
    }
    CHECK_GT(atomic_load(&resizes), 0);
}

/* ---- fork --------------------------------------------------------------- */

static void *objects_of_parent[64];

static int go_on_in_child(void)
{
    const size_t near = memtier_kind_allocated_size(MEMKIND_DEFAULT);
    const size_t far = memtier_kind_allocated_size(far_kind);
    NEED(near == far && far >= 32 * 1000);
    void *ptr = memtier_malloc(shared, 1000);
    NEED(ptr != NULL);
    memtier_free(ptr);
    NEED(memtier_kind_allocated_size(far_kind) == far);
    for (int i = 0; i < 64; i++)
        memtier_free(objects_of_parent[i]);
    NEED(memtier_kind_allocated_size(MEMKIND_DEFAULT) == 0);
    NEED(memtier_kind_allocated_size(far_kind) == 0);
    return 0;
}

static void test_fork(void)
{
    shared = make_static(1, 1);
    for (int i = 0; i < 64; i++)
        objects_of_parent[i] = memtier_malloc(shared, 1000);
    const size_t far = memtier_kind_allocated_size(far_kind);
    CHECK_EQ(child_run(go_on_in_child), 0);
    CHECK_EQ(memtier_kind_allocated_size(far_kind), far);
    for (int i = 0; i < 64; i++)
        memtier_free(objects_of_parent[i]);
    check_nothing_is_counted();
    memtier_delete_memtier_memory(shared);
}

/* ------------------------------------------------------------------------- */

#define WITH_KIND(test)                                                        \
    static void with_kind_##test(void)                                         \
    {                                                                          \
        make_far_kind();                                                       \
        test_##test();                                                         \
        drop_far_kind();                                                       \
    }
WITH_KIND(builder_again)
WITH_KIND(properties)
WITH_KIND(thresholds)
WITH_KIND(functions)
WITH_KIND(kind_functions)
WITH_KIND(refused)
WITH_KIND(ratio_is_exact)
WITH_KIND(ratio_of_threads)
WITH_KIND(many_threads)
WITH_KIND(sizes)
WITH_KIND(threshold_moves)
WITH_KIND(trigger)
WITH_KIND(threshold_of_threads)
WITH_KIND(fork)

static const struct test_case tests[] = {
    {"builder_arguments", test_builder_arguments},
    {"builder_again", with_kind_builder_again},
    {"properties", with_kind_properties},
    {"thresholds", with_kind_thresholds},
    {"functions", with_kind_functions},
    {"kind_functions", with_kind_kind_functions},
    {"refused", with_kind_refused},
    {"destroyed_kind", test_destroyed_kind},
    {"ratio_is_exact", with_kind_ratio_is_exact},
    {"ratio_of_threads", with_kind_ratio_of_threads},
    {"many_threads", with_kind_many_threads},
    {"sizes", with_kind_sizes},
    {"threshold_moves", with_kind_threshold_moves},
    {"trigger", with_kind_trigger},
    {"threshold_of_threads", with_kind_threshold_of_threads},
    {"fork", with_kind_fork},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("memtier", tests, argc, argv);
}
