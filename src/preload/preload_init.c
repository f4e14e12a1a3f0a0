/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What happens when a process starts with the library preloaded, and when it
 * ends. A process that cannot have the heap goes on in DRAM: another process,
 * which has one, may have started it in a root without the directory.
 * "memkind-pmem run" looks at the directory first.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "libc_malloc.h"
#include "preload_descriptors.h"
#include "preload_heap.h"
#include "preload_report.h"
#include "preload_settings.h"

/* What a command of a shell that cannot be run exits with. */
#define EXIT_OF_BAD_SETTING 126

static struct preload_settings settings;

/* Whether the process's malloc() comes to this library's. The symbol's address
 * says nothing: an executable at a fixed address has a jump there. */
static bool malloc_is_ours(void)
{
    __extension__ void *(*process_malloc)(size_t) =
        (void *(*)(size_t))dlsym(RTLD_DEFAULT, "malloc");
    __extension__ void (*process_free)(void *) =
        (void (*)(void *))dlsym(RTLD_DEFAULT, "free");
    preload_heap.was_asked = false;
    process_free(process_malloc(1));
    return preload_heap.was_asked;
}

static int make_kind_with_policy(memkind_fork_policy policy, memkind_t *kind)
{
    struct memkind_config *config = memkind_config_new();
    if (config == NULL)
        return MEMKIND_ERROR_MALLOC;
    memkind_config_set_path(config, settings.dir);
    memkind_config_set_size(config, settings.size);
    memkind_config_set_fork_policy(config, policy);
    const int result = memkind_create_pmem_with_config(config, kind);
    memkind_config_delete(config);
    return result;
}

/* A device DAX, and a process without memfd_create(2), have no snapshots. */
static int make_process_kind(memkind_t *kind)
{
    preload_descriptors_set_apart();
    int result = make_kind_with_policy(settings.fork_policy, kind);
    if (result == MEMKIND_SUCCESS ||
        settings.fork_policy != MEMKIND_FORK_SNAPSHOT)
        return result;
    char *reason = strdup(memkind_last_error());
    result = make_kind_with_policy(MEMKIND_FORK_COPY, kind);
    if (result == MEMKIND_SUCCESS && settings.verbose)
        preload_report_say("forked children have copies of the heap: %s",
                           reason != NULL ? reason : "");
    free(reason);
    return result;
}

/* Says why there is no heap, if anybody wants to know. */
static void stay_in_dram(const char *reason)
{
    if (settings.verbose)
        preload_report_say("all objects lie in DRAM: %s", reason);
}

static void start_heap(void)
{
    if (!malloc_is_ours()) {
        stay_in_dram("the program has a malloc of its own");
        return;
    }
    if (settings.dir == NULL) {
        stay_in_dram("MEMKIND_PRELOAD_DIR is not set");
        return;
    }
    memkind_t kind = NULL;
    if (make_process_kind(&kind) != MEMKIND_SUCCESS) {
        stay_in_dram(memkind_last_error());
        return;
    }
    preload_heap_start(kind, settings.min_size, settings.full_is_null);
    if (settings.verbose)
        preload_report_say("objects of %zu bytes and more lie in %s",
                           settings.min_size, settings.dir);
}

/* After the library's own constructor and libpmem's, which may be in the same
 * file, before those of the program. */
__attribute__((constructor)) static void preload_init(void)
{
    preload_descriptors_find();
    /* The environment is the caller's, and the privileges are not. */
    if (getauxval(AT_SECURE) != 0)
        return;
    const int saved_errno = errno;
    preload_report_name(program_invocation_short_name);
    const char *bad = preload_settings_read(&settings);
    if (bad != NULL) {
        preload_report_say("%s='%s' makes no sense; see "
                           "libmemkind_preload(7)",
                           bad, getenv(bad));
        _exit(EXIT_OF_BAD_SETTING);
    }
    libc_malloc_find();
    start_heap();
    const int result = preload_report_start(&settings);
    if (result != 0)
        preload_report_say("no reports: %s", strerrordesc_np(-result));
    errno = saved_errno;
}

__attribute__((destructor(102))) static void preload_end(void)
{
    preload_report_at_exit();
}
