/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench_malloc, bench_memkind [OPTION...] PATTERN...
 *
 * Runs patterns of allocation one after the other, and prints a line of JSON
 * for each: what it cost for each operation (a malloc and its free, unless the
 * pattern says otherwise), or what else the pattern measures. `--list` prints
 * the patterns, `all` runs those that take no more than a moment.
 *
 * Exit status: 0; 1 if a pattern failed, which its line then says; 2 for bad
 * usage; 4 if there was no memory. A pattern that this machine does not allow
 * says so, has the status 77 in its line, and is no failure.
 */
#include "bench.h"

#include <getopt.h>
#include <stdio.h>
#include <sys/resource.h>

static const struct pattern *const groups[] = {
    basic_patterns, thread_patterns,  kind_patterns,  space_patterns,
    full_patterns,  latency_patterns, brief_patterns, fill_patterns};
enum { GROUPS = sizeof groups / sizeof groups[0] };

static const struct pattern *find_pattern(const char *name)
{
    for (size_t i = 0; i < GROUPS; i++)
        for (const struct pattern *p = groups[i]; p->name != NULL; p++)
            if (strcmp(p->name, name) == 0)
                return p;
    return NULL;
}

/* ---- lanes --------------------------------------------------------------- */

static void work_until(struct lane *lane, uint64_t deadline)
{
    const struct pattern *pattern = lane->bench->pattern;
    uint64_t start = now_ns(), now;
    lane->operations = 0;
    do {
        lane->operations += pattern->unit(lane);
        now = now_ns();
    } while (now < deadline);
    lane->ns = now - start;
    atomic_fetch_add(&lane->bench->ended, 1);
}

/* All lanes meet; one of them opens the next stretch of time. */
static bool meet(struct bench *bench, uint64_t duration)
{
    bool first =
        pthread_barrier_wait(&bench->barrier) == PTHREAD_BARRIER_SERIAL_THREAD;
    if (first) {
        atomic_store(&bench->ended, 0);
        bench->deadline = now_ns() + duration;
    }
    pthread_barrier_wait(&bench->barrier);
    return first;
}

static void *run_lane(void *argument)
{
    struct lane *lane = argument;
    struct bench *bench = lane->bench;
    const struct pattern *pattern = bench->pattern;

    if (pattern->start != NULL)
        pattern->start(lane);
    meet(bench, bench->warmup_ns);
    work_until(lane, bench->deadline);
    pthread_barrier_wait(&bench->barrier);
    if (lane->times != NULL)
        memset(lane->times, 0, TIME_SORTS * sizeof *lane->times);
    uint64_t cpu = cpu_ns();
    meet(bench, bench->window_ns);
    work_until(lane, bench->deadline);
    meet(bench, 0);
    cpu = cpu_ns() - cpu;
    if (lane->index == 0)
        bench_metric(bench, "cpu_total_ns", (double)cpu);
    pthread_barrier_wait(&bench->barrier);
    if (pattern->stop != NULL)
        pattern->stop(lane);
    return NULL;
}

static void lanes_times(struct bench *bench)
{
    static const char *const names[TIME_SORTS] = {"malloc", "failed", "free"};
    for (size_t sort = 0; sort < TIME_SORTS; sort++) {
        for (unsigned i = 1; i < bench->threads; i++)
            times_merge(&bench->lanes[0].times[sort],
                        &bench->lanes[i].times[sort]);
        times_metrics(bench, &bench->lanes[0].times[sort], names[sort]);
    }
}

static void release_times(struct bench *bench, struct times *times)
{
    if (times != NULL)
        bench_release(times, bench->threads * TIME_SORTS * sizeof *times);
}

