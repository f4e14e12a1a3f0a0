/* SPDX-License-Identifier: BSD-2-Clause */
/* Histograms of the times of single calls. */
#include "bench.h"

#include <stdio.h>
#include <time.h>

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
 * Nor does a stall say whether the thread was at work, or waited for a lock
 * whose holder had no CPU. So the longest that a call was running is kept as
 * well; it may be too much by the millisecond since the last reading.
 */
enum { LONG_NS = 1000 * 1000 };

struct sched_times {
    uint64_t ran_ns, waited_ns;
};

static _Thread_local struct sched_times last;
static _Thread_local uint64_t read_at;

/* The kernel brings what schedstat says of the time that a running thread ran
 * up to date at ticks only. */
static struct sched_times read_sched(void)
{
    char text[64], *second;
    struct timespec ran;
    struct sched_times sched = {0, 0};
    if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ran) == 0)
        sched.ran_ns =
            (uint64_t)ran.tv_sec * 1000000000 + (uint64_t)ran.tv_nsec;
    if (bench_read("/proc/thread-self/schedstat", text, sizeof text)) {
        (void)strtoull(text, &second, 10); /* for how long it ran */
        sched.waited_ns = strtoull(second, NULL, 10);
    }
    return sched;
}

void times_between(void)
{
    uint64_t now = now_ns();
    if (now - read_at < LONG_NS)
        return;
    last = read_sched();
    read_at = now;
}

/* For a call that took so long: how long that was without waits for a CPU, and
 * how much of it the thread was running, at most. */
static void split_long(uint64_t ns, uint64_t *stall, uint64_t *ran)
{
    const struct sched_times before = last;
    last = read_sched();
    read_at = now_ns();
    const uint64_t waited = last.waited_ns - before.waited_ns;
    *stall = waited < ns ? ns - waited : 0;
    *ran = last.ran_ns - before.ran_ns;
    if (*ran > ns)
        *ran = ns;
}

void times_add(struct times *times, uint64_t ns)
{
    uint64_t stall = ns, ran = ns;
    if (ns >= LONG_NS)
        split_long(ns, &stall, &ran);
    times->count++;
    times->buckets[bucket_of(ns)]++;
    if (times->longest_ns < ns)
        times->longest_ns = ns;
    if (times->stall_ns < stall)
        times->stall_ns = stall;
    if (times->ran_ns < ran)
        times->ran_ns = ran;
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
    if (times->ran_ns < other->ran_ns)
        times->ran_ns = other->ran_ns;
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
    named_metric(bench, name, "ran_ns", (double)times->ran_ns);
}
