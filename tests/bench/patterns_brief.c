/* SPDX-License-Identifier: BSD-2-Clause */
/* Threads that come and go, and what many threads or kinds make slow. */
#include "bench.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- brief: 100 objects in a thread that ends ---------------------------- */

enum { BRIEF_OBJECTS = 100, BRIEF_LOW = 16, BRIEF_HIGH = 1024 };

static void brief_life(struct lane *lane)
{
    const struct heap *heaps = lane->bench->shared;
    size_t kinds = bench_kinds(lane->bench);
    void *objects[BRIEF_OBJECTS];
    for (size_t i = 0; i < BRIEF_OBJECTS; i++) {
        size_t size = random_between(&lane->random, BRIEF_LOW, BRIEF_HIGH);
        objects[i] = heap_malloc(heaps[i % kinds], size);
        object_touch(objects[i], size);
    }
    for (size_t i = 0; i < BRIEF_OBJECTS; i++) {
        object_check(objects[i]);
        heap_free(heaps[i % kinds], objects[i]);
    }
}

static size_t brief_unit(struct lane *lane)
{
    enum { THREADS = 8 };
    for (size_t i = 0; i < THREADS; i++)
        lane_in_thread(lane, brief_life);
    return THREADS;
}

static void nothing(struct lane *lane)
{
    (void)lane;
}

/* A thread that does nothing: the part that no allocator can do without. */
static size_t brief_none_unit(struct lane *lane)
{
    enum { THREADS = 8 };
    for (size_t i = 0; i < THREADS; i++)
        lane_in_thread(lane, nothing);
    return THREADS;
}

/* ---- with many alive ----------------------------------------------------- */

enum { TRIALS = 11 };

/* The first, the median and the longest of some trials. */
static void trial_metrics(struct bench *bench, const char *name,
                          const uint64_t trials[TRIALS])
{
    uint64_t sorted[TRIALS];
    char text[sizeof bench->metrics[0].name];
    for (size_t i = 0; i < TRIALS; i++) {
        size_t at = i;
        for (; at > 0 && sorted[at - 1] > trials[i]; at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = trials[i];
    }
    snprintf(text, sizeof text, "%s_first_ns", name);
    bench_metric(bench, text, (double)trials[0]);
    snprintf(text, sizeof text, "%s_ns", name);
    bench_metric(bench, text, (double)sorted[TRIALS / 2]);
    snprintf(text, sizeof text, "%s_longest_ns", name);
    bench_metric(bench, text, (double)sorted[TRIALS - 1]);
}

/* Until the child, which does nothing, has been waited for. */
static int fork_trials(struct bench *bench)
{
    uint64_t trials[TRIALS];
    for (size_t i = 0; i < TRIALS; i++) {
        uint64_t start = now_ns();
        pid_t child = fork();
        if (child == 0)
            _exit(0);
        if (child < 0 || waitpid(child, NULL, 0) != child) {
            perror("fork");
            return -1;
        }
        trials[i] = now_ns() - start;
    }
    trial_metrics(bench, "fork", trials);
    return 0;
}

/* Objects of the heap, linked, until there is no room for another; the calls
 * that fail are timed. Between them an object is freed and stored again. */
static void *failing_trials(struct bench *bench)
{
    enum { OBJECT = 4096 };
    struct heap heap = bench->heap;
    uint64_t trials[TRIALS];
    void *all = NULL;
    for (size_t i = 0; i < TRIALS;) {
        uint64_t start = now_ns();
        void *object = heap_try_malloc(heap, OBJECT);
        uint64_t ns = now_ns() - start;
        if (object != NULL) {
            object_touch(object, OBJECT);
            *object_link(object) = all;
            all = object;
            continue;
        }
        trials[i++] = ns;
        if (all == NULL)
            continue;
        object = all;
        all = *object_link(object);
        object_check(object);
        heap_free(heap, object);
    }
    trial_metrics(bench, "fail", trials);
    return all;
}

static void free_linked(struct heap heap, void *object)
{
    while (object != NULL) {
        void *next = *object_link(object);
        object_check(object);
        heap_free(heap, object);
        object = next;
    }
}

static void trim_trials(struct bench *bench)
{
    enum { OBJECTS = 100, OBJECT = 1024 };
    uint64_t trials[TRIALS];
    for (size_t i = 0; i < TRIALS; i++) {
        void *objects[OBJECTS];
        for (size_t j = 0; j < OBJECTS; j++) {
            objects[j] = heap_malloc(bench->heap, OBJECT);
            object_touch(objects[j], OBJECT);
        }
        for (size_t j = 0; j < OBJECTS; j++)
            heap_free(bench->heap, objects[j]);
        uint64_t start = now_ns();
        if (!heap_trim(bench->heap))
            return;
        trials[i] = now_ns() - start;
    }
    trial_metrics(bench, "trim", trials);
}

static int alive_measure(struct bench *bench)
{
    int err = heap_create_limited(&bench->heap, bench->dir, bench_limit(bench),
                                  bench->free_null);
    if (err != 0)
        return err;
    uint64_t start = now_ns();
    struct idlers *idlers = idlers_start(bench, bench->pattern->argument);
    size_t count = idlers_count(idlers);
    if (count != 0)
        bench_metric(bench, "start_ns",
                     (double)(now_ns() - start) / (double)count);
    err = fork_trials(bench);
    trim_trials(bench);
    if (heap_is_kind())
        free_linked(bench->heap, failing_trials(bench));
    bench_metric(bench, "idle", (double)count);
    start = now_ns();
    idlers_end(idlers);
    if (count != 0)
        bench_metric(bench, "end_ns",
                     (double)(now_ns() - start) / (double)count);
    int destroy = heap_destroy(&bench->heap);
    return err != 0 ? err : destroy;
}

static int kinds_measure(struct bench *bench)
{
    int err = heap_create(&bench->heap, bench->dir, bench->free_null);
    if (err != 0)
        return err;
    if ((err = bench_kinds_setup(bench)) != 0) {
        heap_destroy(&bench->heap);
        return err;
    }
    struct heap *heaps = bench->shared;
    for (size_t i = 0; i < bench_kinds(bench); i++) {
        void *object = heap_malloc(heaps[i], BRIEF_HIGH);
        object_touch(object, BRIEF_HIGH);
    }
    bench_metric(bench, "kinds", (double)bench_kinds(bench));
    err = fork_trials(bench);
    bench_kinds_teardown(bench);
    int destroy = heap_destroy(&bench->heap);
    return err != 0 ? err : destroy;
}

const struct pattern brief_patterns[] = {
    {
        .name = "brief",
        .about = "a thread that allocates 100 objects, frees them and ends, "
                 "for each thread",
        .argument = 1,
        .setup = bench_kinds_setup,
        .unit = brief_unit,
        .teardown = bench_kinds_teardown,
    },
    {
        .name = "brief16",
        .about = "the same with 16 kinds, used by turns",
        .argument = 16,
        .setup = bench_kinds_setup,
        .unit = brief_unit,
        .teardown = bench_kinds_teardown,
    },
    {
        .name = "brief_none",
        .about = "a thread that does nothing, for each thread",
        .unit = brief_none_unit,
    },
    {
        .name = "brief_alive",
        .about = "4,000 threads alive: a fork and wait, a purge, a malloc "
                 "that fails",
        .argument = 4000,
        .measure = alive_measure,
    },
    {
        .name = "brief_kinds",
        .about = "500 kinds: a fork and wait",
        .argument = 500,
        .measure = kinds_measure,
        .kind_only = true,
    },
    {.name = NULL},
};
