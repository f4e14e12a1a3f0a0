/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The allocator's handlers of fork() have the first place in the process.
 *
 * Handlers prepare in reverse order of registration. While fork() prepares, a
 * library may wait for a lock of its own whose holder allocates: the allocator
 * has to serve it until then, and so be the last to prepare. (glibc's malloc is
 * at rest after all handlers, too.) But ld.so calls the constructors of a
 * library that is preloaded after those of the program's libraries. So the
 * first registration of all reserves a place for the allocator's handlers.
 */
#ifndef PRELOAD_ATFORK_H
#define PRELOAD_ATFORK_H

#include <stdbool.h>

/* Whether handlers are the allocator's: those of the library with that handle.
 * Each preloaded library defines it. */
bool preload_is_allocator(const void *dso_handle);

#endif
