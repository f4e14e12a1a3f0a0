/* SPDX-License-Identifier: BSD-2-Clause */
#include "thread_cache.h"

#include <errno.h>
#include <sched.h>
#include <time.h>

#include "cancellation.h"
#include "debug_log.h"
#include "fork_gate.h"
#include "heap_create.h"
#include "heap_registry.h"
#include "heap_report.h"
#include "jemalloc_ctl.h"
#include "jemalloc_thread.h"
#include "magazine.h"
#include "memory_barrier.h"
#include "memory_marks.h"
#include "upkeep.h"

/* An owner is in there for some ten instructions; one that has not come out
 * after so many turns is held up by something else. */
#define PATIENCE 10000

/* A store that a CPU has not let go of yet is seen by all long before. */
#define FENCE_PAUSE_NS 2000000

struct thread_cache thread_cache_none = {
    .gate = GATE_SHUT,
    .owner = &thread_cache_none,
    .key = &thread_cache_none,
};

__thread struct thread_cache *thread_cache_current = &thread_cache_none;
__thread struct thread_cache **thread_cache_table;

/* Set once a thread's caches are gone for good: the thread is ending. */
static __thread bool thread_ended THREAD_CACHE_TLS;
/* Until allocator_leave(). */
static __thread bool thread_revived THREAD_CACHE_TLS;
static __thread bool thread_inside THREAD_CACHE_TLS;
static __thread bool thread_forks_inside THREAD_CACHE_TLS;
static __thread int cancel_state THREAD_CACHE_TLS;
static __thread int fork_cancel_state THREAD_CACHE_TLS;

static pthread_key_t key;
static bool key_made;

static void *metadata_alloc(size_t size, int flags)
{
    return JE_NAME(mallocx)(size, JE_ZERO | flags);
}

static void metadata_free(void *ptr)
{
    JE_NAME(dallocx)(ptr, 0);
}

bool allocator_enter(void)
{
    if (__builtin_expect(thread_inside, 0))
        return false;
    thread_inside = true;
    atomic_signal_fence(memory_order_seq_cst);
    cancel_state = cancellation_disable();
    fork_gate_enter();
    return true;
}

void allocator_leave(void)
{
    const int before = cancel_state;
    if (__builtin_expect(thread_revived, 0)) {
        je_thread_end_again();
        thread_revived = false;
    }
    fork_gate_leave();
    atomic_signal_fence(memory_order_seq_cst);
    thread_inside = false;
    heap_report_what_waits();
    cancellation_restore(before);
}

void allocator_enter_fork(void)
{
    thread_forks_inside = thread_inside;
    thread_inside = true;
    atomic_signal_fence(memory_order_seq_cst);
    fork_cancel_state = cancellation_disable();
}

void allocator_leave_fork(void)
{
    const int before = fork_cancel_state;
    atomic_signal_fence(memory_order_seq_cst);
    thread_inside = thread_forks_inside;
    if (!thread_inside)
        heap_report_what_waits();
    cancellation_restore(before);
}

bool allocator_forks_inside(void)
{
    return thread_forks_inside;
}

bool allocator_is_inside(void)
{
    return thread_inside;
}

/* ---- a set's list of caches --------------------------------------------- */

static void enlist(struct memkind_heap *heap, struct thread_cache *cache)
{
    pthread_mutex_lock(&heap->caches_lock);
    cache->next = heap->caches;
    if (heap->caches != NULL)
        heap->caches->prev = cache;
    heap->caches = cache;
    pthread_mutex_unlock(&heap->caches_lock);
}

/* With the list locked. */
static void take_out(struct memkind_heap *heap, struct thread_cache *cache)
{
    if (cache->prev != NULL)
        cache->prev->next = cache->next;
    else
        heap->caches = cache->next;
    if (cache->next != NULL)
        cache->next->prev = cache->prev;
}

/* False where the set has been retired meanwhile. */
static bool delist(struct memkind_heap *heap, struct thread_cache *cache)
{
    pthread_mutex_lock(&heap->caches_lock);
    bool listed = cache->heap != NULL;
    if (listed)
        take_out(heap, cache);
    pthread_mutex_unlock(&heap->caches_lock);
    return listed;
}

