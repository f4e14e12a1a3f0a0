/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How long single calls take in a program that frees gigabytes: one thread
 * frees them, an object of 8 KiB after the other, while the others replace
 * objects, and go on for a while.
 */
#include "bench.h"

#include <stdio.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { FREED_OBJECT = 8192, TABLE = 4096, TABLE_LOW = 16, TABLE_HIGH = 16384 };

enum stage { STAGE_WARM, STAGE_MEASURED, STAGE_ENDED };

struct latency {
    _Alignas(BENCH_LINE) _Atomic(enum stage) stage;
    _Alignas(BENCH_LINE) struct bench *bench;
};

/* One of the threads that allocate. */
struct user {
    struct latency *latency;
    uint64_t random;
    struct times times[TIME_SORTS];
    void *objects[TABLE];
    uint32_t sizes[TABLE]; /* of objects to come */
};

/* The clock is read once between two calls. */
static void user_replace(struct user *user)
{
    enum { REPLACED = 64 };
    struct heap heap = user->latency->bench->heap;
    times_between();
    for (size_t i = 0; i < REPLACED; i++) {
        uint64_t bits = random_next(&user->random);
        void **slot = &user->objects[random_scale(bits, TABLE)];
        size_t size = user->sizes[random_scale(bits >> 32, TABLE)];
        if (*slot != NULL)
            object_check(*slot);
        uint64_t before = now_ns(), now;
        if (*slot != NULL) {
            heap_free(heap, *slot);
            now = now_ns();
            times_add(&user->times[TIME_FREE], now - before);
            before = now;
        }
        *slot = heap_malloc(heap, size);
        now = now_ns();
        times_add(&user->times[TIME_MALLOC], now - before);
        object_touch_pages(*slot, size);
    }
}

static void *user_thread(void *argument)
{
    struct user *user = argument;
    struct latency *latency = user->latency;
    bool measured = false;
    for (enum stage stage;
         (stage = atomic_load_explicit(&latency->stage,
                                       memory_order_relaxed)) != STAGE_ENDED;) {
        if (stage == STAGE_MEASURED && !measured) {
            memset(user->times, 0, sizeof user->times);
            measured = true;
        }
        user_replace(user);
    }
    for (size_t i = 0; i < TABLE; i++)
        if (user->objects[i] != NULL) {
            object_check(user->objects[i]);
            heap_free(latency->bench->heap, user->objects[i]);
        }
    return NULL;
}

/* 3 GiB; less if that is more than an eighth of the free space in DRAM, or in
 * the directory of a kind. */
static size_t bulk_of(const struct bench *bench)
{
    size_t bulk = (size_t)3 << 30;
    long pages = sysconf(_SC_AVPHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    struct statvfs fs;
    if (bench->bulk != 0)
        return bench->bulk;
    if (pages > 0 && page > 0 && (size_t)pages * (size_t)page / 8 < bulk)
        bulk = (size_t)pages * (size_t)page / 8;
    if (heap_is_kind() && statvfs(bench->dir, &fs) == 0 &&
        fs.f_bavail * fs.f_frsize / 8 < bulk)
        bulk = fs.f_bavail * fs.f_frsize / 8;
    return bulk > MIB ? bulk : MIB;
}

static void sleep_ns(uint64_t ns)
{
    const struct timespec time = {.tv_sec = (time_t)(ns / 1000000000),
                                  .tv_nsec = (long)(ns % 1000000000)};
    nanosleep(&time, NULL);
}

static void free_bulk(struct heap heap, void **objects, size_t count,
                      struct times *times)
{
    enum { READ_AFTER = 64 };
    uint64_t before = now_ns();
    for (size_t i = 0; i < count; i++) {
        if (i % READ_AFTER == 0) {
            times_between();
            before = now_ns();
        }
        object_check(objects[i]);
        heap_free(heap, objects[i]);
        uint64_t now = now_ns();
        times_add(times, now - before);
        before = now;
    }
}

static void run_users(struct bench *bench, struct heap freed, void **objects,
                      size_t count)
{
    struct latency *latency = bench_pages(sizeof *latency);
    struct user *users = bench_pages(bench->threads * sizeof *users);
    struct times *times = bench_pages(sizeof *times);
    pthread_t threads[BENCH_THREADS_MAX];
    latency->bench = bench;
    for (unsigned i = 0; i < bench->threads; i++) {
        users[i].latency = latency;
        users[i].random = 0x9e3779b97f4a7c15u * (i + 1);
        for (size_t j = 0; j < TABLE; j++)
            users[i].sizes[j] =
                (uint32_t)random_log(&users[i].random, TABLE_LOW, TABLE_HIGH);
        if (pthread_create(&threads[i], NULL, user_thread, &users[i]) != 0) {
            fprintf(stderr, "no thread %u\n", i);
            _Exit(1);
        }
    }
    sleep_ns(bench->warmup_ns);
    uint64_t start = now_ns();
    atomic_store(&latency->stage, STAGE_MEASURED);
    free_bulk(freed, objects, count, times);
    uint64_t ns = now_ns() - start;
    sleep_ns(bench->window_ns);
    atomic_store(&latency->stage, STAGE_ENDED);
    for (unsigned i = 0; i < bench->threads; i++)
        pthread_join(threads[i], NULL);
    for (unsigned i = 1; i < bench->threads; i++)
        for (size_t sort = 0; sort < TIME_SORTS; sort++)
            times_merge(&users[0].times[sort], &users[i].times[sort]);

    bench_metric(bench, "bytes", (double)count * FREED_OBJECT);
    bench_metric(bench, "seconds", (double)ns / 1e9);
    times_metrics(bench, &users[0].times[TIME_MALLOC], "malloc");
    times_metrics(bench, &users[0].times[TIME_FREE], "free");
    times_metrics(bench, times, "bulk");
    bench_release(times, sizeof *times);
    bench_release(users, bench->threads * sizeof *users);
    bench_release(latency, sizeof *latency);
}

/* The argument: whether what is freed is in another kind. */
static int latency_measure(struct bench *bench)
{
    size_t count = bulk_of(bench) / FREED_OBJECT;
    struct heap freed;
    int err = heap_create(&bench->heap, bench->dir, bench->free_null);
    if (err != 0)
        return err;
    freed = bench->heap;
    if (bench->pattern->argument != 0 &&
        (err = heap_create(&freed, bench->dir, bench->free_null)) != 0) {
        heap_destroy(&bench->heap);
        return err;
    }
    void **objects = bench_pages(count * sizeof *objects);
    for (size_t i = 0; i < count; i++) {
        objects[i] = heap_malloc(freed, FREED_OBJECT);
        object_touch_pages(objects[i], FREED_OBJECT);
    }
    run_users(bench, freed, objects, count);
    bench_release(objects, count * sizeof *objects);
    if (bench->pattern->argument != 0)
        err = heap_destroy(&freed);
    int other = heap_destroy(&bench->heap);
    return err != 0 ? err : other;
}

const struct pattern latency_patterns[] = {
    {
        .name = "latency",
        .about = "time of single calls: gigabytes freed by one thread, "
                 "objects of 16 bytes-16 KiB replaced by others",
        .argument = 0,
        .measure = latency_measure,
    },
    {
        .name = "latency_other",
        .about = "the same, but what is freed is in another kind",
        .argument = 1,
        .measure = latency_measure,
        .kind_only = true,
    },
    {.name = NULL},
};
