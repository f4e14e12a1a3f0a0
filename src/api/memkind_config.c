/* SPDX-License-Identifier: BSD-2-Clause */
#include "memkind_config.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kind_shortage.h"
#include "last_error.h"

struct memkind_config *memkind_config_new(void)
{
    struct memkind_config *cfg = malloc(sizeof *cfg);
    if (cfg == NULL)
        return kind_shortage_refuse(__func__, "no DRAM for it");
    *cfg = (struct memkind_config){
#define CONFIG_PRESET(setter, member, type, least, most, preset, meaning)      \
    .member = (preset),
        CONFIG_TABLE(CONFIG_PRESET)
#undef CONFIG_PRESET
    };
    return cfg;
}

/* What was never set may be out of range. */
static bool is_within(const char *setter, intmax_t value, intmax_t preset,
                      intmax_t least, intmax_t most)
{
    if (value == preset || (value >= least && value <= most))
        return true;
    last_error_reason("%s(): %jd is not within %jd and %jd", setter, value,
                      least, most);
    return false;
}

bool config_is_valid(const struct memkind_config *cfg)
{
    bool is_valid = true;
#define CONFIG_CHECK(setter, member, type, least, most, preset, meaning)       \
    is_valid = is_valid &&                                                     \
               is_within("memkind_config_set_" #setter, (intmax_t)cfg->member, \
                         (intmax_t)(preset), (least), (most));
    CONFIG_TABLE(CONFIG_CHECK)
#undef CONFIG_CHECK
    if (is_valid && cfg->path_flaw != NULL) {
        last_error_reason("memkind_config_add_path(): %s", cfg->path_flaw);
        return false;
    }
    return is_valid;
}

static void drop_paths(struct memkind_config *cfg)
{
    free(cfg->pmem_dir);
    cfg->pmem_dir = NULL;
    for (unsigned i = 0; i < cfg->further_count; i++)
        free(cfg->further_dirs[i]);
    cfg->further_count = 0;
    cfg->path_flaw = NULL;
}

void memkind_config_delete(struct memkind_config *cfg)
{
    if (cfg == NULL)
        return;
    drop_paths(cfg);
    free(cfg);
}

void memkind_config_set_path(struct memkind_config *cfg, const char *pmem_dir)
{
    if (cfg == NULL)
        return;
    char *copy = pmem_dir != NULL ? strdup(pmem_dir) : NULL;
    drop_paths(cfg);
    cfg->pmem_dir = copy;
}

_Static_assert(MEMKIND_PMEM_MAX_PATHS == 8, "a message names the number");

/* Adds a copy of a path; returns what is wrong. */
static const char *add_path(struct memkind_config *cfg, const char *dir)
{
    if (dir == NULL)
        return "the directory is NULL";
    if (cfg->further_count == MEMKIND_PMEM_MAX_PATHS - 1)
        return "more than 8 directories (MEMKIND_PMEM_MAX_PATHS)";
    char *copy = strdup(dir);
    if (copy == NULL)
        return "no DRAM for the directory's path";
    if (cfg->pmem_dir == NULL)
        cfg->pmem_dir = copy;
    else
        cfg->further_dirs[cfg->further_count++] = copy;
    return NULL;
}

void memkind_config_add_path(struct memkind_config *cfg, const char *dir)
{
    if (cfg == NULL)
        return;
    const int saved_errno = errno;
    const char *flaw = add_path(cfg, dir);
    if (flaw != NULL && cfg->path_flaw == NULL)
        cfg->path_flaw = flaw;
    errno = saved_errno;
}

void memkind_config_set_size(struct memkind_config *cfg, size_t pmem_size)
{
    if (cfg != NULL)
        cfg->pmem_size = pmem_size;
}

void memkind_config_set_memory_usage_policy(struct memkind_config *cfg,
                                            memkind_mem_usage_policy policy)
{
    if (cfg != NULL)
        cfg->policy = policy;
}

void memkind_config_set_fork_policy(struct memkind_config *cfg,
                                    memkind_fork_policy policy)
{
    if (cfg != NULL)
        cfg->fork_policy =
            policy != FORK_UNSET ? policy : MEMKIND_FORK_POLICY_MAX_VALUE;
}

void memkind_config_set_core_dump(struct memkind_config *cfg, bool dump_objects)
{
    if (cfg != NULL)
        cfg->dump_objects = dump_objects;
}

void memkind_config_set_background_destroy(struct memkind_config *cfg,
                                           bool background)
{
    if (cfg != NULL)
        cfg->background_destroy = background;
}

/* The value that stands for "never set" is no valid one either. */
void memkind_config_set_decay(struct memkind_config *cfg, int64_t milliseconds)
{
    if (cfg != NULL)
        cfg->decay_ms =
            milliseconds != DECAY_UNSET_MS ? milliseconds : DECAY_MOST_MS + 1LL;
}
