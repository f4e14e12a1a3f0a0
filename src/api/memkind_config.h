/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef MEMKIND_CONFIG_H
#define MEMKIND_CONFIG_H

#include <memkind.h>

struct memkind_config {
    char *pmem_dir; /* a copy, NULL where there was no DRAM for it */
    size_t pmem_size;
    memkind_mem_usage_policy policy;
    memkind_fork_policy fork_policy;
    bool dump_objects;
};

#endif
