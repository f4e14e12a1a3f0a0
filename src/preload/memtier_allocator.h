/* SPDX-License-Identifier: BSD-2-Clause */
/* A tiered memory behind malloc(): see preload_allocator.h. */
#ifndef MEMTIER_ALLOCATOR_H
#define MEMTIER_ALLOCATOR_H

#include <memkind_memtier.h>

/* Before the first object is allocated. */
void allocator_use_memory(struct memtier_memory *tiers);

#endif