/* ---- the end of a thread ------------------------------------------------ */

static void free_cache(struct thread_cache *cache)
{
    pthread_mutex_destroy(&cache->lock);
    metadata_free(cache);
}

/* Of a cache that is in no list any more. */
static void end_cache(struct memkind_heap *heap, struct thread_cache *cache)
{
    magazine_drop_all(cache);
    heap_arenas_detach(heap, cache->place);
    free_cache(cache);
}

static void leave_set(unsigned slot, struct thread_cache *cache)
{
    struct memkind_heap *heap = heap_registry_use(slot, cache->heap_id);
    if (heap != NULL && delist(heap, cache))
        end_cache(heap, cache);
    else
        free_cache(cache);
    if (heap != NULL)
        heap_registry_done(heap);
}

static void end_thread(void *table_pointer)
{
    struct thread_cache **table = table_pointer;
    thread_cache_table = NULL;
    thread_cache_current = &thread_cache_none;
    thread_ended = true;
    (void)allocator_enter();
    upkeep_enter();
    for (unsigned i = 0; i < THREAD_CACHE_SLOTS; i++)
        if (table[i] != NULL)
            leave_set(i, table[i]);
    upkeep_leave();
    metadata_free(table);
    allocator_leave();
}

/*
 * Before jemalloc makes its key, so that a thread's destructors of that come
 * after ours: from then on jemalloc takes all that it allocates from its own
 * first arena, whichever one is asked for, and our caches must be gone.
 */
void thread_cache_init(void)
{
    je_thread_set_brackets(allocator_enter, allocator_leave);
    key_made = pthread_key_create(&key, end_thread) == 0;
}

/* ---- attaching ---------------------------------------------------------- */

static bool make_table(void)
{
    if (thread_cache_table != NULL)
        return true;
    if (!key_made)
        return false;
    struct thread_cache **table =
        metadata_alloc(THREAD_CACHE_SLOTS * sizeof(struct thread_cache *), 0);
    if (table == NULL)
        return false;
    if (pthread_setspecific(key, table) != 0) {
        metadata_free(table);
        return false;
    }
    thread_cache_table = table;
    return true;
}

static uint8_t first_gate(const struct memkind_heap *heap)
{
    if (heap->records != NULL || memory_marks_need_locks())
        return GATE_LOCKS;
    return memory_barrier_is_asymmetric() ? 0 : GATE_FENCE;
}

static struct thread_cache *make_cache(struct memkind_heap *heap)
{
    struct thread_cache *cache = metadata_alloc(sizeof *cache, JE_LG_ALIGN(6));
    if (cache == NULL)
        return NULL;
    cache->heap = heap;
    cache->heap_id = heap->id;
    cache->key = heap;
    cache->owner = heap->direct_owner;
    cache->limit = heap->cache_limit;
    cache->gate = first_gate(heap);
    cache->is_fenced = cache->gate != 0;
    magazine_init_all(cache);
    if (heap->extents.pool != NULL) {
        const struct region *region = &heap->extents.pool->regions[0];
        cache->base = (uintptr_t)region->base;
        cache->size = region->size;
        cache->tags = region->tags;
    }
    pthread_mutex_init(&cache->lock, NULL);
    cache->place = heap_arenas_attach(heap);
    cache->arena_flags =
        JE_TCACHE_NONE | JE_ARENA(heap->arenas[cache->place].index);
    return cache;
}

/* A thread that comes here for the first time after jemalloc's destructor has
 * none of its own any more to give caches back by. */
static bool can_have_caches(void)
{
    if (thread_cache_table == NULL && je_thread_has_ended())
        thread_ended = true;
    return !thread_ended && make_table();
}

