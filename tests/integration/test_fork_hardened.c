/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hardened kinds in forked children: what the parent does with its objects
 * afterwards is nothing that the child has done wrong. (This runs with
 * MEMKIND_HARDENED=1.)
 */
#include <memkind.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "test_child.h"
#include "test_kinds.h"

#define COUNT 2000

static memkind_t kind;
static void *objects[COUNT];
static atomic_int reports;

static void count_report(memkind_misuse what, memkind_t of, const void *ptr,
                         void *arg)
{
    (void)what;
    (void)of;
    (void)ptr;
    (void)arg;
    atomic_fetch_add(&reports, 1);
}

static void fill_objects(int byte)
{
    for (int i = 0; i < COUNT; i++) {
        objects[i] = memkind_malloc(kind, 1000);
        REQUIRE_NOT_NULL(objects[i]);
        memset(objects[i], byte, 1000);
    }
}

static void free_objects(int first, int step)
{
    for (int i = first; i < COUNT; i += step)
        memkind_free(kind, objects[i]);
}

/* 0: all is as it should be. */
static int use_in_child(void)
{
    /* Half of the parent's live objects; the others stay until the end. */
    free_objects(1, 4);
    memkind_purge_kind(kind);
    if (atomic_load(&reports) != 0)
        return 1;
    /* What the child does wrong is reported. */
    memkind_free(kind, objects[1]);
    if (atomic_load(&reports) != 1)
        return 2;
    char *own = memkind_malloc(kind, 100);
    volatile char *behind = own + 100;
    *behind = 1;
    memkind_free(kind, own);
    if (atomic_load(&reports) != 2)
        return 3;
    memkind_destroy_kind(kind);
    return atomic_load(&reports) == 2 ? 0 : 4;
}

static pid_t fork_child(int parent_done)
{
    pid_t pid = fork();
    char byte;
    if (pid == 0)
        _exit(read(parent_done, &byte, 1) == 1 ? use_in_child() : 9);
    return pid;
}

static void check_policy(memkind_fork_policy policy)
{
    int done[2];
    atomic_store(&reports, 0);
    kind = kind_make(.fork = policy);
    fill_objects('a');
    free_objects(0, 2); /* which wait */
    REQUIRE_EQ(pipe(done), 0);
    pid_t pid = fork_child(done[0]);
    REQUIRE_GT(pid, 0);
    free_objects(1, 2);
    memkind_purge_kind(kind);
    fill_objects('b');
    CHECK_EQ(write(done[1], "x", 1), 1);
    CHECK_EQ(child_wait(pid), 0);
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
    CHECK_EQ(atomic_load(&reports), 0);
    close(done[0]);
    close(done[1]);
}

static void test_private_child(void)
{
    memkind_set_misuse_handler(count_report, NULL);
    check_policy(MEMKIND_FORK_PRIVATE);
}

static void test_child_with_a_copy(void)
{
    memkind_set_misuse_handler(count_report, NULL);
    check_policy(MEMKIND_FORK_COPY);
}

/* ---- other threads at work --------------------------------------------- */

static atomic_bool stop;

static void *allocate_and_free(void *unused)
{
    while (!atomic_load(&stop))
        memkind_free(kind, memkind_malloc(kind, (size_t)64 << 10));
    return unused;
}

/* What a thread does when another one forks is done before, or not at all. */
static void test_threads_at_work(void)
{
    pthread_t threads[2];
    int told = 0;
    memkind_set_misuse_handler(count_report, NULL);
    atomic_store(&reports, 0);
    kind = kind_make(.fork = MEMKIND_FORK_COPY);
    for (int i = 0; i < 2; i++)
        REQUIRE_EQ(pthread_create(&threads[i], NULL, allocate_and_free, NULL),
                   0);
    for (int i = 0; i < 50; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            memkind_destroy_kind(kind);
            _exit(atomic_load(&reports));
        }
        told += child_wait(pid) != 0;
    }
    atomic_store(&stop, true);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    CHECK_EQ(told, 0);
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
    CHECK_EQ(atomic_load(&reports), 0);
}

static const struct test_case tests[] = {
    {"private child", test_private_child},
    {"child with a copy", test_child_with_a_copy},
    {"threads at work", test_threads_at_work},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("fork hardened", tests, argc, argv);
}
