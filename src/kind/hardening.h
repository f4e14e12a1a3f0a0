/* SPDX-License-Identifier: BSD-2-Clause */
/* Whether kinds are hardened: see enum memkind_misuse. */
#ifndef HARDENING_H
#define HARDENING_H

#include <stdbool.h>

/* Decides it, before any kind is made; it does not change after that. */
void hardening_init(void);

bool hardening_is_on(void);

#endif
