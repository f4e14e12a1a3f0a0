/* SPDX-License-Identifier: BSD-2-Clause */
#include "tool_patterns.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tool_units.h"

#define SMALL_SIZE 64
#define SMALL_LEAST 16
#define SMALL_MOST 1024
#define LARGE_LEAST (64 * KIB)
#define LARGE_MOST MIB

#define OBJECTS_MOST 10000
#define LARGE_OBJECTS_MOST 16
#define SEED 0x9e3779b97f4a7c15u

/* ---- the workload ---- */

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static size_t small_size(uint64_t *random)
{
    return SMALL_LEAST + next_random(random) % (SMALL_MOST - SMALL_LEAST + 1);
}

static uint64_t at_most(uint64_t value, uint64_t most)
{
    return value < most ? value : most;
}

bool workload_init(struct workload *workload, uint64_t room)
{
    uint64_t random = SEED;
    /* Half of the room is left for what an allocator cannot use. */
    workload->objects = at_most(room / 2 / SMALL_MOST, OBJECTS_MOST);
    workload->large_objects =
        at_most(room / 2 / LARGE_MOST, LARGE_OBJECTS_MOST);
    workload->table = calloc(workload->objects, sizeof *workload->table);
    workload->order = calloc(workload->objects, sizeof *workload->order);
    if (workload->table == NULL || workload->order == NULL) {
        workload_fini(workload);
        return false;
    }
    for (size_t i = 0; i < workload->objects; i++) {
        size_t other = next_random(&random) % (i + 1);
        workload->order[i] = workload->order[other];
        workload->order[other] = i;
    }
    return true;
}

void workload_fini(struct workload *workload)
{
    free(workload->table);
    free(workload->order);
}

/* ---- timing ---- */

