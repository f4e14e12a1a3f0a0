/* SPDX-License-Identifier: BSD-2-Clause */
/* What the preloaded library says of a process, to its user. */
#ifndef PRELOAD_REPORT_H
#define PRELOAD_REPORT_H

#include "preload_settings.h"

/* What the process is called in all that is said of it. Copied. */
void preload_report_name(const char *program);

/* Has reports made as the settings say: by preload_report_at_exit(), and, if
 * asked, by a thread of their own for each SIGUSR1. The settings stay. Returns
 * 0 or a negative errno. */
int preload_report_start(const struct preload_settings *settings);

/* Appends the report, if there is to be one. */
void preload_report_at_exit(void);

/* A line on stderr, which begins with the process. Keeps errno. */
void preload_report_say(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

#endif
