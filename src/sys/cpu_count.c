/* SPDX-License-Identifier: BSD-2-Clause */
#include "cpu_count.h"

#include <stdatomic.h>
#include <unistd.h>

static _Atomic unsigned known;

void cpu_count_assume(unsigned count)
{
    atomic_store_explicit(&known, count, memory_order_relaxed);
}

unsigned cpu_count(void)
{
    unsigned count = atomic_load_explicit(&known, memory_order_relaxed);
    if (count == 0) {
        long online = sysconf(_SC_NPROCESSORS_ONLN);
        count = online > 0 ? (unsigned)online : 1;
        atomic_store_explicit(&known, count, memory_order_relaxed);
    }
    return count;
}
