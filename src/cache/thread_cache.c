/* SPDX-License-Identifier: BSD-2-Clause */
#include "thread_cache.h"

#include <assert.h>
#include <pthread.h>

#include "allocator_gate.h"
#include "jemalloc_thread.h"
#include "memory_barrier.h"
#include "memory_marks.h"
#include "snapshot_lock.h"

struct thread_cache thread_cache_none = {
    .gate = GATE_SHUT,
    .owner = &thread_cache_none,
    .key = &thread_cache_none,
};

__thread struct thread_cache *thread_cache_current = &thread_cache_none;
__thread struct thread_cache **thread_cache_table;

static pthread_key_t table_key;
static bool table_key_made;

static void *metadata_alloc(size_t size, int flags)
{
    return JE_NAME(mallocx)(size, JE_ZERO | flags);
}

static void metadata_free(void *ptr)
{
    JE_NAME(dallocx)(ptr, 0);
}

/* ---- a heap's list of caches -------------------------------------------- */

/* What a thread may keep of a heap: enough for its working set if space is
 * plenty, and little of a small kind. */
#define CACHE_LIMIT ((size_t)16 << 20)
#define CACHE_SHARE 64 /* of the budget */

static size_t choose_cache_limit(const struct memkind_region_pool *pool)
{
    size_t share = pool != NULL ? pool->budget / CACHE_SHARE : CACHE_LIMIT;
    return share < CACHE_LIMIT ? share : CACHE_LIMIT;
}

void heap_caches_init(struct heap_caches *home, struct memkind_heap *heap,
                      const void *direct_owner, struct heap_arenas *arenas,
                      bool take_locks)
{
    home->heap = heap;
    home->arenas = arenas;
    /* The heap's own address is no owner's. */
    home->direct_owner = direct_owner != NULL ? direct_owner : heap;
    home->cache_limit = choose_cache_limit(arenas->extents.pool);
    home->take_locks = take_locks;
    home->caches = NULL;
    home->active = NULL;
    home->fallback = (struct thread_cache){
        .home = home,
        .gate = GATE_LOCKS,
        .magazines =
            {
                .arenas = arenas,
                .arena_flags = heap_arenas_flags(arenas, 0),
            },
    };
    ranked_lock_init(&home->caches_lock, RANK_CACHES);
}

void heap_caches_fini(struct heap_caches *home)
{
    ranked_lock_destroy(&home->caches_lock);
}

static void enlist(struct heap_caches *home, struct thread_cache *cache)
{
    ranked_lock_take(&home->caches_lock);
    cache->next = home->caches;
    if (home->caches != NULL)
        home->caches->prev = cache;
    home->caches = cache;
    ranked_lock_release(&home->caches_lock);
}

void thread_cache_activate(struct thread_cache *cache)
{
    struct heap_caches *home = cache->home;
    struct thread_cache *first = atomic_load(&home->active);
    cache->is_active = true;
    do
        cache->next_active = first;
    while (!atomic_compare_exchange_weak(&home->active, &first, cache));
}

/* Other threads may put theirs in front meanwhile. */
static void deactivate(struct heap_caches *home, struct thread_cache *cache)
{
    struct thread_cache *before = cache;
    ranked_lock_assert_held(&home->caches_lock);
    if (!cache->is_active || atomic_compare_exchange_strong(
                                 &home->active, &before, cache->next_active))
        return;
    while (before->next_active != cache)
        before = before->next_active;
    before->next_active = cache->next_active;
}

void thread_cache_take_out(struct heap_caches *home, struct thread_cache *cache)
{
    deactivate(home, cache);
    if (cache->prev != NULL)
        cache->prev->next = cache->next;
    else
        home->caches = cache->next;
    if (cache->next != NULL)
        cache->next->prev = cache->prev;
}

/* Returns false if the heap has dropped its caches meanwhile. */
static bool delist(struct heap_caches *home, struct thread_cache *cache)
{
    ranked_lock_take(&home->caches_lock);
    bool listed = !cache->is_dropped;
    if (listed)
        thread_cache_take_out(home, cache);
    ranked_lock_release(&home->caches_lock);
    return listed;
}

/* ---- the end of a thread ------------------------------------------------ */

void thread_cache_free(struct thread_cache *cache)
{
    ranked_lock_destroy(&cache->lock);
    metadata_free(cache);
}

void thread_cache_end(struct heap_caches *home, struct thread_cache *cache)
{
    assert(allocator_is_inside());
    magazine_drop_all(&cache->magazines);
    heap_arenas_detach(home->arenas, cache->arena_place);
    thread_cache_free(cache);
}

