/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the parts of a benchmark program share. A pattern is either run in
 * lanes, one thread each, for a length of time that the program measures, or
 * measures by itself what it is about.
 */
#ifndef BENCH_H
#define BENCH_H

#include "bench_heap.h"

#include <pthread.h>
#include <stdatomic.h>

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)

enum { BENCH_LINE = 128, BENCH_THREADS_MAX = 256, BENCH_METRICS_MAX = 48 };

struct bench;

/* ---- times of single calls ----------------------------------------------- */

/* A histogram with sixteen buckets from each power of two to the next. */
enum { TIMES_STEPS = 16, TIMES_BUCKETS = 61 * TIMES_STEPS };

struct times {
    uint64_t count, longest_ns;
    uint64_t stall_ns; /* the longest, without waits for a CPU */
    uint64_t ran_ns;   /* the longest that one was running */
    uint64_t buckets[TIMES_BUCKETS];
};

enum time_sort { TIME_MALLOC, TIME_FAILED, TIME_FREE, TIME_SORTS };

/* Between calls, at least once for some hundred microseconds of work: waits for
 * a CPU up to now were no part of a call to come. */
void times_between(void);
void times_add(struct times *times, uint64_t ns);
void times_merge(struct times *times, const struct times *other);
/* The time that this part of the calls did not exceed, 1/16 too much at most.
 */
uint64_t times_part(const struct times *times, double part);
/* Metrics NAME_count, NAME_p50_ns, NAME_p99_ns, NAME_p999_ns, NAME_longest_ns,
 * NAME_stall_ns, NAME_ran_ns; none if there was no call. */
void times_metrics(struct bench *bench, const struct times *times,
                   const char *name);

/* ---- patterns ------------------------------------------------------------ */

/* One thread of a pattern. What threads share lies in other cache lines. */
struct lane {
    _Alignas(BENCH_LINE) struct bench *bench;
    unsigned index;
    uint64_t random;     /* state of random_next() */
    void *state;         /* the pattern's */
    struct times *times; /* TIME_SORTS of them, if the pattern is timed */
    uint64_t operations;
    uint64_t ns;
    uint64_t aside_ns; /* CPU time of a step that is not to be counted */
};

struct pattern {
    const char *name;
    const char *about;
    /* A parameter, for patterns that share their functions. */
    size_t argument;
    /* In the main thread, before the lanes; 0 or a negative status. */
    int (*setup)(struct bench *bench);
    /* In each lane's thread, before and after what is measured. */
    void (*start)(struct lane *lane);
    void (*stop)(struct lane *lane);
    /*
     * Some hundred microseconds of work; returns the number of operations. It
     * must not wait for other lanes without looking at bench->ended.
     */
    size_t (*unit)(struct lane *lane);
    void (*teardown)(struct bench *bench);
    /*
     * Instead of all those: measures by itself, perhaps with lanes of its own
     * by bench_run_lanes(). 0, a negative status, or BENCH_SKIPPED after a
     * message that says what is missing.
     */
    int (*measure)(struct bench *bench);
    /* Makes no sense but on a kind. */
    bool kind_only;
    /* Lanes have lane->times; those of the measured time become metrics. */
    bool timed;
};

enum { BENCH_SKIPPED = 77 };

extern const struct pattern basic_patterns[], thread_patterns[],
    kind_patterns[], space_patterns[], full_patterns[], latency_patterns[],
    brief_patterns[], fill_patterns[]; /* each ends with a NULL name */

struct metric {
    char name[24];
    double value;
};

struct bench {
    const struct pattern *pattern;
    const char *dir;
    unsigned threads;
    uint64_t warmup_ns, window_ns;
    size_t size;         /* how much "full" is, in bytes */
    unsigned phases;     /* of the fragmentation test */
    uint64_t minimum_ns; /* how long it lasts at least */
    uint64_t wait_ns;    /* how long "giveback" waits at most */
    size_t kinds_max;    /* how many are made at once at most */
    size_t idle;         /* idle threads; SIZE_MAX: the pattern's number */
    size_t evict;        /* objects freed when there is no room */
    size_t bulk;         /* bytes that "latency" frees; 0: what fits */
    bool free_null, defrag;

    struct heap heap; /* made by the program unless the pattern measures */
    void *shared;     /* the pattern's */
    struct lane *lanes;
    pthread_barrier_t barrier;
    uint64_t deadline;
    _Alignas(BENCH_LINE) atomic_uint ended; /* lanes that work no more */
    _Alignas(BENCH_LINE) struct metric metrics[BENCH_METRICS_MAX];
    size_t metric_count;
};

/* Nanoseconds, of a clock that never goes back; of the process's CPU time, of
 * the thread's. */
uint64_t now_ns(void);
uint64_t cpu_ns(void);
uint64_t cpu_of_thread_ns(void);

/* Zeroed pages that are not the measured heap's, all there already. Ends the
 * program if there is no memory. */
void *bench_pages(size_t size);
void bench_release(void *pages, size_t size);

void bench_metric(struct bench *bench, const char *name, double value);

/* Reads a small file, or the start of it, as a string: without stdio, which
 * would allocate from what is measured. Returns false if there is nothing to
 * read. */
bool bench_read(const char *path, char *text, size_t size);

/* Bytes of anonymous memory that the process has; bytes that its unnamed
 * files in bench->dir take. */
size_t bench_anonymous(void);
size_t bench_file_bytes(const struct bench *bench);

/* An unnamed file of `size` bytes in bench->dir; -1 if it cannot be made. */
int bench_file(const struct bench *bench, size_t size);

static inline bool bench_others_ended(struct lane *lane)
{
    return atomic_load_explicit(&lane->bench->ended, memory_order_relaxed) != 0;
}

/* Runs the pattern's lanes on a heap that is made for them, with a limit unless
 * that is 0; 0 or a negative status. */
int bench_run_lanes(struct bench *bench, size_t limit);

/* A limit for a kind: bench->size, or the least that a kind can have. */
size_t bench_limit(const struct bench *bench);

/* Makes as many heaps as the pattern's argument says, kinds_max at most: the
 * array bench->shared, which begins with the program's own heap. 0 or a
 * negative status. */
int bench_kinds_setup(struct bench *bench);
void bench_kinds_teardown(struct bench *bench);
size_t bench_kinds(const struct bench *bench);

/*
 * Threads that use the heap once and then wait, bench->idle of them or as many
 * as `usual`: their number, which is smaller if the machine allows no more.
 */
struct idlers;
struct idlers *idlers_start(struct bench *bench, size_t usual);
size_t idlers_count(const struct idlers *idlers);
void idlers_end(struct idlers *idlers);

/* Runs the function in a thread of its own, and waits for that to end. */
void lane_in_thread(struct lane *lane, void (*function)(struct lane *));

/* ---- random numbers ------------------------------------------------------ */

static inline uint64_t random_next(uint64_t *state)
{
    /* xorshift64* */
    uint64_t x = *state;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    *state = x;
    return x * 2685821657736338717u;
}

/* From 32 random bits to [0, limit). */
static inline size_t random_scale(uint64_t bits, size_t limit)
{
    return (size_t)(((bits & 0xffffffffu) * limit) >> 32);
}

static inline size_t random_between(uint64_t *state, size_t low, size_t high)
{
    return low + random_scale(random_next(state) >> 32, high - low + 1);
}

/* Even over the logarithms: as often from 1 to 2 as from 2 to 4. */
size_t random_log(uint64_t *state, size_t low, size_t high);

#endif
