/* SPDX-License-Identifier: BSD-2-Clause */
#include "memtier_allocator.h"

#include "preload_allocator.h"

static struct memtier_memory *memory;

void allocator_use_memory(struct memtier_memory *tiers)
{
    memory = tiers;
}

void *preload_own_malloc(size_t size)
{
    return memtier_malloc(memory, size);
}

void *preload_own_calloc(size_t num, size_t size)
{
    return memtier_calloc(memory, num, size);
}

void *preload_own_memalign(size_t alignment, size_t size)
{
    void *ptr = NULL;
    return memtier_posix_memalign(memory, &ptr, alignment, size) == 0 ? ptr
                                                                      : NULL;
}

bool preload_owns(void *ptr)
{
    return memkind_detect_kind(ptr) != NULL;
}

void *preload_own_realloc(void *ptr, size_t size)
{
    return memtier_realloc(memory, ptr, size);
}

void preload_own_free(void *ptr)
{
    memtier_free(ptr);
}

size_t preload_own_usable_size(void *ptr)
{
    return memtier_usable_size(ptr);
}
