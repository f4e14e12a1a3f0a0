/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * No call of this library is a cancellation point, although many of the system
 * calls that it makes are: a thread that is cancelled in one of them would
 * leave locks behind.
 */
#ifndef CANCELLATION_H
#define CANCELLATION_H

#include <pthread.h>

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

#endif
