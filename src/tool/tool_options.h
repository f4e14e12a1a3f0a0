/* SPDX-License-Identifier: BSD-2-Clause */
/* The command line of memkind-pmem. */
#ifndef TOOL_OPTIONS_H
#define TOOL_OPTIONS_H

#include <stdbool.h>
#include <stdio.h>

enum tool_command {
    COMMAND_CHECK,
    COMMAND_BENCH,
    COMMAND_VERSION,
    COMMAND_HELP,
};

struct tool_options {
    enum tool_command command;
    const char *const *paths; /* of argv */
    unsigned path_count;
    double seconds; /* how long the benchmark may take in all */
    bool json;
    bool overwrite; /* a device's contents may be lost */
};

/* Reads the command line. Returns false, with a message on stderr, if it makes
 * no sense. */
bool tool_options_parse(struct tool_options *options, int argc, char **argv);

void tool_options_print_help(FILE *out);

#endif /* TOOL_OPTIONS_H */
