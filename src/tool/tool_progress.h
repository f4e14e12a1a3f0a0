/* SPDX-License-Identifier: BSD-2-Clause */
/* A progress bar on stderr, if stderr is a terminal. It keeps to one line, as
 * wide as the terminal is at each step. */
#ifndef TOOL_PROGRESS_H
#define TOOL_PROGRESS_H

#include <stdbool.h>

struct progress {
    unsigned total, done;
    unsigned columns; /* that the bar takes on the terminal */
    bool shown;
};

void progress_begin(struct progress *progress, unsigned total);
/* Shows the step that begins now; all earlier ones are done. */
void progress_step(struct progress *progress, const char *what);
void progress_end(struct progress *progress);

#endif /* TOOL_PROGRESS_H */
