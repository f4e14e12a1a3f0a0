/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What happens when the library is loaded: one constructor for all of its
 * parts, in a fixed order.
 *
 * Its priority is the first one that is not the compiler's: it runs before
 * jemalloc's own constructor in the same library, and before those of a program
 * that the static library is linked into. If another constructor makes a kind
 * even before that, the kind works, but what is set up here is not there yet.
 */
#include "debug_log.h"
#include "hardening.h"
#include "jemalloc_conf.h"
#include "jemalloc_ctl.h"
#include "jemalloc_thread.h"
#include "kind_fork.h"
#include "memory_barrier.h"
#include "misuse.h"
#include "options.h"
#include "region_fork.h"
#include "thread_cache.h"

__attribute__((constructor(101))) static void library_init(void)
{
    /* Messages first, for what the others have to say. */
    atomic_store(&debug_log_on, option_is_on(OPTION_DEBUG));
    hardening_init();
    /* While there is one thread, as far as that can be had. */
    memory_barrier_register();
    misuse_init();

    /* Before jemalloc starts: */
    jemalloc_conf_init();
    je_thread_init(); /* a copy of what jemalloc has not touched yet */
    /* its key comes after ours, so that our caches go first when a thread
     * ends; */
    thread_cache_init();
    /* its handlers of fork() come after the regions' and before the kinds': see
     * kind_fork.c. */
    region_fork_init();
    (void)je_is_debug(); /* starts it */
    kind_fork_init();
}
