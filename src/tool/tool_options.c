/* SPDX-License-Identifier: BSD-2-Clause */
#include "tool_options.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <memkind.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "tool_terminal.h"
#include "tool_text.h"

#define SECONDS_DEFAULT 5.0
#define SECONDS_MAX 3600.0

enum { OPTION_SECONDS = 256, OPTION_OVERWRITE };

static const struct option long_options[] = {
    {"help", no_argument, NULL, 'h'},
    {"json", no_argument, NULL, 'j'},
    {"overwrite", no_argument, NULL, OPTION_OVERWRITE},
    {"seconds", required_argument, NULL, OPTION_SECONDS},
    {"version", no_argument, NULL, 'V'},
    {NULL, 0, NULL, 0},
};

static const struct {
    const char *name;
    enum tool_command command;
    int most_paths;
} commands[] = {
    {"check", COMMAND_CHECK, MEMKIND_PMEM_MAX_PATHS},
    {"bench", COMMAND_BENCH, 1},
    {"version", COMMAND_VERSION, 0},
    {"help", COMMAND_HELP, 0},
};

/* With the column at which each line goes on if the terminal is narrow. */
static const struct {
    unsigned indent;
    const char *text;
} help_lines[] = {
    {9, "Usage: memkind-pmem check [--json] DIR..."},
    {9, "       memkind-pmem bench [--json] [--seconds N] [--overwrite] DIR"},
    {9, "       memkind-pmem run [OPTION...] [--] PROGRAM [ARGUMENT...]"},
    {9, "       memkind-pmem version [--json]"},
    {0, ""},
    {0, "Shows what file-backed kinds get from a place, and measures them "
        "there."},
    {0, "DIR is a directory, or a device DAX such as /dev/dax0.0."},
    {0, ""},
    {0, "Commands:"},
    {11, "  check    what each DIR can do for kinds, and what to do about each "
         "\"no\""},
    {11, "  bench    time of malloc and free in a kind there, beside the "
         "process's own"},
    {11, "  run      starts PROGRAM with its malloc in files; "
         "memkind-pmem run --help"},
    {11, "  version  which tool, library, jemalloc and libpmem these are"},
    {0, ""},
    {0, "Options:"},
    {21, "  -j, --json         print JSON, with all sizes in bytes"},
    {21, "      --seconds N    how long bench takes, about (default: 5)"},
    {21, "      --overwrite    let bench overwrite what a device holds"},
    {21, "  -h, --help         print this text"},
    {21, "  -V, --version      run the command version"},
    {0, ""},
    {0, "Exit status: 0 all is well; 1 a \"no\" that matters, or no kind to "
        "measure;"},
    {0, "2 wrong usage; 3 the answer could not be written."},
};

void tool_options_print_help(FILE *out)
{
    const unsigned width = terminal_text_width(out);
    for (size_t i = 0; i < sizeof help_lines / sizeof help_lines[0]; i++)
        terminal_print(out, help_lines[i].text, 0, help_lines[i].indent, width);
}

static bool complain(const char *format, ...)
{
    va_list arguments;
    fputs("memkind-pmem: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputs("\nTry 'memkind-pmem --help'.\n", stderr);
    return false;
}

static bool parse_seconds(const char *text, double *seconds)
{
    char *end;
    errno = 0;
    double value = strtod(text, &end);
    if (errno != 0 || end == text || *end != '\0' || !isfinite(value) ||
        value <= 0 || value > SECONDS_MAX)
        return false;
    *seconds = value;
    return true;
}

/* An option that the command has no use for; NULL if there is none. */
static const char *useless_option(const struct tool_options *options,
                                  bool has_seconds)
{
    if (options->command == COMMAND_BENCH || options->command == COMMAND_HELP)
        return NULL;
    if (has_seconds)
        return "--seconds";
    return options->overwrite ? "--overwrite" : NULL;
}

static bool take_command(struct tool_options *options, int count, char **words)
{
    if (count == 0)
        return complain("no command given");
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(words[0], commands[i].name) != 0)
            continue;
        options->command = commands[i].command;
        const int most = commands[i].most_paths;
        if (count == 1 && most > 0)
            return complain("%s: no directory or device given", words[0]);
        if (count - 1 > most)
            return complain("%s: '%s' is one argument too many", words[0],
                            text_escape(words[most + 1]));
        options->paths = (const char *const *)words + 1;
        options->path_count = (unsigned)count - 1;
        for (int k = 1; k < count; k++)
            if (words[k][0] == '\0')
                return complain("%s: the name of the directory is empty ('')",
                                words[0]);
        return true;
    }
    return complain("'%s' is no command", text_escape(words[0]));
}

/* What getopt_long() has just refused, as the user wrote it. */
static const char *refused_option(char **argv)
{
    const char *word = argv[optind - 1];
    if (optopt == 0 || strncmp(word, "--", 2) == 0)
        return text_escape(word);
    const char letter[] = {'-', (char)optopt, '\0'};
    return text_escape(letter);
}

/* Whether it was refused for its value: --json=VALUE. */
static bool has_useless_value(char **argv)
{
    const char *word = argv[optind - 1];
    return optopt != 0 && strncmp(word, "--", 2) == 0 &&
           strchr(word, '=') != NULL;
}

bool tool_options_parse(struct tool_options *options, int argc, char **argv)
{
    bool help = false, version = false, has_seconds = false;
    *options = (struct tool_options){.seconds = SECONDS_DEFAULT};
    int option;
    opterr = 0;
    while ((option = getopt_long(argc, argv, ":hjV", long_options, NULL)) !=
           -1) {
        switch (option) {
        case 'h':
            help = true;
            break;
        case 'V':
            version = true;
            break;
        case 'j':
            options->json = true;
            break;
        case OPTION_OVERWRITE:
            options->overwrite = true;
            break;
        case OPTION_SECONDS:
            has_seconds = true;
            if (!parse_seconds(optarg, &options->seconds))
                return complain("--seconds: '%s' is not a number from 0 "
                                "(itself left out) to %.0f",
                                text_escape(optarg), SECONDS_MAX);
            break;
        case ':':
            return complain("%s: its value is missing", refused_option(argv));
        default:
            return complain(has_useless_value(argv) ? "%s: it takes no value"
                                                    : "%s: no such option",
                            refused_option(argv));
        }
    }
    if (help || version) {
        options->command = help ? COMMAND_HELP : COMMAND_VERSION;
        return true;
    }
    if (!take_command(options, argc - optind, argv + optind))
        return false;
    const char *useless = useless_option(options, has_seconds);
    if (useless != NULL)
        return complain("%s is for bench only", useless);
    return true;
}
