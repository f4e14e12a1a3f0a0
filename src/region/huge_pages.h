/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory of huge pages of 2 MiB that the system has set aside
 * (vm.nr_hugepages), which nothing else can use. All addresses and sizes are
 * multiples of HUGE_PAGE_SIZE. Functions return 0 or a negative errno.
 */
#ifndef HUGE_PAGES_H
#define HUGE_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/mman.h>

#include "numa_nodes.h"

#define HUGE_PAGE_SIZE ((size_t)2 << 20)

/* Headers may not have this yet. */
#ifndef MAP_HUGE_2MB
#define MAP_HUGE_2MB (21 << 26)
#endif

/* Bytes of a page of a mapping with such flags: mmap(2) rounds its length up to
 * whole ones; munmap(2) and mbind(2) refuse a part of one. */
size_t huge_pages_unit(int mmap_flags);

/* By which mmap(2) maps such pages. */
#define HUGE_PAGE_MAP_FLAGS                                                    \
    (MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_HUGE_2MB)

/* Bytes of such pages, in use or not, on those nodes, NULL: on any; and of
 * those that the system may make when they are wanted. 0: none, or the system
 * has no pages of that size. */
size_t huge_pages_set_aside(const struct numa_set *nodes);

/* Whether mappings of such pages can be moved, as huge_pages_map() does: since
 * Linux 5.16. */
bool huge_pages_can_move(void);

/* Maps such pages over reserved addresses, which cannot be touched until
 * address_space_open(); before that, they can be bound to nodes. They are
 * reserved for the mapping: -ENOMEM if so many are not free. If a node is
 * wanted, it may have none all the same. huge_pages_can_move() has to be true.
 */
int huge_pages_map(void *addr, size_t size);

/* Has pages under a mapping that had none, so that no store to it fails.
 * -ENOMEM: there are not so many. */
int huge_pages_take(void *addr, size_t size);

/* Gives pages back. -EOPNOTSUPP: the kernel cannot (before Linux 5.18). */
int huge_pages_give(void *addr, size_t size);

/* Has the addresses only reserved again. */
void huge_pages_unmap(void *addr, size_t size);

#endif
