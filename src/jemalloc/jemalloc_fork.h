/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * jemalloc's handlers of fork(2). They take and release each lock of each
 * arena, some hundred for each, and the pages of those locks are then copied in
 * the parent and in the child. That is of no use if no thread is in jemalloc
 * while fork() runs: all locks are free then, and stay so.
 */
#ifndef JEMALLOC_FORK_H
#define JEMALLOC_FORK_H

#include <stdbool.h>

/* To be called before jemalloc's handler: whether no thread is in jemalloc, nor
 * enters it until fork() is done. */
void je_fork_prepare(bool is_at_rest);

#endif
