/* SPDX-License-Identifier: BSD-2-Clause */
/* What memory is held: DRAM, file space, and how both are given back. */
#include "bench.h"

#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

/* ---- bulk: all is freed at once ------------------------------------------ */

enum { BULK_OBJECT = 8192 };

static void bulk_fill(struct heap heap, void **objects, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        objects[i] = heap_malloc(heap, BULK_OBJECT);
        object_touch_pages(objects[i], BULK_OBJECT);
    }
}

static void held_metrics(struct bench *bench, const char *anonymous,
                         const char *files, size_t base)
{
    size_t now = bench_anonymous();
    bench_metric(bench, anonymous, now > base ? (double)(now - base) : 0);
    bench_metric(bench, files, (double)bench_file_bytes(bench));
}

/* What the file system takes to punch a hole of that size. */
static int punch_ns(const struct bench *bench, size_t size, uint64_t *ns)
{
    int fd = bench_file(bench, size);
    void *block = bench_pages(MIB);
    int err = fd < 0 ? -1 : 0;
    for (size_t at = 0; err == 0 && at < size; at += MIB)
        if (pwrite(fd, block, MIB, (off_t)at) != (ssize_t)MIB)
            err = -1;
    uint64_t start = now_ns();
    if (err == 0 && fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
                              (off_t)size) != 0)
        err = -1;
    *ns = now_ns() - start;
    if (err != 0)
        perror(bench->dir);
    if (fd >= 0)
        close(fd);
    bench_release(block, MIB);
    return err;
}

static int bulk_measure(struct bench *bench)
{
    size_t size = bench->size & ~(MIB - 1), count = size / BULK_OBJECT;
    void **objects = bench_pages(count * sizeof *objects);
    size_t base = bench_anonymous();
    struct heap heap;
    int err = heap_create(&heap, bench->dir, bench->free_null);
    if (err != 0)
        return err;

    bulk_fill(heap, objects, count);
    uint64_t start = now_ns();
    for (size_t i = 0; i < count; i++)
        heap_free(heap, objects[i]);
    bench_metric(bench, "ns", (double)(now_ns() - start) / (double)count);

    /* Again, each call by itself. */
    bulk_fill(heap, objects, count);
    uint64_t longest = 0, before = now_ns();
    for (size_t i = 0; i < count; i++) {
        heap_free(heap, objects[i]);
        uint64_t now = now_ns();
        if (longest < now - before)
            longest = now - before;
        before = now;
    }
    bench_metric(bench, "longest_ns", (double)longest);
    held_metrics(bench, "freed_anonymous", "freed_file", base);
    start = now_ns();
    if (heap_trim(heap)) {
        bench_metric(bench, "trim_ns", (double)(now_ns() - start));
        held_metrics(bench, "trimmed_anonymous", "trimmed_file", base);
    }
    err = heap_destroy(&heap);
    bench_release(objects, count * sizeof *objects);
    uint64_t punch = 0;
    if (err == 0)
        err = punch_ns(bench, size, &punch);
    bench_metric(bench, "bytes", (double)size);
    bench_metric(bench, "punch_ns", (double)punch);
    return err;
}

/* ---- giveback: how long freed memory is kept while little is allocated --- */

static int giveback_measure(struct bench *bench)
{
    enum { TENTH = 10, SOME = 100 };
    size_t size = bench->size & ~(MIB - 1), count = size / BULK_OBJECT;
    void **objects = bench_pages(count * sizeof *objects);
    size_t base = bench_anonymous(), held;
    struct heap heap;
    int err = heap_create(&heap, bench->dir, bench->free_null);
    if (err != 0)
        return err;
    bulk_fill(heap, objects, count);
    for (size_t i = 0; i < count; i++)
        heap_free(heap, objects[i]);

    uint64_t start = now_ns(), now;
    uint64_t step_ns = bench->wait_ns / 600 + 1;
    do {
        struct timespec step = {(time_t)(step_ns / 1000000000),
                                (long)(step_ns % 1000000000)};
        nanosleep(&step, NULL);
        for (size_t i = 0; i < SOME; i++) {
            objects[i] = heap_malloc(heap, 64);
            object_touch(objects[i], 64);
        }
        for (size_t i = 0; i < SOME; i++)
            heap_free(heap, objects[i]);
        held = bench_file_bytes(bench);
        if (!heap_is_kind()) {
            size_t anonymous = bench_anonymous();
            held = anonymous > base ? anonymous - base : 0;
        }
        now = now_ns();
    } while (held > size / TENTH && now - start < bench->wait_ns);
    bench_metric(bench, "seconds", (double)(now - start) / 1e9);
    bench_metric(bench, "bytes", (double)size);
    bench_metric(bench, "held", (double)held);
    bench_release(objects, count * sizeof *objects);
    return heap_destroy(&heap);
}

/* ---- memory_*: what is held for what is live ----------------------------- */

struct entry {
    void *object;
    uint32_t size;
};

