/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef PRELOAD_NAMES_H
#define PRELOAD_NAMES_H

#include <stddef.h>

/* A name that the process's programs and libraries find here instead of in the
 * C library or the C++ library. */
#define PRELOAD_EXPORT __attribute__((visibility("default"), used))

/* Names that the C library's headers do not declare: glibc's old one, and those
 * of C23 if it is older than that. */
void cfree(void *ptr);
void free_sized(void *ptr, size_t size);
void free_aligned_sized(void *ptr, size_t alignment, size_t size);

/* By this the C library knows what this library has registered. */
/* NOLINTNEXTLINE(bugprone-reserved-identifier): the C runtime's */
extern char __dso_handle __attribute__((visibility("hidden")));

#endif
