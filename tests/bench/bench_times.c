/* SPDX-License-Identifier: BSD-2-Clause */
/* Histograms of the times of single calls. */
#include "bench.h"

#include <stdio.h>

enum { STEP_BITS = 4 };
_Static_assert(TIMES_STEPS == 1 << STEP_BITS, "steps of a power of two");

/* Up to 16 ns a bucket for each; then those of the power of two below, whose
 * next four bits count the steps. */
static size_t bucket_of(uint64_t ns)
{
    if (ns < TIMES_STEPS)
        return (size_t)ns;
    size_t power = 63 - (size_t)__builtin_clzll(ns);
    size_t step = (size_t)(ns >> (power - STEP_BITS)) & (TIMES_STEPS - 1);
    return (power - STEP_BITS + 1) * TIMES_STEPS + step;
}

/* The longest time that the bucket counts. */
static uint64_t bucket_last(size_t bucket)
{
    if (bucket < TIMES_STEPS)
        return bucket;
    size_t shift = bucket / TIMES_STEPS - 1;
    uint64_t first = (uint64_t)(TIMES_STEPS + bucket % TIMES_STEPS) << shift;
    return first + (((uint64_t)1 << shift) - 1);
}

/*
 * On a busy machine the longest call is often one that was waiting for a CPU.
 * Linux counts for how long a thread was ready to run and did not. That is read
 * about once in a millisecond and after each call that took as long. A thread
 * that yields until another has released a lock may be counted as waiting for a
 * CPU, so the longest time and the longest stall have to be looked at together.
 */
enum { LONG_NS = 1000 * 1000 };

static _Thread_local uint64_t waited_ns, read_at;

/* 0 if the kernel does not say. */
static uint64_t read_waited(void)
{
    char text[64];
    if (!bench_read("/proc/thread-self/schedstat", text, sizeof text))
        return 0;
    /* for how long it ran, for how long it waited */
    char *second;
    (void)strtoull(text, &second, 10);
    return strtoull(second, NULL, 10);
}

void times_between(void)
{
    uint64_t now = now_ns();
    if (now - read_at < LONG_NS)
        return;
    waited_ns = read_waited();
    read_at = now;
}

static uint64_t without_waits(uint64_t ns)
{
    uint64_t before = waited_ns;
    waited_ns = read_waited();
    read_at = now_ns();
    uint64_t waited = waited_ns - before;
    return waited < ns ? ns - waited : 0;
}

void times_add(struct times *times, uint64_t ns)
{
    uint64_t stall = ns < LONG_NS ? ns : without_waits(ns);
    times->count++;
    times->buckets[bucket_of(ns)]++;
    if (times->longest_ns < ns)
        times->longest_ns = ns;
    if (times->stall_ns < stall)
        times->stall_ns = stall;
}

void times_merge(struct times *times, const struct times *other)
{
    times->count += other->count;
    for (size_t i = 0; i < TIMES_BUCKETS; i++)
        times->buckets[i] += other->buckets[i];
    if (times->longest_ns < other->longest_ns)
        times->longest_ns = other->longest_ns;
    if (times->stall_ns < other->stall_ns)
        times->stall_ns = other->stall_ns;
}

uint64_t times_part(const struct times *times, double part)
{
    uint64_t counted = 0;
    for (size_t i = 0; i < TIMES_BUCKETS; i++) {
        counted += times->buckets[i];
        if ((double)counted >= part * (double)times->count)
            return bucket_last(i) < times->longest_ns ? bucket_last(i)
                                                      : times->longest_ns;
    }
    return times->longest_ns;
}

static void named_metric(struct bench *bench, const char *name,
                         const char *what, double value)
{
    char text[sizeof bench->metrics[0].name];
    snprintf(text, sizeof text, "%s_%s", name, what);
    bench_metric(bench, text, value);
}

void times_metrics(struct bench *bench, const struct times *times,
                   const char *name)
{
    if (times->count == 0)
        return;
    named_metric(bench, name, "count", (double)times->count);
    named_metric(bench, name, "p50_ns", (double)times_part(times, 0.5));
    named_metric(bench, name, "p99_ns", (double)times_part(times, 0.99));
    named_metric(bench, name, "p999_ns", (double)times_part(times, 0.999));
    named_metric(bench, name, "longest_ns", (double)times->longest_ns);
    named_metric(bench, name, "stall_ns", (double)times->stall_ns);
}
