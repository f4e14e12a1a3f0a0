/* SPDX-License-Identifier: BSD-2-Clause */
#include "memory_barrier.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <stdatomic.h>
#include <time.h>

#include "debug_log.h"
#include "sys_calls.h"

/* All threads see a CPU's store long before this time has passed. */
#define PAUSE_NS 2000000

static atomic_bool is_registered;
/* Since it is not. */
static atomic_bool has_paused;

void memory_barrier_register(void)
{
    int command = MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED;
    atomic_store(&is_registered, sys.membarrier(command) == 0);
    atomic_store(&has_paused, false);
}

bool memory_barrier_is_asymmetric(void)
{
    return atomic_load_explicit(&is_registered, memory_order_relaxed);
}

bool memory_barrier_in_all_threads(void)
{
    if (!memory_barrier_is_asymmetric())
        return false;
    if (sys.membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) == 0)
        return true;
    debug_log("membarrier(2) has been forbidden");
    atomic_store(&is_registered, false);
    return false;
}

void memory_barrier_pause(void)
{
    struct timespec pause = {.tv_nsec = PAUSE_NS};
    while (nanosleep(&pause, &pause) != 0 && errno == EINTR)
        ;
}

void memory_barrier_in_all_or_pause(void)
{
    if (memory_barrier_in_all_threads() || atomic_load(&has_paused))
        return;
    memory_barrier_pause();
    atomic_store(&has_paused, true);
}
