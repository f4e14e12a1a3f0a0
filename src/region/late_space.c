/* SPDX-License-Identifier: BSD-2-Clause */
#include "late_space.h"

#include <stdatomic.h>
#include <stddef.h>
#include <time.h>

/* What waits looks as often as this. */
#define WAIT_NS 500000

static atomic_bool is_coming;

bool late_space_begin(void)
{
    return !atomic_exchange(&is_coming, true);
}

void late_space_end(void)
{
    atomic_store(&is_coming, false);
}

bool late_space_wait(void)
{
    if (!atomic_load(&is_coming))
        return false;
    while (atomic_load(&is_coming))
        nanosleep(&(struct timespec){.tv_nsec = WAIT_NS}, NULL);
    return true;
}
