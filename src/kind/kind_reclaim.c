/* SPDX-License-Identifier: BSD-2-Clause */
#include "kind_reclaim.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>

#include <memkind/internal/memkind_arena.h>

#include "allocator_gate.h"
#include "cpu_count.h"
#include "debug_log.h"
#include "heap.h"
#include "heap_create.h"
#include "jemalloc_ctl.h"
#include "kind_heap.h"
#include "last_error.h"
#include "options.h"
#include "region_pool.h"

/* ---- decay ------------------------------------------------------------- */

static ssize_t decay_of_policy(const struct memkind *kind,
                               memkind_mem_usage_policy policy)
{
    if (option_is_on(OPTION_HOG_MEMORY))
        return DECAY_NEVER_MS;
    if (policy == MEMKIND_MEM_USAGE_POLICY_CONSERVATIVE)
        return DECAY_AT_ONCE_MS;
    return (ssize_t)kind->decay_ms;
}

int kind_decay_init(struct memkind *kind, ssize_t *milliseconds)
{
    kind->decay_ms = DECAY_DEFAULT_MS;
    if (option_read(OPTION_DECAY, &kind->decay_ms) == OPTION_IS_BAD)
        return MEMKIND_ERROR_ENVIRON;
    *milliseconds = decay_of_policy(kind, MEMKIND_MEM_USAGE_POLICY_DEFAULT);
    return MEMKIND_SUCCESS;
}

void kind_set_decay(struct memkind *kind, int64_t milliseconds)
{
    assert(milliseconds >= DECAY_NEVER_MS && milliseconds <= DECAY_MOST_MS);
    kind->decay_ms = milliseconds;
}

int memkind_arena_update_memory_usage_policy(struct memkind *kind,
                                             memkind_mem_usage_policy policy)
{
    struct memkind_heap *heap = kind != NULL ? kind_heap_of(kind) : NULL;
    if (heap == NULL || (policy != MEMKIND_MEM_USAGE_POLICY_DEFAULT &&
                         policy != MEMKIND_MEM_USAGE_POLICY_CONSERVATIVE))
        return MEMKIND_ERROR_INVALID;
    return heap_set_decay(heap, decay_of_policy(kind, policy)) == 0
               ? MEMKIND_SUCCESS
               : MEMKIND_ERROR_RUNTIME;
}

int memkind_arena_purge(struct memkind *kind)
{
    if (kind == NULL)
        return MEMKIND_ERROR_INVALID;
    struct memkind_heap *heap = kind_heap_of(kind);
    if (heap != NULL)
        heap_purge(heap);
    return MEMKIND_SUCCESS;
}

/* ---- what fork() has detached ------------------------------------------ */

int memkind_arena_attach(struct memkind *kind)
{
    if (kind == NULL)
        return MEMKIND_ERROR_INVALID;
    struct memkind_heap *heap = kind_heap_of(kind);
    if (heap == NULL || heap_pool(heap) == NULL)
        return MEMKIND_SUCCESS;
    if (!allocator_enter()) {
        last_error_reason(REASON_REENTERED);
        errno = EDEADLK;
        return MEMKIND_ERROR_OPERATION_FAILED;
    }
    const int result = region_pool_attach_all(heap_pool(heap));
    allocator_leave();
    if (result == 0)
        return MEMKIND_SUCCESS;
    last_error_reason("%s",
                      result == -EBUSY
                          ? "a child still has the kind as it was at the fork"
                          : error_number_text(-result));
    errno = -result;
    return MEMKIND_ERROR_OPERATION_FAILED;
}

/* ---- background threads ------------------------------------------------ */

int memkind_arena_set_max_bg_threads(size_t threads_limit)
{
    const size_t cpus = cpu_count();
    /* jemalloc takes no more than one for each CPU. */
    if (threads_limit == 0 || threads_limit > cpus)
        threads_limit = cpus;
    if (!allocator_enter())
        return MEMKIND_ERROR_OPERATION_FAILED;
    int result = je_background_threads_max(threads_limit);
    allocator_leave();
    return result == 0 ? MEMKIND_SUCCESS : MEMKIND_ERROR_INVALID;
}

int memkind_arena_set_bg_threads(bool state)
{
    if (!allocator_enter())
        return MEMKIND_ERROR_OPERATION_FAILED;
    int result = je_background_threads(state);
    allocator_leave();
    return result == 0 ? MEMKIND_SUCCESS : MEMKIND_ERROR_OPERATION_FAILED;
}

int kind_start_background_threads(void)
{
    static atomic_bool done;
    int64_t limit = 0;
    const enum option_answer answer =
        option_read(OPTION_BACKGROUND_THREAD_LIMIT, &limit);
    if (answer == OPTION_IS_BAD)
        return MEMKIND_ERROR_ENVIRON;
    if (answer == OPTION_IS_UNSET || atomic_exchange(&done, true))
        return MEMKIND_SUCCESS;
    int err = memkind_arena_set_max_bg_threads((size_t)limit);
    if (err == MEMKIND_SUCCESS)
        err = memkind_arena_set_bg_threads(true);
    if (err != MEMKIND_SUCCESS)
        debug_log("background threads cannot be started");
    return MEMKIND_SUCCESS;
}
