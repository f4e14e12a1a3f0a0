/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Destructors of a thread's own keys, which run when the library's are done:
 * they can allocate and free like any other code, in each of their rounds.
 */
#include <memkind.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "test_support.h"

/* POSIX has destructors called so many times at least. */
#define ROUNDS 4
#define THREADS 20
#define FIXED_SIZE (256 * MIB)

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

/* A thread for which the library has done something else before: jemalloc has
 * data of its own in the thread then, and this library has none. */
static void *begin_with_statistics(void *object)
{
    size_t allocated;
    if (memkind_get_stat(NULL, MEMKIND_STAT_TYPE_ALLOCATED, &allocated) !=
        MEMKIND_SUCCESS)
        atomic_fetch_add(&strange, 1);
    return begin_with_the_end(object);
}

static void run_thread(void *(*run)(void *), void *object)
{
    pthread_t thread;
    REQUIRE_EQ(pthread_create(&thread, NULL, run, object), 0);
    pthread_join(thread, NULL);
}

static void run_threads(void)
{
    for (int i = 0; i < THREADS; i++) {
        run_thread(begin_with_the_end, memkind_calloc(kind, 1, sizeof(int)));
        run_thread(begin_with_statistics, memkind_calloc(kind, 1, sizeof(int)));
        run_thread(end_with_a_key, NULL);
    }
}

static void test_destructors_allocate(void)
{
    memkind_t kinds[] = {NULL, MEMKIND_DEFAULT};
    REQUIRE_EQ(memkind_create_pmem(test_dir(), 0, &kinds[0]), MEMKIND_SUCCESS);
    /* In such an order that each one's turn has passed when it is set. */
    for (int i = ROUNDS; i >= 0; i--)
        REQUIRE_EQ(pthread_key_create(&keys[i], destroy), 0);
    for (int i = 0; i < 2; i++) {
        kind = kinds[i];
        atomic_store(&calls, 0);
        run_threads();
        CHECK_GE(atomic_load(&calls), 3 * THREADS * ROUNDS);
        CHECK_EQ(atomic_load(&refused), 0);
        CHECK_EQ(atomic_load(&strange), 0);
    }
    for (int i = 0; i <= ROUNDS; i++)
        pthread_key_delete(keys[i]);
    CHECK_EQ(memkind_destroy_kind(kinds[0]), MEMKIND_SUCCESS);
}

/* Allocates in the last round of destructors. */
static void destroy_last(void *round)
{
    const uintptr_t number = (uintptr_t)round;
    if (number < ROUNDS)
        pthread_setspecific(keys[0], (void *)(number + 1));
    else
        check(memkind_malloc(kind, 3000), 3000);
}

static void *end_with_last_round(void *first)
{
    for (int i = 0; i < 5; i++)
        check(memkind_malloc(kind, 64), 64);
    pthread_setspecific(keys[0], first);
    return NULL;
}

/* More than a cache keeps: jemalloc is used. */
static void *use_much(void *unused)
{
    check(memkind_malloc(kind, 20 * MIB), 20 * MIB);
    return unused;
}

/* A thread that has taken over the cache of one before it has used jemalloc for
 * nothing, until the library's own destructor is done. Its thread-local
 * variables may be gone then: its stack is unmapped. */
