/* SPDX-License-Identifier: BSD-2-Clause */
/* Around fork(2): in between, no heap of a DRAM kind is being made. */
#ifndef KIND_CREATE_H
#define KIND_CREATE_H

void kind_create_lock(void);
void kind_create_unlock(void);

#endif
