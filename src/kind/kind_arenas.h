/* SPDX-License-Identifier: BSD-2-Clause */
/* How many arenas a kind's heap may have, and which one serves a thread. */
#ifndef KIND_ARENAS_H
#define KIND_ARENAS_H

#include <memkind/internal/memkind_private.h>

/* Sets *limit for a kind whose regions and properties are known, or returns
 * MEMKIND_ERROR_ENVIRON. */
int kind_arenas_limit(const struct memkind *kind, unsigned *limit);

#endif
