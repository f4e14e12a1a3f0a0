/* SPDX-License-Identifier: BSD-2-Clause */
/* Which NUMA nodes pages are on. */
#ifndef NUMA_PAGES_H
#define NUMA_PAGES_H

#include <stdbool.h>
#include <stddef.h>

#include "numa_nodes.h"

/*
 * Whether all pages of a range are on nodes of a set.
 *
 * touch: has them there first; what they contain stays
 *
 * Returns 0; -EXDEV if one is elsewhere or not there; another negative errno if
 * that cannot be found out.
 */
int numa_pages_are_on(const struct numa_set *set, void *addr, size_t size,
                      bool touch);

#endif
