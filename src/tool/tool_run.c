/* SPDX-License-Identifier: BSD-2-Clause */
#include "tool_run.h"

#include <dlfcn.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memkind.h>

#include "root_paths.h"
#include "size_text.h"
#include "tool_terminal.h"
#include "tool_text.h"

#define PRELOAD_NAME "libmemkind_preload.so"
#define TIERS_NAME "libmemtier.so.0"

/* What the options say, as variables of the preloaded library. */
enum run_option {
    RUN_DIR = 256,
    RUN_SIZE,
    RUN_MIN_SIZE,
    RUN_FULL,
    RUN_FORK,
    RUN_STATS,
    RUN_STATS_SIGNAL,
    RUN_TIERS,
    RUN_VERBOSE,
    RUN_HELP,
};

static const struct option run_long_options[] = {
    {"dir", required_argument, NULL, RUN_DIR},
    {"size", required_argument, NULL, RUN_SIZE},
    {"min-size", required_argument, NULL, RUN_MIN_SIZE},
    {"full", required_argument, NULL, RUN_FULL},
    {"fork", required_argument, NULL, RUN_FORK},
    {"stats", optional_argument, NULL, RUN_STATS},
    {"stats-signal", no_argument, NULL, RUN_STATS_SIGNAL},
    {"tiers", required_argument, NULL, RUN_TIERS},
    {"verbose", no_argument, NULL, RUN_VERBOSE},
    {"help", no_argument, NULL, RUN_HELP},
    {NULL, 0, NULL, 0},
};

/* What a value may be. */
static const char *const words_of_full[] = {"dram", "null", NULL};
static const char *const words_of_fork[] = {
    "private", "shared", "unavailable", "copy", "snapshot", NULL};

static const struct run_setting {
    enum run_option option;
    const char *variable;
    bool is_size;
    const char *const *words;
} run_settings[] = {
    {RUN_DIR, "MEMKIND_PRELOAD_DIR", false, NULL},
    {RUN_SIZE, "MEMKIND_PRELOAD_SIZE", true, NULL},
    {RUN_MIN_SIZE, "MEMKIND_PRELOAD_MIN_SIZE", true, NULL},
    {RUN_FULL, "MEMKIND_PRELOAD_FULL", false, words_of_full},
    {RUN_FORK, "MEMKIND_PRELOAD_FORK", false, words_of_fork},
    {RUN_STATS, "MEMKIND_PRELOAD_STATS", false, NULL},
    {RUN_STATS_SIGNAL, "MEMKIND_PRELOAD_STATS_SIGNAL", false, NULL},
    {RUN_VERBOSE, "MEMKIND_PRELOAD_VERBOSE", false, NULL},
};

static const char *tiers_ratio; /* what --tiers says, or NULL */

static const struct {
    unsigned indent;
    const char *text;
} run_help_lines[] = {
    {9, "Usage: memkind-pmem run [OPTION...] [--] PROGRAM [ARGUMENT...]"},
    {0, ""},
    {0, "Starts PROGRAM so that its malloc, and that of the programs that it "
        "starts, lies in files. PROGRAM is not changed. See "
        "libmemkind_preload(7)."},
    {0, ""},
    {0, "Options:"},
    {20, "  --dir DIR         directory, several with colons between them, or "
         "device DAX (default: PMEM_DIR, or else /dev/shm)"},
    {20,
     "  --size N          most file space of each process; K, M, G and T are "
     "units (default: no limit)"},
    {20, "  --min-size N      smaller objects lie in DRAM (default: 0)"},
    {20, "  --full WORD       an allocation that the heap has no room for: "
         "\"dram\", or \"null\", which fails (default: dram)"},
    {20,
     "  --fork WORD       the heap in forked children: private, shared, "
     "unavailable, copy or snapshot; see memkind_pmem(3) (default: snapshot)"},
    {20, "  --stats[=FILE]    at the end of each process, append to FILE (or "
         "write to stderr) what lies where"},
    {20, "  --stats-signal    do so at SIGUSR1, too"},
    {20,
     "  --tiers NEAR:FAR  keep the bytes in DRAM and those in files at this "
     "ratio, such as 1:4; with --dir and --size alone; NULL if the files are "
     "full; see libmemtier(7)"},
    {20, "  --verbose         say on stderr what each process does"},
    {20, "  --help            print this text"},
    {0, ""},
    {0, "Exit status: PROGRAM's; 1 no heap can be made; 2 wrong usage; 126 "
        "PROGRAM does not start; 127 there is no such program."},
};

