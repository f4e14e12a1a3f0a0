/* SPDX-License-Identifier: BSD-2-Clause */
#include "arena_set.h"

#include <errno.h>
#include <stdlib.h>

#include "debug_log.h"
#include "heap_checked.h"
#include "jemalloc_ctl.h"
#include "magazine.h"
#include "object_records.h"
#include "set_registry.h"

/* jemalloc has 4,095 arenas for a process, one of which holds our own data. A
 * set's first arena can always be had; further ones only as long as they
 * leave enough for the first arenas of all sets. */
#define ARENAS_IN_ALL 4094
#define ARENAS_FOR_GROWTH (ARENAS_IN_ALL - THREAD_CACHE_SLOTS)

static _Atomic unsigned extra_arenas; /* beyond the first of each set */
static _Atomic uint64_t last_id;

/* Called with the set's lock held, or before anyone else knows the set. */
static int add_arena(struct memkind_arena_set *set)
{
    unsigned count = atomic_load(&set->count);
    struct arena_slot *slot = &set->arenas[count];
    int result = je_arena_create(&set->extents.hooks, set->metadata_use_hooks,
                                 &slot->index);
    if (result != 0)
        return result;
    (void)je_arena_set_decay(slot->index, set->dirty_decay_ms);
    if (set->extents.pool != NULL && set->extents.pool->budget != SIZE_MAX)
        (void)je_arena_set_grow_limit(slot->index, set->extents.pool->budget);
    slot->threads = 0;
    atomic_store_explicit(&set->count, count + 1, memory_order_release);
    return 0;
}

/* What a thread may keep of a set: enough for its working set where space is
 * plenty, and little of a small kind. */
#define CACHE_LIMIT ((size_t)16 << 20)
#define CACHE_SHARE 64 /* of the budget */

static size_t choose_cache_limit(const struct region_pool *pool)
{
    size_t share = pool != NULL ? pool->budget / CACHE_SHARE : CACHE_LIMIT;
    return share < CACHE_LIMIT ? share : CACHE_LIMIT;
}

static void init_set(struct memkind_arena_set *set,
                     const struct arena_set_config *config)
{
    set->id = atomic_fetch_add(&last_id, 1) + 1;
    set->limit = config->limit;
    set->dirty_decay_ms = config->dirty_decay_ms;
    set->metadata_use_hooks = config->metadata_use_hooks;
    /* An address that is no owner's, where there is none. */
    set->direct_owner =
        config->direct_owner != NULL ? config->direct_owner : set;
    set->cache_limit = choose_cache_limit(config->pool);
    atomic_store(&set->caches_large, config->dirty_decay_ms != 0);
    if (config->user_hooks != NULL)
        extent_owner_init_user(&set->extents, config->user_hooks,
                               config->address_owner);
    else
        extent_owner_init(&set->extents, config->pool, config->source,
                          config->address_owner);
    pthread_mutex_init(&set->caches_lock, NULL);
    pthread_mutex_init(&set->lock, NULL);
    pthread_mutex_init(&set->reclaim_lock, NULL);
}

static void fini_set(struct memkind_arena_set *set)
{
    extent_owner_fini(&set->extents);
    pthread_mutex_destroy(&set->reclaim_lock);
    pthread_mutex_destroy(&set->lock);
    pthread_mutex_destroy(&set->caches_lock);
}

static void destroy_arenas(struct memkind_arena_set *set)
{
    unsigned count = atomic_load(&set->count);
    extent_owner_retire(&set->extents);
    for (unsigned i = 0; i < count; i++) {
        /* Each slab is then done with while it is at hand, and not entered in
         * the lists of dirty pages first. */
        if (set->extents.user == NULL)
            (void)je_arena_set_decay(set->arenas[i].index, 0);
        int result = je_arena_destroy(set->arenas[i].index);
        if (result != 0)
            debug_log("arena %u cannot be destroyed: %d", set->arenas[i].index,
                      result);
    }
    atomic_fetch_sub(&extra_arenas, count - 1);
}

static int make_set(const struct arena_set_config *config,
                    struct memkind_arena_set **result_set)
{
    int result;
    struct memkind_arena_set *set = JE_NAME(mallocx)(
        sizeof *set + config->limit * sizeof set->arenas[0], JE_ZERO);
    if (set == NULL)
        return -ENOMEM;

