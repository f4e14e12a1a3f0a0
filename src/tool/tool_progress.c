/* SPDX-License-Identifier: BSD-2-Clause */
#include "tool_progress.h"

#include <stdio.h>
#include <string.h>

#include "tool_terminal.h"

#define BAR_MOST 40
#define BAR_LEAST 3
#define LABEL_MOST 20
#define LABEL_LEAST 8
/* Brackets, a blank, "100 %". */
#define AROUND_BAR 8

/* How the columns are shared out; what there is no room for has 0. */
struct layout {
    unsigned bar, label;
    bool percentage;
};

static unsigned at_most_columns(unsigned columns, unsigned most)
{
    return columns < most ? columns : most;
}

static struct layout layout_of(unsigned columns)
{
    struct layout layout = {.percentage = columns >= strlen("100 %")};
    if (columns < AROUND_BAR + BAR_LEAST)
        return layout;
    columns -= AROUND_BAR;
    layout.bar = at_most_columns(columns, BAR_MOST);
    if (columns >= BAR_LEAST + 1 + LABEL_LEAST) {
        layout.bar = at_most_columns(columns - 1 - LABEL_LEAST, BAR_MOST);
        layout.label = at_most_columns(columns - 1 - layout.bar, LABEL_MOST);
    }
    return layout;
}

/* Columns that can be written to: in the last one, some terminals go on to the
 * next line. */
static unsigned columns_of_line(void)
{
    unsigned width = terminal_width(stderr);
    return width == 0 ? 0 : width - 1;
}

void progress_begin(struct progress *progress, unsigned total)
{
    *progress =
        (struct progress){.total = total, .shown = terminal_width(stderr) != 0};
}

/* Writes over the line before. */
static void write_line(struct progress *progress, const char *line,
                       unsigned columns)
{
    unsigned covered = at_most_columns(progress->columns, columns);
    fprintf(stderr, "\r%-*s", (int)covered, line);
    fflush(stderr);
    progress->columns = (unsigned)strlen(line);
}

/* The window may have changed since the step before. */
static void draw_progress(struct progress *progress, const char *what)
{
    char line[128] = "", bar[BAR_MOST];
    const unsigned columns = columns_of_line();
    const struct layout layout = layout_of(columns);
    int length = 0;
    memset(bar, '.', sizeof bar);
    memset(bar, '#', progress->done * layout.bar / progress->total);
    if (layout.bar != 0)
        length = snprintf(line, sizeof line, "[%.*s] ", (int)layout.bar, bar);
    if (layout.percentage)
        length += snprintf(line + length, sizeof line - (size_t)length,
                           "%3u %%", progress->done * 100 / progress->total);
    if (layout.label != 0)
        snprintf(line + length, sizeof line - (size_t)length, " %-*.*s",
                 (int)layout.label, (int)layout.label, what);
    write_line(progress, line, columns);
}

void progress_step(struct progress *progress, const char *what)
{
    if (progress->shown)
        draw_progress(progress, what);
    progress->done++;
}

void progress_end(struct progress *progress)
{
    if (!progress->shown)
        return;
    /* The table takes the bar's place. */
    write_line(progress, "", columns_of_line());
    putc('\r', stderr);
}