static void print_run_help(void)
{
    const unsigned width = terminal_text_width(stdout);
    for (size_t i = 0; i < sizeof run_help_lines / sizeof run_help_lines[0];
         i++)
        terminal_print(stdout, run_help_lines[i].text, 0,
                       run_help_lines[i].indent, width);
}

static bool run_complain(const char *format, ...)
{
    va_list arguments;
    fputs("memkind-pmem: run: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputs("\nTry 'memkind-pmem run --help'.\n", stderr);
    return false;
}

/* ---- the command line ---- */

static bool is_word_of(const char *const *words, const char *text)
{
    for (; *words != NULL; words++)
        if (strcmp(*words, text) == 0)
            return true;
    return false;
}

/* Where a process of any directory finds the file, or the directories. */
static const char *from_root(const char *path)
{
    const char *paths = root_paths(path);
    return paths != NULL ? paths : path;
}

static const char *name_of_option(int option)
{
    const struct option *row = run_long_options;
    while (row->val != option)
        row++;
    return row->name;
}

static bool is_ratio_part(const char *text, size_t length)
{
    unsigned long part;
    char *end;
    errno = 0;
    if (length == 0 || strspn(text, "0123456789") != length)
        return false;
    part = strtoul(text, &end, 10);
    return errno == 0 && part != 0 && part <= UINT_MAX;
}

static bool is_ratio(const char *text)
{
    const char *colon = strchr(text, ':');
    return colon != NULL && is_ratio_part(text, (size_t)(colon - text)) &&
           is_ratio_part(colon + 1, strlen(colon + 1));
}

static bool set_tiers_ratio(const char *value)
{
    if (!is_ratio(value))
        return run_complain("--tiers: '%s' is not two numbers from 1 to %u "
                            "with a colon between them",
                            text_escape(value), UINT_MAX);
    tiers_ratio = value;
    return true;
}

static bool set_run_option(int option, const char *value)
{
    if (option == RUN_TIERS)
        return set_tiers_ratio(value);
    const struct run_setting *setting = run_settings;
    while ((int)setting->option != option)
        setting++;
    size_t size;
    const char *name = name_of_option(option);
    if (setting->is_size && !size_text_parse(value, &size))
        return run_complain("--%s: '%s' is no size", name, text_escape(value));
    if (setting->words != NULL && !is_word_of(setting->words, value))
        return run_complain("--%s: '%s' is none of the words for it", name,
                            text_escape(value));
    if (value == NULL)
        value = "1";
    else if (option == RUN_DIR || option == RUN_STATS) {
        if (value[0] == '\0')
            return run_complain("--%s: the name is empty ('')", name);
        value = from_root(value);
    }
    setenv(setting->variable, value, 1);
    return true;
}

/* What is wrong with the option that getopt_long() has refused. */
static bool refuse_run_option(char **argv, int result)
{
    const char *word = text_escape(argv[optind - 1]);
    if (result == ':')
        return run_complain("%s: its value is missing", word);
    return run_complain(
        optopt != 0 ? "%s: it takes no value" : "%s: no such option", word);
}

static void unset_variables(void)
{
    for (size_t i = 0; i < sizeof run_settings / sizeof run_settings[0]; i++)
        unsetenv(run_settings[i].variable);
}

/* Variables that are there from before are not this command's. */
static void clear_settings(void)
{
    unset_variables();
    const char *dir = getenv("PMEM_DIR");
    setenv("MEMKIND_PRELOAD_DIR",
           dir != NULL && dir[0] != '\0' ? from_root(dir) : "/dev/shm", 1);
}

/* Tiers have settings of their own; what they do not have is not left out
 * without a word. */
static bool tiers_can_be_set(void)
{
    struct stat status;
    const char *dir = getenv("MEMKIND_PRELOAD_DIR");
    for (size_t i = 0; i < sizeof run_settings / sizeof run_settings[0]; i++) {
        const struct run_setting *setting = &run_settings[i];
        if (setting->option != RUN_DIR && setting->option != RUN_SIZE &&
            getenv(setting->variable) != NULL)
            return run_complain("--tiers: not together with --%s",
                                name_of_option((int)setting->option));
    }
    if (strpbrk(dir, ",;") != NULL)
        return run_complain("--tiers: a directory with a comma or semicolon in "
                            "its name cannot be set");
    if (stat(dir, &status) == 0 ? !S_ISDIR(status.st_mode)
                                : strchr(dir, ':') != NULL)
        return run_complain("--tiers: '%s' is not one directory",
                            text_escape(dir));
    return true;
}

/* Sets the variables. Returns false, with a message, if the command line makes
 * no sense; sets *help if that is all that is wanted. */
static bool parse_run_options(int argc, char **argv, bool *help)
{
    clear_settings();
    opterr = 0;
    optind = 1;
    int option;
    while ((option = getopt_long(argc, argv, "+:h", run_long_options, NULL)) !=
           -1) {
        *help = option == RUN_HELP || option == 'h';
        if (*help)
            return true;
        if (option == ':' || option == '?')
            return refuse_run_option(argv, option);
        if (!set_run_option(option, optarg))
            return false;
    }
    return (tiers_ratio == NULL || tiers_can_be_set()) &&
           (optind < argc || run_complain("no program given"));
}

/* ---- starting ---- */

/* A trial: the program itself would go on in DRAM, without a word. */
static bool heap_can_be_made(void)
{
    size_t size = 0;
    const char *text = getenv("MEMKIND_PRELOAD_SIZE");
    if (text != NULL)
        size_text_parse(text, &size);
    memkind_t kind = NULL;
    if (memkind_create_pmem(getenv("MEMKIND_PRELOAD_DIR"), size, &kind) ==
        MEMKIND_SUCCESS) {
        memkind_destroy_kind(kind);
        return true;
    }
    fprintf(stderr, "memkind-pmem: run: %s\n",
            text_escape(memkind_last_error()));
    return false;
}

/* Makes the tiers' variable of the ratio and of those for one heap. */
static void set_tiers_variable(void)
{
    const char *ratio = tiers_ratio;
    const char *limit = "", *text = getenv("MEMKIND_PRELOAD_SIZE");
    const char *colon = strchr(ratio, ':');
    size_t size;
    if (text != NULL && size_text_parse(text, &size))
        limit = text_format(",PMEM_SIZE_LIMIT:%zu", size);
    text = text_format("KIND:DRAM,RATIO:%.*s;KIND:FS_DAX,PATH:%s%s,RATIO:%s;"
                       "POLICY:STATIC_RATIO",
                       (int)(colon - ratio), ratio,
                       getenv("MEMKIND_PRELOAD_DIR"), limit, colon + 1);
    unset_variables();
    unsetenv("MEMKIND_MEM_THRESHOLDS");
    setenv("MEMKIND_MEM_TIERS", text, 1);
}

/* The library lies beside the one that this program is linked with; if it is
 * installed, or was built, perhaps in a folder there. */
static const char *preload_path(const char *name)
{
    static const char *const folders[] = {"", "memkind-pmem/", "preload/"};
    Dl_info info;
    __extension__ void *address = (void *)memkind_get_version;
    if (dladdr(address, &info) == 0 || info.dli_fname == NULL)
        return NULL;
    char folder[PATH_MAX];
    if (realpath(info.dli_fname, folder) == NULL)
        return NULL;
    *(strrchr(folder, '/') + 1) = '\0';
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        const char *path = text_format("%s%s%s", folder, folders[i], name);
        if (access(path, R_OK) == 0)
            return path;
    }
    return NULL;
}

