/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * memkind-pmem: finds out what file-backed kinds get from a directory or a
 * device. It uses memkind.h and the system, and nothing inside the library.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "tool_bench.h"
#include "tool_check.h"
#include "tool_exit.h"
#include "tool_options.h"
#include "tool_run.h"
#include "tool_version.h"

static enum tool_exit run_command(const struct tool_options *options)
{
    switch (options->command) {
    case COMMAND_CHECK:
        return tool_check(options);
    case COMMAND_BENCH:
        return tool_bench(options);
    case COMMAND_VERSION:
        return tool_version(options);
    case COMMAND_HELP:
        break;
    }
    tool_options_print_help(stdout);
    return TOOL_OK;
}

int main(int argc, char **argv)
{
    struct tool_options options;
    if (tool_run_is_meant(argc, argv))
        return (int)tool_run(argc, argv);
    if (!tool_options_parse(&options, argc, argv))
        return TOOL_USAGE;
    /* Calls that exceed RLIMIT_FSIZE are to fail, so that they are reported. */
    signal(SIGXFSZ, SIG_IGN);
    enum tool_exit status = run_command(&options);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "memkind-pmem: output: %s\n", strerror(errno));
        return TOOL_BROKEN;
    }
    return (int)status;
}
