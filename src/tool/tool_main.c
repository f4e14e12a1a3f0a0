/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * memkind-pmem: what file-backed kinds get from a directory or device. Uses
 * what memkind.h and the system offer, and nothing inside the library.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "tool_bench.h"
#include "tool_check.h"
#include "tool_exit.h"
#include "tool_options.h"
#include "tool_version.h"

static enum tool_exit run(const struct tool_options *options)
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
    if (!tool_options_parse(&options, argc, argv))
        return TOOL_USAGE;
    /* Beyond RLIMIT_FSIZE, calls are to fail, and so to be reported. */
    signal(SIGXFSZ, SIG_IGN);
    enum tool_exit status = run(&options);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "memkind-pmem: output: %s\n", strerror(errno));
        return TOOL_BROKEN;
    }
    return (int)status;
}
