/* SPDX-License-Identifier: BSD-2-Clause */
/* memkind-pmem run: starts a program whose malloc lies in files. */
#ifndef TOOL_RUN_H
#define TOOL_RUN_H

#include <stdbool.h>
#include <stdio.h>

#include "tool_exit.h"

/* Whether the command line, as main() has it, is this command's. It has options
 * of its own, which end where the program's name begins. */
bool tool_run_is_meant(int argc, char **argv);

/* Does not return if the program could be started. Exit statuses of its own are
 * those that shells have: TOOL_CANNOT_START, TOOL_NOT_FOUND. */
enum tool_exit tool_run(int argc, char **argv);

#endif /* TOOL_RUN_H */
