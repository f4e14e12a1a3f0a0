/* SPDX-License-Identifier: BSD-2-Clause */
#include "tool_bench.h"

#include <errno.h>
#include <memkind.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tool_bench_output.h"
#include "tool_limits.h"
#include "tool_patterns.h"
#include "tool_place.h"
#include "tool_progress.h"
#include "tool_reason.h"
#include "tool_text.h"
#include "tool_units.h"

#define KIND_LIMIT_MOST (64 * MIB)
/* At most this part of the free space is used. */
#define FREE_PART 2

static void *allocate_from_kind(void *context, size_t size)
{
    errno = 0;
    return memkind_malloc((memkind_t)context, size);
}

static void release_to_kind(void *context, void *object)
{
    memkind_free((memkind_t)context, object);
}

static void *allocate_from_process(void *context, size_t size)
{
    (void)context;
    errno = 0;
    return malloc(size);
}

static void release_to_process(void *context, void *object)
{
    (void)context;
    free(object);
}

/* Sets the error of the result; returns false. */
static bool bench_failed(struct bench_result *result, const char *error)
{
    result->error = error;
    return false;
}

/* Chooses a limit that leaves at least half of the free space to others. */
static bool choose_bench_limit(struct bench_result *result,
                               const struct place *place, uint64_t *chosen)
{
    struct limits limits;
    limits_find(&limits, place);
    if (place->type != PLACE_DIRECTORY && place->type != PLACE_DEVICE_DAX)
        return bench_failed(result, reason_no_place(place));
    uint64_t limit = KIND_LIMIT_MOST;
    if (limits.known && limits.fits / FREE_PART < limit)
        limit = limits.fits / FREE_PART;
    limit -= limit % MIB;
    *chosen = limit;
    if (limit >= MEMKIND_PMEM_MIN_SIZE)
        return true;
    return bench_failed(
        result, text_format("%s fit, which is too little: a kind takes %s at "
                            "least, and at most half of what fits is used",
                            size_text(limits.fits).text,
                            size_text(MEMKIND_PMEM_MIN_SIZE).text));
}

static int compare_times(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorts the times. */
static struct bench_figure figure_of(double times[BENCH_ROUNDS],
                                     uint64_t objects)
{
    enum { FIRST = BENCH_ROUNDS / 4, LAST = BENCH_ROUNDS - 1 - FIRST };
    qsort(times, BENCH_ROUNDS, sizeof times[0], compare_times);
    double median = times[BENCH_ROUNDS / 2];
    return (struct bench_figure){
        .ns = median,
        .spread = 100 * (times[LAST] - times[FIRST]) / median,
        .objects = objects,
    };
}

/* The first round only warms up: it takes the kind's file space. */
static bool measure(struct bench_result *result,
                    const struct allocator allocators[BENCH_ALLOCATORS],
                    struct workload *workload, double seconds)
{
    const unsigned steps =
        (BENCH_ROUNDS + 1) * PATTERN_COUNT * BENCH_ALLOCATORS;
    static double times[PATTERN_COUNT][BENCH_ALLOCATORS][BENCH_ROUNDS];
    static uint64_t objects[PATTERN_COUNT][BENCH_ALLOCATORS];
    struct progress progress;
    progress_begin(&progress, steps);
    for (int round = -1; round < BENCH_ROUNDS; round++)
        for (int i = 0; i < PATTERN_COUNT; i++)
            for (int k = 0; k < BENCH_ALLOCATORS; k++) {
                struct timing timing = {0};
                progress_step(&progress, patterns[i].name);
                int error = patterns[i].run(&allocators[k], workload,
                                            seconds / steps, &timing);
                if (error != 0) {
                    progress_end(&progress);
                    return bench_failed(result, text_format("%s, %s: %s",
                                                            patterns[i].name,
                                                            allocators[k].name,
                                                            strerror(-error)));
                }
                if (round >= 0)
                    times[i][k][round] = timing.ns;
                if (round <= 0 || timing.objects < objects[i][k])
                    objects[i][k] = timing.objects;
            }
    progress_end(&progress);
    for (int i = 0; i < PATTERN_COUNT; i++)
        for (int k = 0; k < BENCH_ALLOCATORS; k++)
            result->figures[i][k] = figure_of(times[i][k], objects[i][k]);
    return true;
}

static bool run_bench(struct bench_result *result, const struct place *place,
                      double seconds)
{
    memkind_t kind = NULL;
    struct workload workload;
    struct reason reason;
    uint64_t limit;
    if (!choose_bench_limit(result, place, &limit))
        return false;
    if (!reason_make_kind(&reason, place, limit, &kind))
        return bench_failed(
            result, text_format("no kind can be made: %s", reason.text));
    result->limit = limit;
    const struct allocator allocators[BENCH_ALLOCATORS] = {
        [BENCH_KIND] = {"kind", allocate_from_kind, release_to_kind, kind},
        [BENCH_PROCESS] = {"malloc", allocate_from_process, release_to_process,
                           NULL},
    };
    bool done = false;
    if (workload_init(&workload, limit)) {
        done = measure(result, allocators, &workload, seconds);
        workload_fini(&workload);
    } else {
        bench_failed(result, strerror(ENOMEM));
    }
    (void)memkind_destroy_kind(kind);
    return done;
}

enum tool_exit tool_bench(const struct tool_options *options)
{
    struct bench_result result = {.path = options->paths[0]};
    struct place place;
    place_look(&place, options->paths[0]);
    if (place.type == PLACE_DEVICE_DAX && !options->overwrite) {
        fprintf(stderr,
                "memkind-pmem: bench overwrites what %s holds: say "
                "--overwrite if that is meant\n",
                text_escape(options->paths[0]));
        return TOOL_USAGE;
    }
    double started = pattern_clock();
    bool done = run_bench(&result, &place, options->seconds);
    result.seconds = pattern_clock() - started;
    if (options->json)
        bench_print_json(&result, stdout);
    else
        bench_print_text(&result, stdout);
    if (!done)
        fprintf(stderr, "memkind-pmem: %s: %s\n",
                text_escape(options->paths[0]), result.error);
    return done ? TOOL_OK : TOOL_NO;
}
