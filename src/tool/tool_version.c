/* SPDX-License-Identifier: BSD-2-Clause */
#include "tool_version.h"

#include <limits.h>
#include <link.h>
#include <memkind.h>
#include <stdlib.h>
#include <string.h>

#include "tool_json.h"
#include "tool_terminal.h"
#include "tool_text.h"

/* A shared library that this process has loaded. */
struct loaded {
    const char *prefix;  /* of the name of the file */
    char path[PATH_MAX]; /* with links followed; empty: not loaded */
};

struct versions {
    char interface[32];
    char jemalloc[128]; /* empty: the library does not report it */
    struct loaded library, pmem, other_jemalloc;
};

/* ---- what is loaded ---- */

static int match_loaded(struct dl_phdr_info *info, size_t size, void *context)
{
    struct loaded *loaded = context;
    const char *name = strrchr(info->dlpi_name, '/');
    (void)size;
    if (name == NULL ||
        strncmp(name + 1, loaded->prefix, strlen(loaded->prefix)) != 0)
        return 0;
    if (realpath(info->dlpi_name, loaded->path) == NULL)
        snprintf(loaded->path, sizeof loaded->path, "%s", info->dlpi_name);
    return 1;
}

static void find_loaded(struct loaded *loaded, const char *prefix)
{
    *loaded = (struct loaded){.prefix = prefix};
    dl_iterate_phdr(match_loaded, loaded);
}

/* Statistics come in pieces of any size; only their beginning is kept. */
struct statistics {
    char text[4096];
    size_t length;
};

static void keep_statistics(void *context, const char *text)
{
    struct statistics *statistics = context;
    size_t length = strlen(text);
    size_t room = sizeof statistics->text - 1 - statistics->length;
    if (length > room)
        length = room;
    memcpy(statistics->text + statistics->length, text, length);
    statistics->length += length;
}

/* jemalloc's own statistics begin with its version. */
static void find_jemalloc(char *version, size_t size)
{
    struct statistics statistics = {.length = 0};
    const unsigned options = MEMKIND_STAT_PRINT_JSON_FORMAT |
                             MEMKIND_STAT_PRINT_OMIT_MERGED_ARENA |
                             MEMKIND_STAT_PRINT_OMIT_DESTROYED_MERGED_ARENA |
                             MEMKIND_STAT_PRINT_OMIT_PER_ARENA;
    static const char key[] = "\"version\"";
    version[0] = '\0';
    if (memkind_stats_print(keep_statistics, &statistics,
                            (memkind_stat_print_opt)options) != MEMKIND_SUCCESS)
        return;
    const char *found = strstr(statistics.text, key);
    if (found == NULL || (found = strchr(found + strlen(key), '"')) == NULL)
        return;
    snprintf(version, size, "%.*s", (int)strcspn(found + 1, "\""), found + 1);
}

static void find_versions(struct versions *versions)
{
    int interface = memkind_get_version();
    snprintf(versions->interface, sizeof versions->interface, "%d.%d.%d",
             interface / 1000000, interface / 1000 % 1000, interface % 1000);
    find_jemalloc(versions->jemalloc, sizeof versions->jemalloc);
    find_loaded(&versions->library, "libmemkind.so");
    find_loaded(&versions->pmem, "libpmem.so");
    find_loaded(&versions->other_jemalloc, "libjemalloc.so");
}

/* ---- printing ---- */

static const char *text_or(const char *text, const char *otherwise)
{
    return text[0] != '\0' ? text_escape(text) : otherwise;
}

/* A line, with the value beside its title. */
static void print_version(const char *title, const char *value, FILE *out)
{
    enum { INDENT = 13 };
    fprintf(out, "%-*s", INDENT, title);
    terminal_print(out, value, INDENT, INDENT, terminal_text_width(out));
}

static void print_text(const struct versions *versions, FILE *out)
{
    print_version("memkind-pmem", MEMKIND_TOOL_VERSION, out);
    print_version("interface",
                  text_format("%s (libmemkind's)", versions->interface), out);
    print_version("library",
                  text_format("%s (built with %s)",
                              text_or(versions->library.path, "in the tool"),
                              MEMKIND_TOOL_VERSION),
                  out);
    print_version("jemalloc",
                  text_format("%s, %s", text_or(versions->jemalloc, "unknown"),
                              text_or(versions->other_jemalloc.path,
                                      "a private copy in the library")),
                  out);
    print_version("libpmem",
                  text_format("%s (built with %s)",
                              text_or(versions->pmem.path, "in the library"),
                              MEMKIND_TOOL_LIBPMEM_VERSION),
                  out);
}

static void json_text(struct json *json, const char *key, const char *text)
{
    json_string(json, key, text[0] != '\0' ? text : NULL);
}

static void print_json(const struct versions *versions, FILE *out)
{
    struct json json;
    json_begin(&json, out);
    json_string(&json, "command", "version");
    json_string(&json, "tool", MEMKIND_TOOL_VERSION);
    json_string(&json, "interface", versions->interface);
    json_open(&json, "library", '{');
    json_string(&json, "built_with", MEMKIND_TOOL_VERSION);
    json_text(&json, "path", versions->library.path);
    json_close(&json, '}');
    json_open(&json, "jemalloc", '{');
    json_text(&json, "version", versions->jemalloc);
    json_text(&json, "path", versions->other_jemalloc.path);
    json_close(&json, '}');
    json_open(&json, "libpmem", '{');
    json_string(&json, "built_with", MEMKIND_TOOL_LIBPMEM_VERSION);
    json_text(&json, "path", versions->pmem.path);
    json_close(&json, '}');
    json_end(&json);
}

enum tool_exit tool_version(const struct tool_options *options)
{
    struct versions versions;
    find_versions(&versions);
    if (options->json)
        print_json(&versions, stdout);
    else
        print_text(&versions, stdout);
    return TOOL_OK;
}
