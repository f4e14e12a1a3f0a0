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
    home->caches = home->spare = NULL;
    home->active = home->orphans = NULL;
    home->spare_count = 0;
    home->spare_bytes = 0;
    home->fallback = (struct thread_cache){
        .home = home,
        .gate = GATE_LOCKS,
        .magazines =
            {
                .arenas = arenas,
                .arena_flags = heap_arenas_flags(arenas, 0),
            },
    };
    depot_init(&home->depot, home->cache_limit);
    ranked_lock_init(&home->caches_lock, RANK_CACHES);
}

void heap_caches_fini(struct heap_caches *home)
{
    depot_forget(&home->depot);
    ranked_lock_destroy(&home->caches_lock);
}

void thread_cache_link(struct heap_caches *home, struct thread_cache *cache)
{
    ranked_lock_assert_held(&home->caches_lock);
    cache->prev = NULL;
    cache->next = home->caches;
    if (home->caches != NULL)
        home->caches->prev = cache;
    home->caches = cache;
}

void thread_cache_unlink(struct heap_caches *home, struct thread_cache *cache)
{
    ranked_lock_assert_held(&home->caches_lock);
    if (home->to_age == cache)
        home->to_age = cache->next;
    if (cache->prev != NULL)
        cache->prev->next = cache->next;
    else
        home->caches = cache->next;
    if (cache->next != NULL)
        cache->next->prev = cache->prev;
}

void thread_cache_activate(struct thread_cache *cache)
{
    struct heap_caches *home = cache->home;
    struct thread_cache *first = atomic_load(&home->active);
    CACHE_STORE(cache->is_active, true);
    cache->prev_active = NULL;
    do
        cache->next_active = first;
    while (!atomic_compare_exchange_weak(&home->active, &first, cache));
}

/* Other threads may put theirs in front meanwhile. Which cache is before one is
 * found out later: from the first that has a prev_active on, all have one. */
void thread_cache_deactivate(struct thread_cache *cache)
{
    struct heap_caches *home = cache->home;
    struct thread_cache *first = cache, *next = cache->next_active;
    ranked_lock_assert_held(&home->caches_lock);
    if (!cache->is_active)
        return;
    CACHE_STORE(cache->is_active, false);
    if (atomic_compare_exchange_strong(&home->active, &first, next)) {
        if (next != NULL)
            next->prev_active = NULL;
        return;
    }
    for (struct thread_cache *after;
         (after = first->next_active) != NULL && after->prev_active == NULL;
         first = after)
        after->prev_active = first;
    cache->prev_active->next_active = next;
    if (next != NULL)
        next->prev_active = cache->prev_active;
}

static void take_out(struct heap_caches *home, struct thread_cache *cache)
{
    thread_cache_deactivate(cache);
    thread_cache_unlink(home, cache);
}

/* ---- spare caches ------------------------------------------------------ */

/* Most spare caches of a heap. What their magazines may hold is bounded as
 * well: a cache that could hold more than SPARE_BYTES is none that a brief
 * thread has filled, and all together hold no more than one cache may. */
#define SPARES_MOST 64
#define SPARE_BYTES ((size_t)1 << 20)

static bool can_be_spare(const struct heap_caches *home,
                         const struct thread_cache *cache)
{
    const size_t bytes = cache->magazines.reserved;
    return home->spare_count < SPARES_MOST && bytes <= SPARE_BYTES &&
           bytes <= home->cache_limit - home->spare_bytes &&
           CACHE_LOAD(cache->busy) == 0 && heap_arenas_keep_pages(home->arenas);
}

static void make_spare(struct heap_caches *home, struct thread_cache *cache)
{
    ranked_lock_assert_held(&home->caches_lock);
    cache->is_spare = true;
    cache->spare_bytes = cache->magazines.reserved;
    cache->next_spare = home->spare;
    home->spare = cache;
    home->spare_count++;
    home->spare_bytes += cache->spare_bytes;
}

/* Takes out the spare cache that `place` points to. */
static struct thread_cache *unmake_spare(struct heap_caches *home,
                                         struct thread_cache **place)
{
    struct thread_cache *cache = *place;
    ranked_lock_assert_held(&home->caches_lock);
    *place = cache->next_spare;
    home->spare_count--;
    home->spare_bytes -= cache->spare_bytes;
    cache->is_spare = false;
    cache->spare_bytes = 0;
    return cache;
}

/* NULL if there is none. */
static struct thread_cache *take_spare(struct heap_caches *home)
{
    struct thread_cache *cache = NULL;
    ranked_lock_take(&home->caches_lock);
    if (home->spare != NULL) {
        cache = unmake_spare(home, &home->spare);
        magazine_change_thread(&cache->magazines);
        cache->share = (struct fair_share){0};
    }
    ranked_lock_release(&home->caches_lock);
    return cache;
}

/* So many at a time; it takes some microseconds for each. */
#define ENDED_MOST 64

