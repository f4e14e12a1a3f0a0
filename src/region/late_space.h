/* SPDX-License-Identifier: BSD-2-Clause */
/* File space that a thread is giving back (late_close.h), for what lacks some.
 */
#ifndef LATE_SPACE_H
#define LATE_SPACE_H

#include <stdbool.h>

/* Returns false if there is some already. */
bool late_space_begin(void);
void late_space_end(void);

/* Whether the calling thread gives it back: it does not wait for itself. */
void late_space_is_from_here(bool is_from_here);

/* Waits until all is given back. Returns false if there was nothing to wait
 * for. The caller may hold any lock: what gives it back takes none of them. */
bool late_space_wait(void);

#endif
