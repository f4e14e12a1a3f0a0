/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <memkind.h>
#include <memkind/internal/memkind_arena.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "test_kinds.h"

#define THREADS_MAX 8

/* The sanitizers keep data of their own for each thread that there was. */
#define RESIDENT_SLACK_KIB ((size_t)(SANITIZED ? 64 * 1024 : 4096))

static atomic_size_t mistakes;
static pthread_barrier_t barrier;

static void mistake(void)
{
    atomic_fetch_add(&mistakes, 1);
}

/* Runs a function in `count` threads at once; each gets its number. */
static void run_threads(int count, void *(*run)(void *number))
{
    pthread_t threads[THREADS_MAX];
    static int numbers[THREADS_MAX];
    atomic_store(&mistakes, 0);
    for (int i = 0; i < count; i++) {
        numbers[i] = i;
        REQUIRE_EQ(pthread_create(&threads[i], NULL, run, &numbers[i]), 0);
    }
    for (int i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    CHECK_EQ(atomic_load(&mistakes), 0);
}

/* ---- allocation and free in turn --------------------------------------- */

struct object {
    unsigned char *start;
    size_t size;
    unsigned seed;
};

static memkind_t shared_kind;

/* Fills a free place, or checks and frees what is there. */
static void use_place(memkind_t kind, struct object *place,
                      unsigned long long *random)
{
    if (place->start != NULL) {
        if (!test_check(place->start, place->size, place->seed))
            mistake();
        if (test_random(random) % 4 == 0) {
            size_t size = 1 + test_random(random) % 3000;
            unsigned char *moved = memkind_realloc(kind, place->start, size);
            if (moved == NULL ||
                !test_check(moved, size < place->size ? size : place->size,
                            place->seed))
                mistake();
            place->start = moved;
        }
        memkind_free(kind, place->start);
        place->start = NULL;
        return;
    }
    place->size = 1 + test_random(random) %
                          (test_random(random) % 64 == 0 ? 100000 : 1000);
    place->seed = (unsigned)test_random(random);
    unsigned way = (unsigned)(test_random(random) % 3);
    void *aligned = NULL;
    if (way == 0)
        place->start = memkind_malloc(kind, place->size);
    else if (way == 1)
        place->start = memkind_calloc(kind, 1, place->size);
    else if (memkind_posix_memalign(kind, &aligned, 256, place->size) == 0)
        place->start = aligned;
    if (place->start == NULL ||
        (way == 1 &&
         (place->start[0] != 0 || place->start[place->size - 1] != 0)) ||
        (way == 2 && (uintptr_t)place->start % 256 != 0))
        mistake();
    if (place->start != NULL)
        test_fill(place->start, place->size, place->seed);
}

static void *alternate(void *number)
{
    enum { PLACES = 500, STEPS = 30000 };
    struct object places[PLACES];
    unsigned long long random = 100 + (unsigned)*(int *)number;
    memset(places, 0, sizeof places);
    for (int i = 0; i < STEPS; i++)
        use_place(shared_kind, &places[test_random(&random) % PLACES], &random);
    for (int i = 0; i < PLACES; i++)
        if (places[i].start != NULL)
            use_place(shared_kind, &places[i], &random);
    return NULL;
}

static void alternate_in_threads(int count)
{
    shared_kind = kind_make_limited(256 * MIB);
    run_threads(count, alternate);
    CHECK_EQ(kind_allocated(shared_kind), 0);
    CHECK_EQ(memkind_destroy_kind(shared_kind), MEMKIND_SUCCESS);
}

static void test_2_threads(void)
{
    alternate_in_threads(2);
}

static void test_4_threads(void)
{
    alternate_in_threads(4);
}

static void test_8_threads(void)
{
    alternate_in_threads(8);
}

static void test_threads_on_dram(void)
{
    shared_kind = MEMKIND_DEFAULT;
    run_threads(4, alternate);
    CHECK_EQ(kind_allocated(MEMKIND_DEFAULT), 0);
}

/* ---- freed by another thread ------------------------------------------- */

#define QUEUE 256
#define MESSAGES 20000

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct object objects[QUEUE];
    size_t head, tail;
} queue = {.lock = PTHREAD_MUTEX_INITIALIZER,
           .changed = PTHREAD_COND_INITIALIZER};

