/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef KIND_FORK_H
#define KIND_FORK_H

/* Registers the handlers of fork(2), after jemalloc has registered its own. */
void kind_fork_init(void);

#endif
