/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * No call of this library is a cancellation point, although many of the system
 * calls that it makes are: a thread that is cancelled in one of them would
 * leave locks behind.
 */
#ifndef CANCELLATION_H
#define CANCELLATION_H

#include <pthread.h>
#include <stdbool.h>

#include "tls_model.h"

/*
 * A part of a thread's work that makes such system calls now and then. To
 * disable cancellation and to restore it are two atomic operations, as much as
 * some of that work takes. So that is left to those who come to a cancellation
 * point: cancellation_forbid() disables it for the rest of the part, and does
 * nothing elsewhere. All of sys_calls.h, and what else waits, calls it; so do
 * hooks, which may be the program's.
 */
struct cancellation_part {
    bool is_begun, is_forbidden;
    int before;
};
extern __thread struct cancellation_part cancellation_part TLS_MODEL;

static inline void cancellation_begin_part(void)
{
    cancellation_part.is_begun = true;
}

static inline void cancellation_forbid(void)
{
    if (cancellation_part.is_begun && !cancellation_part.is_forbidden) {
        (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE,
                                     &cancellation_part.before);
        cancellation_part.is_forbidden = true;
    }
}

/* Ends the part, after which a signal handler may begin one of its own. Returns
 * what cancellation_leave_part() is to be given then. */
static inline struct cancellation_part cancellation_end_part(void)
{
    const struct cancellation_part part = cancellation_part;
    cancellation_part.is_begun = cancellation_part.is_forbidden = false;
    return part;
}

static inline void cancellation_leave_part(struct cancellation_part part)
{
    if (part.is_forbidden)
        (void)pthread_setcancelstate(part.before, NULL);
}

/* For work of which all may be such a call. Returns what cancellation_restore()
 * is to be given. In a part, the part is to restore what there was before. */
static inline int cancellation_disable(void)
{
    int before;
    cancellation_forbid();
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
    return before;
}

static inline void cancellation_restore(int before)
{
    (void)pthread_setcancelstate(before, NULL);
}

#endif
