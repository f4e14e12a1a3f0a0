/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Registers ranges with LeakSanitizer, if it is in the process, in which it
 * looks for pointers to objects of the program's malloc: it knows nothing of
 * memory that a library has mapped. Holes in files are left out, as reading one
 * may take file space.
 */
#ifndef LEAK_ROOTS_H
#define LEAK_ROOTS_H

#include <stddef.h>

/* The range may hold pointers from now on, or does not any more. Ranges need
 * not go as they came. Any thread, and extent hooks. */
void leak_roots_add(const void *addr, size_t size);
void leak_roots_remove(const void *addr, size_t size);

#endif
