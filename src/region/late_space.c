/* SPDX-License-Identifier: BSD-2-Clause */
#include "late_space.h"

#include <stdatomic.h>
#include <stddef.h>
#include <time.h>

#include "cancellation.h"
#include "tls_model.h"

/* What waits looks as often as this. */
#define WAIT_NS 500000

static atomic_bool is_coming;
static __thread bool is_own TLS_MODEL;

bool late_space_begin(void)
{
    return !atomic_exchange(&is_coming, true);
}

void late_space_end(void)
{
    atomic_store(&is_coming, false);
}

void late_space_is_from_here(bool is_from_here)
{
    is_own = is_from_here;
}

bool late_space_wait(void)
{
    if (is_own || !atomic_load(&is_coming))
        return false;
    cancellation_forbid();
    while (atomic_load(&is_coming))
        nanosleep(&(struct timespec){.tv_nsec = WAIT_NS}, NULL);
    return true;
}
