/* SPDX-License-Identifier: BSD-2-Clause */
#include "memkind_config.h"

#include <stdlib.h>
#include <string.h>

struct memkind_config *memkind_config_new(void)
{
    return calloc(1, sizeof(struct memkind_config));
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
