/* SPDX-License-Identifier: BSD-2-Clause */
/* What tests put in the place of membarrier(2). */
#ifndef TEST_MEMBARRIER_H
#define TEST_MEMBARRIER_H

#include <errno.h>

/* As a sandbox forbids it. */
static inline int no_membarrier(int command)
{
    (void)command;
    errno = EPERM;
    return -1;
}

#endif