    init_set(set, config);
    if (config->is_checked) {
        set->records = object_records_create(set->cache_limit);
        result = -ENOMEM;
        if (set->records == NULL)
            goto fail_arena;
    }
    result = add_arena(set);
    if (result != 0)
        goto fail_arena;
    set->fallback = (struct thread_cache){
        .set_id = set->id,
        .set = set,
        .gate = GATE_LOCKS,
        .arena_flags = JE_TCACHE_NONE | JE_ARENA(set->arenas[0].index),
    };
    result = -ENOSPC;
    if (!set_registry_add(set))
        goto fail_slot;
    *result_set = set;
    return 0;

fail_slot:
    destroy_arenas(set);
fail_arena:
    if (set->records != NULL)
        object_records_destroy(set->records);
    fini_set(set);
    JE_NAME(dallocx)(set, 0);
    return result;
}

int arena_set_create(const struct arena_set_config *config,
                     struct memkind_arena_set **set)
{
    if (!thread_cache_begin())
        return -EDEADLK;
    int result = size_class_init();
    if (result == 0 && !je_retains_blocks()) {
        debug_log("jemalloc runs with retain:false, which cannot be used");
        result = -EINVAL;
    }
    if (result == 0)
        result = make_set(config, set);
    thread_cache_end();
    return result;
}

void arena_set_destroy(struct memkind_arena_set *set)
{
    bool entered = thread_cache_begin();
    thread_cache_retire(set);
    set_registry_remove(set);
    if (entered)
        thread_cache_end();
    /* Nobody looks at the records any more; and what is wrong with objects is
     * told at once, while the caller is not inside. */
    if (set->records != NULL)
        heap_checked_finish(set);
    entered = thread_cache_begin();
    destroy_arenas(set);
    fini_set(set);
    set_registry_free_slot(set->slot);
    JE_NAME(dallocx)(set, 0);
    if (entered)
        thread_cache_end();
}

void arena_set_shut(struct memkind_arena_set *set)
{
    pthread_mutex_lock(&set->caches_lock);
    for (struct thread_cache *cache = set->caches; cache != NULL;
         cache = cache->next)
        thread_cache_shut(cache);
    pthread_mutex_unlock(&set->caches_lock);
}

static bool may_add_arena(void)
{
    if (atomic_fetch_add(&extra_arenas, 1) < ARENAS_FOR_GROWTH)
        return true;
    atomic_fetch_sub(&extra_arenas, 1);
    return false;
}

unsigned arena_set_attach(struct memkind_arena_set *set)
{
    pthread_mutex_lock(&set->lock);
    unsigned count = atomic_load(&set->count);
    unsigned place = 0;
    for (unsigned i = 1; i < count; i++)
        if (set->arenas[i].threads < set->arenas[place].threads)
            place = i;
    if (set->arenas[place].threads > 0 && count < set->limit &&
        may_add_arena()) {
        if (add_arena(set) == 0)
            place = count;
        else
            atomic_fetch_sub(&extra_arenas, 1);
    }
    set->arenas[place].threads++;
    pthread_mutex_unlock(&set->lock);
    return place;
}

void arena_set_detach(struct memkind_arena_set *set, unsigned place)
{
    pthread_mutex_lock(&set->lock);
    set->arenas[place].threads--;
    pthread_mutex_unlock(&set->lock);
}

void arena_set_purge(struct memkind_arena_set *set)
{
    unsigned count = atomic_load_explicit(&set->count, memory_order_acquire);
    for (unsigned i = 0; i < count; i++)
        (void)je_arena_purge(set->arenas[i].index);
    if (set->extents.pool != NULL)
        region_pool_pay(set->extents.pool);
}

void arena_set_decay(struct memkind_arena_set *set)
{
    unsigned count = atomic_load_explicit(&set->count, memory_order_acquire);
    for (unsigned i = 0; i < count; i++)
        (void)je_arena_decay(set->arenas[i].index);
}

int arena_set_set_decay(struct memkind_arena_set *set, ssize_t milliseconds)
{
    int result = 0;
    bool entered = thread_cache_begin();
    pthread_mutex_lock(&set->lock);
    unsigned count = atomic_load(&set->count);
    set->dirty_decay_ms = milliseconds;
    atomic_store(&set->caches_large, milliseconds != 0);
    for (unsigned i = 0; i < count && result == 0; i++)
        result = je_arena_set_decay(set->arenas[i].index, milliseconds);
    pthread_mutex_unlock(&set->lock);
    if (milliseconds == 0)
        thread_cache_visit_all(set, magazine_drop_all);
    if (entered)
        thread_cache_end();
    return result;
}