double pattern_clock(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void set_result(struct timing *timing, double started, size_t objects)
{
    timing->ns = (pattern_clock() - started) * 1e9 / (double)objects;
    timing->objects = objects;
}

static int no_memory(void)
{
    return errno != 0 ? -errno : -ENOMEM;
}

/* An object that has been written to. */
static void *allocate_object(const struct allocator *allocator, size_t size)
{
    uint64_t *object = allocator->allocate(allocator->context, size);
    if (object != NULL)
        *object = size;
    return object;
}

static void release_object(const struct allocator *allocator, void *object)
{
    allocator->release(allocator->context, object);
}

static int empty_table(const struct allocator *allocator, void **table,
                       size_t count, int result)
{
    for (size_t i = 0; i < count; i++)
        if (table[i] != NULL) {
            release_object(allocator, table[i]);
            table[i] = NULL;
        }
    return result;
}

/* ---- the patterns ---- */

static int run_pair(const struct allocator *allocator,
                    struct workload *workload, double seconds,
                    struct timing *timing)
{
    enum { STEP = 1000 };
    size_t done = 0;
    double started = pattern_clock();
    (void)workload;
    do {
        for (int i = 0; i < STEP; i++) {
            void *object = allocate_object(allocator, SMALL_SIZE);
            if (object == NULL)
                return no_memory();
            release_object(allocator, object);
        }
        done += STEP;
    } while (pattern_clock() - started < seconds);
    set_result(timing, started, done);
    return 0;
}

static int run_batch(const struct allocator *allocator,
                     struct workload *workload, double seconds,
                     struct timing *timing)
{
    size_t done = 0;
    uint64_t random = SEED;
    void **table = workload->table;
    double started = pattern_clock();
    do {
        for (size_t i = 0; i < workload->objects; i++) {
            table[i] = allocate_object(allocator, small_size(&random));
            if (table[i] == NULL)
                return empty_table(allocator, table, i, no_memory());
        }
        for (size_t i = 0; i < workload->objects; i++)
            release_object(allocator, table[workload->order[i]]);
        done += workload->objects;
    } while (pattern_clock() - started < seconds);
    set_result(timing, started, done);
    memset(table, 0, workload->objects * sizeof *table);
    return 0;
}

/* Replaces objects, chosen by chance, in a table that is full. */
static int run_churn(const struct allocator *allocator,
                     struct workload *workload, double seconds,
                     struct timing *timing)
{
    enum { STEP = 1000 };
    const size_t count = workload->objects;
    size_t done = 0;
    uint64_t random = SEED;
    void **table = workload->table;
    if (count == 0)
        return 0;
    for (size_t i = 0; i < count; i++) {
        table[i] = allocate_object(allocator, small_size(&random));
        if (table[i] == NULL)
            return empty_table(allocator, table, i, no_memory());
    }
    double started = pattern_clock();
    do {
        for (int i = 0; i < STEP; i++) {
            size_t at = next_random(&random) % count;
            release_object(allocator, table[at]);
            table[at] = allocate_object(allocator, small_size(&random));
            if (table[at] == NULL)
                return empty_table(allocator, table, count, no_memory());
        }
        done += STEP;
    } while (pattern_clock() - started < seconds);
    set_result(timing, started, done);
    return empty_table(allocator, table, count, 0);
}

static int run_big(const struct allocator *allocator, struct workload *workload,
                   double seconds, struct timing *timing)
{
    const size_t count = workload->large_objects;
    const size_t page = page_size();
    size_t done = 0;
    uint64_t random = SEED;
    void **table = workload->table;
    double started = pattern_clock();
    do {
        size_t at = done % count;
        size_t size =
            LARGE_LEAST + next_random(&random) % (LARGE_MOST - LARGE_LEAST + 1);
        if (table[at] != NULL)
            release_object(allocator, table[at]);
        char *object = table[at] = allocate_object(allocator, size);
        if (object == NULL)
            return empty_table(allocator, table, count, no_memory());
        for (size_t byte = 0; byte < size; byte += page)
            object[byte] = 1;
        done++;
    } while (pattern_clock() - started < seconds);
    set_result(timing, started, done);
    return empty_table(allocator, table, count, 0);
}

/* ---- from one thread to another ---- */

#define RING_SIZE 1024

struct ring {
    const struct allocator *allocator;
    void *slots[RING_SIZE];
    /* Each counter is written by one thread only, and has a cache line of its
     * own. */
    _Alignas(128) atomic_size_t filled;
    _Alignas(128) atomic_size_t emptied;
    _Alignas(128) atomic_bool ended; /* nothing more will be filled */
};

static void *free_what_arrives(void *context)
{
    struct ring *ring = context;
    size_t at = 0;
    for (;;) {
        bool ended = atomic_load_explicit(&ring->ended, memory_order_acquire);
        size_t filled =
            atomic_load_explicit(&ring->filled, memory_order_acquire);
        if (at == filled) {
            if (ended)
                return NULL;
            sched_yield();
            continue;
        }
        for (; at != filled; at++)
            release_object(ring->allocator, ring->slots[at % RING_SIZE]);
        atomic_store_explicit(&ring->emptied, at, memory_order_release);
    }
}

/* Puts objects into the ring until the time is up. */
static int fill_ring(struct ring *ring, double seconds, double started,
                     size_t *done)
{
    size_t at = 0;
    do {
        size_t emptied =
            atomic_load_explicit(&ring->emptied, memory_order_acquire);
        if (at - emptied == RING_SIZE) {
            sched_yield();
            continue;
        }
        for (; at - emptied < RING_SIZE; at++) {
            void *object = allocate_object(ring->allocator, SMALL_SIZE);
            if (object == NULL)
                return no_memory();
            ring->slots[at % RING_SIZE] = object;
            atomic_store_explicit(&ring->filled, at + 1, memory_order_release);
        }
        *done = at;
    } while (pattern_clock() - started < seconds);
    return 0;
}

static int run_xthread(const struct allocator *allocator,
                       struct workload *workload, double seconds,
                       struct timing *timing)
{
    static struct ring ring; /* too large for a stack; one is used at a time */
    pthread_t consumer;
    size_t done = 0;
    (void)workload;
    ring.allocator = allocator;
    atomic_store(&ring.filled, 0);
    atomic_store(&ring.emptied, 0);
    atomic_store(&ring.ended, false);
    int result = pthread_create(&consumer, NULL, free_what_arrives, &ring);
    if (result != 0)
        return -result;
    double started = pattern_clock();
    result = fill_ring(&ring, seconds, started, &done);
    atomic_store_explicit(&ring.ended, true, memory_order_release);
    pthread_join(consumer, NULL);
    if (result == 0)
        set_result(timing, started, done);
    return result;
}

const struct pattern patterns[PATTERN_COUNT] = {
    {"pair", "64 B, freed at once", run_pair},
    {"batch", "many of 16-1024 B, then all freed, shuffled", run_batch},
    {"churn", "many of 16-1024 B, replaced by chance", run_churn},
    {"big", "a few of 64 KiB-1 MiB, each page written", run_big},
    {"xthread", "64 B, freed by another thread", run_xthread},
};
