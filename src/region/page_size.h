/* SPDX-License-Identifier: BSD-2-Clause */
/* What sysconf(3) says of memory. */
#ifndef PAGE_SIZE_H
#define PAGE_SIZE_H

#include <stddef.h>

/* Bytes of a page. The system is asked once. */
size_t region_page_size(void);

/* Bytes that one entry of the page tables' next level maps: what DAX is mapped
 * by if the blocks allow it. */
size_t region_large_page_size(void);

/* Bytes of memory that the machine has; 0 if that is not known. */
size_t physical_memory_size(void);

#endif
