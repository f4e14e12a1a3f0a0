/* SPDX-License-Identifier: BSD-2-Clause */
/* The kinds that exist without being made. */
#ifndef STATIC_KINDS_H
#define STATIC_KINDS_H

#include <memkind/internal/memkind_private.h>

/* Their number is MEMKIND_NUM_BASE_KIND; NULL for any other index. */
struct memkind *static_kind(int partition);
bool static_kind_owns(const struct memkind *kind);

/* The operations of DRAM kinds that memkind_create_kind() makes. */
extern struct memkind_ops static_kind_dram_ops;

#endif
