/* SPDX-License-Identifier: BSD-2-Clause */
/* Which handler misuse is reported to; see memkind_set_misuse_handler(). */
#ifndef MISUSE_H
#define MISUSE_H

#include <memkind.h>

/* Has heaps report what they find, before there is one. */
void misuse_init(void);

/* NULL: a message, if MEMKIND_DEBUG is 1. */
void misuse_set_handler(memkind_misuse_handler *handler, void *arg);

/* No lock of the library is held. Keeps errno. */
void misuse_report(memkind_misuse what, memkind_t kind, const void *ptr);

/* Around fork(2): in between, no handler is being set. */
void misuse_lock(void);
void misuse_unlock(void);

#endif
