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

/* Returns what cancellation_restore() is to be given. */
static inline int cancellation_disable(void)
{
    int before;
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
    return before;
}

static inline void cancellation_restore(int before)
{
    (void)pthread_setcancelstate(before, NULL);
}

/*
 * A part of a thread's work that makes such system calls now and then. To
 * disable cancellation and to restore it are two atomic operations, as much as
 * some of that work takes. So that is left to those who come to a cancellation
 * point: cancellation_forbid() disables it for the rest of the part, and does
 * nothing elsewhere. All of sys_calls.h, and what else waits, calls it; so do
 * hooks, which may be the program's.
 */
extern __thread struct cancellation_part {
    bool is_begun, is_forbidden;
    int before;
} cancellation_part TLS_MODEL;

static inline void cancellation_begin_part(void)
{
    cancellation_part.is_begun = true;
}

static inline void cancellation_forbid(void)
{
    if (cancellation_part.is_begun && !cancellation_part.is_forbidden) {
        cancellation_part.before = cancellation_disable();
        cancellation_part.is_forbidden = true;
    }
}

static inline void cancellation_end_part(void)
{
    cancellation_part.is_begun = false;
    if (cancellation_part.is_forbidden) {
        cancellation_part.is_forbidden = false;
        cancellation_restore(cancellation_part.before);
    }
}

#endif
