/* SPDX-License-Identifier: BSD-2-Clause */
/* Why an allocation has failed, for memkind_last_error(). */
#ifndef KIND_SHORTAGE_H
#define KIND_SHORTAGE_H

#include <stddef.h>

struct memkind;

/* An allocation of `size` bytes by a public function has found no room. Keeps
 * errno; returns NULL. */
void *kind_shortage_note(const struct memkind *kind, const char *function,
                         size_t size);

/* An allocation was refused for another reason. Keeps errno; returns NULL. */
void *kind_shortage_refuse(const char *function, const char *reason);

#endif
