/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Children that go on with a heap in which every other page is free: a page
 * that they use must not cost a mapping each. A process may have 65,530, its
 * own malloc's and its threads' among them.
 */
#include <memkind.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "test_child.h"
#include "test_kinds.h"

#define PAGE ((size_t)sysconf(_SC_PAGESIZE))

#define EDGE ((size_t)64)

enum { OBJECTS = 12000, THREADS = 4, ROUNDS = 3, MAPPINGS_MOST = 65530 };

/* A sixteenth for pieces and what is between them, and some for all else. */
#define MAPPINGS_MORE ((size_t)MAPPINGS_MOST / 16 + 100)

static memkind_t kind;
static char *objects[OBJECTS]; /* the odd ones are the parent's */

static unsigned seed_of(size_t i)
{
    return (unsigned)(i % 251);
}

/* Its first bytes, and its last. */
static bool object_is_right(size_t i)
{
    return test_check(objects[i], EDGE, seed_of(i)) &&
           test_check(objects[i] + test_fitting(PAGE) - EDGE, EDGE, seed_of(i));
}

static bool make_object(size_t i)
{
    objects[i] = memkind_malloc(kind, test_fitting(PAGE));
    if (objects[i] == NULL)
        return false;
    test_fill(objects[i], EDGE, seed_of(i));
    test_fill(objects[i] + test_fitting(PAGE) - EDGE, EDGE, seed_of(i));
    return true;
}

static void drop_object(size_t i)
{
    memkind_free(kind, objects[i]);
    objects[i] = NULL;
}

static bool all_are_right(void)
{
    for (size_t i = 0; i < OBJECTS; i++)
        if (objects[i] != NULL && !object_is_right(i))
            return false;
    return true;
}

static size_t fill(size_t first, size_t step)
{
    size_t failed = 0;
    for (size_t i = first; i < OBJECTS; i += step)
        failed += !make_object(i);
    return failed;
}

static void drain(size_t first, size_t step)
{
    for (size_t i = first; i < OBJECTS; i += step)
        drop_object(i);
}

static uintptr_t highest(void)
{
    uintptr_t high = 0;
    for (size_t i = 0; i < OBJECTS; i++)
        if ((uintptr_t)objects[i] > high)
            high = (uintptr_t)objects[i];
    return high;
}

static void begin(memkind_fork_policy policy, size_t limit)
{
    kind = kind_make(.limit = limit, .fork = policy);
    CHECK_EQ(fill(0, 1), 0);
    drain(0, 2);
    CHECK_EQ(memkind_purge_kind(kind), 0);
}

/* The parent's objects and file space are what they were. */
static void end(size_t space)
{
    CHECK_EQ(test_file_space(), space);
    CHECK(all_are_right());
    CHECK_EQ(memkind_destroy_kind(kind), 0);
}

static void run(memkind_fork_policy policy, size_t limit, int (*child)(void))
{
    begin(policy, limit);
    size_t space = test_file_space();
    CHECK_EQ(child_run(child), 0);
    end(space);
}

/* ---- one child --------------------------------------------------------- */

static bool others_get_memory(void)
{
    void *small = malloc(MIB), *large = malloc(64 * MIB);
    bool both = small != NULL && large != NULL;
    free(small);
    free(large);
    return both;
}

static int child_fills_the_gaps(void)
{
    size_t before = test_mappings();
    NEED(fill(0, 2) == 0);
    NEED(test_mappings() < before + MAPPINGS_MORE);
    NEED(others_get_memory());
    NEED(all_are_right());
    drain(0, 1);
    NEED(memkind_purge_kind(kind) == 0);
    NEED(test_mappings() < before + MAPPINGS_MORE);
    NEED(fill(0, 1) == 0);
    NEED(test_mappings() < before + MAPPINGS_MORE);
    NEED(all_are_right());
    NEED(memkind_destroy_kind(kind) == 0);
    return 0;
}

static void test_a_child_fills_the_gaps(void)
{
    run(MEMKIND_FORK_PRIVATE, 0, child_fills_the_gaps);
    run(MEMKIND_FORK_COPY, 0, child_fills_the_gaps);
}

/* What a child frees is no mapping either. */
static int child_makes_gaps(void)
{
    size_t before = test_mappings();
    drain(1, 4);
    NEED(memkind_purge_kind(kind) == 0);
    NEED(test_mappings() < before + 100);
    NEED(all_are_right());
    return 0;
}

