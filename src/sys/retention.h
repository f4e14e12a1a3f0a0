/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How long the library keeps memory that is free, all in milliseconds.
 *
 * A freed object waits in a magazine of its thread. Magazines age, and what a
 * thread has not used for one to two seconds goes back to its arena. A page
 * without objects then waits in the arena's list of dirty pages. The arena
 * gives pages back bit by bit along a curve over its decay time: most of them
 * after about two thirds of that time, the last ones at its end.
 *
 * The decay time is settable: memkind_config_set_decay(), MEMKIND_DECAY,
 * memory usage policies, MEMKIND_HOG_MEMORY; src/kind/kind_reclaim.h has the
 * order in which they apply.
 */
#ifndef RETENTION_H
#define RETENTION_H

/* The decay time of a kind that nothing else was set for. A plain number, as
 * it is made a part of jemalloc's options (jemalloc_conf.c). */
#define DECAY_DEFAULT_MS 10000
#define DECAY_AT_ONCE_MS 0
#define DECAY_NEVER_MS (-1)
#define DECAY_MOST_MS 2147483647 /* 24 days */

/*
 * Upkeep (src/heap/upkeep.c): a heap has a turn each UPKEEP_MS, and each
 * UPKEEP_PAYING_MS while something is left to do. A turn ends when it has taken
 * UPKEEP_TURN_NS, or has given back UPKEEP_TURN_BYTES. Once in AGEING_MS the
 * heap's magazines age. If the heap's own threads have done
 * nothing for UPKEEP_ALONE_MS, other threads do it.
 */
#define UPKEEP_MS 50
#define UPKEEP_PAYING_MS 10
#define UPKEEP_TURN_NS 1000000
#define UPKEEP_TURN_BYTES ((size_t)1 << 30)
#define UPKEEP_ALONE_MS 1000
#define AGEING_MS 1000

/* Arenas are decayed for longer than pages are kept, by this. */
#define DECAY_SLACK_MS 2000

/* Pages skip jemalloc's second list, of pages that madvise(2) has emptied: that
 * takes no file space away. */
#define MUZZY_DECAY_MS 0

#endif
