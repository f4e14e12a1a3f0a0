/* SPDX-License-Identifier: BSD-2-Clause */
/* What threads keep of a kind, and how it goes back. */
#include <memkind.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "test_kinds.h"

/* Allocates and frees objects of many sizes. */
static bool use(memkind_t kind, size_t total)
{
    enum { MOST = 20000 };
    static const size_t sizes[] = {64, 3000, 100 * KIB, 512, 9000, 1 * MIB};
    void **objects = calloc(MOST, sizeof *objects);
    size_t count = 0, sum = 0;
    bool good = objects != NULL;
    while (good && sum < total && count < MOST) {
        size_t size = sizes[count % 6];
        objects[count] = memkind_malloc(kind, size);
        good = objects[count] != NULL;
        if (good)
            memset(objects[count], 1, size);
        count++;
        sum += size;
    }
    while (count > 0)
        memkind_free(kind, objects[--count]);
    free(objects);
    return good;
}

/* ---- giving back ------------------------------------------------------- */

static struct {
    pthread_barrier_t done, leave;
    memkind_t kind;
    atomic_uint failures;
} stage;

static void *use_and_sleep(void *unused)
{
    (void)unused;
    if (!use(stage.kind, 24 * MIB))
        atomic_fetch_add(&stage.failures, 1);
    pthread_barrier_wait(&stage.done);
    pthread_barrier_wait(&stage.leave);
    return NULL;
}

/* What other threads have cached goes, too. */
static void test_purge_gives_all_back(void)
{
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    stage.kind = kind_make(.never_decays = true);
    atomic_store(&stage.failures, 0);
    pthread_barrier_init(&stage.done, NULL, THREADS + 1);
    pthread_barrier_init(&stage.leave, NULL, THREADS + 1);
    for (int i = 0; i < THREADS; i++)
        REQUIRE_EQ(pthread_create(&threads[i], NULL, use_and_sleep, NULL), 0);
    pthread_barrier_wait(&stage.done);
    CHECK_GE(kind_resident(stage.kind), 24 * MIB);
    CHECK_EQ(kind_stat(stage.kind, MEMKIND_STAT_TYPE_ALLOCATED), 0);
    char *kept = memkind_malloc(stage.kind, 5000);
    test_fill(kept, 5000, 5);
    CHECK_EQ(memkind_purge_kind(stage.kind), MEMKIND_SUCCESS);
    /* A slab has seven pages at most. */
    CHECK_LE(kind_resident(stage.kind),
             test_space_unit() + 16 * test_heap_page());
    CHECK(test_check(kept, 5000, 5));
    memkind_free(stage.kind, kept);
    CHECK_EQ(memkind_purge_kind(stage.kind), MEMKIND_SUCCESS);
    CHECK_EQ(kind_resident(stage.kind), 0);
    CHECK(use(stage.kind, 8 * MIB));
    pthread_barrier_wait(&stage.leave);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    CHECK_EQ(atomic_load(&stage.failures), 0);
    pthread_barrier_destroy(&stage.done);
    pthread_barrier_destroy(&stage.leave);
    CHECK_EQ(memkind_destroy_kind(stage.kind), MEMKIND_SUCCESS);
}

static void test_purge_of_other_kinds(void)
{
    CHECK_EQ(memkind_purge_kind(NULL), MEMKIND_ERROR_INVALID);
    CHECK_EQ(memkind_purge_kind(MEMKIND_HBW), MEMKIND_SUCCESS);
    CHECK_EQ(memkind_purge_kind(MEMKIND_DEFAULT), MEMKIND_SUCCESS);
    CHECK(use(MEMKIND_DEFAULT, 8 * MIB));
    CHECK_EQ(memkind_purge_kind(MEMKIND_DEFAULT), MEMKIND_SUCCESS);
    CHECK_LT(kind_resident(MEMKIND_DEFAULT), MIB);
    memkind_t kind = kind_make_limited(16 * MIB);
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
    CHECK_EQ(memkind_purge_kind(kind), MEMKIND_ERROR_INVALID);
}