static void test_a_child_makes_gaps(void)
{
    run(MEMKIND_FORK_PRIVATE, 0, child_makes_gaps);
    run(MEMKIND_FORK_COPY, 0, child_makes_gaps);
}

/* A child can do so for ever, at the same addresses. */
static int child_goes_on(void)
{
    NEED(fill(0, 2) == 0);
    uintptr_t high = highest();
    for (int i = 0; i < ROUNDS; i++) {
        drain(0, 2);
        NEED(memkind_purge_kind(kind) == 0);
        NEED(fill(0, 2) == 0);
        NEED(all_are_right());
    }
    NEED(highest() < high + 4 * MIB);
    return 0;
}

static void test_a_child_goes_on(void)
{
    run(MEMKIND_FORK_PRIVATE, 0, child_goes_on);
}

/* ---- more of them ------------------------------------------------------ */

static int grandchild(void)
{
    size_t before = test_mappings();
    for (int i = 0; i < 2; i++) {
        drain(0, 2);
        NEED(memkind_purge_kind(kind) == 0);
        NEED(fill(0, 2) == 0);
    }
    NEED(test_mappings() < before + MAPPINGS_MORE);
    NEED(others_get_memory());
    NEED(all_are_right());
    return 0;
}

static int child_with_children(void)
{
    NEED(child_run(grandchild) == 0);
    for (size_t i = 0; i < OBJECTS / 8; i += 2)
        NEED(make_object(i));
    NEED(child_run(grandchild) == 0);
    NEED(fill(OBJECTS / 8 * 2, 2) == 0);
    NEED(child_run(grandchild) == 0);
    NEED(all_are_right());
    return 0;
}

static void test_children_of_children(void)
{
    run(MEMKIND_FORK_PRIVATE, 0, child_with_children);
}

static void *fill_a_share(void *first)
{
    for (int i = 0; i < 3; i++) {
        if (fill(2 * (size_t)(uintptr_t)first, (size_t)2 * THREADS) != 0)
            return (void *)1;
        drain(2 * (size_t)(uintptr_t)first, (size_t)2 * THREADS);
        (void)memkind_purge_kind(kind);
    }
    return NULL;
}

static int child_with_threads(void)
{
    pthread_t threads[THREADS];
    size_t before = test_mappings();
    for (size_t i = 0; i < THREADS; i++)
        NEED(pthread_create(&threads[i], NULL, fill_a_share,
                            (void *)(uintptr_t)i) == 0);
    for (size_t i = 0; i < THREADS; i++) {
        void *failed;
        NEED(pthread_join(threads[i], &failed) == 0);
        NEED(failed == NULL);
    }
    NEED(test_mappings() < before + MAPPINGS_MORE + 20 * THREADS);
    NEED(all_are_right());
    return 0;
}

static void test_threads_of_a_child(void)
{
#ifdef __SANITIZE_THREAD__
    puts("skipped: TSan does not know that a child's locks are free");
    return;
#endif
    run(MEMKIND_FORK_PRIVATE, 0, child_with_threads);
}

/* ---- limits ------------------------------------------------------------ */

/* What the parent could have, the child can have: its limit is the same. */
static int child_at_its_limit(void)
{
    size_t limit = 0;
    for (size_t i = 0; i < OBJECTS; i += 2)
        limit += make_object(i);
    NEED(limit > OBJECTS / 2 * 9 / 10);
    NEED(all_are_right());
    for (int round = 0; round < 2; round++) {
        drain(0, 2);
        NEED(memkind_purge_kind(kind) == 0);
        NEED(fill(0, 2) <= OBJECTS / 2 / 10);
        NEED(all_are_right());
    }
    drain(0, 1);
    char *large = memkind_malloc(kind, OBJECTS * PAGE / 2);
    NEED(large != NULL);
    memset(large, 1, OBJECTS * PAGE / 2);
    return 0;
}

static void test_a_limit(void)
{
    if (test_is_hardened())
        return;
    run(MEMKIND_FORK_PRIVATE, OBJECTS * PAGE * 21 / 20, child_at_its_limit);
    run(MEMKIND_FORK_COPY, OBJECTS * PAGE * 21 / 20, child_at_its_limit);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        {"a child fills the gaps", test_a_child_fills_the_gaps},
        {"a child makes gaps", test_a_child_makes_gaps},
        {"a child goes on", test_a_child_goes_on},
        {"children of children", test_children_of_children},
        {"threads of a child", test_threads_of_a_child},
        {"a limit", test_a_limit},
        {NULL, NULL},
    };
    return test_main("fork_pieces", tests, argc, argv);
}