static void put(struct object object)
{
    pthread_mutex_lock(&queue.lock);
    while (queue.tail - queue.head == QUEUE)
        pthread_cond_wait(&queue.changed, &queue.lock);
    queue.objects[queue.tail++ % QUEUE] = object;
    pthread_cond_broadcast(&queue.changed);
    pthread_mutex_unlock(&queue.lock);
}

static struct object get(void)
{
    pthread_mutex_lock(&queue.lock);
    while (queue.tail == queue.head)
        pthread_cond_wait(&queue.changed, &queue.lock);
    struct object object = queue.objects[queue.head++ % QUEUE];
    pthread_cond_broadcast(&queue.changed);
    pthread_mutex_unlock(&queue.lock);
    return object;
}

/* Even threads allocate, odd ones free. */
static void *produce_or_consume(void *number)
{
    int self = *(int *)number;
    unsigned long long random = 7 + (unsigned)self;
    for (int i = 0; i < MESSAGES; i++) {
        struct object object;
        if (self % 2 == 0) {
            object.size = 1 + test_random(&random) % 2000;
            if (i % 100 == 0)
                object.size *= 50;
            object.seed = (unsigned)i;
            object.start = memkind_malloc(shared_kind, object.size);
            if (object.start == NULL)
                mistake();
            else
                test_fill(object.start, object.size, object.seed);
            put(object);
            continue;
        }
        object = get();
        if (object.start == NULL)
            continue;
        if (!test_check(object.start, object.size, object.seed) ||
            memkind_detect_kind(object.start) != shared_kind)
            mistake();
        memkind_free(i % 2 ? shared_kind : NULL, object.start);
    }
    return NULL;
}

static void test_freed_by_another_thread(void)
{
    static const int counts[] = {2, 4, 8};
    for (int i = 0; i < 3; i++) {
        shared_kind = kind_make_limited(64 * MIB);
        run_threads(counts[i], produce_or_consume);
        CHECK_EQ(kind_allocated(shared_kind), 0);
        CHECK_EQ(memkind_destroy_kind(shared_kind), MEMKIND_SUCCESS);
    }
}

/* ---- threads that come and go ------------------------------------------ */

static atomic_uint greatest_arena;

static void *live_shortly(void *unused)
{
    void *objects[20];
    unsigned arena = 0;
    (void)unused;
    for (size_t i = 0; i < 20; i++)
        objects[i] = memkind_malloc(shared_kind, 1 + i * i * 20);
    pthread_barrier_wait(&barrier);
    for (size_t i = 0; i < 20; i++)
        memkind_free(shared_kind, objects[i]);
    if (memkind_thread_get_arena(shared_kind, &arena, 0) != MEMKIND_SUCCESS)
        mistake();
    unsigned before = atomic_load(&greatest_arena);
    while (arena > before &&
           !atomic_compare_exchange_weak(&greatest_arena, &before, arena))
        ;
    return NULL;
}

/* Four at a time. */
static void live_in_threads(int count)
{
    pthread_barrier_init(&barrier, NULL, 4);
    for (int i = 0; i < count; i += 4) {
        pthread_t threads[4];
        for (int j = 0; j < 4; j++)
            REQUIRE_EQ(pthread_create(&threads[j], NULL, live_shortly, NULL),
                       0);
        for (int j = 0; j < 4; j++)
            pthread_join(threads[j], NULL);
    }
    pthread_barrier_destroy(&barrier);
}

