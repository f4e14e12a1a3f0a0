/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * When a kind gives freed space back.
 *
 * The decay time (retention.h) of a kind is the first of these that applies:
 * never, if MEMKIND_HOG_MEMORY is 1; at once, if the kind's memory usage policy
 * is MEMKIND_MEM_USAGE_POLICY_CONSERVATIVE; what memkind_config_set_decay() set
 * for the kind; what MEMKIND_DECAY said when the kind was created; 10 seconds.
 */
#ifndef KIND_RECLAIM_H
#define KIND_RECLAIM_H

#include <memkind/internal/memkind_private.h>

/* Sets the decay time of a kind that is being created, and *milliseconds to
 * what its heap starts with. Returns MEMKIND_ERROR_ENVIRON for a bad
 * MEMKIND_DECAY. */
int kind_decay_init(struct memkind *kind, ssize_t *milliseconds);

/* Sets the decay time of a kind that has been created, for the next
 * memkind_arena_update_memory_usage_policy(). */
void kind_set_decay(struct memkind *kind, int64_t milliseconds);

/* Starts background threads if MEMKIND_BACKGROUND_THREAD_LIMIT asks for them.
 * Returns MEMKIND_ERROR_ENVIRON for a bad value; a kind does without threads
 * that cannot be started. */
int kind_start_background_threads(void);

#endif
