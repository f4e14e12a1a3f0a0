/* SPDX-License-Identifier: BSD-2-Clause */
/* The fields are in the table of options.h. */
#ifndef MEMKIND_CONFIG_H
#define MEMKIND_CONFIG_H

#include <memkind.h>
#include <stdbool.h>

#include "options.h"

struct memkind_config {
#define CONFIG_MEMBER(setter, member, type, least, most, preset, meaning)      \
    type member;
    CONFIG_TABLE(CONFIG_MEMBER)
#undef CONFIG_MEMBER
    /* Directories beside the first one, and what is wrong with one that was to
     * be added. */
    char *further_dirs[MEMKIND_PMEM_MAX_PATHS - 1];
    unsigned further_count;
    const char *path_flaw;
};

/* Whether each field that has a range is within it, or was never set. The
 * reason of last_error.h is about one that is not. */
bool config_is_valid(const struct memkind_config *cfg);

#endif
