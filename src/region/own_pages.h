/* SPDX-License-Identifier: BSD-2-Clause */
/* Which pages of a private mapping of a file are the process's own: those that
 * were stored to. */
#ifndef OWN_PAGES_H
#define OWN_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Pages that are asked for at once. */
#define OWN_PAGES_MOST 512

/* A descriptor to ask by, or a negative errno; sys.close() closes it. */
int own_pages_open(void);

/* Sets bit i of `own` if page i from `addr` on is the process's own; or
 * may be, as on DAX, whose pages look the same in some kernels. Returns
 * whether that is known. */
bool own_pages_find(int fd, const void *addr, size_t pages, uint64_t *own);

#endif