/* Without being asked, in a program that goes on allocating a little. (On a
 * machine that stops for seconds, much may be gone after a first attempt.) */
static void test_freed_space_goes_back_by_itself(void)
{
    enum { ATTEMPTS = 20 };
    const struct timespec moment = {0, 100000000};
    memkind_t kind = kind_make_limited(0), other = kind_make_limited(0);
    size_t held = 0;
    for (int i = 0; held < 32 * MIB && i < ATTEMPTS; i++) {
        CHECK(use(kind, 64 * MIB));
        held = kind_resident(kind);
    }
    CHECK_GE(held, 32 * MIB);
    int moments = 0;
    while (kind_resident(kind) > 64 * KIB && moments < 600) {
        nanosleep(&moment, NULL);
        void *object = memkind_malloc(other, 100);
        CHECK_NOT_NULL(object);
        memkind_free(other, object);
        moments++;
    }
    printf("[after %d.%d s] ", moments / 10, moments % 10);
    CHECK_LE(kind_resident(kind), 64 * KIB);
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
    CHECK_EQ(memkind_destroy_kind(other), MEMKIND_SUCCESS);
}

/* ---- misuse ------------------------------------------------------------ */

static void count_misuse(memkind_misuse what, memkind_t kind, const void *ptr,
                         void *count)
{
    (void)what, (void)kind, (void)ptr;
    ++*(int *)count;
}

static void test_wrong_frees_do_nothing(void)
{
    memkind_t kind = kind_make_limited(0), other = kind_make_limited(0);
    int count = 0;
    memkind_set_misuse_handler(count_misuse, &count);
    char *object = memkind_malloc(kind, 100);
    char *large = memkind_malloc(kind, 300 * KIB);
    test_fill(object, 100, 1);
    test_fill(large, 300 * KIB, 2);
    for (size_t i = 1; i < 100; i++) {
        memkind_free(kind, object + i);
        memkind_free(NULL, object + i);
        memkind_free(other, large + i * 3000);
        CHECK_EQ(memkind_malloc_usable_size(kind, object + i), 0);
        CHECK_NULL(memkind_realloc(kind, object + i, 50));
    }
    CHECK(test_check(object, 100, 1));
    CHECK(test_check(large, 300 * KIB, 2));
    memkind_free(kind, object);
    memkind_free(kind, object);
    /* The third of them names the wrong kind as well. */
    CHECK_EQ(count, 99 * 5 + 1);
    memkind_set_misuse_handler(NULL, NULL);
    char *a = memkind_malloc(kind, 100), *b = memkind_malloc(kind, 100);
    CHECK_NE(a, b);
    memkind_free(kind, a);
    memkind_free(kind, b);
    memkind_free(kind, large);
    CHECK_EQ(kind_stat(kind, MEMKIND_STAT_TYPE_ALLOCATED), 0);
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
    CHECK_EQ(memkind_destroy_kind(other), MEMKIND_SUCCESS);
}

/* ---- kinds that go ----------------------------------------------------- */

/* Others hold objects of a kind that goes; another one takes its place. */
static void *outlive_kinds(void *unused)
{
    (void)unused;
    for (int i = 0; i < 200; i++) {
        if (!use(stage.kind, 100 * KIB))
            atomic_fetch_add(&stage.failures, 1);
        pthread_barrier_wait(&stage.done);  /* the kind goes */
        pthread_barrier_wait(&stage.leave); /* the next one is there */
    }
    return NULL;
}

