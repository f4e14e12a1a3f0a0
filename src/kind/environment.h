/* SPDX-License-Identifier: BSD-2-Clause */
/* The MEMKIND_* environment variables, but for MEMKIND_DEBUG. Ignored in
 * set-uid programs. Read anew at each call. */
#ifndef ENVIRONMENT_H
#define ENVIRONMENT_H

#include <stdbool.h>
#include <stddef.h>

/* 0 with *set telling whether the variable is there and *value its value;
 * MEMKIND_ERROR_ENVIRON where it is not a number in [least, most]. */
int environment_number(const char *name, size_t least, size_t most, bool *set,
                       size_t *value);

/* MEMKIND_HOG_MEMORY=1 */
bool environment_hog_memory(void);

/* MEMKIND_CORE_DUMP=1 */
bool environment_core_dump(void);

#endif
