/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * malloc() and its family in place of the C library's, for a library that is
 * preloaded. preload_allocator.h is what is behind them.
 */
#ifndef PRELOAD_INTERPOSE_H
#define PRELOAD_INTERPOSE_H

/* Until preload_start(), what this thread allocates is the C library's. Called
 * once, by the constructor. */
void preload_prepare(void);

/* From now on the allocator serves all threads. False if the C library has no
 * room for what is needed. */
_Bool preload_start(void);

#endif