static void test_thousands_of_short_lives(void)
{
    struct test_resources before, after;
    shared_kind = kind_make_limited(64 * MIB);
    atomic_store(&mistakes, 0);
    live_in_threads(1000);
    test_resources_take(&before);
    size_t resident = test_status_kib("VmRSS:");
    unsigned arena = atomic_load(&greatest_arena);
    live_in_threads(6000);
    test_resources_take(&after);
    CHECK_EQ(atomic_load(&mistakes), 0);
    CHECK_EQ(atomic_load(&greatest_arena), arena);
    CHECK_EQ(after.fds, before.fds);
    CHECK_LE(after.maps, before.maps + 8 + test_metadata_splits());
    CHECK_LE(test_status_kib("VmRSS:"), resident + RESIDENT_SLACK_KIB);
    /* What the threads had cached is free again. */
    CHECK_EQ(kind_allocated(shared_kind), 0);
    char *most = memkind_malloc(shared_kind, 56 * MIB);
    CHECK_NOT_NULL(most);
    CHECK_EQ(memkind_destroy_kind(shared_kind), MEMKIND_SUCCESS);
}

/* ---- kinds that come and go -------------------------------------------- */

#define KINDS 300
#define ADDRESS_SLACK_KIB (64 * 1024)
static memkind_t round_kind;

/* Each round has a new kind. Every thread keeps cached objects of it when the
 * first thread destroys it. */
static void *outlive_kinds(void *number)
{
    int self = *(int *)number;
    for (int round = 0; round < KINDS; round++) {
        if (self == 0 && memkind_create_pmem(test_dir(), 16 * MIB,
                                             &round_kind) != MEMKIND_SUCCESS)
            mistake();
        pthread_barrier_wait(&barrier);
        void *objects[50];
        for (size_t i = 0; i < 50; i++) {
            objects[i] = memkind_malloc(round_kind, 8 + i * 16);
            if (memkind_detect_kind(objects[i]) != round_kind)
                mistake();
            else
                memset(objects[i], self, 8 + i * 16);
        }
        /* Some stay allocated. */
        for (size_t i = 0; i < 50 - (size_t)(round % 10); i++)
            memkind_free(round_kind, objects[i]);
        pthread_barrier_wait(&barrier);
        if (self == 0 && memkind_destroy_kind(round_kind) != MEMKIND_SUCCESS)
            mistake();
    }
    return NULL;
}

static void test_kinds_destroyed_under_caches(void)
{
    struct test_resources before, after;
    pthread_barrier_init(&barrier, NULL, 4);
    run_threads(4, outlive_kinds);
    test_resources_take(&before);
    run_threads(4, outlive_kinds);
    test_resources_take(&after);
    pthread_barrier_destroy(&barrier);
    CHECK_EQ(after.fds, before.fds);
    CHECK_LE(after.maps, before.maps + 8 + test_metadata_splits());
    CHECK_LE(after.mapped_kib, before.mapped_kib + ADDRESS_SLACK_KIB);
}

/* A thread ends after its kinds have gone, in whatever order. */
static void *end_late(void *unused)
{
    (void)unused;
    void *object = memkind_malloc(shared_kind, 100);
    memkind_free(shared_kind, object);
    pthread_barrier_wait(&barrier); /* used */
    pthread_barrier_wait(&barrier); /* destroyed */
    return NULL;
}

static void test_threads_that_end_after_their_kind(void)
{
    pthread_barrier_init(&barrier, NULL, 2);
    for (int i = 0; i < 200; i++) {
        pthread_t thread;
        shared_kind = kind_make_limited(16 * MIB);
        REQUIRE_EQ(pthread_create(&thread, NULL, end_late, NULL), 0);
        pthread_barrier_wait(&barrier);
        CHECK_EQ(memkind_destroy_kind(shared_kind), MEMKIND_SUCCESS);
        pthread_barrier_wait(&barrier);
        pthread_join(thread, NULL);
    }
    pthread_barrier_destroy(&barrier);
}

