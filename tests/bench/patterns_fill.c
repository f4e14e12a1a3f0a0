/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory that is used for the first time. All threads fill a new heap; what
 * that takes beside memory that is only mapped and touched, by as many threads.
 */
#include "bench.h"

#include <math.h>
#include <stdio.h>
#include <sys/mman.h>

static const struct fill_load {
    size_t low, high;
} loads[] = {
    {16, 1024},
    {32, 128 * 1024},
};

enum { LOAD_SMALL, LOAD_MIXED };

/* What one thread stores. */
struct share {
    size_t most, count; /* objects */
    size_t bytes;
    char *awake; /* memory to give back while this fills, see keep_awake() */
    size_t awake_bytes;
    void *objects[];
};

static const struct fill_load *load_of(const struct bench *bench)
{
    return &loads[bench->pattern->argument];
}

static size_t size_of_share(const struct bench *bench)
{
    return bench->size / bench->threads;
}

/* Objects of a share: their mean, by random_log(), and some more. */
static size_t most_of_share(const struct bench *bench)
{
    const double low = (double)load_of(bench)->low;
    const double high = (double)load_of(bench)->high;
    const double mean = (high - low) / log(high / low);
    return (size_t)((double)size_of_share(bench) / mean * 1.25) + 1024;
}

static size_t share_pages(size_t most)
{
    return sizeof(struct share) + most * sizeof(void *);
}

/* For each PIECE bytes that are stored, AWAKE bytes are given back of what
 * keep_awake() holds. That is no part of filling, and put aside. */
enum { PIECE = 32 << 20, AWAKE = PIECE + PIECE / 4 };

static void give_back_awake(struct lane *lane)
{
    struct share *share = lane->state;
    size_t bytes = AWAKE;
    if (bytes > share->awake_bytes)
        bytes = share->awake_bytes;
    if (bytes == 0)
        return;
    const uint64_t cpu = cpu_of_thread_ns();
    munmap(share->awake, bytes);
    share->awake += bytes;
    share->awake_bytes -= bytes;
    /* If it waits, other lanes go on filling. */
    lane->aside_ns += cpu_of_thread_ns() - cpu;
}

static void fill_share(struct lane *lane)
{
    struct share *share = lane->state;
    const struct fill_load *load = load_of(lane->bench);
    const size_t bytes = size_of_share(lane->bench);
    size_t given_back_for = 0;
    for (share->bytes = 0; share->bytes < bytes && share->count < share->most;
         share->count++) {
        if (share->bytes >= given_back_for) {
            give_back_awake(lane);
            given_back_for += PIECE;
        }
        size_t size = random_log(&lane->random, load->low, load->high);
        void *object = heap_malloc(lane->bench->heap, size);
        object_touch_pages(object, size);
        share->objects[share->count] = object;
        share->bytes += size;
    }
}

/* Frees what the next thread has stored. */
static void free_share(struct lane *lane)
{
    struct bench *bench = lane->bench;
    struct share *share =
        bench->lanes[(lane->index + 1) % bench->threads].state;
    for (; share->count > 0; share->count--) {
        void *object = share->objects[share->count - 1];
        object_check(object);
        heap_free(bench->heap, object);
    }
}

static void touch_part(struct lane *lane, size_t bytes)
{
    object_touch_pages((char *)lane->bench->shared + lane->index * bytes,
                       bytes);
}

static void touch_raw(struct lane *lane)
{
    touch_part(lane, size_of_share(lane->bench));
}

/* With what a heap takes beside its objects. */
static size_t share_to_wake(const struct bench *bench)
{
    return size_of_share(bench) + size_of_share(bench) / 4;
}

static void touch_to_wake(struct lane *lane)
{
    touch_part(lane, share_to_wake(lane->bench));
}

struct step {
    struct lane *lane;
    void (*function)(struct lane *lane);
    uint64_t end_ns;
};

static void *run_step(void *argument)
{
    struct step *step = argument;
    step->function(step->lane);
    step->end_ns = now_ns();
    return NULL;
}

/* By how much earlier the last lane would have ended without what was put
 * aside. */
static uint64_t aside_of_last(const struct step *steps, unsigned count)
{
    uint64_t last = 0, without = 0;
    for (unsigned i = 0; i < count; i++) {
        const uint64_t end = steps[i].end_ns;
        if (last < end)
            last = end;
        if (without < end - steps[i].lane->aside_ns)
            without = end - steps[i].lane->aside_ns;
    }
    return last - without;
}

