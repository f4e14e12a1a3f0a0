/* SPDX-License-Identifier: BSD-2-Clause */
#include "tool_bench_output.h"

#include "tool_json.h"
#include "tool_units.h"

void bench_print_text(const struct bench_result *result, FILE *out)
{
    if (result->error != NULL)
        return;
    fprintf(out,
            "%s: ns for each object, allocated and freed; medians of %d\n\n",
            result->path, BENCH_ROUNDS);
    fprintf(out, "%-9s %10s %10s %9s\n", "", "kind", "malloc", "kind/malloc");
    for (int i = 0; i < PATTERN_COUNT; i++) {
        const struct bench_figures *figures = &result->figures[i];
        fprintf(out, "%-9s %10.1f %10.1f %9.2f    %s\n", patterns[i].name,
                figures->kind, figures->process,
                figures->kind / figures->process, patterns[i].description);
    }
    fprintf(out, "\nThe kind had a limit of %s; all took %.1f s.\n",
            size_text(result->limit).text, result->seconds);
}

void bench_print_json(const struct bench_result *result, FILE *out)
{
    struct json json;
    json_begin(&json, out);
    json_string(&json, "command", "bench");
    json_string(&json, "path", result->path);
    json_bool(&json, "ok", result->error == NULL);
    json_string(&json, "error", result->error);
    json_number(&json, "kind_limit", result->limit);
    json_number(&json, "rounds", BENCH_ROUNDS);
    json_decimal(&json, "seconds", result->seconds);
    json_open(&json, "patterns", '[');
    for (int i = 0; result->error == NULL && i < PATTERN_COUNT; i++) {
        json_open(&json, NULL, '{');
        json_string(&json, "name", patterns[i].name);
        json_string(&json, "description", patterns[i].description);
        json_decimal(&json, "kind_ns", result->figures[i].kind);
        json_decimal(&json, "malloc_ns", result->figures[i].process);
        json_close(&json, '}');
    }
    json_close(&json, ']');
    json_end(&json);
}
