/* SPDX-License-Identifier: BSD-2-Clause */
/* Patterns about kinds themselves: many at once, and short lives. */
#include "bench.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- many kinds, used by turns ------------------------------------------- */

enum { KIND_SLOTS = 8, KIND_LOW = 16, KIND_HIGH = 1024 };

struct slots {
    void *objects[KIND_SLOTS];
};

size_t bench_kinds(const struct bench *bench)
{
    size_t kinds = bench->pattern->argument;
    return kinds < bench->kinds_max ? kinds : bench->kinds_max;
}

int bench_kinds_setup(struct bench *bench)
{
    size_t kinds = bench_kinds(bench);
    struct heap *heaps = bench_pages(kinds * sizeof *heaps);
    heaps[0] = bench->heap;
    for (size_t i = 1; i < kinds; i++) {
        int err = heap_create(&heaps[i], bench->dir, bench->free_null);
        if (err == 0)
            continue;
        fprintf(stderr, "kind %zu of %zu cannot be made: status %d\n", i + 1,
                kinds, err);
        while (i-- > 1)
            heap_destroy(&heaps[i]);
        return err;
    }
    bench->shared = heaps;
    return 0;
}

static void kinds_start(struct lane *lane)
{
    lane->state = bench_pages(bench_kinds(lane->bench) * sizeof(struct slots));
}

static size_t kinds_unit(struct lane *lane)
{
    enum { REPLACED = 2048 };
    struct slots *slots = lane->state;
    const struct heap *heaps = lane->bench->shared;
    size_t kinds = bench_kinds(lane->bench);
    uint64_t random = lane->random;
    /* threads start at different kinds, and meet */
    size_t kind = random_between(&random, 0, kinds - 1);
    for (size_t i = 0; i < REPLACED; i++) {
        uint64_t bits = random_next(&random);
        void **slot = &slots[kind].objects[bits % KIND_SLOTS];
        size_t size =
            KIND_LOW + random_scale(bits >> 32, KIND_HIGH - KIND_LOW + 1);
        if (*slot != NULL) {
            object_check(*slot);
            heap_free(heaps[kind], *slot);
        }
        *slot = heap_malloc(heaps[kind], size);
        object_touch(*slot, size);
        kind = kind + 1 < kinds ? kind + 1 : 0;
    }
    lane->random = random;
    return REPLACED;
}

static void kinds_stop(struct lane *lane)
{
    struct slots *slots = lane->state;
    const struct heap *heaps = lane->bench->shared;
    size_t kinds = bench_kinds(lane->bench);
    for (size_t kind = 0; kind < kinds; kind++)
        for (size_t i = 0; i < KIND_SLOTS; i++)
            if (slots[kind].objects[i] != NULL) {
                object_check(slots[kind].objects[i]);
                heap_free(heaps[kind], slots[kind].objects[i]);
            }
    bench_release(slots, kinds * sizeof *slots);
}

void bench_kinds_teardown(struct bench *bench)
{
    struct heap *heaps = bench->shared;
    size_t kinds = bench_kinds(bench);
    for (size_t i = 1; i < kinds; i++)
        heap_destroy(&heaps[i]);
    bench_release(heaps, kinds * sizeof *heaps);
}

/* ---- create: a kind made, used once, destroyed --------------------------- */

static int create_use(struct bench *bench, struct heap *heap)
{
    int err = heap_create(heap, bench->dir, bench->free_null);
    if (err == 0)
        object_touch(heap_malloc(*heap, 64), 64);
    return err;
}

static int create_measure(struct bench *bench)
{
    enum { ALIVE = 64 };
    struct heap heaps[ALIVE];
    int err;
    uint64_t start = now_ns(), now, cycles = 0, until = start;
    uint64_t cpu = 0;

    for (int warm = 1; warm >= 0; warm--) {
        start = now_ns();
        cpu = cpu_ns();
        cycles = 0;
        until = start + (warm ? bench->warmup_ns : bench->window_ns);
        do {
            if ((err = create_use(bench, &heaps[0])) != 0 ||
                (err = heap_destroy(&heaps[0])) != 0)
                return err;
            cycles++;
            now = now_ns();
        } while (now < until);
    }
    bench_metric(bench, "ns", (double)(now - start) / (double)cycles);
    bench_metric(bench, "cpu_ns", (double)(cpu_ns() - cpu) / (double)cycles);

    size_t anonymous = bench_anonymous(), files = bench_file_bytes(bench);
    for (size_t i = 0; i < ALIVE; i++)
        if ((err = create_use(bench, &heaps[i])) != 0) {
            fprintf(stderr, "kind %zu of %d cannot be made: status %d\n", i + 1,
                    ALIVE, err);
            return err;
        }
    bench_metric(bench, "dram",
                 ((double)bench_anonymous() - (double)anonymous) / ALIVE);
    bench_metric(bench, "file",
                 ((double)bench_file_bytes(bench) - (double)files) / ALIVE);
    for (size_t i = 0; i < ALIVE; i++)
        if ((err = heap_destroy(&heaps[i])) != 0)
            return err;
    return 0;
}

/* ---- destroy: of a full kind, beside a file of as much ------------------- */

static int destroy_measure(struct bench *bench)
{
    enum { OBJECT = 8192 };
    struct heap heap;
    int err = heap_create(&heap, bench->dir, bench->free_null);
    if (err != 0)
        return err;
    for (size_t filled = 0; filled < bench->size; filled += OBJECT)
        object_touch_pages(heap_malloc(heap, OBJECT), OBJECT);
    size_t bytes = bench_file_bytes(bench);
    if (bytes < bench->size)
        bytes = bench->size;
    uint64_t start = now_ns();
    if ((err = heap_destroy(&heap)) != 0)
        return err;
    uint64_t destroy = now_ns() - start;

    int fd = bench_file(bench, bytes);
    char *pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (fd < 0 || pages == MAP_FAILED) {
        perror(bench->dir);
        return -1;
    }
    memset(pages, 1, bytes);
    start = now_ns();
    munmap(pages, bytes);
    close(fd);
    uint64_t file = now_ns() - start;

    bench_metric(bench, "bytes", (double)bytes);
    bench_metric(bench, "ns", (double)destroy);
    bench_metric(bench, "file_ns", (double)file);
    bench_metric(bench, "ratio", (double)destroy / (double)file);
    return 0;
}

const struct pattern kind_patterns[] = {
    {
        .name = "kinds64",
        .about = "random replacement in 64 kinds, used by turns by all threads",
        .argument = 64,
        .setup = bench_kinds_setup,
        .start = kinds_start,
        .unit = kinds_unit,
        .stop = kinds_stop,
        .teardown = bench_kinds_teardown,
    },
    {
        .name = "kinds512",
        .about = "random replacement in 512 kinds, used by turns by all "
                 "threads",
        .argument = 512,
        .setup = bench_kinds_setup,
        .start = kinds_start,
        .unit = kinds_unit,
        .stop = kinds_stop,
        .teardown = bench_kinds_teardown,
    },
    {
        .name = "create",
        .about = "a kind created, used once and destroyed; DRAM of 64 such "
                 "kinds, each",
        .measure = create_measure,
        .kind_only = true,
    },
    {
        .name = "destroy",
        .about = "a kind full of 8 KiB objects destroyed, beside munmap and "
                 "close of a file of as much",
        .measure = destroy_measure,
        .kind_only = true,
    },
    {.name = NULL},
};