/* Lets each lane do it in a thread of its own; returns how long that took. */
static uint64_t in_all_lanes(struct bench *bench,
                             void (*function)(struct lane *lane))
{
    pthread_t threads[BENCH_THREADS_MAX];
    struct step steps[BENCH_THREADS_MAX];
    const uint64_t start = now_ns();
    for (unsigned i = 0; i < bench->threads; i++) {
        bench->lanes[i].aside_ns = 0;
        steps[i] = (struct step){&bench->lanes[i], function, 0};
        if (pthread_create(&threads[i], NULL, run_step, &steps[i]) != 0) {
            fprintf(stderr, "no thread %u\n", i);
            _Exit(1);
        }
    }
    for (unsigned i = 0; i < bench->threads; i++)
        pthread_join(threads[i], NULL);
    return now_ns() - start - aside_of_last(steps, bench->threads);
}

/* A step's time by the clock, and all threads' CPU time: NAME_ns, NAME_cpu_ns.
 */
static void step_metrics(struct bench *bench, const char *name, uint64_t ns,
                         uint64_t cpu)
{
    char metric[sizeof bench->metrics[0].name];
    snprintf(metric, sizeof metric, "%s_ns", name);
    bench_metric(bench, metric, (double)ns);
    snprintf(metric, sizeof metric, "%s_cpu_ns", name);
    bench_metric(bench, metric, (double)cpu);
}

static void measure_lanes(struct bench *bench, const char *name,
                          void (*function)(struct lane *lane))
{
    uint64_t cpu = cpu_ns();
    const uint64_t ns = in_all_lanes(bench, function);
    cpu = cpu_ns() - cpu;
    for (unsigned i = 0; i < bench->threads; i++)
        cpu -= bench->lanes[i].aside_ns;
    step_metrics(bench, name, ns, cpu);
}

static struct lane new_lane(struct bench *bench, unsigned index, void *state)
{
    return (struct lane){
        .bench = bench,
        .index = index,
        .random = 0x9e3779b97f4a7c15u * (index + 1),
        .state = state,
    };
}

static void make_lanes(struct bench *bench)
{
    const size_t most = most_of_share(bench);
    for (unsigned i = 0; i < bench->threads; i++) {
        bench->lanes[i] = new_lane(bench, i, bench_pages(share_pages(most)));
        ((struct share *)bench->lanes[i].state)->most = most;
    }
}

static void drop_lanes(struct bench *bench)
{
    for (unsigned i = 0; i < bench->threads; i++)
        bench_release(bench->lanes[i].state, share_pages(most_of_share(bench)));
}

/* Objects that are there. */
static size_t count_objects(const struct bench *bench)
{
    size_t count = 0;
    for (unsigned i = 0; i < bench->threads; i++)
        count += ((const struct share *)bench->lanes[i].state)->count;
    return count;
}

static void *map_raw(size_t size, int advice)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        bench_no_memory(size);
    madvise(memory, size, advice);
    return memory;
}

/* Memory of the system that is mapped, touched by all lanes, and unmapped. */
static void measure_raw(struct bench *bench, int advice, const char *name,
                        const char *drop_name)
{
    const size_t size = size_of_share(bench) * bench->threads;
    bench->shared = map_raw(size, advice);
    measure_lanes(bench, name, touch_raw);
    const uint64_t start = now_ns(), cpu = cpu_ns();
    munmap(bench->shared, size);
    step_metrics(bench, drop_name, now_ns() - start, cpu_ns() - cpu);
}

/* Huge pages, but for 2 MiB of each AWAKE bytes: a heap's records have small
 * ones. */
static void *map_awake(size_t size)
{
    enum { SMALL = 2 << 20 };
    char *memory = map_raw(size, MADV_HUGEPAGE);
    for (size_t at = 0; at + SMALL <= size; at += AWAKE)
        madvise(memory + at, SMALL, MADV_NOHUGEPAGE);
    return memory;
}

/* The host of a virtual machine may take idle memory away, within milliseconds,
 * and need seconds to hand it out again, which is not to be measured. So more
 * than will be used is touched first, until that gets no faster. */
static void wake_memory(struct bench *bench)
{
    enum { PASSES_MOST = 6 };
    const size_t size = share_to_wake(bench) * bench->threads;
    uint64_t least = UINT64_MAX, last = 0;
    for (int i = 0; i < PASSES_MOST && last < least - least / 8; i++) {
        if (last != 0) {
            least = last;
            munmap(bench->shared, size);
        }
        bench->shared = map_awake(size);
        last = in_all_lanes(bench, touch_to_wake);
    }
}

static void let_sleep(struct bench *bench)
{
    munmap(bench->shared, share_to_wake(bench) * bench->threads);
}

/* Memory that a heap can be filled with at once: it is held, and each lane
 * gives its part of it back as it fills. */
static void keep_awake(struct bench *bench)
{
    wake_memory(bench);
    for (unsigned i = 0; i < bench->threads; i++) {
        struct share *share = bench->lanes[i].state;
        share->awake_bytes = share_to_wake(bench);
        share->awake = (char *)bench->shared + i * share->awake_bytes;
    }
}

