/* SPDX-License-Identifier: BSD-2-Clause */
#include "heap.h"

#include <errno.h>
#include <sched.h>
#include <string.h>

#include "debug_log.h"
#include "heap_checked.h"
#include "heap_plain.h"
#include "heap_registry.h"
#include "jemalloc_ctl.h"
#include "magazine.h"
#include "object_tag.h"
#include "upkeep.h"

/* Another thread's decay may hold pages that are on their way back. */
#define RECLAIM_ROUNDS 3

static bool is_cached_class(unsigned size_class)
{
    return size_class <= SIZE_CLASS_LAST;
}

/* Not the fallback's magazines; nor those that a signal handler, which we are
 * in, has found its thread at. */
static bool may_use_magazines(const struct thread_cache *cache)
{
    return cache != &cache->heap->fallback && OWNER_LOAD(cache->busy) == 0;
}

/* ---- one attempt -------------------------------------------------------- */

/* Straight from an arena. */
static void *take_from_arena(struct memkind_heap *heap, size_t size,
                             int arena_flags, int flags)
{
    void *ptr = JE_NAME(mallocx)(size, arena_flags | flags);
    if (ptr == NULL)
        return NULL;
    size_t usable = JE_NAME(nallocx)(size, flags);
    unsigned size_class = size_class_of(usable);
    if (is_cached_class(size_class))
        object_tag_set(heap, ptr, size_class);
    else
        object_tag_set_large(heap, ptr, usable);
    return ptr;
}

/* The class whose objects are large enough and lie right; SIZE_CLASS_HUGE
 * where none that is cached does. */
static unsigned class_for(size_t size, int flags)
{
    size_t alignment = (size_t)1 << (flags & JE_LG_ALIGN_MASK);
    if (alignment > REGION_TAG_UNIT || size > size_class_sizes[SIZE_CLASS_LAST])
        return SIZE_CLASS_HUGE;
    unsigned size_class = size_class_of_aligned(size, alignment);
    return size_class != SIZE_CLASS_NONE ? size_class : SIZE_CLASS_HUGE;
}

static void *take_by_cache(struct thread_cache *cache, unsigned size_class,
                           size_t size, bool zero)
{
    bool fresh;
    thread_cache_enter_slowly(cache);
    void *ptr = magazine_take(cache, size_class, zero, &fresh);
    thread_cache_leave_slowly(cache);
    if (ptr != NULL && zero && !fresh)
        region_pool_clear(cache->heap->extents.pool, ptr, size);
    return ptr;
}

static void *attempt(struct thread_cache *cache, size_t size, int flags)
{
    struct memkind_heap *heap = cache->heap;
    unsigned size_class = class_for(size, flags);
    if (is_cached_class(size_class) && may_use_magazines(cache))
        return take_by_cache(cache, size_class, size, (flags & JE_ZERO) != 0);
    return take_from_arena(heap, size, cache->arena_flags, flags);
}

static void *attempt_elsewhere(struct thread_cache *cache, size_t size,
                               int flags)
{
    struct memkind_heap *heap = cache->heap;
    void *ptr = NULL;
    unsigned count = atomic_load_explicit(&heap->count, memory_order_acquire);
    for (unsigned i = 0; ptr == NULL && i < count; i++)
        if (i != cache->place)
            ptr = take_from_arena(
                heap, size, JE_TCACHE_NONE | JE_ARENA(heap->arenas[i].index),
                flags);
    return ptr;
}

/* ---- reclaiming --------------------------------------------------------- */

static void drain_own(struct thread_cache *cache)
{
    if (may_use_magazines(cache))
        (void)thread_cache_visit(cache, magazine_drain_all);
}

static void give_back(struct memkind_heap *heap)
{
    thread_cache_bury_orphans(heap);
    thread_cache_visit_all(heap, magazine_drain_all);
    heap_arenas_purge(heap);
}

void heap_purge(struct memkind_heap *heap)
{
    if (heap->records != NULL)
        (void)heap_checked_release_all(heap);
    if (!allocator_enter())
        return;
    pthread_mutex_lock(&heap->reclaim_lock);
    give_back(heap);
    pthread_mutex_unlock(&heap->reclaim_lock);
    allocator_leave();
}

