/* SPDX-License-Identifier: BSD-2-Clause */
#include "memkind_config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "last_error.h"

struct memkind_config *memkind_config_new(void)
{
    struct memkind_config *cfg = malloc(sizeof *cfg);
    if (cfg == NULL)
        return NULL;
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
    return is_valid;
}

void memkind_config_delete(struct memkind_config *cfg)
{
    if (cfg == NULL)
        return;
    free(cfg->pmem_dir);
    free(cfg);
}

void memkind_config_set_path(struct memkind_config *cfg, const char *pmem_dir)
{
    if (cfg == NULL)
        return;
    char *copy = pmem_dir != NULL ? strdup(pmem_dir) : NULL;
    free(cfg->pmem_dir);
    cfg->pmem_dir = copy;
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
        cfg->fork_policy = policy;
}

void memkind_config_set_core_dump(struct memkind_config *cfg, bool dump_objects)
{
    if (cfg != NULL)
        cfg->dump_objects = dump_objects;
}

/* The value that stands for "never set" is no valid one either. */
void memkind_config_set_decay(struct memkind_config *cfg, int64_t milliseconds)
{
    if (cfg != NULL)
        cfg->decay_ms =
            milliseconds != DECAY_UNSET_MS ? milliseconds : DECAY_MOST_MS + 1LL;
}
