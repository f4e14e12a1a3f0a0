/* SPDX-License-Identifier: BSD-2-Clause */
#include "thread_cache.h"

#include <pthread.h>
#include <string.h>

#include "arena_set.h"
#include "debug_log.h"
#include "jemalloc_ctl.h"

/* Idle caches that a set keeps for its next threads. */
#define IDLE_MAX 64

__thread struct thread_cache **thread_cache_table THREAD_CACHE_TLS;

/* Set once a thread's caches are gone for good: the thread is ending. */
static __thread bool thread_ended THREAD_CACHE_TLS;

static pthread_key_t key;
static bool key_made;

/* Guards the lists of caches in all sets, and thread_cache.set. */
static pthread_mutex_t registry = PTHREAD_MUTEX_INITIALIZER;
static bool slot_taken[THREAD_CACHE_SLOTS];

static void list_add(struct thread_cache **list, struct thread_cache *cache)
{
    cache->prev = NULL;
    cache->next = *list;
    if (*list != NULL)
        (*list)->prev = cache;
    *list = cache;
}

static void list_remove(struct thread_cache **list, struct thread_cache *cache)
{
    if (cache->prev != NULL)
        cache->prev->next = cache->next;
    else
        *list = cache->next;
    if (cache->next != NULL)
        cache->next->prev = cache->prev;
}

static void *metadata_alloc(size_t size)
{
    return JE_NAME(mallocx)(size, JE_ZERO);
}

static void metadata_free(void *ptr)
{
    JE_NAME(dallocx)(ptr, 0);
}

/* ---- the end of a thread ----------------------------------------------------
 */

/* Called with the registry locked. */
static void leave_set(struct thread_cache *cache)
{
    struct memkind_arena_set *set = cache->set;
    thread_cache_flush(cache);
    list_remove(&set->caches, cache);
    arena_set_detach(set, cache->place);
    if (cache->has_tcache && set->idle_count < IDLE_MAX) {
        list_add(&set->idle, cache);
        set->idle_count++;
        return;
    }
    if (cache->has_tcache)
        je_tcache_destroy(cache->tcache);
    metadata_free(cache);
}

static void end_thread(void *table_pointer)
{
    struct thread_cache **table = table_pointer;
    thread_cache_table = NULL;
    thread_ended = true;
    pthread_mutex_lock(&registry);
    for (unsigned i = 0; i < THREAD_CACHE_SLOTS; i++) {
        if (table[i] == NULL)
            continue;
        if (table[i]->set != NULL)
            leave_set(table[i]);
        else
            metadata_free(table[i]);
    }
    pthread_mutex_unlock(&registry);
    metadata_free(table);
}

/*
 * Before jemalloc makes its key, so that a thread's destructors of that come
 * after ours: from then on jemalloc takes all that it allocates from its own
 * first arena, whichever one is asked for, and our caches must be gone.
 */
__attribute__((constructor(102))) static void make_key(void)
{
    key_made = pthread_key_create(&key, end_thread) == 0;
}

/* ---- attaching
 * ---------------------------------------------------------------- */

static bool make_table(void)
{
    if (thread_cache_table != NULL)
        return true;
    if (!key_made)
        return false;
    struct thread_cache **table =
        metadata_alloc(THREAD_CACHE_SLOTS * sizeof(struct thread_cache *));
    if (table == NULL)
        return false;
    if (pthread_setspecific(key, table) != 0) {
        metadata_free(table);
        return false;
    }
    thread_cache_table = table;
    return true;
}

static struct thread_cache *take_idle(struct memkind_arena_set *set)
{
    struct thread_cache *cache = set->idle;
    if (cache != NULL) {
        list_remove(&set->idle, cache);
        set->idle_count--;
    }
    return cache;
}

static struct thread_cache *make_cache(struct memkind_arena_set *set)
{
    struct thread_cache *cache = metadata_alloc(sizeof *cache);
    if (cache == NULL)
        return NULL;
    cache->has_tcache = je_tcache_create(&cache->tcache) == 0;
    if (!cache->has_tcache)
        debug_log("jemalloc makes no more caches, going without");
    cache->set_id = set->id;
    return cache;
}

struct thread_cache *thread_cache_attach(struct memkind_arena_set *set)
{
    if (thread_ended)
        return NULL;
    if (!make_table())
        return &set->fallback;
    struct thread_cache **entry = &thread_cache_table[set->slot];

    pthread_mutex_lock(&registry);
    if (*entry != NULL) { /* of a set that is gone */
        metadata_free(*entry);
        *entry = NULL;
    }
    struct thread_cache *cache = take_idle(set);
    pthread_mutex_unlock(&registry);
    if (cache == NULL)
        cache = make_cache(set);
    if (cache == NULL)
        return &set->fallback;

    cache->set = set;
    cache->place = arena_set_attach(set);
    cache->free_flags =
        cache->has_tcache ? JE_TCACHE(cache->tcache) : JE_TCACHE_NONE;
    cache->alloc_flags =
        cache->free_flags | JE_ARENA(set->arenas[cache->place].index);
    pthread_mutex_lock(&registry);
    list_add(&set->caches, cache);
    pthread_mutex_unlock(&registry);
    *entry = cache;
    return cache;
}

/* ---- flushing and retiring
 * ------------------------------------------------------ */

void thread_cache_flush(struct thread_cache *cache)
{
    if (cache->has_tcache)
        je_tcache_flush(cache->tcache);
}

void thread_cache_flush_all(void)
{
    if (thread_cache_table == NULL)
        return;
    /* A set that is destroyed meanwhile must not take its cache away. */
    pthread_mutex_lock(&registry);
    for (unsigned i = 0; i < THREAD_CACHE_SLOTS; i++) {
        struct thread_cache *cache = thread_cache_table[i];
        if (cache != NULL && cache->set != NULL)
            thread_cache_flush(cache);
    }
    pthread_mutex_unlock(&registry);
}

void thread_cache_retire(struct memkind_arena_set *set)
{
    pthread_mutex_lock(&registry);
    for (struct thread_cache *cache = set->caches, *next; cache != NULL;
         cache = next) {
        next = cache->next;
        if (cache->has_tcache)
            je_tcache_destroy(cache->tcache);
        cache->set = NULL; /* its thread frees it */
    }
    for (struct thread_cache *cache = set->idle, *next; cache != NULL;
         cache = next) {
        next = cache->next;
        je_tcache_destroy(cache->tcache);
        metadata_free(cache);
    }
    set->caches = NULL;
    set->idle = NULL;
    set->idle_count = 0;
    pthread_mutex_unlock(&registry);
}

int thread_cache_slot_get(void)
{
    int slot = -1;
    pthread_mutex_lock(&registry);
    for (int i = 0; i < THREAD_CACHE_SLOTS && slot < 0; i++)
        if (!slot_taken[i])
            slot = i;
    if (slot >= 0)
        slot_taken[slot] = true;
    pthread_mutex_unlock(&registry);
    return slot;
}

void thread_cache_slot_put(unsigned slot)
{
    pthread_mutex_lock(&registry);
    slot_taken[slot] = false;
    pthread_mutex_unlock(&registry);
}