struct thread_cache *thread_cache_get(struct memkind_heap *heap)
{
    if (!can_have_caches())
        return &heap->fallback;
    struct thread_cache **entry = &thread_cache_table[heap->slot];
    if (*entry != NULL && (*entry)->heap_id != heap->id) {
        /* Its set is gone, and has left the slot to this one. */
        if (thread_cache_current == *entry)
            thread_cache_current = &thread_cache_none;
        struct thread_cache *stale = *entry;
        /* A signal handler looks there, too. */
        *entry = NULL;
        atomic_signal_fence(memory_order_seq_cst);
        free_cache(stale);
    }
    if (*entry == NULL) {
        struct thread_cache *cache = make_cache(heap);
        if (cache == NULL)
            return &heap->fallback;
        enlist(heap, cache);
        *entry = cache;
    }
    thread_cache_current = *entry;
    return *entry;
}

bool allocator_may_allocate(void)
{
    if (__builtin_expect(!thread_ended && !je_thread_has_ended(), 1))
        return true;
    thread_revived = je_thread_revive();
    return thread_revived;
}

void thread_cache_visit_own(thread_cache_visit_fn *visit)
{
    for (unsigned i = 0; thread_cache_table != NULL && i < THREAD_CACHE_SLOTS;
         i++) {
        struct thread_cache *cache = thread_cache_table[i];
        struct memkind_heap *heap =
            cache != NULL ? heap_registry_use(i, cache->heap_id) : NULL;
        if (heap == NULL)
            continue;
        /* The set may be about to go, and has no caches then. */
        pthread_mutex_lock(&heap->caches_lock);
        if (cache->heap != NULL)
            (void)thread_cache_visit(cache, visit);
        pthread_mutex_unlock(&heap->caches_lock);
        heap_registry_done(heap);
    }
}

/* ---- other threads' caches ---------------------------------------------- */

static void close_gate(struct thread_cache *cache)
{
    __atomic_fetch_or(&cache->gate, GATE_VISITED, __ATOMIC_SEQ_CST);
}

static void open_gate(struct thread_cache *cache)
{
    __atomic_fetch_and(&cache->gate, (uint8_t)~GATE_VISITED, __ATOMIC_RELEASE);
}

/* After the gate was closed, and the barrier. */
static bool wait_for_owner(struct thread_cache *cache)
{
    for (int i = 0; i < PATIENCE; i++) {
        if (__atomic_load_n(&cache->busy, __ATOMIC_SEQ_CST) == 0)
            return true;
        sched_yield();
    }
    debug_log("a thread does not come out of its cache");
    return false;
}

/* Has all owners issue barriers of their own from now on. Their set's list is
 * locked. */
static void fence_owners(struct memkind_heap *heap)
{
    struct timespec pause = {.tv_nsec = FENCE_PAUSE_NS};
    bool any = false;
    for (struct thread_cache *cache = heap->caches; cache != NULL;
         cache = cache->next) {
        any |= !cache->is_fenced;
        __atomic_fetch_or(&cache->gate, GATE_FENCE, __ATOMIC_SEQ_CST);
    }
    if (!any)
        return;
    while (nanosleep(&pause, &pause) != 0 && errno == EINTR)
        ;
    for (struct thread_cache *cache = heap->caches; cache != NULL;
         cache = cache->next)
        cache->is_fenced = true;
}

/* After gates of the set were closed: from now on an owner that is in there is
 * seen to be, and one that is not stays out. */
static void wait_for_barrier(struct memkind_heap *heap)
{
    if (!memory_barrier_in_all_threads())
        fence_owners(heap);
}

static bool is_own(const struct thread_cache *cache, unsigned slot)
{
    return thread_cache_table != NULL && thread_cache_table[slot] == cache;
}

bool thread_cache_visit(struct thread_cache *cache,
                        thread_cache_visit_fn *visit)
{
    bool own = is_own(cache, cache->heap->slot);
    pthread_mutex_lock(&cache->lock);
    close_gate(cache);
    /* The owner needs no barrier, and would wait for itself in vain. */
    if (!own)
        wait_for_barrier(cache->heap);
    bool alone = own ? cache->busy == 0 : wait_for_owner(cache);
    if (alone)
        visit(cache);
    open_gate(cache);
    pthread_mutex_unlock(&cache->lock);
    return alone;
}

