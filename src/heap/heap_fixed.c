/* SPDX-License-Identifier: BSD-2-Clause */
#include "heap_fixed.h"

#include "allocator_gate.h"

/* Each block takes at least half of what is left. */
#define BLOCKS_MAX 64

/* The least that has pages of its own; so do the steps to the next classes. */
#define BLOCK_LEAST ((size_t)16 << 10)

/* The largest size class that is not larger than `size`. */
static size_t size_class_below(size_t size)
{
    if (JE_NAME(nallocx)(size, 0) == size)
        return size;
    unsigned log = 63U - (unsigned)__builtin_clzl(size);
    return size & ~(((size_t)1 << (log - 2)) - 1);
}

/* The largest block that can be had of so much memory; NULL if there is none. A
 * jemalloc that is not our own may want a page more than the class. */
static void *take_largest(size_t left, int flags)
{
    while (left >= BLOCK_LEAST) {
        size_t size = size_class_below(left);
        void *block = JE_NAME(mallocx)(size, flags);
        if (block != NULL)
            return block;
        left = size - 1;
    }
    return NULL;
}

void heap_fixed_adopt_pool(struct memkind_heap *heap)
{
    void *blocks[BLOCKS_MAX];
    int count = 0;
    struct memkind_region_pool *pool = heap_pool(heap);
    if (heap->arenas.limit != 1 || !allocator_enter())
        return;
    region_pool_set_pretending(pool, true);
    /* Blocks that were not in the pool would take memory for nothing. */
    while (count < BLOCKS_MAX && allocator_may_allocate()) {
        blocks[count] =
            take_largest(region_pool_room(pool),
                         heap->caches.fallback.magazines.arena_flags);
        if (blocks[count] == NULL)
            break;
        count++;
    }
    while (count > 0)
        JE_NAME(dallocx)(blocks[--count], JE_TCACHE_NONE);
    heap_arenas_purge(&heap->arenas);
    region_pool_set_pretending(pool, false);
    allocator_leave();
}
