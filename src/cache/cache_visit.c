/* SPDX-License-Identifier: BSD-2-Clause */
#include "cache_visit.h"

#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <time.h>

#include "allocator_gate.h"
#include "debug_log.h"
#include "memory_barrier.h"

/* A thread is at its magazines for some ten instructions. One that has not come
 * out after so many turns is held up by something else. */
#define PATIENCE 10000

/* All threads see a CPU's store long before this time has passed. */
#define FENCE_PAUSE_NS 2000000

/* ---- gates -------------------------------------------------------------- */

static void close_gate(struct thread_cache *cache)
{
    __atomic_fetch_or(&cache->gate, GATE_VISITED, __ATOMIC_SEQ_CST);
}

static void open_gate(struct thread_cache *cache)
{
    __atomic_fetch_and(&cache->gate, (uint8_t)~GATE_VISITED, __ATOMIC_RELEASE);
}

static void shut_gate(struct thread_cache *cache)
{
    __atomic_fetch_or(&cache->gate, GATE_SHUT, __ATOMIC_SEQ_CST);
}

/* After the gate was closed, and the barrier. */
static bool wait_for_thread(struct thread_cache *cache)
{
    for (int i = 0; i < PATIENCE; i++) {
        if (__atomic_load_n(&cache->busy, __ATOMIC_SEQ_CST) == 0)
            return true;
        sched_yield();
    }
    debug_log("a thread does not come out of its cache");
    return false;
}

/* Has the threads of a heap's caches issue barriers of their own from now on.
 */
static void fence_threads(struct heap_caches *home)
{
    struct timespec pause = {.tv_nsec = FENCE_PAUSE_NS};
    bool any = false;
    ranked_lock_assert_held(&home->caches_lock);
    for (struct thread_cache *cache = home->caches; cache != NULL;
         cache = cache->next) {
        any |= !cache->is_fenced;
        __atomic_fetch_or(&cache->gate, GATE_FENCE, __ATOMIC_SEQ_CST);
    }
    if (!any)
        return;
    while (nanosleep(&pause, &pause) != 0 && errno == EINTR)
        ;
    for (struct thread_cache *cache = home->caches; cache != NULL;
         cache = cache->next)
        cache->is_fenced = true;
}

/* After gates of the heap were closed: from now on a thread that is at its
 * magazines is seen to be, and one that is not stays out. */
static void wait_for_barrier(struct heap_caches *home)
{
    if (!memory_barrier_in_all_threads())
        fence_threads(home);
}

/* ---- visits ------------------------------------------------------------- */

static bool is_own(const struct thread_cache *cache)
{
    return thread_cache_table != NULL &&
           thread_cache_table[cache->place.slot] == cache;
}

/* Returns whether the thread is kept out; end_visit() is called in any case. */
static bool begin_visit(struct thread_cache *cache)
{
    assert(allocator_is_inside());
    ranked_lock_take(&cache->lock);
    if (cache->is_spare) /* there is no thread to keep out */
        return true;
    close_gate(cache);
    /* The cache's own thread needs no barrier, and would wait for itself. */
    if (is_own(cache))
        return cache->busy == 0;
    wait_for_barrier(cache->home);
    return wait_for_thread(cache);
}

static void end_visit(struct thread_cache *cache)
{
    open_gate(cache);
    ranked_lock_release(&cache->lock);
}

bool cache_visit(struct thread_cache *cache, magazine_visit_fn *visit)
{
    const bool alone = begin_visit(cache);
    if (alone)
        visit(&cache->magazines);
    end_visit(cache);
    return alone;
}

void cache_visit_own(magazine_visit_fn *visit)
{
    for (unsigned i = 0; thread_cache_table != NULL && i < HEAP_SLOTS; i++) {
        struct thread_cache *cache = thread_cache_table[i];
        if (cache == NULL || heap_registry_use(&cache->place) == NULL)
            continue;
        /* The heap may be about to go, and has dropped its caches then. */
        struct heap_caches *home = cache->home;
        ranked_lock_take(&home->caches_lock);
        if (!cache->is_dropped)
            (void)cache_visit(cache, visit);
        ranked_lock_release(&home->caches_lock);
        heap_registry_done(i);
    }
}

void cache_visit_all(struct heap_caches *home, magazine_visit_fn *visit)
{
    ranked_lock_take(&home->caches_lock);
    for (struct thread_cache *cache = home->caches; cache != NULL;
         cache = cache->next)
        (void)cache_visit(cache, visit);
    ranked_lock_release(&home->caches_lock);
}

/* ---- visits to all caches that may hold objects ------------------------- */

/* Whether the cache may hold objects after the visit. */
typedef bool sweep_fn(struct thread_cache *cache, void *context);

/* Takes all out of the list of active caches and closes their gates. There is
 * one barrier for all: until its visit, the thread of a cache goes by the
 * lock. A spare cache has no thread, and gets none before the sweep has ended,
 * since that takes the caches_lock. */
static struct thread_cache *begin_sweep(struct heap_caches *home)
{
    bool others = false;
    struct thread_cache *first = atomic_exchange(&home->active, NULL);
    for (struct thread_cache *cache = first; cache != NULL;
         cache = cache->next_active) {
        if (cache->is_spare)
            continue;
        others |= !is_own(cache);
        __atomic_fetch_or(&cache->gate, GATE_SWEPT, __ATOMIC_SEQ_CST);
    }
    if (others)
        wait_for_barrier(home);
    return first;
}

