/* SPDX-License-Identifier: BSD-2-Clause */
#include "scale_table.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake_space.h"

#define STEPS_MOST 128
#define POINTS_MOST 8

struct point {
    double n, ns, dram, calls;
};

struct series {
    const struct scale_step *step;
    unsigned count;
    struct point points[POINTS_MOST];
};

static struct series table[STEPS_MOST];
static unsigned steps;

size_t scale_dram(void)
{
    static const char name[] = "RssAnon:";
    char line[128];
    size_t kib = 0;
    FILE *status = fopen("/proc/self/status", "re");
    while (status != NULL && fgets(line, sizeof line, status) != NULL)
        if (strncmp(line, name, sizeof name - 1) == 0)
            kib = strtoul(line + sizeof name - 1, NULL, 10);
    if (status != NULL)
        fclose(status);
    return kib << 10;
}

static double calls_made(struct fake_calls calls)
{
    return (double)(calls.allocations + calls.punches + calls.barriers +
                    calls.others);
}

struct scale_mark scale_begin(void)
{
    const struct fake_calls calls = fake_calls_made();
    struct scale_mark mark = {
        .dram = scale_dram(), .fake_ns = calls.ns, .calls = calls_made(calls)};
    mark.cpu_ns = fake_cpu_ns();
    mark.ns = fake_now_ns();
    return mark;
}

void scale_end(const struct scale_step *step, double n,
               const struct scale_mark *since, double times)
{
    const uint64_t now = fake_now_ns();
    const struct fake_calls calls = fake_calls_made();
    const double cpu_ns = (double)(fake_cpu_ns() - since->cpu_ns);
    double ns = (double)(now - since->ns) - (double)(calls.ns - since->fake_ns);
    /* Without waits for a CPU, but with what files took. */
    if (cpu_ns < ns)
        ns = cpu_ns;
    const double dram = (double)scale_dram() - (double)since->dram;
    scale_note(step, n, ns / times, dram / times,
               (calls_made(calls) - since->calls) / times);
}

static struct series *series_of(const struct scale_step *step)
{
    for (unsigned i = 0; i < steps; i++)
        if (table[i].step == step)
            return &table[i];
    if (steps == STEPS_MOST)
        abort();
    table[steps].step = step;
    return &table[steps++];
}

void scale_note(const struct scale_step *step, double n, double ns, double dram,
                double calls)
{
    struct series *series = series_of(step);
    struct point *point = series->points;
    while (point < series->points + series->count && point->n != n)
        point++;
    if (point == series->points + POINTS_MOST)
        abort();
    const bool is_new = point == series->points + series->count;
    series->count += is_new;
    if (is_new)
        *point = (struct point){n, ns, dram, calls};
    if (ns < point->ns)
        point->ns = ns;
    if (dram < point->dram)
        point->dram = dram;
}

/* ---- growth ------------------------------------------------------------- */

enum { NS, DRAM };

static double value_of(const struct point *point, int which)
{
    return which == NS ? point->ns : point->dram;
}

/* The power of n that fits best, by least squares of the logarithms; NAN if
 * there are too few values. */
static double power_of(const struct series *series, int which, double least)
{
    double count = 0, x = 0, y = 0, xx = 0, xy = 0;
    for (unsigned i = 0; i < series->count; i++) {
        const double value = value_of(&series->points[i], which);
        if (value < least)
            continue;
        const double log_n = log(series->points[i].n), log_value = log(value);
        count++;
        x += log_n;
        y += log_value;
        xx += log_n * log_n;
        xy += log_n * log_value;
    }
    const double spread = count * xx - x * x;
    return count < 2 || spread <= 0 ? (double)NAN
                                    : (count * xy - x * y) / spread;
}

/* The value for n, beyond the last point by the power there. */
static double at_target(const struct series *series, int which, double power)
{
    const struct point *last = &series->points[series->count - 1];
    const double value = value_of(last, which);
    if (series->step->target <= last->n || isnan(power))
        return value;
    return value * pow(series->step->target / last->n, power > 0 ? power : 0);
}

/* ---- printing ----------------------------------------------------------- */

static const char *number(char text[24], double value, const char *const *units,
                          double factor)
{
    unsigned i = 0;
    while (value >= factor && units[i + 1] != NULL) {
        value /= factor;
        i++;
    }
    snprintf(text, 24, value < 10 && value > 0 ? "%.1f%s" : "%.0f%s", value,
             units[i]);
    return text;
}

static const char *count_text(char text[24], double value, bool is_bytes)
{
    static const char *const units[] = {"", " Ki", " Mi", " Gi", " Ti", NULL};
    static const char *const tens[] = {"", "k", "M", "G", NULL};
    return is_bytes ? number(text, value, units, 1024)
                    : number(text, value, tens, 1000);
}

static const char *time_text(char text[24], double ns)
{
    static const char *const units[] = {" ns", " us", " ms", " s", NULL};
    return number(text, ns > 0 ? ns : 0, units, 1000);
}

static const char *bytes_text(char text[24], double bytes)
{
    static const char *const units[] = {" B",   " KiB", " MiB",
                                        " GiB", " TiB", NULL};
    return number(text, bytes > 0 ? bytes : 0, units, 1024);
}

static void print_series(const struct series *series)
{
    /* Less is what a page more or less, or a clock's tick, decides. */
    const double least_ns = 1, least_dram = 1024;
    const double time_power = power_of(series, NS, least_ns);
    const double dram_power = power_of(series, DRAM, least_dram);
    const bool is_bytes = strcmp(series->step->unit, "bytes") == 0;
    char a[24], b[24], c[24];
    printf("| %s | %s |", series->step->name, series->step->unit);
    for (unsigned i = 0; i < series->count; i++) {
        const struct point *point = &series->points[i];
        printf(" %s: %s, %s, %.4g calls;", count_text(a, point->n, is_bytes),
               time_text(b, point->ns), bytes_text(c, point->dram),
               point->calls);
    }
    printf(" | %.2f | %.2f | %s: %s | %s |\n", time_power, dram_power,
           count_text(a, series->step->target, is_bytes),
           time_text(b, at_target(series, NS, time_power)),
           bytes_text(c, at_target(series, DRAM, dram_power)));
}

void scale_print(void)
{
    printf("| step | n | n: time, DRAM, system calls | time grows with n to "
           "the | DRAM | time at | DRAM at |\n|---|---|---|--:|--:|--:|--:|\n");
    for (unsigned i = 0; i < steps; i++)
        print_series(&table[i]);
}
