/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a thread keeps at hand of one heap: the arena that it allocates from,
 * and a magazine of free objects for each size class. Most calls of malloc and
 * free do no more than take from a magazine or put into one. That takes no
 * lock, does not enter jemalloc, and writes to no memory that another thread
 * uses.
 *
 * Other threads have to get at a thread's magazines, too: to give
 * everything back before an allocation fails, to age what a sleeping thread
 * holds, to drop what belongs to a heap that is destroyed, to stop the world
 * for fork(). Such a visitor (cache_visit.h) locks the cache, closes its gate,
 * and waits until the cache's own thread is out:
 *
 *     thread:   busy = 1; gate open? use magazines; busy = 0   (else: lock)
 *     visitor:  lock; gate = closed; barrier in all threads; wait until !busy;
 *               use magazines; gate = open; unlock
 *
 * The barrier is membarrier(2), so that the thread needs none. If the kernel
 * has no such call, or a sandbox forbids it, each thread issues a barrier of
 * its own between its two steps: its gate says so (GATE_FENCE). A visitor that
 * finds out that the call has been forbidden sets GATE_FENCE in the gates, and
 * then pauses once: a thread that was on its way in without a barrier has
 * arrived by then.
 *
 * The thread's slower ways to its magazines hold the lock and set `busy` as
 * well, since a signal handler, which runs in that thread, must stay out
 * (thread_cache_enter_slowly()).
 *
 * fork() closes gates, too, but leaves it to the caches' threads to open them:
 * what is not written to need not be copied for the parent.
 *
 * A cache outlives its thread if little is in it: the heap keeps it as a spare
 * one, and the next thread that comes takes it over, whole. Visitors find spare
 * caches in the heap's lists like others, and have no thread to keep out: a
 * cache gets its next thread under the caches_lock, which visitors hold.
 *
 * A heap can be destroyed while a thread's table still points to its cache. The
 * gate of that cache then stays closed, and the heap's id shows that it is
 * gone.
 */
#ifndef THREAD_CACHE_H
#define THREAD_CACHE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "heap_registry.h"
#include "magazine.h"
#include "ranked_lock.h"
#include "tls_model.h"

/* Why a gate is closed. */
enum {
    GATE_VISITED = 1, /* a visitor is at the magazines */
    GATE_SHUT = 2,    /* for ever: the heap is gone, or must not be used */
    GATE_LOCKS = 4,   /* the thread always takes the lock */
    GATE_FENCE = 8,   /* open, to a thread that issues a barrier itself */
    GATE_SWEPT = 16,  /* a visitor of many caches will be */
    GATE_FORKED = 32, /* fork() was; the thread opens the gate itself */
};

/* When its thread gives way to which; see fair_share.h. */
struct fair_share {
    unsigned frees_left;    /* until it looks at another tally */
    unsigned other;         /* that tally */
    unsigned failures_seen; /* there */
    unsigned vain, stops;   /* looks in a row */
    bool is_refused;        /* and has got nothing since */
};

/*
 * What a visitor of many caches needs lies close together: with thousands of
 * threads, that is not in the CPU's caches.
 *
 * A cache often lies at the start of a page, as the first objects of most slabs
 * do, and to a CPU that compares 12 bits of addresses, what is stored to the
 * one is what is loaded from the other. So what each call stores comes last:
 * cfrac's time is 6 % less.
 */
struct thread_cache {
    struct magazines magazines;

    /* What each call reads and writes. A store of 32 bits is cheaper than one
     * of a byte, which CPUs do not forward to the next load as quickly. */
    _Alignas(64) uint32_t busy; /* the thread is at the magazines */
    uint8_t gate;               /* see above; other threads write it */
    /* In the home's list of active caches: some magazine is not sealed. Set by
     * the thread with the cache's lock; see thread_cache_deactivate(). The
     * thread reads it without. */
    bool is_active;
    bool is_spare;     /* its thread has ended; guarded by the caches_lock */
    int32_t ticks;     /* allocations before the next look at the clock */
    const void *owner; /* the heap's direct_owner */
    /* The heap's first region, with its tags; empty if there is none. */
    uintptr_t base;
    size_t size;
    _Atomic uint16_t *tags;

    const void *key; /* the heap's address */
    struct thread_cache *_Atomic next_active;