/*
 * Attempts again while memory is reclaimed. Only one thread at a time purges:
 * jemalloc lets a second purge of an arena return before the first one is
 * done, and its caller would give up too early.
 */
static void *reclaim_and_attempt(struct thread_cache *cache, size_t size,
                                 int flags)
{
    void *ptr;
    /* A size that no heap can hold is not worth a purge. */
    if (JE_NAME(nallocx)(size, flags) == 0)
        return NULL;
    pthread_mutex_lock(&cache->heap->reclaim_lock);
    drain_own(cache);
    ptr = attempt(cache, size, flags);
    for (int round = 0; ptr == NULL && round < RECLAIM_ROUNDS; round++) {
        if (round > 0)
            sched_yield();
        give_back(cache->heap);
        ptr = attempt(cache, size, flags);
        if (ptr == NULL)
            ptr = attempt_elsewhere(cache, size, flags);
    }
    pthread_mutex_unlock(&cache->heap->reclaim_lock);
    return ptr;
}

/* Has the other sets whose files lie in the same file system give back what is
 * free. False where there are none. */
static bool have_others_give_back(const struct memkind_heap *heap)
{
    bool any = false;
    struct memkind_heap *other;
    upkeep_enter();
    for (unsigned slot = 0; (other = heap_registry_use_next(slot)) != NULL;) {
        slot = other->slot + 1;
        if (other != heap &&
            region_pool_shares_space(heap->extents.pool, other->extents.pool)) {
            any = true;
            if (other->records != NULL)
                (void)heap_checked_release_down_to(other, 0);
            pthread_mutex_lock(&other->reclaim_lock);
            give_back(other);
            pthread_mutex_unlock(&other->reclaim_lock);
        }
        heap_registry_done(other);
    }
    upkeep_leave();
    return any;
}

static void *take_at_any_rate(struct thread_cache *cache, size_t size,
                              int flags)
{
    const struct memkind_region_pool *pool = cache->heap->extents.pool;
    void *ptr = attempt(cache, size, flags);
    if (__builtin_expect(ptr == NULL, 0))
        ptr = reclaim_and_attempt(cache, size, flags);
    if (__builtin_expect(ptr == NULL, 0) && pool != NULL &&
        region_pool_lacks_space(pool) && have_others_give_back(cache->heap))
        ptr = reclaim_and_attempt(cache, size, flags);
    return ptr;
}

/* ---- malloc and free ---------------------------------------------------- */

static void *refuse(void)
{
    errno = ENOMEM;
    return NULL;
}

struct thread_cache *heap_cache(struct memkind_heap *heap)
{
    struct thread_cache *cache = NULL;
    if (allocator_enter()) {
        cache = thread_cache_get(heap);
        allocator_leave();
    }
    return cache;
}

/* Where the owner issues its barriers itself, the fast ways end here. */
static void *take_fenced(struct memkind_heap *heap, size_t size, int flags)
{
    struct thread_cache *cache = heap_cache_known(heap);
    if (!thread_cache_enter_fenced(cache))
        return NULL;
    unsigned size_class = class_for(size, flags);
    if (!is_cached_class(size_class)) {
        thread_cache_leave(cache);
        return NULL;
    }
    void *ptr = heap_pop_and_leave(cache, size_class);
    if (ptr != NULL && (flags & JE_ZERO) != 0)
        region_pool_clear(heap->extents.pool, ptr, size);
    return ptr;
}

void *heap_plain_malloc(struct memkind_heap *heap, size_t size, int flags)
{
    void *ptr = take_fenced(heap, size, flags);
    int saved_errno = errno;
    if (ptr != NULL)
        return ptr;
    if (!allocator_enter()) {
        heap_report(HEAP_REENTERED, heap->extents.address_owner, NULL);
        return refuse();
    }
    struct thread_cache *cache = thread_cache_get(heap);
    if (allocator_may_allocate())
        ptr = take_at_any_rate(cache, size, flags);
    allocator_leave();
    if (cache != &heap->fallback && --cache->ticks < 0)
        upkeep_tick(cache);
    if (ptr == NULL)
        return refuse();
    /* What did fail on the way is not the caller's concern. */
    errno = saved_errno;
    return ptr;
}

