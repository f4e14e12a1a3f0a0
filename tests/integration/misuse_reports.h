/* SPDX-License-Identifier: BSD-2-Clause */
/* For suites of misuse: a handler that remembers what it is called with. */
#ifndef MISUSE_REPORTS_H
#define MISUSE_REPORTS_H

#include <memkind.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "test_kinds.h"

/* How many reports of each sort there were since the last forget_reports(). */
extern atomic_int report_counts[MEMKIND_MISUSE_MAX_VALUE];

/* From now on reports are remembered, and there were none so far. */
void remember_reports(void);
void forget_reports(void);
int count_reports(void);

/* Exactly one report since the last call, of just that. */
bool was_reported(memkind_misuse what, memkind_t kind, const void *ptr);

/* An unlimited kind, with reports remembered. */
memkind_t make_watched_kind(void);

/* Destroys a kind after which no report is left, and forgets the handler. */
void destroy_watched_kind(memkind_t kind);

/* Sizes of all sorts: in slabs, with pages of their own, and not cached. */
enum { OBJECT_SIZES = 8 };
extern const size_t object_sizes[OBJECT_SIZES];

/* What freeing an object of a size once more is reported as. A large object is
 * gone at once, and no trace of it left. */
memkind_misuse second_free(size_t size);

/* Two objects at once are never at the same place: what was freed twice is not
 * handed out twice. */
bool places_differ(memkind_t kind, size_t size);

#endif