static void *make_and_destroy(void *number)
{
    for (int i = 0; i < 200; i++) {
        memkind_t kind;
        size_t size = 1000 + (size_t)i * 100;
        if (memkind_create_pmem(test_dir(), (size_t)(i % 2) * 32 * MIB,
                                &kind) != MEMKIND_SUCCESS) {
            mistake();
            continue;
        }
        void *object = memkind_malloc(kind, size);
        if (object == NULL || memkind_detect_kind(object) != kind) {
            mistake();
        } else {
            test_fill(object, size, (unsigned)*(int *)number);
            if (!test_check(object, size, (unsigned)*(int *)number))
                mistake();
        }
        if (memkind_destroy_kind(kind) != MEMKIND_SUCCESS)
            mistake();
    }
    return NULL;
}

static void test_each_thread_its_own_kinds(void)
{
    run_threads(4, make_and_destroy);
}

/* ---- snapshots while others allocate ----------------------------------- */

static void *alternate_or_look(void *number)
{
    if (*(int *)number != 0)
        return alternate(number);
    for (int i = 0; i < 300; i++) {
        size_t value;
        if (memkind_update_cached_stats() != MEMKIND_SUCCESS ||
            memkind_get_stat(shared_kind, MEMKIND_STAT_TYPE_RESIDENT, &value) !=
                MEMKIND_SUCCESS ||
            value > 256 * MIB)
            mistake();
    }
    return NULL;
}

static void test_snapshots_meanwhile(void)
{
    shared_kind = kind_make_limited(256 * MIB);
    run_threads(3, alternate_or_look);
    CHECK_EQ(kind_allocated(shared_kind), 0);
    CHECK_EQ(memkind_destroy_kind(shared_kind), MEMKIND_SUCCESS);
}

static void test_background_threads(void)
{
#ifdef __SANITIZE_THREAD__
    /* jemalloc makes its threads behind the sanitizer's back. */
    puts("skipped: not with the thread sanitizer");
    return;
#endif
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(memkind_set_bg_threads(true), MEMKIND_SUCCESS);
        shared_kind = kind_make_limited(256 * MIB);
        run_threads(4, alternate);
        CHECK_EQ(memkind_destroy_kind(shared_kind), MEMKIND_SUCCESS);
        CHECK_EQ(memkind_set_bg_threads(false), MEMKIND_SUCCESS);
    }
}

/* ---- the first use of a DRAM kind, which others look at meanwhile ------ */

static void *use_first_or_look(void *number)
{
    char here;
    size_t value;
    void *object = NULL;
    pthread_barrier_wait(&barrier);
    for (int i = 0; i < 1000; i++) {
        if (*(int *)number % 2 == 0) {
            object = memkind_malloc(MEMKIND_REGULAR, 100);
            if (object == NULL)
                mistake();
            memkind_free(MEMKIND_REGULAR, object);
        } else if (memkind_defrag_reallocate(MEMKIND_REGULAR, &here) != NULL ||
                   memkind_get_stat(MEMKIND_REGULAR, MEMKIND_STAT_TYPE_ACTIVE,
                                    &value) != MEMKIND_SUCCESS) {
            mistake();
        } else {
            memkind_free(MEMKIND_REGULAR, &here);
            (void)memkind_get_capacity(MEMKIND_REGULAR);
        }
    }
    return NULL;
}

/* Only the first time is a first time: no other test uses that kind. */
static void test_first_use(void)
{
    pthread_barrier_init(&barrier, NULL, 4);
    run_threads(4, use_first_or_look);
    pthread_barrier_destroy(&barrier);
}

static const struct test_case tests[] = {
    {"first use of a DRAM kind", test_first_use},
    {"2 threads", test_2_threads},
    {"4 threads", test_4_threads},
    {"8 threads", test_8_threads},
    {"threads on DRAM", test_threads_on_dram},
    {"freed by another thread", test_freed_by_another_thread},
    {"thousands of short lives", test_thousands_of_short_lives},
    {"kinds destroyed under caches", test_kinds_destroyed_under_caches},
    {"threads that end after their kind",
     test_threads_that_end_after_their_kind},
    {"each thread its own kinds", test_each_thread_its_own_kinds},
    {"snapshots meanwhile", test_snapshots_meanwhile},
    {"background threads", test_background_threads},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("threads", tests, argc, argv);
}
