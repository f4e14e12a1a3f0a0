/* SPDX-License-Identifier: BSD-2-Clause */
/* A progress bar on stderr, if stderr is a terminal. */
#ifndef TOOL_PROGRESS_H
#define TOOL_PROGRESS_H

#include <stdbool.h>

struct progress {
    unsigned total, done;
    bool shown;
};

void progress_begin(struct progress *progress, unsigned total);
/* Shows the step that begins now; all earlier ones are done. */
void progress_step(struct progress *progress, const char *what);
void progress_end(struct progress *progress);

#endif /* TOOL_PROGRESS_H */
