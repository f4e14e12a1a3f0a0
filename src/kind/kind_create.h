/* SPDX-License-Identifier: BSD-2-Clause */
/* Heaps of static kinds, which are made at the first call. */
#ifndef KIND_CREATE_H
#define KIND_CREATE_H

#include <memkind/internal/memkind_private.h>

/* Makes the heap of such a kind, if it has none and that can be done. errno is
 * kept. */
void kind_create_heap(struct memkind *kind);

/* Around fork(2): in between, no heap of a DRAM kind is being made. */
void kind_create_lock(void);
void kind_create_unlock(void);

#endif
