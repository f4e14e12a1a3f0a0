/* SPDX-License-Identifier: BSD-2-Clause */
#include "heap.h"

#include <errno.h>
#include <sched.h>
#include <string.h>

#include "debug_log.h"
#include "jemalloc_ctl.h"

/* Another thread's decay may hold pages that are on their way back. */
#define RECLAIM_ROUNDS 3

/* An attempt to allocate from one arena. */
typedef void *attempt_fn(void *context, int flags);

/*
 * Attempts again while pages are reclaimed. Only one thread at a time purges:
 * jemalloc lets a second purge of an arena return before the first one is
 * done, and its caller would give up too early.
 */
static void *reclaim_and_attempt(struct memkind_arena_set *set,
                                 attempt_fn *attempt, void *context)
{
    struct thread_cache *cache = heap_cache(set);
    void *ptr;
    int saved_errno = errno;
    thread_cache_flush(cache);
    pthread_mutex_lock(&set->reclaim_lock);
    ptr = attempt(context, cache->alloc_flags);
    for (int round = 0; ptr == NULL && round < RECLAIM_ROUNDS; round++) {
        if (round > 0)
            sched_yield();
        arena_set_purge(set);
        ptr = attempt(context, cache->alloc_flags);
        unsigned count =
            atomic_load_explicit(&set->count, memory_order_acquire);
        for (unsigned i = 0; ptr == NULL && i < count; i++)
            if (i != cache->place)
                ptr = attempt(context,
                              JE_TCACHE_NONE | JE_ARENA(set->arenas[i].index));
    }
    pthread_mutex_unlock(&set->reclaim_lock);
    /* What did fail on the way is not the caller's concern. */
    errno = ptr != NULL ? saved_errno : ENOMEM;
    return ptr;
}

void *heap_refuse(void)
{
    errno = ENOMEM;
    return NULL;
}

struct malloc_request {
    size_t size;
    int flags;
};

static void *attempt_malloc(void *context, int flags)
{
    const struct malloc_request *request = context;
    return JE_NAME(mallocx)(request->size, request->flags | flags);
}

void *heap_malloc_reclaim(struct memkind_arena_set *set, size_t size, int flags)
{
    struct malloc_request request = {size, flags};
    /* A size that no heap can hold is not worth a purge. */
    if (JE_NAME(nallocx)(size, flags) == 0) {
        errno = ENOMEM;
        return NULL;
    }
    return reclaim_and_attempt(set, attempt_malloc, &request);
}

struct realloc_request {
    void *ptr;
    size_t size;
};

static void *attempt_realloc(void *context, int flags)
{
    const struct realloc_request *request = context;
    return JE_NAME(rallocx)(request->ptr, request->size, flags);
}

void *heap_realloc_reclaim(struct memkind_arena_set *set, void *ptr,
                           size_t size)
{
    struct realloc_request request = {ptr, size};
    if (JE_NAME(nallocx)(size, 0) == 0) {
        errno = ENOMEM;
        return NULL;
    }
    return reclaim_and_attempt(set, attempt_realloc, &request);
}

/* Whether moving the object helps to empty its slab: other slabs have room for
 * it, are fuller than its own, and its own is not the one being filled. */
static bool worth_moving(const void *ptr)
{
    struct je_utilization use;
    if (je_utilization(ptr, &use) != 0 || use.slab_objects <= 1 ||
        use.slab_free == 0 || use.bin_objects <= use.slab_objects)
        return false;
    if ((uintptr_t)ptr - (uintptr_t)use.current_slab < use.slab_size)
        return false;
    size_t slab_used = use.slab_objects - use.slab_free;
    size_t bin_used = use.bin_objects - use.bin_free;
    return (double)slab_used * (double)use.bin_objects <=
           (double)bin_used * (double)use.slab_objects;
}

void *heap_defragment(struct memkind_arena_set *set, void *ptr)
{
    if (!worth_moving(ptr))
        return NULL;
    size_t size = heap_usable_size(ptr);
    struct thread_cache *cache = heap_cache(set);
    if (cache == NULL)
        return NULL;
    /* Around the cache, which might hand back a place in a sparse slab. */
    int arena = cache->alloc_flags & ~(JE_ARENA(0) - 1);
    void *moved = JE_NAME(mallocx)(size, arena | JE_TCACHE_NONE);
    if (moved == NULL)
        return NULL;
    memcpy(moved, ptr, size);
    JE_NAME(dallocx)(ptr, JE_TCACHE_NONE);
    return moved;
}

/* The largest size class that is not larger than `size`. */
static size_t size_class_below(size_t size)
{
    while (JE_NAME(nallocx)(size, 0) > size)
        size -= size / 16;
    return JE_NAME(nallocx)(size, 0);
}

void heap_take_in(struct memkind_arena_set *set, size_t size)
{
    enum { PIECES_MAX = 32, PIECE_LEAST = 256 << 10 };
    void *pieces[PIECES_MAX];
    int count = 0;
    const int flags = set->fallback.alloc_flags;
    if (set->limit != 1)
        return;
    region_pool_set_pretending(set->extents.pool, true);
    while (size >= PIECE_LEAST && count < PIECES_MAX) {
        size_t class = size_class_below(size);
        pieces[count] = JE_NAME(mallocx)(class, flags);
        if (pieces[count] == NULL)
            break;
        count++;
        size -= class;
    }
    while (count > 0)
        JE_NAME(dallocx)(pieces[--count], JE_TCACHE_NONE);
    arena_set_purge(set);
    region_pool_set_pretending(set->extents.pool, false);
}

int heap_stat_snapshot(void)
{
    thread_cache_flush_all();
    return je_stats_refresh();
}

void heap_stat_snapshot_set(struct memkind_arena_set *set)
{
    size_t resident = 0;
    if (set->extents.pool != NULL)
        resident = region_pool_charged(set->extents.pool);
    else
        for (unsigned i = 0; i < atomic_load(&set->count); i++)
            resident += je_arena_stat(set->arenas[i].index, JE_STAT_RESIDENT);
    atomic_store(&set->resident, resident);
}

size_t heap_stat(struct memkind_arena_set *set, enum heap_stat stat)
{
    size_t sum = 0;
    if (stat == HEAP_RESIDENT)
        return atomic_load(&set->resident);
    unsigned count = atomic_load_explicit(&set->count, memory_order_acquire);
    for (unsigned i = 0; i < count; i++) {
        unsigned index = set->arenas[i].index;
        if (stat == HEAP_ACTIVE)
            sum += je_arena_stat(index, JE_STAT_PACTIVE) * region_page_size();
        else
            sum += je_arena_stat(index, JE_STAT_SMALL_ALLOCATED) +
                   je_arena_stat(index, JE_STAT_LARGE_ALLOCATED);
    }
    return sum;
}