/* Puts the library before others that are to be preloaded. */
static bool set_preload(const char *name)
{
    const char *path = preload_path(name);
    if (path == NULL) {
        fprintf(stderr,
                "memkind-pmem: run: there is no %s beside the library\n", name);
        return false;
    }
    if (strpbrk(path, " :") != NULL) {
        fprintf(stderr,
                "memkind-pmem: run: %s: the dynamic linker takes no path with "
                "a blank or a colon\n",
                text_escape(path));
        return false;
    }
    const char *others = getenv("LD_PRELOAD");
    if (others != NULL && others[0] != '\0')
        path = text_format("%s:%s", path, others);
    setenv("LD_PRELOAD", path, 1);
    return true;
}

bool tool_run_is_meant(int argc, char **argv)
{
    return argc > 1 && strcmp(argv[1], "run") == 0;
}

enum tool_exit tool_run(int argc, char **argv)
{
    bool help = false;
    argc--;
    argv++;
    if (!parse_run_options(argc, argv, &help))
        return TOOL_USAGE;
    if (help) {
        print_run_help();
        return TOOL_OK;
    }
    char **program = argv + optind;
    if (!heap_can_be_made() ||
        !set_preload(tiers_ratio != NULL ? TIERS_NAME : PRELOAD_NAME))
        return TOOL_NO;
    if (tiers_ratio != NULL)
        set_tiers_variable();
    execvp(program[0], program);
    const int error = errno;
    fprintf(stderr, "memkind-pmem: run: %s: %s\n", text_escape(program[0]),
            strerror(error));
    return error == ENOENT ? TOOL_NOT_FOUND : TOOL_CANNOT_START;
}
