/* SPDX-License-Identifier: BSD-2-Clause */
#include "tool_bench_output.h"

#include <stdbool.h>

#include "tool_json.h"
#include "tool_terminal.h"
#include "tool_text.h"
#include "tool_units.h"

/* A figure is rough if the rounds in the middle differ by more than this many
 * percent, or if a round had fewer objects. (Their sizes are random.) */
#define SPREAD_MOST 10
#define OBJECTS_LEAST 100

/* ---- how good the figures are ---- */

static bool has_few_objects(const struct bench_figure *figures)
{
    return figures[BENCH_KIND].objects < OBJECTS_LEAST ||
           figures[BENCH_PROCESS].objects < OBJECTS_LEAST;
}

static double larger_spread(const struct bench_figure *figures)
{
    return figures[BENCH_KIND].spread > figures[BENCH_PROCESS].spread
               ? figures[BENCH_KIND].spread
               : figures[BENCH_PROCESS].spread;
}

static bool is_rough(const struct bench_figure *figures)
{
    return has_few_objects(figures) || larger_spread(figures) > SPREAD_MOST;
}

static bool are_all_precise(const struct bench_result *result)
{
    for (int i = 0; i < PATTERN_COUNT; i++)
        if (is_rough(result->figures[i]))
            return false;
    return true;
}

static const char *what_is_rough(const struct bench_figure *figures)
{
    uint64_t objects =
        figures[BENCH_KIND].objects < figures[BENCH_PROCESS].objects
            ? figures[BENCH_KIND].objects
            : figures[BENCH_PROCESS].objects;
    if (!has_few_objects(figures))
        return text_format("rounds differ by %.0f%%", larger_spread(figures));
    return text_format("%llu object%s in a round", (unsigned long long)objects,
                       objects == 1 ? "" : "s");
}

static void print_roughness(const struct bench_result *result, unsigned width,
                            FILE *out)
{
    const char *list = "";
    for (int i = 0; i < PATTERN_COUNT; i++)
        if (is_rough(result->figures[i]))
            list = text_format("%s%s %s (%s)", list, list[0] != '\0' ? "," : "",
                               patterns[i].name,
                               what_is_rough(result->figures[i]));
    if (list[0] == '\0')
        return;
    terminal_print(
        out,
        text_format("Rough figures:%s. They get better with more --seconds, "
                    "and with less else running.",
                    list),
        0, 0, width);
}

/* ---- text ---- */

/* From this width on, there is room for descriptions beside the figures. */
#define WIDE_TABLE 66
#define NARROW_TABLE 36

static void print_wide_table(const struct bench_result *result, unsigned width,
                             FILE *out)
{
    fprintf(out, "%-9s %10s %10s %9s\n", "", "kind", "malloc", "kind/malloc");
    for (int i = 0; i < PATTERN_COUNT; i++) {
        double kind = result->figures[i][BENCH_KIND].ns;
        double process = result->figures[i][BENCH_PROCESS].ns;
        int column = fprintf(out, "%-9s %10.1f %10.1f %9.2f    ",
                             patterns[i].name, kind, process, kind / process);
        terminal_print(out, patterns[i].description, (unsigned)column,
                       (unsigned)column, width);
    }
}

/* Descriptions are below the figures. */
static void print_narrow_table(const struct bench_result *result,
                               unsigned width, FILE *out)
{
    const bool has_columns = width >= NARROW_TABLE;
    if (has_columns)
        fprintf(out, "%-7s %9s %9s %6s\n", "", "kind", "malloc", "ratio");
    for (int i = 0; i < PATTERN_COUNT; i++) {
        double kind = result->figures[i][BENCH_KIND].ns;
        double process = result->figures[i][BENCH_PROCESS].ns;
        if (has_columns)
            fprintf(out, "%-7s %9.1f %9.1f %6.2f\n", patterns[i].name, kind,
                    process, kind / process);
        else
            terminal_print(out,
                           text_format("%s: kind %.1f, malloc %.1f, ratio %.2f",
                                       patterns[i].name, kind, process,
                                       kind / process),
                           0, 2, width);
        fputs("  ", out);
        terminal_print(out, patterns[i].description, 2, 2, width);
    }
}

void bench_print_text(const struct bench_result *result, FILE *out)
{
    const unsigned width = terminal_text_width(out);
    if (result->error != NULL)
        return;
    terminal_print(out,
                   text_format("%s: ns for each object, allocated and freed; "
                               "medians of %d",
                               text_escape(result->path), BENCH_ROUNDS),
                   0, 0, width);
    putc('\n', out);
    if (width == 0 || width >= WIDE_TABLE)
        print_wide_table(result, width, out);
    else
        print_narrow_table(result, width, out);
    putc('\n', out);
    terminal_print(out,
                   text_format("The kind had a limit of %s; all took %.1f s.",
                               size_text(result->limit).text, result->seconds),
                   0, 0, width);
    print_roughness(result, width, out);
}

/* ---- JSON ---- */

static void write_pattern(struct json *json, const struct pattern *pattern,
                          const struct bench_figure *figures)
{
    json_open(json, NULL, '{');
    json_string(json, "name", pattern->name);
    json_string(json, "description", pattern->description);
    json_decimal(json, "kind_ns", figures[BENCH_KIND].ns);
    json_decimal(json, "malloc_ns", figures[BENCH_PROCESS].ns);
    json_decimal(json, "kind_spread", figures[BENCH_KIND].spread);
    json_decimal(json, "malloc_spread", figures[BENCH_PROCESS].spread);
    json_number(json, "kind_objects", figures[BENCH_KIND].objects);
    json_number(json, "malloc_objects", figures[BENCH_PROCESS].objects);
    json_bool(json, "precise", !is_rough(figures));
    json_close(json, '}');
}

void bench_print_json(const struct bench_result *result, FILE *out)
{
    const bool done = result->error == NULL;
    struct json json;
    json_begin(&json, out);
    json_string(&json, "command", "bench");
    json_string(&json, "path", result->path);
    json_bool(&json, "ok", done);
    json_string(&json, "error", result->error);
    if (result->limit != 0)
        json_number(&json, "kind_limit", result->limit);
    else
        json_null(&json, "kind_limit");
    if (done) {
        json_number(&json, "rounds", BENCH_ROUNDS);
        json_decimal(&json, "seconds", result->seconds);
        json_bool(&json, "precise", are_all_precise(result));
    } else {
        json_null(&json, "rounds");
        json_null(&json, "seconds");
        json_null(&json, "precise");
    }
    json_open(&json, "patterns", '[');
    for (int i = 0; done && i < PATTERN_COUNT; i++)
        write_pattern(&json, &patterns[i], result->figures[i]);
    json_close(&json, ']');
    json_end(&json);
}