static void test_kinds_go_while_others_cache(void)
{
    enum { THREADS = 3 };
    pthread_t threads[THREADS];
    atomic_store(&stage.failures, 0);
    pthread_barrier_init(&stage.done, NULL, THREADS + 1);
    pthread_barrier_init(&stage.leave, NULL, THREADS + 1);
    stage.kind = kind_make_limited(16 * MIB);
    for (int i = 0; i < THREADS; i++)
        REQUIRE_EQ(pthread_create(&threads[i], NULL, outlive_kinds, NULL), 0);
    for (int i = 0; i < 200; i++) {
        pthread_barrier_wait(&stage.done);
        CHECK_EQ(memkind_destroy_kind(stage.kind), MEMKIND_SUCCESS);
        stage.kind = kind_make_limited(i % 2 ? 16 * MIB : 0);
        pthread_barrier_wait(&stage.leave);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    CHECK_EQ(atomic_load(&stage.failures), 0);
    CHECK_EQ(memkind_destroy_kind(stage.kind), MEMKIND_SUCCESS);
    pthread_barrier_destroy(&stage.done);
    pthread_barrier_destroy(&stage.leave);
}

/* ---- many kinds, many threads ------------------------------------------ */

#define MANY_THREADS 64

/* The thread sanitizer leaves too little of the address space for so many. */
#ifdef __SANITIZE_THREAD__
#define UNLIMITED (128 * MIB)
#else
#define UNLIMITED 0
#endif

static memkind_t many[MEMKIND_MAX_KIND];
static pthread_barrier_t all_here;

static void *use_all_kinds(void *number)
{
    const unsigned id = (unsigned)(uintptr_t)number;
    char **objects = calloc(MEMKIND_MAX_KIND, sizeof *objects);
    for (unsigned round = 0; round < 2 && objects != NULL; round++) {
        for (unsigned i = 0; i < MEMKIND_MAX_KIND; i++) {
            objects[i] = memkind_malloc(many[i], 100 + round * 50);
            if (objects[i] == NULL)
                atomic_fetch_add(&stage.failures, 1);
            else
                test_fill(objects[i], 100, id * 31 + i);
        }
        pthread_barrier_wait(&all_here);
        for (unsigned i = 0; i < MEMKIND_MAX_KIND; i++) {
            if (objects[i] == NULL)
                continue;
            if (!test_check(objects[i], 100, id * 31 + i) ||
                memkind_detect_kind(objects[i]) != many[i])
                atomic_fetch_add(&stage.failures, 1);
            memkind_free(i % 2 ? many[i] : NULL, objects[i]);
        }
    }
    free(objects);
    return NULL;
}

static void test_all_kinds_by_many_threads(void)
{
    static pthread_t threads[MANY_THREADS];
    atomic_store(&stage.failures, 0);
    pthread_barrier_init(&all_here, NULL, MANY_THREADS);
    for (unsigned i = 0; i < MEMKIND_MAX_KIND; i++)
        many[i] = kind_make_limited(i % 2 ? UNLIMITED : 64 * MIB);
    for (unsigned i = 0; i < MANY_THREADS; i++)
        REQUIRE_EQ(pthread_create(&threads[i], NULL, use_all_kinds,
                                  (void *)(uintptr_t)i),
                   0);
    for (unsigned i = 0; i < MANY_THREADS; i++)
        pthread_join(threads[i], NULL);
    CHECK_EQ(atomic_load(&stage.failures), 0);
    CHECK_EQ(memkind_update_cached_stats(), MEMKIND_SUCCESS);
    for (unsigned i = 0; i < MEMKIND_MAX_KIND; i++) {
        size_t allocated = SIZE_MAX;
        memkind_get_stat(many[i], MEMKIND_STAT_TYPE_ALLOCATED, &allocated);
        if (allocated != 0)
            atomic_fetch_add(&stage.failures, 1);
        if (memkind_destroy_kind(many[i]) != MEMKIND_SUCCESS)
            atomic_fetch_add(&stage.failures, 1);
    }
    CHECK_EQ(atomic_load(&stage.failures), 0);
    pthread_barrier_destroy(&all_here);
}

static const struct test_case tests[] = {
    {"purge gives all back", test_purge_gives_all_back},
    {"purge of other kinds", test_purge_of_other_kinds},
    {"freed space goes back by itself", test_freed_space_goes_back_by_itself},
    {"wrong frees do nothing", test_wrong_frees_do_nothing},
    {"kinds go while others cache", test_kinds_go_while_others_cache},
    {"all kinds by many threads", test_all_kinds_by_many_threads},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("caches", tests, argc, argv);
}