    struct heap_caches *home;         /* the heap's, which may be gone */
    struct ranked_lock lock;          /* RANK_CACHE */
    struct thread_cache *next, *prev; /* guarded by the caches_lock */
    struct thread_cache *prev_active; /* so, too; NULL if it is not known */

    struct heap_place place; /* the heap's, by which it is known to be there */
    int64_t last_tick_ms;
    unsigned failures_seen, calm; /* see exhaustion.h; the thread's own */
    struct fair_share share;      /* so is this */
    /* Guarded by the home's caches_lock. */
    bool is_dropped;    /* in no list any more, since the heap goes */
    bool is_fenced;     /* its thread has seen GATE_FENCE */
    size_t spare_bytes; /* its part of the home's; 0 unless it is spare */
    struct thread_cache *next_spare;
};

/* What a heap has of its caches. */
struct heap_caches {
    struct memkind_heap *heap;
    struct heap_place place;
    const void *direct_owner; /* see thread_cache.owner */
    struct heap_arenas *arenas;
    size_t cache_limit;             /* bytes, for each cache */
    bool take_locks;                /* all gates have GATE_LOCKS */
    struct ranked_lock caches_lock; /* RANK_CACHES; guards what follows */
    struct thread_cache *caches;    /* of live threads, and spare ones */
    struct thread_cache *to_age;    /* the next one, while caches age */
    struct thread_cache *spare;     /* the last one first */
    unsigned spare_count;
    size_t spare_bytes; /* that the magazines of all of them may hold */
    /* In a forked child, those of the parent's other threads. They are in no
     * other list. */
    struct thread_cache *_Atomic orphans;
    struct depot depot;           /* between them */
    bool depot_ages;              /* a step has begun; by the caches_lock */
    struct thread_cache fallback; /* for threads that can have no cache */
    /* Those that may hold objects. Any thread puts its cache in front; the rest
     * is guarded by the caches_lock. */
    struct thread_cache *_Atomic active;
};

/* Prepares a heap's caches. The arenas are there; the place is set later, and
 * before any thread knows the heap. */
void heap_caches_init(struct heap_caches *home, struct memkind_heap *heap,
                      const void *direct_owner, struct heap_arenas *arenas,
                      bool take_locks);
void heap_caches_fini(struct heap_caches *home);

#define THREAD_CACHE_HIDDEN __attribute__((visibility("hidden")))

/* A cache that holds nothing and lets no thread in. */
extern struct thread_cache thread_cache_none SIZE_CLASS_HIDDEN;

/* The cache that the thread used last (thread_cache_none before the first), and
 * all caches of the thread by their heaps' slots (NULL before the first). */
extern __thread struct thread_cache *thread_cache_current TLS_MODEL
    THREAD_CACHE_HIDDEN;
extern __thread struct thread_cache **thread_cache_table TLS_MODEL
    THREAD_CACHE_HIDDEN;

/* ---- the thread's way to its magazines ---------------------------------- */

/*
 * The thread's plain accesses are what makes the fast way fast: compilers do
 * not fold atomic loads into comparisons. No access is torn, since these are
 * bytes and aligned words; their order is kept by the fence, and by the barrier
 * on the visitor's side.
 */
#ifdef __SANITIZE_THREAD__
#define CACHE_LOAD(place) __atomic_load_n(&(place), __ATOMIC_ACQUIRE)
#define CACHE_STORE(place, value)                                              \
    __atomic_store_n(&(place), (value), __ATOMIC_RELEASE)
#define CACHE_FENCE(order) ((void)0)
#else
#define CACHE_LOAD(place) (*(const volatile __typeof__(place) *)&(place))
#define CACHE_STORE(place, value)                                              \
    (*(volatile __typeof__(place) *)&(place) = (value))
#define CACHE_FENCE(order) atomic_thread_fence(order)
#endif

/* Returns false if the thread has to take the slow way, by the lock. */
static inline bool thread_cache_enter(struct thread_cache *cache)
{
    /* A signal handler that has interrupted the thread in there is refused. */
    if (__builtin_expect(CACHE_LOAD(cache->busy) != 0, 0))
        return false;
    CACHE_STORE(cache->busy, 1);
    atomic_signal_fence(memory_order_seq_cst);
    if (__builtin_expect(CACHE_LOAD(cache->gate) == 0, 1)) {
        CACHE_FENCE(memory_order_acquire);
        return true;
    }
    CACHE_STORE(cache->busy, 0);
    return false;
}