static void sleep_what_is_left(struct bench *bench)
{
    for (unsigned i = 0; i < bench->threads; i++) {
        struct share *share = bench->lanes[i].state;
        if (share->awake_bytes > 0)
            munmap(share->awake, share->awake_bytes);
        share->awake_bytes = 0;
    }
}

static void measure_raw_pages(struct bench *bench)
{
    measure_raw(bench, MADV_NOHUGEPAGE, "raw", "raw_drop");
    wake_memory(bench);
    let_sleep(bench);
    measure_raw(bench, MADV_HUGEPAGE, "raw_huge", "raw_huge_drop");
}

static void measure_first_filling(struct bench *bench)
{
    keep_awake(bench);
    measure_lanes(bench, "fill", fill_share);
    sleep_what_is_left(bench);
}

static int cold_measure(struct bench *bench)
{
    int err = heap_create(&bench->heap, bench->dir, bench->free_null);
    if (err != 0)
        return err;
    make_lanes(bench);
    measure_raw_pages(bench);
    measure_first_filling(bench);
    bench_metric(bench, "objects", (double)count_objects(bench));
    (void)in_all_lanes(bench, free_share);
    err = heap_destroy(&bench->heap);
    drop_lanes(bench);
    return err;
}

static int fill_measure(struct bench *bench)
{
    int err = heap_create(&bench->heap, bench->dir, bench->free_null);
    if (err != 0)
        return err;
    make_lanes(bench);
    measure_raw_pages(bench);
    measure_first_filling(bench);
    measure_lanes(bench, "free", free_share);
    uint64_t start = now_ns(), cpu = cpu_ns();
    if (heap_trim(bench->heap))
        step_metrics(bench, "purge", now_ns() - start, cpu_ns() - cpu);
    measure_lanes(bench, "refill", fill_share);
    bench_metric(bench, "objects", (double)count_objects(bench));
    start = now_ns();
    cpu = cpu_ns();
    if (!heap_is_kind())
        (void)in_all_lanes(bench, free_share);
    err = heap_destroy(&bench->heap);
    step_metrics(bench, "destroy", now_ns() - start, cpu_ns() - cpu);
    drop_lanes(bench);
    return err;
}

/* ---- a batch from cold --------------------------------------------------- */

enum { BATCH_OBJECTS = 10000, BATCH_ROUNDS = 10 };

/* Objects of even sizes, freed in random order; the first rounds take memory
 * for the first time. */
static void run_batches(struct lane *lane)
{
    struct heap heap = lane->bench->heap;
    void **objects = lane->state;
    for (size_t round = 0; round < BATCH_ROUNDS; round++) {
        for (size_t i = 0; i < BATCH_OBJECTS; i++) {
            size_t size = random_between(&lane->random, loads[LOAD_SMALL].low,
                                         loads[LOAD_SMALL].high);
            objects[i] = heap_malloc(heap, size);
            object_fill(objects[i], size);
        }
        for (size_t left = BATCH_OBJECTS; left > 0; left--) {
            size_t i = random_between(&lane->random, 0, left - 1);
            object_check(objects[i]);
            heap_free(heap, objects[i]);
            objects[i] = objects[left - 1];
        }
    }
}

static int batch_cold_measure(struct bench *bench)
{
    const size_t table = BATCH_OBJECTS * sizeof(void *);
    int err = heap_create(&bench->heap, bench->dir, bench->free_null);
    if (err != 0)
        return err;
    for (unsigned i = 0; i < bench->threads; i++)
        bench->lanes[i] = new_lane(bench, i, bench_pages(table));
    const uint64_t cpu = cpu_ns();
    const uint64_t ns = in_all_lanes(bench, run_batches);
    const double objects = (double)BATCH_OBJECTS * BATCH_ROUNDS;
    bench_metric(bench, "ns", (double)ns / objects);
    bench_metric(bench, "cpu_ns",
                 (double)(cpu_ns() - cpu) / objects / bench->threads);
    for (unsigned i = 0; i < bench->threads; i++)
        bench_release(bench->lanes[i].state, table);
    return heap_destroy(&bench->heap);
}

const struct pattern fill_patterns[] = {
    {
        .name = "batch_cold",
        .about = "the objects of batch in a new heap, ten rounds",
        .measure = batch_cold_measure,
    },
    {
        .name = "cold",
        .about = "objects of 16-1024 bytes in a new heap, until it is full; "
                 "beside anonymous memory touched",
        .argument = LOAD_SMALL,
        .measure = cold_measure,
    },
    {
        .name = "fill",
        .about = "objects of 32 bytes to 128 KiB: filled, freed by other "
                 "threads, purged, filled again, destroyed",
        .argument = LOAD_MIXED,
        .measure = fill_measure,
    },
    {.name = NULL},
};
