/* SPDX-License-Identifier: BSD-2-Clause */
/* Around fork(2): in between, no heap of a DRAM kind is being made. */
#ifndef DEFAULT_HEAP_H
#define DEFAULT_HEAP_H

void default_heap_lock(void);
void default_heap_unlock(void);

#endif
