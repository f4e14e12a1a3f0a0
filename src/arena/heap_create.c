/* SPDX-License-Identifier: BSD-2-Clause */
#include "heap_create.h"

#include <errno.h>
#include <stdlib.h>

#include "debug_log.h"
#include "heap_checked.h"
#include "heap_registry.h"
#include "jemalloc_ctl.h"
#include "magazine.h"
#include "object_records.h"

/* jemalloc has 4,095 arenas for a process, one of which holds our own data. A
 * set's first arena can always be had; further ones only as long as they
 * leave enough for the first arenas of all sets. */
#define ARENAS_IN_ALL 4094
#define ARENAS_FOR_GROWTH (ARENAS_IN_ALL - THREAD_CACHE_SLOTS)

static _Atomic unsigned extra_arenas; /* beyond the first of each set */
static _Atomic uint64_t last_id;

/* Called with the set's lock held, or before anyone else knows the set. */
static int add_arena(struct memkind_heap *heap)
{
    unsigned count = atomic_load(&heap->count);
    struct arena_slot *slot = &heap->arenas[count];
    int result = je_arena_create(&heap->extents.hooks, heap->metadata_use_hooks,
                                 &slot->index);
    if (result != 0)
        return result;
    (void)je_arena_set_decay(slot->index, heap->dirty_decay_ms);
    if (heap->extents.pool != NULL && heap->extents.pool->budget != SIZE_MAX)
        (void)je_arena_set_grow_limit(slot->index, heap->extents.pool->budget);
    slot->threads = 0;
    atomic_store_explicit(&heap->count, count + 1, memory_order_release);
    return 0;
}

/* What a thread may keep of a set: enough for its working set where space is
 * plenty, and little of a small kind. */
#define CACHE_LIMIT ((size_t)16 << 20)
#define CACHE_SHARE 64 /* of the budget */

static size_t choose_cache_limit(const struct memkind_region_pool *pool)
{
    size_t share = pool != NULL ? pool->budget / CACHE_SHARE : CACHE_LIMIT;
    return share < CACHE_LIMIT ? share : CACHE_LIMIT;
}

static void init_set(struct memkind_heap *heap,
                     const struct heap_config *config)
{
    heap->id = atomic_fetch_add(&last_id, 1) + 1;
    heap->limit = config->limit;
    heap->dirty_decay_ms = config->dirty_decay_ms;
    heap->metadata_use_hooks = config->metadata_use_hooks;
    /* An address that is no owner's, where there is none. */
    heap->direct_owner =
        config->direct_owner != NULL ? config->direct_owner : heap;
    heap->cache_limit = choose_cache_limit(config->pool);
    atomic_store(&heap->caches_large, config->dirty_decay_ms != 0);
    if (config->user_hooks != NULL)
        extent_owner_init_user(&heap->extents, config->user_hooks,
                               config->address_owner);
    else
        extent_owner_init(&heap->extents, config->pool, config->source,
                          config->address_owner);
    pthread_mutex_init(&heap->caches_lock, NULL);
    pthread_mutex_init(&heap->lock, NULL);
    pthread_mutex_init(&heap->reclaim_lock, NULL);
}

static void fini_set(struct memkind_heap *heap)
{
    extent_owner_fini(&heap->extents);
    pthread_mutex_destroy(&heap->reclaim_lock);
    pthread_mutex_destroy(&heap->lock);
    pthread_mutex_destroy(&heap->caches_lock);
}

static void destroy_arenas(struct memkind_heap *heap)
{
    unsigned count = atomic_load(&heap->count);
    extent_owner_retire(&heap->extents);
    for (unsigned i = 0; i < count; i++) {
        /* Each slab is then done with while it is at hand, and not entered in
         * the lists of dirty pages first. */
        if (heap->extents.user == NULL)
            (void)je_arena_set_decay(heap->arenas[i].index, 0);
        int result = je_arena_destroy(heap->arenas[i].index);
        if (result != 0)
            debug_log("arena %u cannot be destroyed: %d", heap->arenas[i].index,
                      result);
    }
    atomic_fetch_sub(&extra_arenas, count - 1);
}

static int make_set(const struct heap_config *config,
                    struct memkind_heap **result_heap)
{
    int result;
    struct memkind_heap *heap = JE_NAME(mallocx)(
        sizeof *heap + config->limit * sizeof heap->arenas[0], JE_ZERO);
    if (heap == NULL)
        return -ENOMEM;

