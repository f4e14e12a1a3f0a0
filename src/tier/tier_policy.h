/* SPDX-License-Identifier: BSD-2-Clause */
/* Which tier an allocation goes to. */
#ifndef TIER_POLICY_H
#define TIER_POLICY_H

#include "tier_struct.h"

/* The kind for an allocation of `size` bytes, which will be counted. */
memkind_t tier_choose(struct memtier_memory *memory, size_t size);

/* An object was resized, which counts as an allocation does. */
void tier_note_resize(struct memtier_memory *memory);

#endif
