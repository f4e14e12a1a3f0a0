/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a thread keeps at hand of one set of arenas: which arena it allocates
 * from, and for each size class a magazine of free objects. Taking from a
 * magazine and putting into one is all that most calls of malloc and free do;
 * neither takes a lock, enters jemalloc or writes to memory that another
 * thread uses.
 *
 * Others may have to get at a thread's magazines all the same: to give
 * everything back before an allocation fails, to age what a sleeping thread
 * holds, to drop what belongs to a set that goes, to stop the world for fork().
 * They lock the cache, close its gate, and wait until the owner is out:
 *
 *     owner:  busy = 1; gate open? use magazines; busy = 0      (else: lock)
 *     other:  lock; gate = closed; barrier in all threads; wait until !busy;
 *             use magazines; gate = open; unlock
 *
 * The barrier is membarrier(2), so that the owner needs none. If the kernel has
 * no such call, or a sandbox forbids it, each owner issues a barrier of its own
 * between its two steps: its gate says so (GATE_FENCE). Whoever finds out that
 * the call has been forbidden sets that in the gates, and then pauses once: an
 * owner that was on its way in with no barrier has arrived by then.
 *
 * The owner's slower ways to the magazines hold the lock, and are marked as
 * `busy` as well: a signal handler, which runs in the owner's thread, has to
 * stay out of them (thread_cache_enter_slowly()).
 *
 * A set and its caches can go while a thread's table still points to them;
 * their gate then stays closed, and the set's id gives them away.
 */
#ifndef THREAD_CACHE_H
#define THREAD_CACHE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "size_class.h"

struct memkind_heap;

/* One more than the greatest slot: MEMKIND_MAX_KIND and the static kinds. */
#define THREAD_CACHE_SLOTS 544

/* Why a gate is closed. */
enum {
    GATE_VISITED = 1, /* someone else is at the magazines */
    GATE_SHUT = 2,    /* for ever: the set is gone, or must not be used */
    GATE_LOCKS = 4,   /* the owner always takes the lock */
    GATE_FENCE = 8,   /* open, to an owner that issues a barrier itself */
};

struct thread_cache {
    /* What each call reads and writes. */
    uint8_t busy;      /* the owner is at the magazines */
    uint8_t gate;      /* see above; other threads write it */
    int32_t ticks;     /* allocations before the next look at the clock */
    const void *owner; /* the set's direct_owner */
    /* The set's first region, with its tags; empty where it has none. */
    uintptr_t base;
    size_t size;
    _Atomic uint16_t *tags;

    struct memkind_heap *heap; /* NULL once it is gone; its caches_lock */
    const void *key;           /* its address, even then */
    uint64_t heap_id;
    bool is_orphan;  /* its thread was the parent's; see heap_fork.h */
    bool is_fenced;  /* its owner has seen GATE_FENCE; its set's caches_lock */
    unsigned place;  /* in the set's arenas */
    int arena_flags; /* for mallocx(): that arena, and no cache of jemalloc's */
    pthread_mutex_t lock;
    size_t limit;    /* of bytes that magazines may hold */
    size_t reserved; /* bytes that they could hold by their capacities */
    int64_t last_tick_ms;
    struct thread_cache *next, *prev;
    uint8_t refill_log[SIZE_CLASS_COUNT]; /* objects of the next refill */
    /*
     * The magazines, stacks of free objects by their classes: the next free
     * place of each, the one after its last, and its first. Below the first
     * there is a NULL, so that an empty one needs no other mark; one without
     * capacity consists of nothing else.
     */
    void **tops[SIZE_CLASS_COUNT];
    void **ends[SIZE_CLASS_COUNT];
    void **bases[SIZE_CLASS_COUNT];
};

/*
 * Where the jemalloc in use has its TLS in the static block anyway, so has
 * ours; otherwise the library has to work when it is loaded by dlopen().
 */
#ifdef MEMKIND_TLS_INITIAL_EXEC
#define THREAD_CACHE_TLS __attribute__((tls_model("initial-exec")))
#else
#define THREAD_CACHE_TLS
#endif
#define THREAD_CACHE_HIDDEN __attribute__((visibility("hidden")))

/* A cache that holds nothing and lets nobody in. */
extern struct thread_cache thread_cache_none SIZE_CLASS_HIDDEN;

/* The cache that was used last (thread_cache_none before the first), and all
 * caches of the thread by their sets' slots (NULL before the first). */
extern __thread struct thread_cache *thread_cache_current THREAD_CACHE_TLS
    THREAD_CACHE_HIDDEN;
extern __thread struct thread_cache **thread_cache_table THREAD_CACHE_TLS
    THREAD_CACHE_HIDDEN;

/* ---- the owner's way to the magazines ----------------------------------- */

/*
 * The owner's plain accesses are what makes the fast way fast: compilers do not
 * fold atomic loads into comparisons. Nothing is torn, they are bytes; their
 * order is kept by the fence, and by the barrier on the other side.
 */
#ifdef __SANITIZE_THREAD__
#define OWNER_LOAD(place) __atomic_load_n(&(place), __ATOMIC_ACQUIRE)
#define OWNER_STORE(place, value)                                              \
    __atomic_store_n(&(place), (value), __ATOMIC_RELEASE)