    init_set(heap, config);
    if (config->is_checked) {
        heap->records = object_records_create(heap->cache_limit);
        result = -ENOMEM;
        if (heap->records == NULL)
            goto fail_arena;
    }
    result = add_arena(heap);
    if (result != 0)
        goto fail_arena;
    heap->fallback = (struct thread_cache){
        .heap_id = heap->id,
        .heap = heap,
        .gate = GATE_LOCKS,
        .arena_flags = JE_TCACHE_NONE | JE_ARENA(heap->arenas[0].index),
    };
    result = -ENOSPC;
    if (!heap_registry_add(heap))
        goto fail_slot;
    *result_heap = heap;
    return 0;

fail_slot:
    destroy_arenas(heap);
fail_arena:
    if (heap->records != NULL)
        object_records_destroy(heap->records);
    fini_set(heap);
    JE_NAME(dallocx)(heap, 0);
    return result;
}

int heap_create(const struct heap_config *config, struct memkind_heap **heap)
{
    if (!allocator_enter())
        return -EDEADLK;
    int result = size_class_init();
    if (result == 0 && !je_retains_blocks()) {
        debug_log("jemalloc runs with retain:false, which cannot be used");
        result = -EINVAL;
    }
    if (result == 0)
        result = make_set(config, heap);
    allocator_leave();
    return result;
}

void heap_destroy(struct memkind_heap *heap)
{
    bool entered = allocator_enter();
    thread_cache_retire(heap);
    heap_registry_remove(heap);
    if (entered)
        allocator_leave();
    /* Nobody looks at the records any more; and what is wrong with objects is
     * told at once, while the caller is not inside. */
    if (heap->records != NULL)
        heap_checked_finish(heap);
    entered = allocator_enter();
    destroy_arenas(heap);
    fini_set(heap);
    heap_registry_free_slot(heap->slot);
    JE_NAME(dallocx)(heap, 0);
    if (entered)
        allocator_leave();
}

void heap_shut(struct memkind_heap *heap)
{
    pthread_mutex_lock(&heap->caches_lock);
    for (struct thread_cache *cache = heap->caches; cache != NULL;
         cache = cache->next)
        thread_cache_shut(cache);
    pthread_mutex_unlock(&heap->caches_lock);
}

static bool may_add_arena(void)
{
    if (atomic_fetch_add(&extra_arenas, 1) < ARENAS_FOR_GROWTH)
        return true;
    atomic_fetch_sub(&extra_arenas, 1);
    return false;
}

unsigned heap_arenas_attach(struct memkind_heap *heap)
{
    pthread_mutex_lock(&heap->lock);
    unsigned count = atomic_load(&heap->count);
    unsigned place = 0;
    for (unsigned i = 1; i < count; i++)
        if (heap->arenas[i].threads < heap->arenas[place].threads)
            place = i;
    if (heap->arenas[place].threads > 0 && count < heap->limit &&
        may_add_arena()) {
        if (add_arena(heap) == 0)
            place = count;
        else
            atomic_fetch_sub(&extra_arenas, 1);
    }
    heap->arenas[place].threads++;
    pthread_mutex_unlock(&heap->lock);
    return place;
}

void heap_arenas_detach(struct memkind_heap *heap, unsigned place)
{
    pthread_mutex_lock(&heap->lock);
    heap->arenas[place].threads--;
    pthread_mutex_unlock(&heap->lock);
}

void heap_arenas_purge(struct memkind_heap *heap)
{
    unsigned count = atomic_load_explicit(&heap->count, memory_order_acquire);
    for (unsigned i = 0; i < count; i++)
        (void)je_arena_purge(heap->arenas[i].index);
    if (heap->extents.pool != NULL)
        region_pool_pay(heap->extents.pool);
}

void heap_arenas_decay(struct memkind_heap *heap)
{
    unsigned count = atomic_load_explicit(&heap->count, memory_order_acquire);
    for (unsigned i = 0; i < count; i++)
        (void)je_arena_decay(heap->arenas[i].index);
}

int heap_set_decay(struct memkind_heap *heap, ssize_t milliseconds)
{
    int result = 0;
    bool entered = allocator_enter();
    pthread_mutex_lock(&heap->lock);
    unsigned count = atomic_load(&heap->count);
    heap->dirty_decay_ms = milliseconds;
    atomic_store(&heap->caches_large, milliseconds != 0);
    for (unsigned i = 0; i < count && result == 0; i++)
        result = je_arena_set_decay(heap->arenas[i].index, milliseconds);
    pthread_mutex_unlock(&heap->lock);
    if (milliseconds == 0)
        thread_cache_visit_all(heap, magazine_drop_all);
    if (entered)
        allocator_leave();
    return result;
}
