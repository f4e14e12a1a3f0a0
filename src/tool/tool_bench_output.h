/* SPDX-License-Identifier: BSD-2-Clause */
/* How the result of a benchmark is shown; memkind-pmem(1) documents the JSON.
 */
#ifndef TOOL_BENCH_OUTPUT_H
#define TOOL_BENCH_OUTPUT_H

#include <stdint.h>
#include <stdio.h>

#include "tool_patterns.h"

#define BENCH_ROUNDS 5

enum { BENCH_KIND, BENCH_PROCESS, BENCH_ALLOCATORS };

/* From the rounds of a pattern with an allocator. */
struct bench_figure {
    double ns;        /* for each object: the median */
    double spread;    /* of the rounds in the middle, in percent of it */
    uint64_t objects; /* in the round that had the fewest */
};

struct bench_result {
    const char *path;
    const char *error; /* NULL if all went well and there are figures */
    uint64_t limit;    /* of the kind, in bytes; 0: there was none */
    double seconds;    /* that it took */
    struct bench_figure figures[PATTERN_COUNT][BENCH_ALLOCATORS];
};

void bench_print_text(const struct bench_result *result, FILE *out);
void bench_print_json(const struct bench_result *result, FILE *out);

#endif /* TOOL_BENCH_OUTPUT_H */
