/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The C library's own malloc, under the names by which it stays to be had when
 * another library has taken the usual ones. What does not lie in the heap lies
 * here: objects from before there is a heap, those below the least size, those
 * that the heap has no room for, and what is allocated while the thread is
 * inside the heap's allocator.
 */
#ifndef LIBC_MALLOC_H
#define LIBC_MALLOC_H

#include <malloc.h>
#include <stddef.h>

/* NOLINTBEGIN(bugprone-reserved-identifier): glibc's names */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t num, size_t size);
void *__libc_realloc(void *ptr, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *ptr);
/* NOLINTEND(bugprone-reserved-identifier) */

/* Finds those that have no second name, by the dynamic linker. The functions
 * below do so if it was not done, so that what is not called by the program
 * itself calls this first. */
void libc_malloc_find(void);

/* What an object of the C library's malloc has room for; 0 if that is not
 * known. */
size_t libc_usable_size(void *ptr);

struct mallinfo2 libc_mallinfo(void);

/* Whether memory was given back. */
int libc_trim(size_t pad);

#endif
