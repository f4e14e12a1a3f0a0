/* SPDX-License-Identifier: BSD-2-Clause */
#include "memory_barrier.h"

#include <linux/membarrier.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

static atomic_bool registered;

static long membarrier(int command)
{
    return syscall(SYS_membarrier, command, 0, 0);
}

/* While there is one thread, registering costs nothing; a child of fork()
 * inherits it. */
__attribute__((constructor(101))) static void register_process(void)
{
    if (membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) == 0)
        atomic_store(&registered, true);
}

bool memory_barrier_is_asymmetric(void)
{
    return atomic_load_explicit(&registered, memory_order_relaxed);
}

void memory_barrier_in_all_threads(void)
{
    (void)membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED);
}
