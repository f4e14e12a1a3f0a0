/* SPDX-License-Identifier: BSD-2-Clause */
/* memtier: runs a program with libmemtier.so and the settings for it. */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <memkind.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "memtier_settings.h"
#include "root_paths.h"

#define LIBRARY "libmemtier.so.0"

/* As env(1) and others have them. */
#define EXIT_OWN_FAILURE 1
#define EXIT_CANNOT_RUN 126
#define EXIT_NOT_FOUND 127

struct options {
    const char *ratio;
    const char *thresholds;
    const char *directory;
    bool verbose;
};

static const char usage[] =
    "usage: memtier [-r NEAR:FAR] [-t THRESHOLDS] [-d DIRECTORY] [-v]\n"
    "               PROGRAM [ARGUMENT...]\n"
    "\n"
    "Runs a program whose malloc is a memory in two tiers: DRAM, and memory "
    "that\n"
    "is a NUMA node without CPUs, or files in a directory.\n"
    "\n"
    "  -r, --ratio NEAR:FAR         how much is allocated from DRAM, and how "
    "much\n"
    "                               from the other tier\n"
    "                               [the ratio of what there is of both]\n"
    "  -t, --thresholds THRESHOLDS  smaller objects go to DRAM, larger ones to "
    "the\n"
    "                               other tier: "
    "INIT_VAL:N,MIN_VAL:N,MAX_VAL:N,\n"
    "                               any of them, in bytes\n"
    "  -d, --dir DIRECTORY          the other tier is in files there\n"
    "  -v, --verbose                print the settings\n"
    "  -h, --help                   print this\n"
    "\n"
    "See memtier(1), libmemtier(7).\n";