static const struct load {
    size_t low, high;
    size_t replacements; /* for each object, after the heap is full */
} loads[] = {
    {64, 64, 0},     {16, 1024, 0},      {16, 1024, 4},
    {8192, 8192, 0}, {64 * KIB, MIB, 0},
};

struct memory {
    struct entry *entries;
    size_t most, count, payload;
};

static void memory_fill(struct lane *lane)
{
    struct bench *bench = lane->bench;
    struct memory *memory = lane->state;
    const struct load *load = &loads[bench->pattern->argument];
    size_t share = bench->size / bench->threads;
    while (memory->count < memory->most &&
           memory->payload + load->high <= share) {
        struct entry *entry = &memory->entries[memory->count++];
        entry->size =
            (uint32_t)random_between(&lane->random, load->low, load->high);
        entry->object = heap_malloc(bench->heap, entry->size);
        object_fill(entry->object, entry->size);
        memory->payload += entry->size;
    }
    for (size_t i = 0; i < memory->count * load->replacements; i++) {
        struct entry *entry =
            &memory
                 ->entries[random_between(&lane->random, 0, memory->count - 1)];
        object_check(entry->object);
        heap_free(bench->heap, entry->object);
        memory->payload -= entry->size;
        entry->size =
            (uint32_t)random_between(&lane->random, load->low, load->high);
        entry->object = heap_malloc(bench->heap, entry->size);
        object_fill(entry->object, entry->size);
        memory->payload += entry->size;
    }
}

/* Between each two barriers either the main thread works or all others do. */
static void *memory_thread(void *argument)
{
    struct lane *lane = argument;
    struct bench *bench = lane->bench;
    struct memory *memory = lane->state;
    pthread_barrier_wait(&bench->barrier); /* the heap is made */
    pthread_barrier_wait(&bench->barrier);
    memory_fill(lane);
    pthread_barrier_wait(&bench->barrier); /* filled: measured */
    pthread_barrier_wait(&bench->barrier);
    for (size_t i = 0; i < memory->count; i++) {
        object_check(memory->entries[i].object);
        heap_free(bench->heap, memory->entries[i].object);
    }
    pthread_barrier_wait(&bench->barrier); /* freed: measured */
    pthread_barrier_wait(&bench->barrier);
    return NULL;
}

static int memory_measure(struct bench *bench)
{
    const struct load *load = &loads[bench->pattern->argument];
    size_t most = bench->size / bench->threads / load->low + 1;
    struct memory *memory = bench_pages(bench->threads * sizeof *memory);
    pthread_t threads[BENCH_THREADS_MAX];
    pthread_barrier_init(&bench->barrier, NULL, bench->threads + 1);
    for (unsigned i = 0; i < bench->threads; i++) {
        memory[i].most = most;
        memory[i].entries = bench_pages(most * sizeof(struct entry));
        bench->lanes[i] = (struct lane){
            .bench = bench,
            .index = i,
            .random = 0x9e3779b97f4a7c15u * (i + 1),
            .state = &memory[i],
        };
        if (pthread_create(&threads[i], NULL, memory_thread,
                           &bench->lanes[i]) != 0)
            _Exit(1);
    }
    pthread_barrier_wait(&bench->barrier);
    size_t base = bench_anonymous();
    int err = heap_create(&bench->heap, bench->dir, bench->free_null);
    if (err != 0)
        _Exit(1); /* the threads are waiting */
    pthread_barrier_wait(&bench->barrier);
    pthread_barrier_wait(&bench->barrier);
    size_t payload = 0;
    for (unsigned i = 0; i < bench->threads; i++)
        payload += memory[i].payload;
    bench_metric(bench, "payload", (double)payload);
    held_metrics(bench, "anonymous", "file", base);
    pthread_barrier_wait(&bench->barrier);
    pthread_barrier_wait(&bench->barrier);
    held_metrics(bench, "freed_anonymous", "freed_file", base);
    if (heap_trim(bench->heap))
        held_metrics(bench, "trimmed_anonymous", "trimmed_file", base);
    pthread_barrier_wait(&bench->barrier);
    for (unsigned i = 0; i < bench->threads; i++) {
        pthread_join(threads[i], NULL);
        bench_release(memory[i].entries, most * sizeof(struct entry));
    }
    pthread_barrier_destroy(&bench->barrier);
    bench_release(memory, bench->threads * sizeof *memory);
    return heap_destroy(&bench->heap);
}

/* ---- fragmentation: sizes whose distribution shifts ---------------------- */

/*
 * What is live stays about the same, in bytes. In each phase objects of sizes
 * about another centre replace nearly all of it; a random tenth, at least,
 * stays and is in the way.
 */
static const size_t centres[] = {48,  400,  96, 3000, 24,  12000,
                                 200, 6000, 64, 1500, 120, 30000};
enum { CENTRES = sizeof centres / sizeof centres[0] };

struct fragments {
    struct entry *entries;
    size_t most, count, live;
    uint64_t random, operations;
};

