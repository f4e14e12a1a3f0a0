/* SPDX-License-Identifier: BSD-2-Clause */
/* Statistics, as numbers; stats_print.c has them as a text. */
#include <memkind/internal/memkind_arena.h>

#include "allocator_gate.h"
#include "heap.h"
#include "heap_stat.h"
#include "jemalloc_ctl.h"
#include "kind_heap.h"

int memkind_arena_update_cached_stats(void)
{
    return heap_stat_snapshot() == 0 ? MEMKIND_SUCCESS
                                     : MEMKIND_ERROR_OPERATION_FAILED;
}

int memkind_arena_get_kind_stat(struct memkind *kind, memkind_stat_type stat,
                                size_t *value)
{
    static const enum heap_stat heap_stats[MEMKIND_STAT_TYPE_MAX_VALUE] = {
        [MEMKIND_STAT_TYPE_RESIDENT] = HEAP_RESIDENT,
        [MEMKIND_STAT_TYPE_ACTIVE] = HEAP_ACTIVE,
        [MEMKIND_STAT_TYPE_ALLOCATED] = HEAP_ALLOCATED,
        [MEMKIND_STAT_TYPE_DETACHED] = HEAP_DETACHED,
    };
    if (kind == NULL || value == NULL || (int)stat < 0 ||
        stat >= MEMKIND_STAT_TYPE_MAX_VALUE)
        return MEMKIND_ERROR_INVALID;
    struct memkind_heap *heap = kind_heap_of(kind);
    *value = heap != NULL ? heap_stat(heap, heap_stats[stat]) : 0;
    return MEMKIND_SUCCESS;
}

int memkind_arena_get_global_stat(memkind_stat_type stat, size_t *value)
{
    static const char *const stats[MEMKIND_STAT_TYPE_MAX_VALUE] = {
        [MEMKIND_STAT_TYPE_RESIDENT] = "stats.resident",
        [MEMKIND_STAT_TYPE_ACTIVE] = "stats.active",
        [MEMKIND_STAT_TYPE_ALLOCATED] = "stats.allocated",
    };
    if (value == NULL || (int)stat < 0 || stat >= MEMKIND_STAT_TYPE_MAX_VALUE)
        return MEMKIND_ERROR_INVALID;
    if (stat == MEMKIND_STAT_TYPE_DETACHED) {
        *value = heap_stat_detached();
        return MEMKIND_SUCCESS;
    }
    if (!allocator_enter())
        return MEMKIND_ERROR_OPERATION_FAILED;
    int result = je_stat(stats[stat], value);
    allocator_leave();
    if (result != 0)
        return MEMKIND_ERROR_OPERATION_FAILED;
    size_t cached = heap_stat_cached();
    if (stat == MEMKIND_STAT_TYPE_ALLOCATED)
        *value = *value > cached ? *value - cached : 0;
    return MEMKIND_SUCCESS;
}
