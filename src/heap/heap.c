/* SPDX-License-Identifier: BSD-2-Clause */
#include "heap.h"

#include "allocator_gate.h"
#include "heap_checked.h"
#include "heap_plain.h"
#include "heap_reclaim.h"
#include "quarantine.h"

static inline bool is_checked(const struct memkind_heap *heap)
{
    return __builtin_expect(heap_is_checked(heap), 0);
}

void *heap_malloc(struct memkind_heap *heap, size_t size, int flags)
{
    return is_checked(heap) ? heap_checked_malloc(heap, size, flags)
                            : heap_plain_malloc(heap, size, flags);
}

void *heap_calloc(struct memkind_heap *heap, size_t size)
{
    return is_checked(heap) ? heap_checked_malloc(heap, size, JE_ZERO)
                            : heap_plain_calloc(heap, size);
}

enum heap_error heap_free(struct memkind_heap *heap, void *ptr)
{
    return is_checked(heap) ? heap_checked_free(heap, ptr)
                            : heap_plain_free(heap, ptr);
}

void *heap_realloc(struct memkind_heap *heap, void *ptr, size_t size)
{
    return is_checked(heap) ? heap_checked_realloc(heap, ptr, size)
                            : heap_plain_realloc(heap, ptr, size);
}

size_t heap_usable_size(struct memkind_heap *heap, const void *ptr)
{
    return is_checked(heap) ? heap_checked_usable_size(heap, ptr)
                            : heap_plain_usable_size(heap, ptr);
}

void *heap_defragment(struct memkind_heap *heap, void *ptr)
{
    return is_checked(heap) ? heap_checked_defragment(heap, ptr)
                            : heap_plain_defragment(heap, ptr);
}

void heap_purge(struct memkind_heap *heap)
{
    if (heap_is_checked(heap))
        (void)quarantine_release_all(heap);
    if (!allocator_enter())
        return;
    heap_reclaim(heap);
    allocator_leave();
}

struct thread_cache *heap_cache(struct memkind_heap *heap)
{
    struct thread_cache *cache = NULL;
    if (allocator_enter()) {
        cache = thread_cache_get(&heap->caches);
        allocator_leave();
    }
    return cache;
}