static void run_on_own_stack(void *(*run)(void *), void *argument)
{
    const size_t size = 256 << 10;
    pthread_attr_t attributes;
    pthread_t thread;
    void *stack = mmap(NULL, size, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    REQUIRE(stack != MAP_FAILED);
    REQUIRE_EQ(pthread_attr_init(&attributes), 0);
    REQUIRE_EQ(pthread_attr_setstack(&attributes, stack, size), 0);
    REQUIRE_EQ(pthread_create(&thread, &attributes, run, argument), 0);
    pthread_join(thread, NULL);
    pthread_attr_destroy(&attributes);
    munmap(stack, size);
}

static void test_first_use_in_the_last_round(void)
{
    REQUIRE_EQ(memkind_create_pmem(test_dir(), 0, &kind), MEMKIND_SUCCESS);
    check(memkind_malloc(kind, 64), 64);
    REQUIRE_EQ(pthread_key_create(&keys[0], destroy_last), 0);
    run_thread(use_much, NULL);
    for (int i = 0; i < THREADS; i++)
        run_on_own_stack(end_with_last_round, (void *)(uintptr_t)1);
    pthread_key_delete(keys[0]);
    for (int i = 0; i < THREADS; i++)
        run_thread(use_much, NULL);
    CHECK_EQ(atomic_load(&strange), 0);
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
}

/* What those threads had, has gone back. */
static void test_nothing_is_kept(void)
{
    size_t before, after;
    REQUIRE_EQ(memkind_create_pmem(test_dir(), 0, &kind), MEMKIND_SUCCESS);
    for (int i = ROUNDS; i >= 0; i--)
        REQUIRE_EQ(pthread_key_create(&keys[i], destroy), 0);
    run_threads();
    memkind_update_cached_stats();
    memkind_get_stat(NULL, MEMKIND_STAT_TYPE_ACTIVE, &before);
    for (int i = 0; i < 5; i++)
        run_threads();
    memkind_update_cached_stats();
    memkind_get_stat(NULL, MEMKIND_STAT_TYPE_ACTIVE, &after);
    /* (Objects whose destructors had no turn any more are left.) */
    CHECK_LE(after, before + 5 * 2 * THREADS * (size_t)4096);
    for (int i = 0; i <= ROUNDS; i++)
        pthread_key_delete(keys[i]);
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
}

/* ---- kinds that such destructors make ---------------------------------- */

static size_t address_space(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    REQUIRE_NOT_NULL(file);
    CHECK_EQ(fscanf(file, "%lu", &pages), 1);
    fclose(file);
    return pages * 4096;
}

static size_t space_before, space_after;

/* (The rest of the place is the arena's own.) */
static void make_fixed(void *place)
{
    memkind_t fixed;
    space_before = address_space();
    if (memkind_create_fixed(place, FIXED_SIZE, &fixed) != MEMKIND_SUCCESS) {
        atomic_fetch_add(&refused, 1);
        return;
    }
    space_after = address_space();
    void *large = memkind_malloc(fixed, FIXED_SIZE / 8 * 5);
    if (memkind_detect_kind(large) != fixed)
        atomic_fetch_add(&strange, 1);
    memkind_free(fixed, large);
    memkind_destroy_kind(fixed);
}

static void *end_with_fixed(void *place)
{
    memkind_free(MEMKIND_DEFAULT, memkind_malloc(MEMKIND_DEFAULT, 100));
    pthread_setspecific(keys[0], place);
    return NULL;
}

static void test_destructor_makes_fixed_kind(void)
{
    void *place = mmap(NULL, FIXED_SIZE, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    REQUIRE_NE(place, MAP_FAILED);
    atomic_store(&refused, 0);
    atomic_store(&strange, 0);
    REQUIRE_EQ(pthread_key_create(&keys[0], make_fixed), 0);
    run_thread(end_with_fixed, place);
    CHECK_EQ(atomic_load(&refused), 0);
    CHECK_EQ(atomic_load(&strange), 0);
    /* Its place was not taken in from elsewhere. */
    CHECK_LE(space_after, space_before + FIXED_SIZE);
    pthread_key_delete(keys[0]);
    munmap(place, FIXED_SIZE);
}

static const struct test_case tests[] = {
    {"destructors allocate", test_destructors_allocate},
    {"nothing is kept", test_nothing_is_kept},
    {"first use in the last round", test_first_use_in_the_last_round},
    {"destructor makes fixed kind", test_destructor_makes_fixed_kind},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("key destructors", tests, argc, argv);
}
