/* SPDX-License-Identifier: BSD-2-Clause */
#include "tool_bench.h"

#include <errno.h>
#include <memkind.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tool_bench_output.h"
#include "tool_limits.h"
#include "tool_patterns.h"
#include "tool_place.h"
#include "tool_progress.h"
#include "tool_units.h"

#define KIND_LIMIT_MOST (64 * MIB)
/* At most this part of the free space is used. */
#define FREE_PART 2

enum { OF_KIND, OF_PROCESS, ALLOCATORS };

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
static bool bench_failed(struct bench_result *result, const char *format, ...)
{
    static char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    result->error = text;
    return false;
}

/* Chooses a limit that leaves at least half of the free space to others. */
static bool choose_bench_limit(struct bench_result *result,
                               const struct place *place)
{
    struct limits limits;
    limits_find(&limits, place);
    if (place->type == PLACE_UNREACHABLE)
        return bench_failed(result, "%s", strerror(place->error));
    if (place->type != PLACE_DIRECTORY && place->type != PLACE_DEVICE_DAX)
        return bench_failed(result, "it is no directory and no device DAX");
    uint64_t limit = KIND_LIMIT_MOST;
    if (limits.known && limits.fits / FREE_PART < limit)
        limit = limits.fits / FREE_PART;
    limit -= limit % MIB;
    if (limit < MEMKIND_PMEM_MIN_SIZE)
        return bench_failed(result, "%s fit, which is too little",
                            size_text(limits.fits).text);
    result->limit = limit;
    return true;
}

static int compare_times(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double times[BENCH_ROUNDS])
{
    qsort(times, BENCH_ROUNDS, sizeof times[0], compare_times);
    return times[BENCH_ROUNDS / 2];
}

/* The first round only warms up: it takes the kind's file space. */
static bool measure(struct bench_result *result,
                    const struct allocator allocators[ALLOCATORS],
                    struct workload *workload, double seconds)
{
    const unsigned steps = (BENCH_ROUNDS + 1) * PATTERN_COUNT * ALLOCATORS;
    static double times[PATTERN_COUNT][ALLOCATORS][BENCH_ROUNDS];
    struct progress progress;
    progress_begin(&progress, steps);
    for (int round = -1; round < BENCH_ROUNDS; round++)
        for (int i = 0; i < PATTERN_COUNT; i++)
            for (int k = 0; k < ALLOCATORS; k++) {
                double ns = 0;
                progress_step(&progress, patterns[i].name);
                int error = patterns[i].run(&allocators[k], workload,
                                            seconds / steps, &ns);
                if (error != 0) {
                    progress_end(&progress);
                    return bench_failed(result, "%s, %s: %s", patterns[i].name,
                                        allocators[k].name, strerror(-error));
                }
                if (round >= 0)
                    times[i][k][round] = ns;
            }
    progress_end(&progress);
    for (int i = 0; i < PATTERN_COUNT; i++)
        result->figures[i] = (struct bench_figures){
            .kind = median(times[i][OF_KIND]),
            .process = median(times[i][OF_PROCESS]),
        };
    return true;
}

static bool run_bench(struct bench_result *result, const struct place *place,
                      double seconds)
{
    memkind_t kind = NULL;
    struct workload workload;
    char message[MEMKIND_ERROR_MESSAGE_SIZE];
    if (!choose_bench_limit(result, place))
        return false;
    errno = 0;
    int status = memkind_create_pmem(result->path, result->limit, &kind);
    if (status != MEMKIND_SUCCESS) {
        int error = errno;
        memkind_error_message(status, message, sizeof message);
        return bench_failed(result, "no kind can be made: %s (%s)",
                            strerror(error), message);
    }
    const struct allocator allocators[ALLOCATORS] = {
        [OF_KIND] = {"kind", allocate_from_kind, release_to_kind, kind},
        [OF_PROCESS] = {"malloc", allocate_from_process, release_to_process,
                        NULL},
    };
    bool done = false;
    if (workload_init(&workload, result->limit)) {
        done = measure(result, allocators, &workload, seconds);
        workload_fini(&workload);
    } else {
        bench_failed(result, "%s", strerror(ENOMEM));
    }
    (void)memkind_destroy_kind(kind);
    return done;
}

enum tool_exit tool_bench(const struct tool_options *options)
{
    struct bench_result result = {.path = options->path};
    struct place place;
    place_look(&place, options->path);
    if (place.type == PLACE_DEVICE_DAX && !options->overwrite) {
        fprintf(stderr,
                "memkind-pmem: bench overwrites what %s holds: say "
                "--overwrite if that is meant\n",
                options->path);
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
        fprintf(stderr, "memkind-pmem: %s: %s\n", options->path, result.error);
    return done ? TOOL_OK : TOOL_NO;
}