int bench_run_lanes(struct bench *bench, size_t limit)
{
    const struct pattern *pattern = bench->pattern;
    int err =
        heap_create_limited(&bench->heap, bench->dir, limit, bench->free_null);
    if (err != 0)
        return err;
    struct times *times = NULL;
    if (pattern->timed)
        times = bench_pages(bench->threads * TIME_SORTS * sizeof *times);
    for (unsigned i = 0; i < bench->threads; i++)
        bench->lanes[i] = (struct lane){
            .bench = bench,
            .index = i,
            .random = 0x9e3779b97f4a7c15u * (i + 1),
            .times = times != NULL ? times + i * TIME_SORTS : NULL,
        };
    if (pattern->setup != NULL && (err = pattern->setup(bench)) != 0) {
        release_times(bench, times);
        heap_destroy(&bench->heap);
        return err;
    }
    pthread_barrier_init(&bench->barrier, NULL, bench->threads);
    pthread_t threads[BENCH_THREADS_MAX];
    for (unsigned i = 0; i < bench->threads; i++)
        if (pthread_create(&threads[i], NULL, run_lane, &bench->lanes[i]) !=
            0) {
            fprintf(stderr, "no thread %u\n", i);
            _Exit(1);
        }
    for (unsigned i = 0; i < bench->threads; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&bench->barrier);

    uint64_t operations = 0, ns = 0, longest = 0;
    for (unsigned i = 0; i < bench->threads; i++) {
        operations += bench->lanes[i].operations;
        ns += bench->lanes[i].ns;
        if (longest < bench->lanes[i].ns)
            longest = bench->lanes[i].ns;
    }
    if (pattern->teardown != NULL)
        pattern->teardown(bench);
    err = heap_destroy(&bench->heap);
    if (err == 0 && operations == 0)
        err = -1;
    if (err != 0) {
        release_times(bench, times);
        return err;
    }
    /* the first metric is the CPU time that lane 0 has left */
    double cpu = bench->metrics[0].value;
    bench->metric_count = 0;
    bench_metric(bench, "ns", (double)ns / (double)operations);
    bench_metric(bench, "cpu_ns", cpu / (double)operations);
    bench_metric(bench, "mops", (double)operations * 1e3 / (double)longest);
    bench_metric(bench, "operations", (double)operations);
    if (times != NULL)
        lanes_times(bench);
    release_times(bench, times);
    return 0;
}

/* ---- the program --------------------------------------------------------- */

static bool run_pattern(struct bench *bench, const struct pattern *pattern)
{
    bench->pattern = pattern;
    bench->metric_count = 0;
    bench->shared = NULL;
    int err = pattern->measure != NULL ? pattern->measure(bench)
                                       : bench_run_lanes(bench, 0);
    printf("{\"pattern\": \"%s\", \"threads\": %u, \"status\": %d, "
           "\"library\": \"%s\"",
           pattern->name, bench->threads, err, heap_library());
    for (size_t i = 0; i < bench->metric_count; i++)
        printf(", \"%s\": %.6g", bench->metrics[i].name,
               bench->metrics[i].value);
    printf("}\n");
    fflush(stdout);
    return err == 0 || err == BENCH_SKIPPED;
}

static bool run_all(struct bench *bench)
{
    bool good = true;
    for (size_t i = 0; i < GROUPS; i++)
        for (const struct pattern *p = groups[i]; p->name != NULL; p++)
            if (heap_is_kind() || !p->kind_only)
                good = run_pattern(bench, p) && good;
    return good;
}

static void list_patterns(void)
{
    for (size_t i = 0; i < GROUPS; i++)
        for (const struct pattern *p = groups[i]; p->name != NULL; p++)
            printf("%-14s %s\n", p->name, p->about);
}

enum {
    OPTION_THREADS = 256,
    OPTION_SECONDS,
    OPTION_WARMUP,
    OPTION_DIR,
    OPTION_SIZE,
    OPTION_PHASES,
    OPTION_MINIMUM,
    OPTION_WAIT,
    OPTION_KINDS,
    OPTION_IDLE,
    OPTION_EVICT,
    OPTION_BULK,
    OPTION_FREE_NULL,
    OPTION_DEFRAG,
    OPTION_LIST,
};

static const struct option options[] = {
    {"threads", required_argument, NULL, OPTION_THREADS},
    {"seconds", required_argument, NULL, OPTION_SECONDS},
    {"warmup", required_argument, NULL, OPTION_WARMUP},
    {"dir", required_argument, NULL, OPTION_DIR},
    {"size", required_argument, NULL, OPTION_SIZE},
    {"phases", required_argument, NULL, OPTION_PHASES},
    {"minimum", required_argument, NULL, OPTION_MINIMUM},
    {"wait", required_argument, NULL, OPTION_WAIT},
    {"kinds", required_argument, NULL, OPTION_KINDS},
    {"idle", required_argument, NULL, OPTION_IDLE},
    {"evict", required_argument, NULL, OPTION_EVICT},
    {"bulk", required_argument, NULL, OPTION_BULK},
    {"free-null", no_argument, NULL, OPTION_FREE_NULL},
    {"defrag", no_argument, NULL, OPTION_DEFRAG},
    {"list", no_argument, NULL, OPTION_LIST},
    {NULL, 0, NULL, 0},
};