void *heap_plain_calloc(struct memkind_heap *heap, size_t size)
{
    void *ptr = heap_malloc_fast(heap_cache_known(heap), size);
    if (__builtin_expect(ptr == NULL, 0))
        return heap_plain_malloc(heap, size, JE_ZERO);
    region_pool_clear(heap->extents.pool, ptr, size);
    return ptr;
}

static enum heap_error put_by_cache(struct thread_cache *cache,
                                    unsigned size_class, void *ptr)
{
    enum heap_error error = HEAP_OK;
    thread_cache_enter_slowly(cache);
    if (magazine_has_lately(cache, size_class, ptr))
        error = HEAP_DOUBLE_FREE;
    else
        magazine_put(cache, size_class, ptr);
    thread_cache_leave_slowly(cache);
    return error;
}

/* Not in the set's first region, which heap_free_fast() knows; or where the
 * owner issues its barriers itself. */
static bool put_fast(struct memkind_heap *heap, unsigned size_class, void *ptr)
{
    struct thread_cache *cache = heap_cache_known(heap);
    if (!is_cached_class(size_class) ||
        (!thread_cache_enter(cache) && !thread_cache_enter_fenced(cache)))
        return false;
    bool done = heap_push(cache, size_class, ptr);
    thread_cache_leave(cache);
    return done;
}

enum heap_error heap_plain_free(struct memkind_heap *heap, void *ptr)
{
    enum heap_error error = HEAP_OK;
    unsigned size_class = object_tag_class(heap, ptr);
    if (size_class == SIZE_CLASS_NONE)
        return HEAP_NO_OBJECT;
    if (put_fast(heap, size_class, ptr))
        return HEAP_OK;
    if (!allocator_enter())
        return HEAP_REENTERED;
    struct thread_cache *cache = thread_cache_get(heap);
    if (may_use_magazines(cache) && is_cached_class(size_class))
        error = put_by_cache(cache, size_class, ptr);
    else
        magazine_return(heap, size_class, ptr);
    allocator_leave();
    return error;
}

size_t heap_plain_usable_size(struct memkind_heap *heap, const void *ptr)
{
    unsigned size_class = object_tag_class(heap, ptr);
    if (size_class == SIZE_CLASS_NONE)
        return 0;
    if (is_cached_class(size_class))
        return size_class_sizes[size_class];
    return JE_NAME(sallocx)(ptr, 0);
}

/* ---- realloc ------------------------------------------------------------ */

/* False where the object would have to move. */
static bool resize_in_place(struct memkind_heap *heap, void *ptr, size_t size)
{
    size_t wanted = JE_NAME(nallocx)(size, 0);
    if (wanted == 0 || JE_NAME(xallocx)(ptr, size, 0, JE_TCACHE_NONE) != wanted)
        return false;
    object_tag_set_large(heap, ptr, wanted);
    return true;
}

static bool resize_large(struct memkind_heap *heap, void *ptr, size_t size)
{
    bool done = false;
    int saved_errno = errno;
    if (allocator_enter()) {
        done = resize_in_place(heap, ptr, size);
        allocator_leave();
    }
    errno = saved_errno;
    return done;
}

/* Whether the thread's last free of that class was of this object. */
static bool was_just_freed(struct memkind_heap *heap, unsigned size_class,
                           const void *ptr)
{
    struct thread_cache *cache = heap_cache_known(heap);
    if (!is_cached_class(size_class) ||
        (!thread_cache_enter(cache) && !thread_cache_enter_fenced(cache)))
        return false;
    void **top = cache->tops[size_class];
    bool is_free = top[-1] == ptr;
    thread_cache_leave(cache);
    return is_free;
}

/* The class of an object that is handed in; SIZE_CLASS_NONE, and a report,
 * where it is none. */
static unsigned class_of_object(struct memkind_heap *heap, const void *ptr)
{
    unsigned size_class = object_tag_class(heap, ptr);
    enum heap_error error = HEAP_OK;
    if (size_class == SIZE_CLASS_NONE)
        error = HEAP_NO_OBJECT;
    else if (was_just_freed(heap, size_class, ptr))
        error = HEAP_DOUBLE_FREE;
    if (__builtin_expect(error == HEAP_OK, 1))
        return size_class;
    heap_report(error, heap->extents.address_owner, ptr);
    return SIZE_CLASS_NONE;
}