/* Enters by a gate that is open to a thread that issues a barrier, and by no
 * other. */
static inline bool thread_cache_enter_fenced(struct thread_cache *cache)
{
    if (__builtin_expect(CACHE_LOAD(cache->gate) != GATE_FENCE, 1) ||
        CACHE_LOAD(cache->busy) != 0)
        return false;
    /* This store, and what visitors do to gates, are sequentially consistent:
     * one of the two threads sees the other. */
    (void)__atomic_exchange_n(&cache->busy, 1, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&cache->gate, __ATOMIC_SEQ_CST) == GATE_FENCE)
        return true;
    CACHE_STORE(cache->busy, 0);
    return false;
}

static inline void thread_cache_leave(struct thread_cache *cache)
{
    CACHE_FENCE(memory_order_release);
    CACHE_STORE(cache->busy, 0);
}

/* Attaches a cache to another arena if its own does not suit the thread any
 * more, whose cache it is: a directory is full. Inside the allocator. */
void thread_cache_change_arena(struct thread_cache *cache);

/* Enters a cache in its home's list of active caches. The cache is locked. */
void thread_cache_activate(struct thread_cache *cache);

/* Takes a cache out of that list if it is there. The caches_lock is held, and
 * the cache is locked unless its thread has ended. */
void thread_cache_deactivate(struct thread_cache *cache);

/* Opens a gate that fork() has closed. The caller is the cache's thread, inside
 * the allocator. */
static inline void thread_cache_open_after_fork(struct thread_cache *cache)
{
    __atomic_fetch_and(&cache->gate, (uint8_t)~GATE_FORKED, __ATOMIC_RELAXED);
}

/*
 * The thread's way in for whatever takes longer. No visitor is in there
 * meanwhile, and no signal handler gets in. The thread is not busy before.
 */
static inline void thread_cache_enter_slowly(struct thread_cache *cache)
{
    ranked_lock_take(&cache->lock);
    CACHE_STORE(cache->busy, 1);
    atomic_signal_fence(memory_order_seq_cst);
    cache->magazines.is_bypassed =
        arena_returns_are_counted(&cache->home->arenas->returns);
    if (__builtin_expect(!cache->is_active && !cache->magazines.is_bypassed, 0))
        thread_cache_activate(cache);
    if (__builtin_expect((CACHE_LOAD(cache->gate) & GATE_FORKED) != 0, 0))
        thread_cache_open_after_fork(cache);
}

static inline void thread_cache_leave_slowly(struct thread_cache *cache)
{
    thread_cache_leave(cache);
    atomic_signal_fence(memory_order_seq_cst);
    ranked_lock_release(&cache->lock);
}

/* Whether the calling thread may use a cache's magazines by the slower ways:
 * not those of the fallback, and not as a signal handler that has found its
 * thread at them. */
static inline bool thread_cache_is_usable(const struct thread_cache *cache)
{
    return cache != &cache->home->fallback && CACHE_LOAD(cache->busy) == 0;
}

/* ---- caches come and go ------------------------------------------------- */

/* Called when the library is loaded: makes the key by which caches end with
 * their threads, before jemalloc makes its own. */
void thread_cache_init(void);

/*
 * The calling thread's cache of a heap, which is made if there is none; it is
 * thread_cache_current from then on. The heap's fallback if a thread is ending,
 * or there is no DRAM. Inside the allocator.
 */
struct thread_cache *thread_cache_get(struct heap_caches *home);

/* Gives back what a cache holds, and frees it. It is in no list any more. */
void thread_cache_end(struct heap_caches *home, struct thread_cache *cache);

/* Frees some of the spare caches that ageing has emptied. Returns whether
 * others may be left. Inside the allocator. */
bool thread_cache_end_empty_spares(struct heap_caches *home);

/* Frees a cache whose heap is gone. */
void thread_cache_free(struct thread_cache *cache);

/* Puts a cache into its heap's list, or takes it out; the caches_lock is held.
 */
void thread_cache_link(struct heap_caches *home, struct thread_cache *cache);
void thread_cache_unlink(struct heap_caches *home, struct thread_cache *cache);

#endif