static void visit_swept(struct thread_cache *cache, sweep_fn *visit,
                        void *context)
{
    ranked_lock_take(&cache->lock);
    const bool alone =
        is_own(cache) ? cache->busy == 0 : wait_for_thread(cache);
    cache->is_active = false;
    if (!alone || visit(cache, context))
        thread_cache_activate(cache);
    __atomic_fetch_and(&cache->gate, (uint8_t)~GATE_SWEPT, __ATOMIC_RELEASE);
    ranked_lock_release(&cache->lock);
}

static void sweep(struct heap_caches *home, sweep_fn *visit, void *context)
{
    struct thread_cache *next;
    assert(allocator_is_inside());
    ranked_lock_take(&home->caches_lock);
    for (struct thread_cache *cache = begin_sweep(home); cache != NULL;
         cache = next) {
        next = cache->next_active;
        visit_swept(cache, visit, context);
    }
    ranked_lock_release(&home->caches_lock);
}

static bool drain(struct thread_cache *cache, void *context)
{
    (void)context;
    magazine_seal_all(&cache->magazines);
    return false;
}

void cache_visit_drain_all(struct heap_caches *home)
{
    sweep(home, drain, NULL);
}

bool cache_visit_may_find(const struct heap_caches *home)
{
    return atomic_load(&home->active) != NULL;
}

static bool count_bytes(struct thread_cache *cache, void *sum)
{
    *(size_t *)sum += magazine_bytes(&cache->magazines);
    return true;
}

size_t cache_visit_count_bytes(struct heap_caches *home)
{
    size_t bytes = 0;
    sweep(home, count_bytes, &bytes);
    return bytes;
}

/* ---- ageing ------------------------------------------------------------- */

static bool has_capacity(struct thread_cache *cache)
{
    ranked_lock_take(&cache->lock);
    bool has = cache->magazines.reserved != 0;
    ranked_lock_release(&cache->lock);
    return has;
}

void cache_visit_used(struct heap_caches *home, magazine_visit_fn *visit)
{
    ranked_lock_take(&home->caches_lock);
    for (struct thread_cache *cache = home->caches; cache != NULL;
         cache = cache->next)
        if (has_capacity(cache))
            (void)cache_visit(cache, visit);
    ranked_lock_release(&home->caches_lock);
}

/* ---- the end of a heap -------------------------------------------------- */

void cache_visit_shut_all(struct heap_caches *home)
{
    ranked_lock_take(&home->caches_lock);
    for (struct thread_cache *cache = home->caches; cache != NULL;
         cache = cache->next)
        shut_gate(cache);
    ranked_lock_release(&home->caches_lock);
}

void cache_visit_drop_all(struct heap_caches *home)
{
    ranked_lock_take(&home->caches_lock);
    for (struct thread_cache *cache = home->caches, *next; cache != NULL;
         cache = next) {
        next = cache->next;
        shut_gate(cache);
        (void)cache_visit(cache, magazine_forget_all);
        cache->is_dropped = true; /* its thread frees it */
        if (cache->is_orphan || cache->is_spare)
            thread_cache_free(cache);
    }
    home->caches = home->spare = NULL;
    atomic_store(&home->active, NULL);
    ranked_lock_release(&home->caches_lock);
}

/* ---- fork --------------------------------------------------------------- */

void cache_visit_lock_all(struct heap_caches *home)
{
    ranked_lock_assert_held(&home->caches_lock);
    for (struct thread_cache *cache = home->caches; cache != NULL;
         cache = cache->next) {
        ranked_lock_take(&cache->lock);
        close_gate(cache);
    }
    if (home->caches == NULL)
        return;
    wait_for_barrier(home);
    for (struct thread_cache *cache = home->caches; cache != NULL;
         cache = cache->next)
        (void)wait_for_thread(cache);
}

void cache_visit_unlock_all(struct heap_caches *home)
{
    for (struct thread_cache *cache = home->caches; cache != NULL;
         cache = cache->next) {
        open_gate(cache);
        ranked_lock_release(&cache->lock);
    }
}

void cache_visit_orphan_others(struct heap_caches *home)
{
    ranked_lock_assert_held(&home->caches_lock);
    for (struct thread_cache *cache = home->caches; cache != NULL;
         cache = cache->next) {
        /* The child's one thread is not on its way in anywhere. */
        if (!memory_barrier_is_asymmetric()) {
            __atomic_fetch_or(&cache->gate, GATE_FENCE, __ATOMIC_SEQ_CST);
            cache->is_fenced = true;
        }
        if (is_own(cache) || cache->is_spare)
            continue;
        cache->is_orphan = true;
        atomic_store(&home->has_orphans, true);
        /* If its thread could not be waited for, its state is not known. */
        if (cache->busy != 0)
            magazine_init_all(&cache->magazines);
        cache->busy = 0;
    }
}

static struct thread_cache *take_orphan(struct heap_caches *home)
{
    struct thread_cache *cache;
    ranked_lock_take(&home->caches_lock);
    for (cache = home->caches; cache != NULL; cache = cache->next)
        if (cache->is_orphan)
            break;
    if (cache != NULL)
        thread_cache_take_out(home, cache);
    else
        atomic_store(&home->has_orphans, false);
    ranked_lock_release(&home->caches_lock);
    return cache;
}

void cache_visit_bury_orphans(struct heap_caches *home)
{
    struct thread_cache *cache;
    assert(allocator_is_inside());
    if (!atomic_load(&home->has_orphans))
        return;
    while ((cache = take_orphan(home)) != NULL)
        thread_cache_end(home, cache);
}