void *heap_plain_realloc(struct memkind_heap *heap, void *ptr, size_t size)
{
    unsigned old_class = class_of_object(heap, ptr);
    if (old_class == SIZE_CLASS_NONE) {
        errno = EINVAL;
        return NULL;
    }
    unsigned new_class = size_class_of(size);
    if (old_class == new_class && is_cached_class(old_class))
        return ptr;
    bool both_large = old_class >= size_class_first_large &&
                      new_class >= size_class_first_large;
    if (both_large && resize_large(heap, ptr, size))
        return ptr;

    size_t old_size = heap_plain_usable_size(heap, ptr);
    void *moved = heap_malloc_fast(heap_cache_known(heap), size);
    if (moved == NULL)
        moved = heap_plain_malloc(heap, size, 0);
    if (moved == NULL) {
        /* What was reclaimed may lie right behind the object; and one that is
         * to shrink may as well stay as it is. */
        if (size <= old_size || (both_large && resize_large(heap, ptr, size)))
            return ptr;
        return NULL;
    }
    region_pool_copy(heap->extents.pool, moved, ptr,
                     old_size < size ? old_size : size);
    if (!heap_free_fast(heap_cache_known(heap), ptr))
        (void)heap_plain_free(heap, ptr);
    return moved;
}

/* ---- defragmentation ---------------------------------------------------- */

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
    /* A slab has less than 2^16 objects, so neither product overflows. */
    return slab_used * use.bin_objects <= bin_used * use.slab_objects;
}

/* Around the cache, which might hand back a place in a sparse slab; and what it
 * holds of the class would keep slabs from becoming empty. */
static void *move_out(struct thread_cache *cache, unsigned size_class,
                      void *ptr)
{
    if (may_use_magazines(cache) && is_cached_class(size_class)) {
        thread_cache_enter_slowly(cache);
        magazine_drain(cache, size_class);
        thread_cache_leave_slowly(cache);
    }
    if (!worth_moving(ptr))
        return NULL;
    size_t size = heap_plain_usable_size(cache->heap, ptr);
    void *moved = take_from_arena(cache->heap, size, cache->arena_flags, 0);
    if (moved == NULL)
        return NULL;
    memcpy(moved, ptr, size);
    magazine_return(cache->heap, size_class, ptr);
    return moved;
}

void *heap_plain_defragment(struct memkind_heap *heap, void *ptr)
{
    void *moved = NULL;
    unsigned size_class = class_of_object(heap, ptr);
    if (size_class == SIZE_CLASS_NONE)
        return NULL;
    if (!allocator_enter()) {
        heap_report(HEAP_REENTERED, heap->extents.address_owner, ptr);
        return NULL;
    }
    struct thread_cache *cache = thread_cache_get(heap);
    if (allocator_may_allocate())
        moved = move_out(cache, size_class, ptr);
    allocator_leave();
    return moved;
}

/* ---- plain or checked --------------------------------------------------- */

void *heap_malloc(struct memkind_heap *heap, size_t size, int flags)
{
    if (__builtin_expect(heap->records != NULL, 0))
        return heap_checked_malloc(heap, size, flags);
    return heap_plain_malloc(heap, size, flags);
}

void *heap_calloc(struct memkind_heap *heap, size_t size)
{
    if (__builtin_expect(heap->records != NULL, 0))
        return heap_checked_malloc(heap, size, JE_ZERO);
    return heap_plain_calloc(heap, size);
}

enum heap_error heap_free(struct memkind_heap *heap, void *ptr)
{
    if (__builtin_expect(heap->records != NULL, 0))
        return heap_checked_free(heap, ptr);
    return heap_plain_free(heap, ptr);
}

void *heap_realloc(struct memkind_heap *heap, void *ptr, size_t size)
{
    if (__builtin_expect(heap->records != NULL, 0))
        return heap_checked_realloc(heap, ptr, size);
    return heap_plain_realloc(heap, ptr, size);
}

size_t heap_usable_size(struct memkind_heap *heap, const void *ptr)
{
    if (__builtin_expect(heap->records != NULL, 0))
        return heap_checked_usable_size(heap, ptr);
    return heap_plain_usable_size(heap, ptr);
}

void *heap_defragment(struct memkind_heap *heap, void *ptr)
{
    if (__builtin_expect(heap->records != NULL, 0))
        return heap_checked_defragment(heap, ptr);
    return heap_plain_defragment(heap, ptr);
}
