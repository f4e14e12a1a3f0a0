/* SPDX-License-Identifier: BSD-2-Clause */
/* File space that a thread is giving back (late_close.h), for what lacks some.
 */
#ifndef LATE_SPACE_H
#define LATE_SPACE_H

#include <stdbool.h>

/* Returns false if there is some already. */
bool late_space_begin(void);
void late_space_end(void);

/* Waits until all is given back. Returns false if there was nothing to wait
 * for. */
bool late_space_wait(void);

#endif