void thread_cache_visit_all(struct memkind_heap *heap,
                            thread_cache_visit_fn *visit)
{
    pthread_mutex_lock(&heap->caches_lock);
    for (struct thread_cache *cache = heap->caches; cache != NULL;
         cache = cache->next)
        (void)thread_cache_visit(cache, visit);
    pthread_mutex_unlock(&heap->caches_lock);
}

static bool is_used(struct thread_cache *cache)
{
    pthread_mutex_lock(&cache->lock);
    bool used = cache->reserved != 0;
    pthread_mutex_unlock(&cache->lock);
    return used;
}

void thread_cache_visit_used(struct memkind_heap *heap,
                             thread_cache_visit_fn *visit)
{
    pthread_mutex_lock(&heap->caches_lock);
    for (struct thread_cache *cache = heap->caches; cache != NULL;
         cache = cache->next)
        if (is_used(cache))
            (void)thread_cache_visit(cache, visit);
    pthread_mutex_unlock(&heap->caches_lock);
}

void thread_cache_shut(struct thread_cache *cache)
{
    __atomic_fetch_or(&cache->gate, GATE_SHUT, __ATOMIC_SEQ_CST);
}

void thread_cache_retire(struct memkind_heap *heap)
{
    pthread_mutex_lock(&heap->caches_lock);
    for (struct thread_cache *cache = heap->caches, *next; cache != NULL;
         cache = next) {
        next = cache->next;
        thread_cache_shut(cache);
        (void)thread_cache_visit(cache, magazine_forget_all);
        cache->heap = NULL; /* its thread frees it */
        if (cache->is_orphan)
            free_cache(cache);
    }
    heap->caches = NULL;
    pthread_mutex_unlock(&heap->caches_lock);
}

/* ---- fork --------------------------------------------------------------- */

void thread_cache_lock_all(struct memkind_heap *heap)
{
    pthread_mutex_lock(&heap->caches_lock);
    for (struct thread_cache *cache = heap->caches; cache != NULL;
         cache = cache->next) {
        pthread_mutex_lock(&cache->lock);
        close_gate(cache);
    }
    if (heap->caches == NULL)
        return;
    wait_for_barrier(heap);
    for (struct thread_cache *cache = heap->caches; cache != NULL;
         cache = cache->next)
        (void)wait_for_owner(cache);
}

void thread_cache_unlock_all(struct memkind_heap *heap)
{
    for (struct thread_cache *cache = heap->caches; cache != NULL;
         cache = cache->next) {
        open_gate(cache);
        pthread_mutex_unlock(&cache->lock);
    }
    pthread_mutex_unlock(&heap->caches_lock);
}

void thread_cache_orphan_others(struct memkind_heap *heap)
{
    for (struct thread_cache *cache = heap->caches; cache != NULL;
         cache = cache->next) {
        /* Its one thread is not on its way in anywhere. */
        if (!memory_barrier_is_asymmetric()) {
            __atomic_fetch_or(&cache->gate, GATE_FENCE, __ATOMIC_SEQ_CST);
            cache->is_fenced = true;
        }
        if (is_own(cache, heap->slot))
            continue;
        cache->is_orphan = true;
        /* One that could not be waited for is in no known state. */
        if (cache->busy != 0)
            magazine_init_all(cache);
        cache->busy = 0;
    }
}

static struct thread_cache *take_orphan(struct memkind_heap *heap)
{
    struct thread_cache *cache;
    pthread_mutex_lock(&heap->caches_lock);
    for (cache = heap->caches; cache != NULL; cache = cache->next)
        if (cache->is_orphan)
            break;
    if (cache != NULL)
        take_out(heap, cache);
    pthread_mutex_unlock(&heap->caches_lock);
    return cache;
}

void thread_cache_bury_orphans(struct memkind_heap *heap)
{
    struct thread_cache *cache;
    while ((cache = take_orphan(heap)) != NULL)
        end_cache(heap, cache);
}
