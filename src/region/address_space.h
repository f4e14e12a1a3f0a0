/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Address space that nobody can touch: no page of it can be read or written, so
 * that mlockall(2) finds nothing in it, and nothing is counted where memory is
 * not overcommitted. It is left out of core dumps (MADV_DONTDUMP): gcore(1)
 * reads what the program itself cannot.
 */
#ifndef ADDRESS_SPACE_H
#define ADDRESS_SPACE_H

#include <stddef.h>

/*
 * Reserves whole pages, aligned for the largest pages that fit in: to 1 GiB
 * from that size on, else to 2 MiB; less where there is no room for that.
 * margin: bytes before and behind that stay free, in whole pages.
 * Returns 0 or a negative errno; goes back by munmap(2).
 */
int address_space_reserve(size_t size, size_t margin, void **base);

/* Makes reserved pages, or those of a mapping, readable and writable. Whether
 * they are dumped does not change. */
int address_space_open(void *addr, size_t size);

#endif