bool thread_cache_end_empty_spares(struct heap_caches *home)
{
    struct thread_cache *empty = NULL, *next;
    unsigned count = 0;
    ranked_lock_take(&home->caches_lock);
    for (struct thread_cache **place = &home->spare;
         *place != NULL && count < ENDED_MOST;) {
        if ((*place)->magazines.reserved != 0) {
            place = &(*place)->next_spare;
            continue;
        }
        struct thread_cache *cache = unmake_spare(home, place);
        take_out(home, cache);
        cache->next_spare = empty;
        empty = cache;
        count++;
    }
    ranked_lock_release(&home->caches_lock);
    for (; empty != NULL; empty = next) {
        next = empty->next_spare;
        thread_cache_free(empty);
    }
    return count == ENDED_MOST;
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
    heap_arenas_detach(home->arenas, cache->magazines.arena_place);
    thread_cache_free(cache);
}

/* As long as there is something in the cache, a reclaim finds it in the heap's
 * lists. A thread may have ended in the middle of its magazines; then the cache
 * is left as it is until it is in no list. */
static void end_listed(struct heap_caches *home, struct thread_cache *cache)
{
    if (CACHE_LOAD(cache->busy) == 0) {
        ranked_lock_take(&cache->lock);
        magazine_drop_all(&cache->magazines);
        ranked_lock_release(&cache->lock);
    }
    ranked_lock_take(&home->caches_lock);
    const bool dropped = cache->is_dropped;
    if (!dropped)
        take_out(home, cache);
    ranked_lock_release(&home->caches_lock);
    if (dropped)
        thread_cache_free(cache);
    else
        thread_cache_end(home, cache);
}

/* The heap is there. */
static void give_up(struct heap_caches *home, struct thread_cache *cache)
{
    ranked_lock_take(&home->caches_lock);
    const bool dropped = cache->is_dropped;
    const bool spare = !dropped && can_be_spare(home, cache);
    if (spare) {
        heap_arenas_detach(home->arenas, cache->magazines.arena_place);
        make_spare(home, cache);
    }
    ranked_lock_release(&home->caches_lock);
    if (dropped)
        thread_cache_free(cache);
    else if (!spare)
        end_listed(home, cache);
}

static void leave_heap(struct thread_cache *cache)
{
    const struct heap_place place = cache->place;
    if (heap_registry_use(&place) == NULL) {
        thread_cache_free(cache);
        return;
    }
    give_up(cache->home, cache);
    heap_registry_done(place.slot);
}

/* All entries are NULL. */
static void free_table(struct thread_cache **table)
{
    if (!heap_registry_keep_table(table))
        metadata_free(table);
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
        if (table[i] != NULL) {
            leave_heap(table[i]);
            table[i] = NULL;
        }
    snapshot_lock_end_moving();
    free_table(table);
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
    struct thread_cache **table = heap_registry_take_table();
    if (table == NULL)
        table = metadata_alloc(HEAP_SLOTS * sizeof(struct thread_cache *), 0);
    if (table == NULL)
        return false;
    if (pthread_setspecific(table_key, table) != 0) {
        free_table(table);
        return false;
    }
    thread_cache_table = table;
    allocator_begin_thread();
    return true;
}

static uint8_t first_gate(const struct heap_caches *home)
{
    if (home->take_locks || memory_marks_need_locks())
        return GATE_LOCKS;
    return memory_barrier_is_asymmetric() ? 0 : GATE_FENCE;
}

static void attach(struct heap_caches *home, struct thread_cache *cache)
{
    cache->magazines.arena_place =
        heap_arenas_attach(home->arenas, cache->magazines.arena_place);
    cache->magazines.tally = arena_returns_tally_of(
        &home->arenas->returns, cache->magazines.arena_place);
    cache->magazines.arena_flags =
        heap_arenas_flags(home->arenas, cache->magazines.arena_place);
}

/* A cache that visitors know. */
static void attach_again(struct thread_cache *cache)
{
    ranked_lock_take(&cache->lock);
    attach(cache->home, cache);
    ranked_lock_release(&cache->lock);
}

void thread_cache_change_arena(struct thread_cache *cache)
{
    const struct heap_caches *home = cache->home;
    extent_found_full_place = false;
    if (heap_arenas_suit(home->arenas, cache->magazines.arena_place))
        return;
    heap_arenas_detach(home->arenas, cache->magazines.arena_place);
    attach_again(cache);
}

/* NULL if there is no DRAM. */
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
        cache->base = (uintptr_t)pool->range.base;
        cache->size = pool->range.size;
        cache->tags = pool->range.tags;
    }
    ranked_lock_init(&cache->lock, RANK_CACHE);
    cache->magazines.arenas = home->arenas;
    /* A tool that knows threads by their locks does not see into a depot. */
    cache->magazines.depot = memory_marks_need_locks() ? NULL : &home->depot;
    cache->magazines.limit = home->cache_limit;
    magazine_init_all(&cache->magazines);
    attach(home, cache);
    ranked_lock_take(&home->caches_lock);
    thread_cache_link(home, cache);
    ranked_lock_release(&home->caches_lock);
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
        struct thread_cache *cache = take_spare(home);
        if (cache != NULL)
            attach_again(cache);
        else
            cache = make_cache(home);
        if (cache == NULL)
            return &home->fallback;
        *entry = cache;
    }
    thread_cache_current = *entry;
    return *entry;
}