static void fragments_free(struct heap heap, struct fragments *f)
{
    size_t i = random_between(&f->random, 0, f->count - 1);
    object_check(f->entries[i].object);
    heap_free(heap, f->entries[i].object);
    f->live -= f->entries[i].size;
    f->entries[i] = f->entries[--f->count];
    f->operations++;
}

static void fragments_phase(struct bench *bench, struct fragments *f,
                            size_t centre)
{
    struct heap heap = bench->heap;
    size_t allocated = 0;
    while (allocated < bench->size - bench->size / 10) {
        size_t size =
            random_between(&f->random, centre - centre / 2, 2 * centre);
        if (size < OBJECT_MIN)
            size = OBJECT_MIN;
        while (f->count > 0 &&
               (f->live + size > bench->size || f->count == f->most))
            fragments_free(heap, f);
        struct entry *entry = &f->entries[f->count++];
        entry->size = (uint32_t)size;
        entry->object = heap_malloc(heap, size);
        object_fill(entry->object, size);
        f->live += size;
        allocated += size;
    }
}

static double space_of(const struct bench *bench, size_t base)
{
    size_t anonymous = bench_anonymous();
    if (heap_is_kind())
        return (double)bench_file_bytes(bench);
    return anonymous > base ? (double)(anonymous - base) : 0;
}

static int fragments_measure(struct bench *bench)
{
    struct fragments f = {.most = bench->size / OBJECT_MIN, .random = 1};
    f.entries = bench_pages(f.most * sizeof *f.entries);
    size_t base = bench_anonymous();
    int err = heap_create(&bench->heap, bench->dir, bench->free_null);
    if (err != 0)
        return err;

    double peak = 0, sum = 0, last = 0;
    uint64_t moved = 0, defrag_ns = 0, start = now_ns();
    unsigned phases = 0;
    do {
        fragments_phase(bench, &f, centres[phases % CENTRES]);
        if (bench->defrag) {
            uint64_t before = now_ns();
            for (size_t i = 0; i < f.count; i++) {
                void *object = heap_defrag(bench->heap, f.entries[i].object);
                moved += object != f.entries[i].object;
                f.entries[i].object = object;
            }
            defrag_ns += now_ns() - before;
        }
        last = space_of(bench, base) / (double)f.live;
        peak = last > peak ? last : peak;
        sum += last;
        phases++;
    } while (phases < bench->phases || now_ns() - start < bench->minimum_ns);
    uint64_t ns = now_ns() - start - defrag_ns;

    bench_metric(bench, "phases", phases);
    bench_metric(bench, "live", (double)f.live);
    bench_metric(bench, "peak", peak);
    bench_metric(bench, "mean", sum / phases);
    bench_metric(bench, "last", last);
    bench_metric(bench, "ns", (double)ns / (double)(f.operations + 1));
    size_t active = heap_active(bench->heap);
    if (active != 0)
        bench_metric(bench, "active", (double)active / (double)f.live);
    if (heap_trim(bench->heap))
        bench_metric(bench, "trimmed", space_of(bench, base) / (double)f.live);
    if (heap_is_kind()) {
        size_t anonymous = bench_anonymous();
        bench_metric(
            bench, "dram",
            anonymous > base ? (double)(anonymous - base) / (double)f.live : 0);
    }
    if (bench->defrag) {
        bench_metric(bench, "moved", (double)moved);
        bench_metric(bench, "defrag_seconds", (double)defrag_ns / 1e9);
    }
    while (f.count > 0)
        fragments_free(bench->heap, &f);
    bench_release(f.entries, f.most * sizeof *f.entries);
    return heap_destroy(&bench->heap);
}

const struct pattern space_patterns[] = {
    {
        .name = "bulk",
        .about = "a heap full of 8 KiB objects, all freed; the longest call "
                 "beside a punch of as much",
        .measure = bulk_measure,
    },
    {
        .name = "giveback",
        .about = "how long nine tenths of a freed heap take to be given back",
        .measure = giveback_measure,
    },
    {
        .name = "memory_64",
        .about = "memory held for 64-byte objects",
        .argument = 0,
        .measure = memory_measure,
    },
    {
        .name = "memory_mixed",
        .about = "memory held for objects of 16-1024 bytes",
        .argument = 1,
        .measure = memory_measure,
    },
    {
        .name = "memory_churn",
        .about = "the same after each was replaced four times",
        .argument = 2,
        .measure = memory_measure,
    },
    {
        .name = "memory_8k",
        .about = "memory held for 8 KiB objects",
        .argument = 3,
        .measure = memory_measure,
    },
    {
        .name = "memory_big",
        .about = "memory held for objects of 64 KiB-1 MiB",
        .argument = 4,
        .measure = memory_measure,
    },
    {
        .name = "fragments",
        .about = "space held while the distribution of sizes shifts",
        .measure = fragments_measure,
    },
    {.name = NULL},
};
