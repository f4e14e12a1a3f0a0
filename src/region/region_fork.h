/* SPDX-License-Identifier: BSD-2-Clause */
/* Regions across fork(2). */
#ifndef REGION_FORK_H
#define REGION_FORK_H

/* Called when the library is loaded: registers the handlers of fork(), before
 * jemalloc registers its own. fork() prepares in reverse order: the locks of
 * regions, which extent hooks take under jemalloc's, are taken after those. */
void region_fork_init(void);

#endif