static void leave_heap(struct thread_cache *cache)
{
    const struct heap_place place = cache->place;
    const bool heap_is_there = heap_registry_use(&place) != NULL;
    if (heap_is_there && delist(cache->home, cache))
        thread_cache_end(cache->home, cache);
    else
        thread_cache_free(cache);
    if (heap_is_there)
        heap_registry_done(place.slot);
}

static void end_thread(void *table_pointer)
{
    struct thread_cache **table = table_pointer;
    thread_cache_table = NULL;
    thread_cache_current = &thread_cache_none;
    allocator_end_thread();
    (void)allocator_enter();
    snapshot_lock_begin_moving();
    for (unsigned i = 0; i < HEAP_SLOTS; i++)
        if (table[i] != NULL)
            leave_heap(table[i]);
    snapshot_lock_end_moving();
    metadata_free(table);
    allocator_leave();
}

/*
 * A thread's destructors run in the order in which their keys were made. Once
 * that of jemalloc's key has run, jemalloc takes all that it allocates from its
 * own first arena, no matter which arena is asked for, and our caches must be
 * gone.
 */
void thread_cache_init(void)
{
    je_thread_set_brackets(allocator_enter, allocator_leave);
    table_key_made = pthread_key_create(&table_key, end_thread) == 0;
}

/* ---- the thread's caches ------------------------------------------------ */

static bool make_table(void)
{
    if (thread_cache_table != NULL)
        return true;
    if (!table_key_made)
        return false;
    struct thread_cache **table =
        metadata_alloc(HEAP_SLOTS * sizeof(struct thread_cache *), 0);
    if (table == NULL)
        return false;
    if (pthread_setspecific(table_key, table) != 0) {
        metadata_free(table);
        return false;
    }
    thread_cache_table = table;
    return true;
}

static uint8_t first_gate(const struct heap_caches *home)
{
    if (home->take_locks || memory_marks_need_locks())
        return GATE_LOCKS;
    return memory_barrier_is_asymmetric() ? 0 : GATE_FENCE;
}

static struct thread_cache *make_cache(struct heap_caches *home)
{
    const struct memkind_region_pool *pool = home->arenas->extents.pool;
    struct thread_cache *cache = metadata_alloc(sizeof *cache, JE_LG_ALIGN(6));
    if (cache == NULL)
        return NULL;
    cache->home = home;
    cache->place = home->place;
    cache->key = home->heap;
    cache->owner = home->direct_owner;
    cache->gate = first_gate(home);
    cache->is_fenced = cache->gate != 0;
    if (pool != NULL) {
        const struct region *region = &pool->regions[0];
        cache->base = (uintptr_t)region->base;
        cache->size = region->size;
        cache->tags = region->tags;
    }
    ranked_lock_init(&cache->lock, RANK_CACHE);
    cache->arena_place = heap_arenas_attach(home->arenas);
    cache->magazines.arenas = home->arenas;
    cache->magazines.limit = home->cache_limit;
    cache->magazines.arena_flags =
        heap_arenas_flags(home->arenas, cache->arena_place);
    magazine_init_all(&cache->magazines);
    return cache;
}

/* A thread that comes here for the first time after jemalloc's part of it has
 * ended could not give its caches back. */
static bool can_have_caches(void)
{
    if (thread_cache_table == NULL && allocator_thread_has_ended()) {
        allocator_end_thread();
        return false;
    }
    return thread_cache_table != NULL || make_table();
}

struct thread_cache *thread_cache_get(struct heap_caches *home)
{
    assert(allocator_is_inside());
    if (!can_have_caches())
        return &home->fallback;
    struct thread_cache **entry = &thread_cache_table[home->place.slot];
    if (*entry != NULL && (*entry)->place.id != home->place.id) {
        /* Its heap is gone, and this heap has got the slot. */
        if (thread_cache_current == *entry)
            thread_cache_current = &thread_cache_none;
        struct thread_cache *stale = *entry;
        /* A signal handler looks there, too. */
        *entry = NULL;
        atomic_signal_fence(memory_order_seq_cst);
        thread_cache_free(stale);
    }
    if (*entry == NULL) {
        struct thread_cache *cache = make_cache(home);
        if (cache == NULL)
            return &home->fallback;
        enlist(home, cache);
        *entry = cache;
    }
    thread_cache_current = *entry;
    return *entry;
}
