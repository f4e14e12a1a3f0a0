/* SPDX-License-Identifier: BSD-2-Clause */
/* What MEMKIND_MEM_TIERS and MEMKIND_MEM_THRESHOLDS say. */
#ifndef MEMTIER_SETTINGS_H
#define MEMTIER_SETTINGS_H

#include <memkind_memtier.h>

#define SETTINGS_TIERS "MEMKIND_MEM_TIERS"
#define SETTINGS_THRESHOLDS "MEMKIND_MEM_THRESHOLDS"

/* Room for what is wrong with them. */
#define SETTINGS_PROBLEM_SIZE 1024

/*
 * Makes the tiers, and kinds for those in files. `thresholds` may be NULL. On
 * failure returns NULL, and `problem`, of SETTINGS_PROBLEM_SIZE bytes, is why.
 */
struct memtier_memory *settings_make(const char *tiers, const char *thresholds,
                                     char *problem);

#endif
