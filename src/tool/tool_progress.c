/* SPDX-License-Identifier: BSD-2-Clause */
#include "tool_progress.h"

#include <stdio.h>
#include <unistd.h>

#define BAR_WIDTH 40
#define LABEL_WIDTH 20

void progress_begin(struct progress *progress, unsigned total)
{
    *progress =
        (struct progress){.total = total, .shown = isatty(STDERR_FILENO) == 1};
}

void progress_step(struct progress *progress, const char *what)
{
    char bar[BAR_WIDTH + 1];
    unsigned filled = progress->done * BAR_WIDTH / progress->total;
    if (progress->shown) {
        for (unsigned i = 0; i < BAR_WIDTH; i++)
            bar[i] = i < filled ? '#' : '.';
        bar[BAR_WIDTH] = '\0';
        fprintf(stderr, "\r[%s] %3u %% %-*.*s", bar,
                progress->done * 100 / progress->total, LABEL_WIDTH,
                LABEL_WIDTH, what);
        fflush(stderr);
    }
    progress->done++;
}

void progress_end(struct progress *progress)
{
    /* The table takes the bar's place. */
    if (progress->shown)
        fprintf(stderr, "\r%*s\r", BAR_WIDTH + LABEL_WIDTH + 10, "");
}
