/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stress_threads SECONDS [DIRECTORY [THREADS]]
 *
 * Threads allocate from two limited kinds and an unlimited one, hand objects
 * to each other, run into the limits, and check all contents; meanwhile kinds
 * are made and destroyed. Prints what was done; fails if a byte is wrong.
 */
#include <memkind.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "test_support.h"

#define KINDS 3
#define PLACES 4096
#define THREADS_MAX 64
#define PATIENCE 10 /* of a slow machine: so many times the seconds */

/* Between these marks lies the pattern. */
struct object {
    memkind_t kind;
    size_t size;
    unsigned seed;
};

static const char *directory;
static memkind_t kinds[KINDS];
static _Atomic(struct object *) places[PLACES]; /* shared by all threads */
static atomic_bool running;
static atomic_size_t allocations, refusals, mistakes, cycles;

static void mistake(const char *what)
{
    if (atomic_fetch_add(&mistakes, 1) < 10)
        fprintf(stderr, "%s\n", what);
}

static struct object *make(unsigned long long *random)
{
    memkind_t kind = kinds[test_random(random) % KINDS];
    size_t most = (size_t)64 << test_random(random) % 12;
    size_t size = sizeof(struct object) + test_random(random) % most;
    struct object *object = test_random(random) % 8 == 0
                                ? memkind_calloc(kind, 1, size)
                                : memkind_malloc(kind, size);
    if (object == NULL) {
        atomic_fetch_add(&refusals, 1);
        return NULL;
    }
    atomic_fetch_add(&allocations, 1);
    *object = (struct object){kind, size, (unsigned)test_random(random)};
    test_fill(object + 1, size - sizeof *object, object->seed);
    return object;
}

static void unmake(struct object *object, unsigned long long *random)
{
    if (!test_check(object + 1, object->size - sizeof *object, object->seed))
        mistake("an object's contents have changed");
    if (memkind_detect_kind(object) != object->kind)
        mistake("an object belongs to another kind");
    if (memkind_malloc_usable_size(NULL, object) < object->size)
        mistake("an object is too small");
    unsigned way = (unsigned)(test_random(random) % 8);
    if (way == 0) {
        size_t size = sizeof *object + test_random(random) % 5000;
        size_t kept = object->size < size ? object->size : size;
        struct object *moved = memkind_realloc(NULL, object, size);
        if (moved != NULL) {
            object = moved;
            if (!test_check(object + 1, kept - sizeof *object, object->seed))
                mistake("realloc has lost contents");
        }
    }
    memkind_free(way % 2 ? NULL : object->kind, object);
}

static void *use_places(void *seed)
{
    unsigned long long random = (uintptr_t)seed;
    while (atomic_load_explicit(&running, memory_order_relaxed)) {
        struct object *object = make(&random);
        struct object *old =
            atomic_exchange(&places[test_random(&random) % PLACES], object);
        if (old != NULL)
            unmake(old, &random);
    }
    return NULL;
}

static void *churn_kinds(void *unused)
{
    (void)unused;
    while (atomic_load(&running)) {
        memkind_t kind;
        if (memkind_create_pmem(directory, 16 * MIB, &kind) !=
            MEMKIND_SUCCESS) {
            mistake("a kind cannot be made");
            break;
        }
        void *object = memkind_malloc(kind, 10000);
        if (object == NULL || memkind_detect_kind(object) != kind)
            mistake("a new kind does not work");
        if (memkind_destroy_kind(kind) != MEMKIND_SUCCESS)
            mistake("a kind cannot be destroyed");
        if (memkind_update_cached_stats() != MEMKIND_SUCCESS)
            mistake("no statistics");
        atomic_fetch_add(&cycles, 1);
    }
    return NULL;
}

/* A run in which nothing happened proves nothing. */
static bool enough_has_happened(void)
{
    return atomic_load(&allocations) > 1000 && atomic_load(&cycles) > 0;
}

/* On a slow machine, a little later. */
static void stop_after(int seconds)
{
    for (int i = 0;
         i < seconds || (!enough_has_happened() && i < seconds * PATIENCE);
         i++) {
        struct timespec rest = {1, 0};
        while (nanosleep(&rest, &rest) != 0)
            ;
    }
    atomic_store(&running, false);
}

static void check_all_is_free(void)
{
    unsigned long long random = 1;
    for (size_t i = 0; i < PLACES; i++)
        if (places[i] != NULL)
            unmake(places[i], &random);
    memkind_update_cached_stats();
    for (int i = 0; i < KINDS; i++) {
        size_t allocated = SIZE_MAX;
        memkind_get_stat(kinds[i], MEMKIND_STAT_TYPE_ALLOCATED, &allocated);
        if (allocated != 0)
            mistake("something has leaked");
        if (memkind_destroy_kind(kinds[i]) != MEMKIND_SUCCESS)
            mistake("a kind cannot be destroyed");
    }
}

int main(int argc, char **argv)
{
    static const size_t sizes[KINDS] = {16 * MIB, 48 * MIB, 0};
    int seconds = argc > 1 ? atoi(argv[1]) : 10;
    directory = argc > 2 ? argv[2] : "/dev/shm";
    int count = argc > 3 ? atoi(argv[3]) : 4;
    pthread_t threads[THREADS_MAX], churner;
    if (seconds < 1 || count < 1 || count > THREADS_MAX) {
        fprintf(stderr, "usage: %s SECONDS [DIRECTORY [THREADS]]\n", argv[0]);
        return 2;
    }
    for (int i = 0; i < KINDS; i++)
        if (memkind_create_pmem(directory, sizes[i], &kinds[i]) !=
            MEMKIND_SUCCESS) {
            fprintf(stderr, "no kind in %s\n", directory);
            return 1;
        }
    atomic_store(&running, true);
    for (int i = 0; i < count; i++)
        if (pthread_create(&threads[i], NULL, use_places,
                           (void *)(uintptr_t)(i + 1)) != 0)
            return 1;
    if (pthread_create(&churner, NULL, churn_kinds, NULL) != 0)
        return 1;
    stop_after(seconds);
    for (int i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    pthread_join(churner, NULL);
    check_all_is_free();
    printf("%d threads, %d s: %zu allocations, %zu refused, %zu kinds made, "
           "%zu mistakes\n",
           count, seconds, atomic_load(&allocations), atomic_load(&refusals),
           atomic_load(&cycles), atomic_load(&mistakes));
    return atomic_load(&mistakes) == 0 && enough_has_happened() ? 0 : 1;
}