static _Noreturn void fail(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

static _Noreturn void fail(const char *format, ...)
{
    va_list arguments;
    fputs("memtier: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(EXIT_OWN_FAILURE);
}

/* ---- the ratio ---------------------------------------------------------- */

static bool parse_part(const char **text, unsigned *part)
{
    char *end;
    errno = 0;
    if (**text < '0' || **text > '9')
        return false;
    const unsigned long number = strtoul(*text, &end, 10);
    *text = end;
    *part = (unsigned)number;
    return errno == 0 && number != 0 && number <= UINT_MAX;
}

static void parse_ratio(const char *text, unsigned *near, unsigned *far)
{
    const char *at = text;
    if (!parse_part(&at, near) || *at++ != ':' || !parse_part(&at, far) ||
        *at != '\0')
        fail("the ratio '%s' is not two numbers from 1 to %u with a colon "
             "between them",
             text, UINT_MAX);
}

/* What there is of each, in MiB. */
static void find_ratio(const struct options *options, unsigned *near,
                       unsigned *far)
{
    ssize_t memory = memkind_get_capacity(MEMKIND_DEFAULT);
    uint64_t other = 0;
    struct statvfs fs;
    if (options->directory == NULL) {
        const ssize_t node = memkind_get_capacity(MEMKIND_DAX_KMEM_ALL);
        other = node > 0 ? (uint64_t)node : 0;
        memory -= node > 0 && node < memory ? node : 0;
    } else if (statvfs(options->directory, &fs) == 0) {
        other = (uint64_t)fs.f_blocks * fs.f_frsize;
    }
    const uint64_t near_mib = memory > 0 ? (uint64_t)memory >> 20 : 0;
    const uint64_t far_mib = other >> 20;
    if (near_mib == 0 || far_mib == 0 || near_mib > UINT_MAX ||
        far_mib > UINT_MAX)
        fail("how much memory each tier has is not known: name a ratio (-r)");
    *near = (unsigned)near_mib;
    *far = (unsigned)far_mib;
}

/* ---- the environment ---------------------------------------------------- */

/* The library is beside this program, as it is built or installed; elsewhere
 * the dynamic linker finds it by its name. */
static void find_library(char *path, size_t size)
{
    static const char *const places[] = {"", MEMTIER_LIBRARY_FOLDER};
    char program[PATH_MAX];
    const ssize_t length =
        readlink("/proc/self/exe", program, sizeof program - 1);
    program[length > 0 ? length : 0] = '\0';
    char *slash = strrchr(program, '/');
    for (size_t i = 0; slash != NULL && i < 2; i++) {
        slash[1] = '\0';
        const int written =
            snprintf(path, size, "%s%s" LIBRARY, program, places[i]);
        /* (A blank or a colon would end the name in LD_PRELOAD.) */
        if (written > 0 && (size_t)written < size &&
            strpbrk(path, " :") == NULL && access(path, R_OK) == 0)
            return;
    }
    snprintf(path, size, "%s", LIBRARY);
}

static void set(const char *name, const char *value, bool verbose)
{
    if (verbose)
        fprintf(stderr, "%s=%s\n", name, value);
    if (setenv(name, value, 1) != 0)
        fail("%s: %s", name, strerror(errno));
}

static void set_library(bool verbose)
{
    char library[PATH_MAX], all[2 * PATH_MAX];
    const char *others = getenv("LD_PRELOAD");
    find_library(library, sizeof library);
    const bool has_others = others != NULL && others[0] != '\0';
    const int length =
        snprintf(all, sizeof all, "%s%s%s", library, has_others ? ":" : "",
                 has_others ? others : "");
    if (length < 0 || (size_t)length >= sizeof all)
        fail("LD_PRELOAD is too long");
    set("LD_PRELOAD", all, verbose);
}

static void set_tiers(const struct options *options, unsigned near,
                      unsigned far)
{
    char text[PATH_MAX + 256];
    const char *directory = options->directory;
    if (directory != NULL && (directory = root_paths(directory)) == NULL)
        fail("%s: %s", options->directory, strerror(errno));
    if (directory != NULL && strpbrk(directory, ",;") != NULL)
        fail("a directory with a comma or semicolon in its name cannot be set");
    const int length = snprintf(
        text, sizeof text, "KIND:DRAM,RATIO:%u;KIND:%s%s,RATIO:%u;POLICY:%s",
        near, directory != NULL ? "FS_DAX,PATH:" : "KMEM_DAX",
        directory != NULL ? directory : "", far,
        options->thresholds != NULL ? "DYNAMIC_THRESHOLD" : "STATIC_RATIO");
    if (length < 0 || (size_t)length >= sizeof text)
        fail("the directory's name is too long");
    set(SETTINGS_TIERS, text, options->verbose);
}

/* Both INIT_VAL:1 and INIT_VAL=1 are in use. */
static void set_thresholds(const struct options *options)
{
    if (options->thresholds == NULL) {
        unsetenv(SETTINGS_THRESHOLDS);
        return;
    }
    char *text = strdup(options->thresholds);
    if (text == NULL)
        fail("no memory");
    for (char *at = text; *at != '\0'; at++)
        if (*at == '=')
            *at = ':';
    set(SETTINGS_THRESHOLDS, text, options->verbose);
    free(text);
}

/* ---- options ------------------------------------------------------------ */

static void read_options(int argc, char **argv, struct options *options)
{
    static const struct option known[] = {
        {"ratio", required_argument, NULL, 'r'},
        {"thresholds", required_argument, NULL, 't'},
        {"dir", required_argument, NULL, 'd'},
        {"verbose", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option;
    while ((option = getopt_long(argc, argv, "+r:t:d:vh", known, NULL)) != -1)
        switch (option) {
        case 'r':
            options->ratio = optarg;
            break;
        case 't':
            options->thresholds = optarg;
            break;
        case 'd':
            options->directory = optarg;
            break;
        case 'v':
            options->verbose = true;
            break;
        case 'h':
            fputs(usage, stdout);
            exit(fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_OWN_FAILURE);
        default:
            fputs(usage, stderr);
            exit(EXIT_OWN_FAILURE);
        }
    if (optind < argc)
        return;
    fputs(usage, stderr);
    exit(EXIT_OWN_FAILURE);
}

int main(int argc, char **argv)
{
    struct options options = {0};
    unsigned near, far;
    read_options(argc, argv, &options);
    if (options.directory == NULL &&
        memkind_check_available(MEMKIND_DAX_KMEM) != 0)
        fail("no NUMA node here has memory and no CPUs; -d DIRECTORY has the "
             "second tier in files");
    if (options.ratio != NULL)
        parse_ratio(options.ratio, &near, &far);
    else
        find_ratio(&options, &near, &far);
    set_library(options.verbose);
    set_tiers(&options, near, far);
    set_thresholds(&options);
    execvp(argv[optind], argv + optind);
    const int error = errno;
    fprintf(stderr, "memtier: %s: %s\n", argv[optind], strerror(error));
    return error == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_RUN;
}
