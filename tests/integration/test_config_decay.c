/* SPDX-License-Identifier: BSD-2-Clause */
/* memkind_config_set_decay(): its range, how long freed space stays, and what
 * policies have to do with it. MEMKIND_DECAY has its cases in
 * test_environment.c. */
#include <errno.h>
#include <memkind.h>
#include <memkind/internal/memkind_private.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "test_support.h"

#define MIB ((size_t)1 << 20)
#define KIND_SIZE (64 * MIB)
#define OBJECTS 32
#define FREED (OBJECTS * MIB)

static int make_kind(int64_t milliseconds, memkind_mem_usage_policy policy,
                     memkind_t *kind)
{
    struct memkind_config *config = memkind_config_new();
    CU_ASSERT_PTR_NOT_NULL_FATAL(config);
    memkind_config_set_path(config, test_dir());
    memkind_config_set_size(config, KIND_SIZE);
    memkind_config_set_memory_usage_policy(config, policy);
    memkind_config_set_decay(config, milliseconds);
    int err = memkind_create_pmem_with_config(config, kind);
    memkind_config_delete(config);
    return err;
}

static memkind_t need_kind(int64_t milliseconds,
                           memkind_mem_usage_policy policy)
{
    memkind_t kind = NULL;
    CU_ASSERT_EQUAL_FATAL(make_kind(milliseconds, policy, &kind),
                          MEMKIND_SUCCESS);
    return kind;
}

static void fill_and_free(memkind_t kind)
{
    void *objects[OBJECTS];
    for (int i = 0; i < OBJECTS; i++) {
        objects[i] = memkind_malloc(kind, test_fitting(MIB));
        CU_ASSERT_PTR_NOT_NULL_FATAL(objects[i]);
    }
    for (int i = 0; i < OBJECTS; i++)
        memkind_free(kind, objects[i]);
}

static size_t held_by(memkind_t kind)
{
    size_t held = SIZE_MAX;
    CU_ASSERT_EQUAL(memkind_update_cached_stats(), MEMKIND_SUCCESS);
    CU_ASSERT_EQUAL(memkind_get_stat(kind, MEMKIND_STAT_TYPE_RESIDENT, &held),
                    0);
    return held;
}

static void expect_held(memkind_t kind, bool is_kept)
{
    const size_t held = held_by(kind);
    if (is_kept ? held < FREED : held != 0)
        printf("\nheld: %zu bytes, kept: %d\n", held, (int)is_kept);
    CU_ASSERT(is_kept ? held >= FREED : held == 0);
}

static void destroy(memkind_t kind)
{
    CU_ASSERT_EQUAL(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
}

/* Allocates now and then until the kind holds no freed space. */
static bool gives_back_in_time(memkind_t kind, int milliseconds)
{
    const struct timespec pause = {.tv_nsec = 10 * 1000 * 1000};
    for (int i = 0; i < milliseconds / 10; i++) {
        for (int j = 0; j < 40; j++)
            memkind_free(MEMKIND_REGULAR, memkind_malloc(MEMKIND_REGULAR, 64));
        if (held_by(kind) == 0)
            return true;
        nanosleep(&pause, NULL);
    }
    return false;
}

static void test_range(void)
{
    static const int64_t good[] = {-1, 0, 1, 2147483647};
    static const int64_t bad[] = {-2, 2147483648, INT64_MIN, INT64_MAX};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        destroy(need_kind(good[i], MEMKIND_MEM_USAGE_POLICY_DEFAULT));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        memkind_t kind = NULL;
        errno = 0;
        CU_ASSERT_EQUAL(
            make_kind(bad[i], MEMKIND_MEM_USAGE_POLICY_DEFAULT, &kind),
            MEMKIND_ERROR_INVALID);
        CU_ASSERT_EQUAL(errno, EINVAL);
        CU_ASSERT_PTR_NULL(kind);
    }
    memkind_config_set_decay(NULL, 0);
}

static void test_at_once(void)
{
    memkind_t kind = need_kind(0, MEMKIND_MEM_USAGE_POLICY_DEFAULT);
    fill_and_free(kind);
    expect_held(kind, false);
    destroy(kind);
}

/* The longest time and none differ in nothing that a test could wait for. */
static void test_kept(void)
{
    static const int64_t times[] = {-1, 2147483647};
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        memkind_t kind = need_kind(times[i], MEMKIND_MEM_USAGE_POLICY_DEFAULT);
        fill_and_free(kind);
        CU_ASSERT_FALSE(gives_back_in_time(kind, 1500));
        expect_held(kind, true);
        /* Kept, but there for other objects, and when the kind is purged. */
        void *large = memkind_malloc(kind, 48 * MIB);
        CU_ASSERT_PTR_NOT_NULL(large);
        memkind_free(kind, large);
        CU_ASSERT_EQUAL(memkind_purge_kind(kind), MEMKIND_SUCCESS);
        expect_held(kind, false);
        destroy(kind);
    }
}

static void test_after_a_while(void)
{
    memkind_t kind = need_kind(300, MEMKIND_MEM_USAGE_POLICY_DEFAULT);
    fill_and_free(kind);
    CU_ASSERT(gives_back_in_time(kind, 60 * 1000));
    destroy(kind);
}

static int set_policy(memkind_t kind, memkind_mem_usage_policy policy)
{
    return kind->ops->update_memory_usage_policy(kind, policy);
}

/* The conservative policy has its way, but the kind's own time comes back. */
static void test_policies(void)
{
    memkind_t kind = need_kind(-1, MEMKIND_MEM_USAGE_POLICY_CONSERVATIVE);
    fill_and_free(kind);
    expect_held(kind, false);
    CU_ASSERT_EQUAL(set_policy(kind, MEMKIND_MEM_USAGE_POLICY_DEFAULT), 0);
    fill_and_free(kind);
    CU_ASSERT_FALSE(gives_back_in_time(kind, 500));
    expect_held(kind, true);
    CU_ASSERT_EQUAL(set_policy(kind, MEMKIND_MEM_USAGE_POLICY_CONSERVATIVE), 0);
    expect_held(kind, false);
    destroy(kind);

    kind = need_kind(0, MEMKIND_MEM_USAGE_POLICY_CONSERVATIVE);
    CU_ASSERT_EQUAL(set_policy(kind, MEMKIND_MEM_USAGE_POLICY_DEFAULT), 0);
    fill_and_free(kind);
    expect_held(kind, false);
    destroy(kind);
}

static const struct test_case tests[] = {
    {"range", test_range},       {"at once", test_at_once},
    {"kept", test_kept},         {"after a while", test_after_a_while},
    {"policies", test_policies}, {NULL, NULL},
};

int main(int argc, char **argv)
{
    /* What the cases are about must not be overruled. */
    unsetenv("MEMKIND_DECAY");
    unsetenv("MEMKIND_HOG_MEMORY");
    return test_main("config_decay", tests, argc, argv);
}
