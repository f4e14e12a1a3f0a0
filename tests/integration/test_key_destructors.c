/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Destructors of a thread's own keys, which run when the library's are done:
 * they can allocate and free like any other code, in each of their rounds.
 */
#include <memkind.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "test_support.h"

/* POSIX has destructors called so many times at least. */
#define ROUNDS 4
#define THREADS 20
#define MIB ((size_t)1 << 20)

static memkind_t kind;
static pthread_key_t keys[ROUNDS + 1];
static atomic_int calls, refused, strange;

static void check(void *ptr, size_t size)
{
    if (ptr == NULL) {
        atomic_fetch_add(&refused, 1);
        return;
    }
    if (memkind_detect_kind(ptr) != kind && kind != MEMKIND_DEFAULT)
        atomic_fetch_add(&strange, 1);
    size_t filled = size < 4096 ? size : 4096;
    test_fill(ptr, filled, 7);
    if (!test_check(ptr, filled, 7))
        atomic_fetch_add(&strange, 1);
    memkind_free(kind, ptr);
}

static void use_kind(void)
{
    void *aligned = NULL;
    for (int i = 0; i < 10; i++)
        check(memkind_malloc(kind, 100), 100);
    check(memkind_calloc(kind, 3, 5000), 15000);
    check(memkind_malloc(kind, MIB), MIB);
    if (memkind_posix_memalign(kind, &aligned, 4096, 100) != 0)
        aligned = NULL;
    check(aligned, 100);
}

/* Each call has another key's destructor called in the next round. */
static void destroy(void *arg)
{
    atomic_fetch_add(&calls, 1);
    use_kind();
    int *number = memkind_realloc(kind, arg, 64);
    if (number == NULL) {
        atomic_fetch_add(&refused, 1);
        number = arg;
    }
    if (*number < ROUNDS)
        pthread_setspecific(keys[++*number], number);
    else
        memkind_free(kind, number);
}

static void *end_with_a_key(void *unused)
{
    int *number = memkind_malloc(kind, sizeof *number);
    *number = 0;
    pthread_setspecific(keys[0], number);
    return unused;
}

/* A thread that has used a kind in destructors alone. */
static void *begin_with_the_end(void *object)
{
    pthread_setspecific(keys[0], object);
    return NULL;
}

static void run_threads(void)
{
    for (int i = 0; i < THREADS; i++) {
        pthread_t thread;
        int *number = memkind_malloc(kind, sizeof *number);
        *number = 0;
        CU_ASSERT_EQUAL_FATAL(
            pthread_create(&thread, NULL, begin_with_the_end, number), 0);
        pthread_join(thread, NULL);
        CU_ASSERT_EQUAL_FATAL(
            pthread_create(&thread, NULL, end_with_a_key, NULL), 0);
        pthread_join(thread, NULL);
    }
}

static void test_destructors_allocate(void)
{
    memkind_t kinds[] = {NULL, MEMKIND_DEFAULT};
    CU_ASSERT_EQUAL_FATAL(memkind_create_pmem(test_dir(), 0, &kinds[0]),
                          MEMKIND_SUCCESS);
    /* In such an order that each one's turn has passed when it is set. */
    for (int i = ROUNDS; i >= 0; i--)
        CU_ASSERT_EQUAL_FATAL(pthread_key_create(&keys[i], destroy), 0);
    for (int i = 0; i < 2; i++) {
        kind = kinds[i];
        atomic_store(&calls, 0);
        run_threads();
        CU_ASSERT(atomic_load(&calls) >= 2 * THREADS * ROUNDS);
        CU_ASSERT_EQUAL(atomic_load(&refused), 0);
        CU_ASSERT_EQUAL(atomic_load(&strange), 0);
    }
    for (int i = 0; i <= ROUNDS; i++)
        pthread_key_delete(keys[i]);
    CU_ASSERT_EQUAL(memkind_destroy_kind(kinds[0]), MEMKIND_SUCCESS);
}

/* What those threads had, has gone back. */
static void test_nothing_is_kept(void)
{
    size_t before, after;
    CU_ASSERT_EQUAL_FATAL(memkind_create_pmem(test_dir(), 0, &kind),
                          MEMKIND_SUCCESS);
    for (int i = ROUNDS; i >= 0; i--)
        CU_ASSERT_EQUAL_FATAL(pthread_key_create(&keys[i], destroy), 0);
    run_threads();
    memkind_update_cached_stats();
    memkind_get_stat(NULL, MEMKIND_STAT_TYPE_ACTIVE, &before);
    for (int i = 0; i < 5; i++)
        run_threads();
    memkind_update_cached_stats();
    memkind_get_stat(NULL, MEMKIND_STAT_TYPE_ACTIVE, &after);
    /* (Objects whose destructors had no turn any more are left.) */
    CU_ASSERT(after <= before + 5 * THREADS * (size_t)4096);
    for (int i = 0; i <= ROUNDS; i++)
        pthread_key_delete(keys[i]);
    CU_ASSERT_EQUAL(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
}

static const struct test_case tests[] = {
    {"destructors allocate", test_destructors_allocate},
    {"nothing is kept", test_nothing_is_kept},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("key destructors", tests, argc, argv);
}
