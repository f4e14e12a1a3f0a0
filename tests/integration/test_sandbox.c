/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * membarrier(2), by which the library gets at other threads' magazines, is
 * forbidden: from the start, or after kinds and threads were there. Each case
 * is a child, as a filter stays.
 */
#include <errno.h>
#include <memkind.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "test_child.h"
#include "test_support.h"

static memkind_t kind;

static bool forbid_membarrier(void)
{
    return system_call_forbid(SYS_membarrier);
}

/* ---- objects are handed out once --------------------------------------- */

/* A thread whose cache is open allocates and frees while others purge.
 */

static atomic_bool stop;

static void *purge(void *unused)
{
    while (!atomic_load(&stop))
        (void)memkind_purge_kind(kind);
    return unused;
}

static bool allocate_beside_purges(void)
{
    enum { OBJECTS = 64, OPERATIONS = 300000 };
    static uint64_t *objects[OBJECTS];
    unsigned long long seed = 3;
    pthread_t purger;
    bool whole = true;
    memset(objects, 0, sizeof objects);
    atomic_store(&stop, false);
    if (pthread_create(&purger, NULL, purge, NULL) != 0)
        return false;
    for (int n = 0; n < OPERATIONS && whole; n++) {
        size_t i = test_random(&seed) % OBJECTS;
        if (objects[i] != NULL) {
            whole = objects[i][0] == i &&
                    objects[i][1] == (uint64_t)(uintptr_t)objects[i];
            memkind_free(kind, objects[i]);
        }
        objects[i] = memkind_malloc(kind, 64);
        if (objects[i] == NULL)
            return false;
        objects[i][0] = i;
        objects[i][1] = (uint64_t)(uintptr_t)objects[i];
    }
    atomic_store(&stop, true);
    pthread_join(purger, NULL);
    return whole;
}

/* Makes a kind, uses it, and only then forbids membarrier(2). */
static int forbid_in_use(void)
{
    if (memkind_create_pmem(test_dir(), 0, &kind) != MEMKIND_SUCCESS)
        return 2;
    for (int i = 0; i < 1000; i++)
        memkind_free(kind, memkind_malloc(kind, 64));
    return forbid_membarrier() ? 0 : TEST_SKIPPED;
}

static int in_child_of_fork(void)
{
    const int status = forbid_in_use();
    if (status != 0)
        return status;
    pid_t child = fork();
    if (child == 0)
        _exit(allocate_beside_purges() ? 0 : 1);
    if (child_wait(child) != 0)
        return 3;
    return memkind_destroy_kind(kind) == MEMKIND_SUCCESS ? 0 : 4;
}

static int after_the_first_use(void)
{
    const int status = forbid_in_use();
    if (status != 0)
        return status;
    return allocate_beside_purges() ? 0 : 1;
}

/* ---- what sleeping threads hold ---------------------------------------- */

/* With so many threads, what each may keep adds up to the kind's limit. */
enum { SLEEPERS = 64 };

static sem_t has_freed, may_leave;

static void *fill_and_sleep(void *unused)
{
    enum { MOST = 960 };
    void *objects[MOST];
    for (size_t i = 0; i < MOST; i++)
        objects[i] = memkind_malloc(kind, 1024);
    for (size_t i = 0; i < MOST; i++)
        memkind_free(kind, objects[i]);
    sem_post(&has_freed);
    sem_wait(&may_leave);
    return unused;
}

/* One after another, so that each is given new objects. */
static bool start_sleepers(pthread_t *threads)
{
    sem_init(&has_freed, 0, 0);
    sem_init(&may_leave, 0, 0);
    for (int i = 0; i < SLEEPERS; i++) {
        if (pthread_create(&threads[i], NULL, fill_and_sleep, NULL) != 0)
            return false;
        sem_wait(&has_freed);
    }
    return true;
}

static int of_sleeping_threads(bool at_once)
{
    const size_t limit = 64 * MIB, size = 900000;
    pthread_t threads[SLEEPERS];
    size_t filled = 0;
    if (at_once && !forbid_membarrier())
        return TEST_SKIPPED;
    if (memkind_create_pmem(test_dir(), limit, &kind) != MEMKIND_SUCCESS ||
        !start_sleepers(threads))
        return 2;
    if (!at_once && !forbid_membarrier())
        return TEST_SKIPPED;
    while (memkind_malloc(kind, size) != NULL)
        filled += size;
    if (filled < test_least_filled(limit, size))
        return 4;
    for (int i = 0; i < SLEEPERS; i++)
        sem_post(&may_leave);
    for (int i = 0; i < SLEEPERS; i++)
        pthread_join(threads[i], NULL);
    return memkind_destroy_kind(kind) == MEMKIND_SUCCESS ? 0 : 5;
}

static int of_sleepers_from_the_start(void)
{
    return of_sleeping_threads(true);
}

static int of_sleepers_meanwhile(void)
{
    return of_sleeping_threads(false);
}

/* ---- cases ------------------------------------------------------------- */

static void run(const char *name, int (*body)(void))
{
    (void)scenario_check(name, child_run(body));
}

static void test_forbidden_before_a_fork(void)
{
    run("before a fork", in_child_of_fork);
}

static void test_forbidden_after_the_first_use(void)
{
    run("after the first use", after_the_first_use);
}

static void test_sleeping_threads(void)
{
    run("from the start", of_sleepers_from_the_start);
    run("while threads sleep", of_sleepers_meanwhile);
}

static const struct test_case tests[] = {
    {"forbidden before a fork", test_forbidden_before_a_fork},
    {"forbidden after the first use", test_forbidden_after_the_first_use},
    {"what sleeping threads hold", test_sleeping_threads},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("sandbox", tests, argc, argv);
}
