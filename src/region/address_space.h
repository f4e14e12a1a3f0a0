/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Address space that cannot be touched: no page of it can be read or written,
 * so that mlockall(2) finds nothing in it, and nothing of it is counted on
 * systems that do not overcommit memory. It is left out of core dumps
 * (MADV_DONTDUMP): gcore(1) reads what the program itself cannot.
 */
#ifndef ADDRESS_SPACE_H
#define ADDRESS_SPACE_H

#include <stddef.h>

/*
 * Reserves whole pages, aligned for the largest pages that fit in: to 1 GiB
 * from that size on, else to 2 MiB; less if there is no room for that. They go
 * back by munmap(2).
 *
 * margin: bytes before and behind that stay free, in whole pages
 *
 * Returns 0 or a negative errno.
 */
int address_space_reserve(size_t size, size_t margin, void **base);

/* Makes reserved pages, or those of a mapping, readable and writable. Whether
 * they are dumped does not change. */
int address_space_open(void *addr, size_t size);

/* madvise(2), called again after a signal. */
int address_space_advise(void *addr, size_t size, int advice);

/* Drops private memory, which is zero from then on; locked or not. */
int address_space_drop(void *addr, size_t size);

#endif