#define OWNER_FENCE(order) ((void)0)
#else
#define OWNER_LOAD(place) (*(volatile uint8_t *)&(place))
#define OWNER_STORE(place, value) (*(volatile uint8_t *)&(place) = (value))
#define OWNER_FENCE(order) atomic_thread_fence(order)
#endif

/* False: the owner has to take the slow way, by the lock. */
static inline bool thread_cache_enter(struct thread_cache *cache)
{
    /* We are a signal handler, which has interrupted the owner. */
    if (__builtin_expect(OWNER_LOAD(cache->busy) != 0, 0))
        return false;
    OWNER_STORE(cache->busy, 1);
    atomic_signal_fence(memory_order_seq_cst);
    if (__builtin_expect(OWNER_LOAD(cache->gate) == 0, 1)) {
        OWNER_FENCE(memory_order_acquire);
        return true;
    }
    OWNER_STORE(cache->busy, 0);
    return false;
}

/* The same for a gate that is open to an owner that issues a barrier; for no
 * other. */
static inline bool thread_cache_enter_fenced(struct thread_cache *cache)
{
    if (__builtin_expect(OWNER_LOAD(cache->gate) != GATE_FENCE, 1) ||
        OWNER_LOAD(cache->busy) != 0)
        return false;
    /* Both this and what visitors do to gates are sequentially consistent: one
     * of the two sees the other. */
    (void)__atomic_exchange_n(&cache->busy, 1, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&cache->gate, __ATOMIC_SEQ_CST) == GATE_FENCE)
        return true;
    OWNER_STORE(cache->busy, 0);
    return false;
}

static inline void thread_cache_leave(struct thread_cache *cache)
{
    OWNER_FENCE(memory_order_release);
    OWNER_STORE(cache->busy, 0);
}

/*
 * The owner's way in for whatever takes longer. No visitor is in there
 * meanwhile, and no signal handler gets in. The owner is not busy before.
 */
static inline void thread_cache_enter_slowly(struct thread_cache *cache)
{
    pthread_mutex_lock(&cache->lock);
    OWNER_STORE(cache->busy, 1);
    atomic_signal_fence(memory_order_seq_cst);
}

static inline void thread_cache_leave_slowly(struct thread_cache *cache)
{
    thread_cache_leave(cache);
    atomic_signal_fence(memory_order_seq_cst);
    pthread_mutex_unlock(&cache->lock);
}

/* ---- caches of a thread ------------------------------------------------- */

/*
 * The calling thread's cache for a set, which becomes the current one; the
 * set's fallback, which holds nothing, if the thread can have none, or has
 * ended but for destructors of its keys.
 */
struct thread_cache *thread_cache_get(struct memkind_heap *heap);

/* Whether the thread can allocate from arenas: false if it has ended, and
 * jemalloc is not our own copy, which would take all memory from another one.
 * Between allocator_enter() and _end(). */
bool allocator_may_allocate(void);

/*
 * Brackets whatever a thread does beyond the magazines, and all else that takes
 * locks which calls of malloc() may take, too. False if the thread is in there
 * already: a signal handler must not wait for itself. In between the thread is
 * not cancelled.
 */
bool allocator_enter(void);
void allocator_leave(void);
bool allocator_is_inside(void);

/* The same around fork(2), which closes the gate that the others pass. A signal
 * handler that has interrupted fork() is refused like one in the library. */
void allocator_enter_fork(void);
void allocator_leave_fork(void);
/* Whether the caller of fork() was inside before, in a signal handler. */
bool allocator_forks_inside(void);

/* Called with a cache locked, and its owner kept out. */
typedef void thread_cache_visit_fn(struct thread_cache *cache);

/* Visits all caches of the calling thread whose sets are there. To be called
 * between allocator_enter() and _end(). */
void thread_cache_visit_own(thread_cache_visit_fn *visit);

/* ---- other threads' caches ---------------------------------------------- */

/* Visits all caches of a set, one after another. */
void thread_cache_visit_all(struct memkind_heap *heap,
                            thread_cache_visit_fn *visit);

/* The same, but for caches that can hold nothing. */
void thread_cache_visit_used(struct memkind_heap *heap,
                             thread_cache_visit_fn *visit);

/* Visits one cache; its set's caches_lock is held, unless it is the caller's.
 * False if its owner could not be kept out: a signal handler or a debugger
 * holds it up in the middle. */
bool thread_cache_visit(struct thread_cache *cache,
                        thread_cache_visit_fn *visit);

/* Has no owner get in any more. */
void thread_cache_shut(struct thread_cache *cache);

/* Drops all caches of a set, of every thread. */
void thread_cache_retire(struct memkind_heap *heap);

/* What a visit brackets, for all caches of a set together; its caches_lock is
 * held in between. */
void thread_cache_lock_all(struct memkind_heap *heap);
void thread_cache_unlock_all(struct memkind_heap *heap);

/* In a forked child, with all of them locked: those of other threads are
 * orphans, and what the owner does at its gate is as the child's kernel has
 * it. */
void thread_cache_orphan_others(struct memkind_heap *heap);

/* Empties the orphans of a set, and takes them out. */
void thread_cache_bury_orphans(struct memkind_heap *heap);

/* When the library is loaded: makes the key by which caches end with their
 * threads, before jemalloc makes its own. */
void thread_cache_init(void);

#endif
