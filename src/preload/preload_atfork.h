/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The allocator's handlers of fork() come before all others in the process.
 *
 * Handlers prepare in reverse order of registration. While fork() prepares, a
 * library may wait for a lock of its own whose holder allocates: the allocator
 * has to serve it until then, and so be the last to prepare. (glibc's malloc is
 * at rest after all handlers, too.) But ld.so calls the constructors of a
 * library that is preloaded after those of the program's libraries. So what
 * these register is kept, and passed on after the allocator's.
 */
#ifndef PRELOAD_ATFORK_H
#define PRELOAD_ATFORK_H

/* Called once the allocator's handlers are registered: passes on what is kept,
 * first that of the allocator, which is in the library that `symbol` is in.
 * Until then, a child that a constructor forks is without handlers. */
void preload_atfork_begin(const void *symbol);

#endif
