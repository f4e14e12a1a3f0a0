/* SPDX-License-Identifier: BSD-2-Clause */
#include "kind_arenas.h"

#include <errno.h>

#include <memkind/internal/memkind_arena.h>

#include "cpu_count.h"
#include "heap.h"
#include "jemalloc_ctl.h"
#include "kind_heap.h"
#include "options.h"
#include "region_pool.h"

#define ARENAS_PER_CPU 4
#define ARENAS_MOST 4094

int kind_arenas_limit(const struct memkind *kind, unsigned *limit)
{
    int64_t asked = 0;
    const enum option_answer answer =
        option_read(OPTION_ARENA_NUM_PER_KIND, &asked);
    if (answer == OPTION_IS_BAD) {
        errno = EINVAL;
        return MEMKIND_ERROR_ENVIRON;
    }
    if (kind_has(kind, KIND_HAS_ONE_ARENA))
        *limit = 1;
    else if (answer == OPTION_IS_SET)
        *limit = asked < ARENAS_MOST ? (unsigned)asked : ARENAS_MOST;
    else if (kind->regions != NULL)
        *limit =
            region_pool_arenas(kind->regions, ARENAS_PER_CPU, je_page_size());
    else
        *limit = cpu_count() * ARENAS_PER_CPU;
    return MEMKIND_SUCCESS;
}

int memkind_thread_get_arena(struct memkind *kind, unsigned int *arena,
                             size_t size)
{
    (void)size;
    struct memkind_heap *heap = kind != NULL ? kind_heap_of(kind) : NULL;
    if (arena == NULL || heap == NULL)
        return MEMKIND_ERROR_INVALID;
    const struct thread_cache *cache = heap_cache(heap);
    *arena =
        heap->arenas.slots[cache != NULL ? cache->magazines.arena_place : 0]
            .index;
    return MEMKIND_SUCCESS;
}

int memkind_bijective_get_arena(struct memkind *kind, unsigned int *arena,
                                size_t size)
{
    (void)size;
    const struct memkind_heap *heap = kind != NULL ? kind_heap_of(kind) : NULL;
    if (arena == NULL || heap == NULL)
        return MEMKIND_ERROR_INVALID;
    *arena = heap->arenas.slots[0].index;
    return MEMKIND_SUCCESS;
}
