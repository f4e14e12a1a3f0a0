/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What failed last in the calling thread, in words, for memkind_last_error().
 *
 * A public function calls last_error_begin() first. Code below it that knows
 * why something cannot be done says so by last_error_reason(), which has no
 * effect on a call that succeeds. A call that fails ends with
 * last_error_of_call(). Allocations, which may fail often, only note numbers:
 * last_error_of_shortage().
 *
 * Every function keeps errno, allocates nothing and takes no lock.
 */
#ifndef LAST_ERROR_H
#define LAST_ERROR_H

#include <stdbool.h>
#include <stddef.h>

/* Reasons that are found out in more than one place. */
#define REASON_REENTERED                                                       \
    "called by a signal handler or hook that has interrupted the library"
#define REASON_LOST_KIND "the kind is not available in a forked child"
#define REASON_DEAD_KIND "the kind is not there (any more)"

/* A call begins, for which no reason is known yet. */
void last_error_begin(void);

/* Why the call will fail. */
void last_error_reason(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

/* Why the call will fail: what is said about a path, and either the reason that
 * is known already or the text of a (positive) error number. One of `what` and
 * `error_number` may be NULL or 0. */
void last_error_reason_at(const char *path, const char *what, int error_number);

bool last_error_has_reason(void);

/* The call has failed: for the reason that is known, or the one given here. */
void last_error_of_call(const char *function, const char *otherwise);

/* What an allocation lacked. The numbers are size, held and limit. */
enum last_error_shortage {
    SHORTAGE_OF_LIMIT,         /* the limit leaves no room */
    SHORTAGE_OF_AREA,          /* nor does the area or device */
    SHORTAGE_OVER_LIMIT,       /* more than the limit was asked for */
    SHORTAGE_OF_MAPPINGS,      /* a kind of files could not be mapped */
    SHORTAGE_OF_DRAM,          /* so could a kind in DRAM */
    SHORTAGE_OF_ALIGNED,       /* no such place; the limit is the alignment */
    SHORTAGE_REENTERED,        /* the call has interrupted another */
    SHORTAGE_THREAD_ENDS,      /* the thread's part is gone */
    SHORTAGE_LOST,             /* the kind is not available in this child */
    SHORTAGE_SIZE_OVERFLOW,    /* the product of two sizes is no size */
    SHORTAGE_KIND_UNAVAILABLE, /* this sort of kind is not available here */
    SHORTAGE_COUNT
};

void last_error_of_shortage(const char *function,
                            enum last_error_shortage shortage, size_t size,
                            size_t held, size_t limit);

/* The text; "" if nothing has failed. It is the thread's, and good until the
 * next call of one of these functions. */
const char *last_error_text(void);

/* The C library's text for an error number. Never translated, since that
 * would allocate. */
const char *error_number_text(int error_number);

#endif