static int usage(const char *program)
{
    fprintf(
        stderr,
        "usage: %s [OPTION...] PATTERN... | all | --list\n"
        "  --threads N      [1]\n"
        "  --seconds S      that are measured           [0.25]\n"
        "  --warmup S       before that                 [0.05]\n"
        "  --dir DIR        for files                   [/dev/shm]\n"
        "  --size BYTES     of a heap that is filled, and the most that an\n"
        "                   object of `bigger` has      [64 MiB]\n"
        "  --phases N       of the fragmentation test   [12]\n"
        "  --minimum S      that it lasts at least      [0]\n"
        "  --wait S         at most, in giveback        [30]\n"
        "  --kinds N        at once, at most            [512]\n"
        "  --idle N         threads that used the heap once and wait, in\n"
        "                   full* [0] and brief_alive [4000]\n"
        "  --evict N        objects freed for each NULL, in full*  [1]\n"
        "  --bulk BYTES     that latency* frees\n"
        "                   [3 GiB, or an eighth of the space that is free]\n"
        "  --defrag         after each phase\n"
        "  --free-null      frees without naming the kind\n",
        program);
    return 2;
}

static uint64_t to_ns(const char *seconds)
{
    double value = strtod(seconds, NULL);
    return value > 0 ? (uint64_t)(value * 1e9) : 0;
}

int main(int argc, char **argv)
{
    static struct bench bench;
    bench.dir = "/dev/shm";
    bench.threads = 1;
    bench.warmup_ns = 50 * 1000 * 1000;
    bench.window_ns = 250 * 1000 * 1000;
    bench.size = 64 * MIB;
    bench.phases = 12;
    bench.kinds_max = 512;
    bench.idle = SIZE_MAX;
    bench.evict = 1;
    bench.wait_ns = (uint64_t)30 * 1000 * 1000 * 1000;

    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;)
        switch (c) {
        case OPTION_THREADS:
            bench.threads = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case OPTION_SECONDS:
            bench.window_ns = to_ns(optarg);
            break;
        case OPTION_WARMUP:
            bench.warmup_ns = to_ns(optarg);
            break;
        case OPTION_DIR:
            bench.dir = optarg;
            break;
        case OPTION_SIZE:
            bench.size = strtoul(optarg, NULL, 10);
            break;
        case OPTION_PHASES:
            bench.phases = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case OPTION_MINIMUM:
            bench.minimum_ns = to_ns(optarg);
            break;
        case OPTION_WAIT:
            bench.wait_ns = to_ns(optarg);
            break;
        case OPTION_KINDS:
            bench.kinds_max = strtoul(optarg, NULL, 10);
            break;
        case OPTION_IDLE:
            bench.idle = strtoul(optarg, NULL, 10);
            break;
        case OPTION_EVICT:
            bench.evict = strtoul(optarg, NULL, 10);
            break;
        case OPTION_BULK:
            bench.bulk = strtoul(optarg, NULL, 10);
            break;
        case OPTION_FREE_NULL:
            bench.free_null = true;
            break;
        case OPTION_DEFRAG:
            bench.defrag = true;
            break;
        case OPTION_LIST:
            list_patterns();
            return 0;
        default:
            return usage(argv[0]);
        }
    if (optind == argc || bench.threads == 0 ||
        bench.threads > BENCH_THREADS_MAX || bench.size < MIB ||
        bench.kinds_max == 0 || bench.evict == 0)
        return usage(argv[0]);
    /* a kind has a file */
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    bench.lanes = bench_pages(bench.threads * sizeof *bench.lanes);

    bool good = true;
    for (int i = optind; i < argc; i++) {
        const struct pattern *pattern = find_pattern(argv[i]);
        if (strcmp(argv[i], "all") == 0) {
            good = run_all(&bench) && good;
        } else if (pattern == NULL) {
            fprintf(stderr, "no pattern %s\n", argv[i]);
            return usage(argv[0]);
        } else {
            good = run_pattern(&bench, pattern) && good;
        }
    }
    return good ? 0 : 1;
}
