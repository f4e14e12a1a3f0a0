/* SPDX-License-Identifier: BSD-2-Clause */
#include "cache_visit.h"

#include <assert.h>
#include <sched.h>
#include <time.h>

#include "allocator_gate.h"
#include "cancellation.h"
#include "debug_log.h"
#include "memory_barrier.h"

/* A thread is at its magazines for some ten instructions. One that has not come
 * out after so many turns waits for a CPU; or, if it does not come out while
 * others sleep for a tenth of a second, for something else. */
#define PATIENCE 1000
#define NAPS 100
#define NAP_NS 1000000

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
    const struct timespec nap = {.tv_nsec = NAP_NS};
    for (int i = 0; i < PATIENCE + NAPS; i++) {
        if (__atomic_load_n(&cache->busy, __ATOMIC_SEQ_CST) == 0)
            return true;
        cancellation_forbid();
        if (i < PATIENCE)
            sched_yield();
        else
            (void)nanosleep(&nap, NULL);
    }
    debug_log("a thread does not come out of its cache");
    return false;
}

/* Has the threads of a heap's caches issue barriers of their own from now on.
 */
static void fence_threads(struct heap_caches *home)
{
    bool any = false;
    ranked_lock_assert_held(&home->caches_lock);
    for (struct thread_cache *cache = home->caches; cache != NULL;
         cache = cache->next) {
        any |= !cache->is_fenced;
        __atomic_fetch_or(&cache->gate, GATE_FENCE, __ATOMIC_SEQ_CST);
    }
    if (!any)
        return;
    cancellation_forbid();
    memory_barrier_pause();
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

/* ---- visits to many caches ---------------------------------------------- */

/* Closes a gate for a visit that follows: until then the cache's thread goes by
 * the lock. Returns whether a barrier is needed before the visit. A spare cache
 * has no thread, and gets none before the caches_lock is released. */
static bool close_for_sweep(struct thread_cache *cache)
{
    if (cache->is_spare)
        return false;
    __atomic_fetch_or(&cache->gate, GATE_SWEPT, __ATOMIC_SEQ_CST);
    return !is_own(cache);
}

/* Returns whether the thread is kept out; end_swept_visit() is called in any
 * case. */
static bool begin_swept_visit(struct thread_cache *cache)
{
    ranked_lock_take(&cache->lock);
    return is_own(cache) ? cache->busy == 0 : wait_for_thread(cache);
}

static void end_swept_visit(struct thread_cache *cache)
{
    __atomic_fetch_and(&cache->gate, (uint8_t)~GATE_SWEPT, __ATOMIC_RELEASE);
    ranked_lock_release(&cache->lock);
}

void cache_visit_all(struct heap_caches *home, magazine_visit_fn *visit)
{
    bool others = false;
    struct thread_cache *cache;
    assert(allocator_is_inside());
    ranked_lock_take(&home->caches_lock);
    for (cache = home->caches; cache != NULL; cache = cache->next)
        others |= close_for_sweep(cache);
    if (others)
        wait_for_barrier(home);
    for (cache = home->caches; cache != NULL; cache = cache->next) {
        if (begin_swept_visit(cache))
            visit(&cache->magazines);
        end_swept_visit(cache);
    }
    ranked_lock_release(&home->caches_lock);
}

/* ---- visits to all caches that may hold objects ------------------------- */

/* Whether the cache may hold objects after the visit. */
typedef bool sweep_fn(struct thread_cache *cache, void *context);

/* Has the CPU fetch what a visit to the cache begins with. */
static void prefetch(const struct thread_cache *cache)
{
    if (cache == NULL)
        return;
    __builtin_prefetch(&cache->busy);
    __builtin_prefetch(&cache->lock);
    __builtin_prefetch(&cache->magazines.open);
}

/* Until the visit has found that a cache is empty, the cache stays in the list
 * of active ones: others look there without a lock. */
static void visit_swept(struct thread_cache *cache, sweep_fn *visit,
                        void *context)
{
    if (begin_swept_visit(cache) && !visit(cache, context))
        thread_cache_deactivate(cache);
    end_swept_visit(cache);
}

/* Other threads may put their caches in front of the list meanwhile. These are
 * not visited. */
static void sweep(struct heap_caches *home, sweep_fn *visit, void *context)
{
    bool others = false;
    struct thread_cache *cache, *next;
    assert(allocator_is_inside());
    ranked_lock_take(&home->caches_lock);
    struct thread_cache *first = atomic_load(&home->active);
    for (cache = first; cache != NULL; cache = cache->next_active)
        others |= close_for_sweep(cache);
    if (others)
        wait_for_barrier(home);
    for (cache = first; cache != NULL; cache = next) {
        next = cache->next_active;
        prefetch(next);
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

void cache_visit_drain_depot(struct heap_caches *home)
{
    ranked_lock_take(&home->caches_lock);
    magazine_drain_depot(home->arenas, &home->depot);
    ranked_lock_release(&home->caches_lock);
}

/* What a thread has taken from the depot before that was drained is in a cache
 * that is active by then. What it puts in meanwhile comes from such a cache. */
void cache_visit_drain_all(struct heap_caches *home)
{
    cache_visit_drain_depot(home);
    sweep(home, drain, NULL);
    cache_visit_drain_depot(home);
}

bool cache_visit_may_find(const struct heap_caches *home)
{
    return atomic_load(&home->active) != NULL ||
           atomic_load(&home->orphans) != NULL ||
           depot_bytes(&home->depot) != 0;
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
    return bytes + depot_bytes(&home->depot);
}

/* ---- ageing ------------------------------------------------------------- */

/* Caches that are visited at a time, and those that are looked at for that. To
 * visit one takes some microseconds. */
#define AGED_MOST 64
#define SEEN_MOST 1024

static bool age_one(struct thread_cache *cache, void *context)
{
    (void)context;
    magazine_age_all(&cache->magazines);
    if (magazine_bytes(&cache->magazines) != 0)
        return true;
    magazine_seal_all(&cache->magazines);
    return false;
}

/* A cache that is not active may have capacity. */
static bool is_used(struct thread_cache *cache)
{
    ranked_lock_take(&cache->lock);
    const bool used = cache->is_active || cache->magazines.reserved != 0;
    ranked_lock_release(&cache->lock);
    return used;
}

static bool is_closed_for_sweep(const struct thread_cache *cache)
{
    return cache->is_spare || (CACHE_LOAD(cache->gate) & GATE_SWEPT) != 0;
}

/* Some caches, which follow each other in the list. */
struct cache_span {
    struct thread_cache *first,
        *end; /* `end` is the one behind them, or NULL */
};

/* Closes the gates of so many caches at most. */
static struct cache_span close_some(struct heap_caches *home)
{
    bool others = false;
    unsigned seen = 0, closed = 0;
    struct thread_cache *cache = home->to_age;
    for (; cache != NULL && seen < SEEN_MOST && closed < AGED_MOST;
         cache = cache->next, seen++)
        if (is_used(cache)) {
            others |= close_for_sweep(cache);
            closed++;
        }
    if (others)
        wait_for_barrier(home);
    return (struct cache_span){home->to_age, cache};
}

void cache_visit_begin_ageing(struct heap_caches *home)
{
    ranked_lock_take(&home->caches_lock);
    home->to_age = home->caches;
    home->depot_ages = true;
    ranked_lock_release(&home->caches_lock);
}

bool cache_visit_age_some(struct heap_caches *home)
{
    assert(allocator_is_inside());
    ranked_lock_take(&home->caches_lock);
    const struct cache_span some = close_some(home);
    for (struct thread_cache *cache = some.first; cache != some.end;
         cache = cache->next)
        if (is_closed_for_sweep(cache))
            visit_swept(cache, age_one, NULL);
    home->to_age = some.end;
    if (home->depot_ages)
        home->depot_ages = magazine_age_depot(home->arenas, &home->depot);
    const bool is_left = some.end != NULL || home->depot_ages;
    ranked_lock_release(&home->caches_lock);
    return is_left;
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

static struct thread_cache *take_orphans(struct heap_caches *home)
{
    return atomic_exchange(&home->orphans, NULL);
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
        if (cache->is_spare)
            thread_cache_free(cache);
    }
    home->caches = home->to_age = home->spare = NULL;
    atomic_store(&home->active, NULL);
    for (struct thread_cache *cache = take_orphans(home), *next; cache != NULL;
         cache = next) {
        next = cache->next;
        magazine_forget_all(&cache->magazines);
        thread_cache_free(cache);
    }
    depot_forget(&home->depot);
    ranked_lock_release(&home->caches_lock);
}

/* ---- fork --------------------------------------------------------------- */

/* Whether a thread may be at the magazines in a way that changes them. One that
 * is outside the allocator can neither take from a sealed magazine nor put
 * anything in. */
static bool may_change(const struct thread_cache *cache, bool is_at_rest)
{
    return !is_at_rest || (cache->is_active && !cache->is_spare);
}

void cache_visit_close_all(struct heap_caches *home, bool is_at_rest)
{
    ranked_lock_assert_held(&home->caches_lock);
    for (struct thread_cache *cache = home->caches; cache != NULL;
         cache = cache->next) {
        if (!is_at_rest)
            ranked_lock_take(&cache->lock);
        if (may_change(cache, is_at_rest) &&
            (CACHE_LOAD(cache->gate) & GATE_FORKED) == 0)
            __atomic_fetch_or(&cache->gate, GATE_FORKED, __ATOMIC_SEQ_CST);
    }
}

void cache_visit_wait_all(struct heap_caches *home, bool is_at_rest,
                          bool has_barrier)
{
    if (!has_barrier)
        fence_threads(home);
    for (struct thread_cache *cache = home->caches; cache != NULL;
         cache = cache->next)
        if (may_change(cache, is_at_rest) && !is_own(cache))
            (void)wait_for_thread(cache);
}

/* NULL if the calling thread has no cache of the heap. */
static struct thread_cache *find_own(const struct heap_caches *home)
{
    struct thread_cache *cache = NULL;
    if (thread_cache_table != NULL)
        cache = thread_cache_table[home->place.slot];
    return cache != NULL && cache->place.id == home->place.id ? cache : NULL;
}

void cache_visit_release_all(struct heap_caches *home, bool is_at_rest)
{
    struct thread_cache *own = find_own(home);
    if (own != NULL)
        thread_cache_open_after_fork(own);
    if (is_at_rest)
        return;
    for (struct thread_cache *cache = home->caches; cache != NULL;
         cache = cache->next)
        ranked_lock_release(&cache->lock);
}

/* The child's one thread is not on its way in anywhere. */
static void set_fence_in_child(struct thread_cache *cache)
{
    if (memory_barrier_is_asymmetric())
        return;
    __atomic_fetch_or(&cache->gate, GATE_FENCE, __ATOMIC_SEQ_CST);
    cache->is_fenced = true;
}

static void make_orphan(struct thread_cache *cache, bool is_at_rest)
{
    /* If its thread could not be waited for, its state is not known. */
    if (may_change(cache, is_at_rest) && cache->busy != 0)
        magazine_init_all(&cache->magazines);
    if (!is_at_rest)
        ranked_lock_release(&cache->lock);
}

/* The list of caches becomes that of orphans, and those that are none get a new
 * one: most orphans are only read. */
void cache_visit_orphan_others(struct heap_caches *home, bool is_at_rest)
{
    struct thread_cache *kept = NULL, *last = NULL, *next;
    ranked_lock_assert_held(&home->caches_lock);
    for (struct thread_cache *cache = home->caches; cache != NULL;
         cache = next) {
        next = cache->next;
        if (!is_own(cache) && !cache->is_spare) {
            make_orphan(cache, is_at_rest);
            last = cache;
            continue;
        }
        thread_cache_unlink(home, cache);
        cache->next = kept;
        kept = cache;
    }
    if (last != NULL) {
        last->next = atomic_load(&home->orphans);
        atomic_store(&home->orphans, home->caches);
    }
    home->caches = home->to_age = NULL;
    atomic_store(&home->active, NULL);
    for (; kept != NULL; kept = next) {
        next = kept->next;
        thread_cache_link(home, kept);
        set_fence_in_child(kept);
        if (kept->is_active)
            thread_cache_activate(kept);
    }
}

/* Until they are empty, cache_visit_may_find() finds them. */
void cache_visit_bury_orphans(struct heap_caches *home)
{
    struct thread_cache *cache, *next;
    assert(allocator_is_inside());
    if (atomic_load(&home->orphans) == NULL)
        return;
    ranked_lock_take(&home->caches_lock);
    for (cache = atomic_load(&home->orphans); cache != NULL;
         cache = cache->next)
        magazine_drop_all(&cache->magazines);
    for (cache = take_orphans(home); cache != NULL; cache = next) {
        next = cache->next;
        thread_cache_end(home, cache);
    }
    ranked_lock_release(&home->caches_lock);
}
