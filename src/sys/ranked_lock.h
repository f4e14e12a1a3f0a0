/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Mutexes that know their place in the order of locks.
 *
 * The order is enum lock_rank, from first to last: a thread that holds a lock
 * takes only locks of greater ranks. Debug builds check this whenever a lock is
 * taken, and ranked_lock_assert_held() checks that it is held. In other builds
 * a ranked lock is a pthread mutex and nothing more.
 */
#ifndef RANKED_LOCK_H
#define RANKED_LOCK_H

#include <pthread.h>
#include <stdbool.h>

#include "cancellation.h"

enum lock_rank {
    /* The kind layer. */
    RANK_DEFAULT_HEAP = 1, /* making the heap of a DRAM kind */
    RANK_KIND_REGISTRY,    /* which kinds there are */
    RANK_MISUSE,           /* which handler misuse is reported to */
    /* The layers of heaps, caches and arenas. */
    RANK_FORK_GATE,     /* held while fork() keeps threads out */
    RANK_SNAPSHOT,      /* for writing: a snapshot of statistics is taken */
    RANK_HEAP_REGISTRY, /* which heaps there are, and how many use them */
    RANK_RECLAIM,       /* one for each heap: one thread at a time purges */
    RANK_CACHES,        /* one for each heap: its list of caches */
    RANK_CACHE,         /* one for each cache: its magazines */
    RANK_ARENAS,        /* one for each heap: its arenas and their threads */
    RANK_RECORDS,       /* tables of a checked heap's objects */
    /* jemalloc's own locks. Extent hooks run with some of them held. */
    RANK_JEMALLOC,
    RANK_BLOCKS,      /* one for each heap: its blocks that are in no region */
    RANK_LOST_ARENAS, /* indices of arenas that can be used again */
    /* The region layer. */
    RANK_POOL_LIST,     /* which pools there are, and their directories */
    RANK_POOL,          /* one for each pool: growth */
    RANK_GRAINS,        /* one for each region: grains, and space it owes */
    RANK_DETACHED,      /* one for each region: pages detached from the file */
    RANK_LATE_CLOSE,    /* what a thread gives back of kinds that are gone */
    RANK_LIBPMEM,       /* calls of libpmem */
    RANK_ADDRESS_TABLE, /* writers of the table of addresses */
    RANK_MAPPING_COUNT, /* mappings of forked children */
    RANK_FORK_MARK,     /* which processes need files as they were */
    RANK_READAHEAD,     /* one for each pool: whether there is readahead */
    RANK_LEAK_ROOTS,    /* what LeakSanitizer has registered */
    LOCK_RANKS,
};
_Static_assert(RANK_DEFAULT_HEAP > 0, "0 stands for no lock");

struct ranked_lock {
    pthread_mutex_t mutex;
#ifndef NDEBUG
    enum lock_rank rank;
#endif
};

#ifdef NDEBUG
#define RANKED_LOCK_INITIALIZER(lock_rank)                                     \
    {                                                                          \
        PTHREAD_MUTEX_INITIALIZER                                              \
    }
#else
#define RANKED_LOCK_INITIALIZER(lock_rank)                                     \
    {                                                                          \
        PTHREAD_MUTEX_INITIALIZER, (lock_rank)                                 \
    }
#endif

#ifdef NDEBUG
static inline void lock_rank_take(enum lock_rank rank)
{
    (void)rank;
}
static inline void lock_rank_release(enum lock_rank rank)
{
    (void)rank;
}
static inline void lock_rank_allow_equal(bool allow)
{
    (void)allow;
}
#else
/* For what is not a ranked_lock: a read-write lock, jemalloc's locks. Aborts if
 * the thread holds a lock of the same or a greater rank. */
void lock_rank_take(enum lock_rank rank);
void lock_rank_release(enum lock_rank rank);

/* For a lock that is taken without a check of the order. */
void lock_rank_note(enum lock_rank rank);

/* Around fork(2), which takes all locks of a rank one after another. */
void lock_rank_allow_equal(bool allow);

/* Whether the calling thread holds any lock of the rank. */
bool lock_rank_is_held(enum lock_rank rank);
#endif

static inline void ranked_lock_init(struct ranked_lock *lock,
                                    enum lock_rank rank)
{
    pthread_mutex_init(&lock->mutex, NULL);
#ifdef NDEBUG
    (void)rank;
#else
    lock->rank = rank;
#endif
}

/* In a forked child, for a lock that another thread may have left locked.
 * Returns whether it was free. */
static inline bool ranked_lock_renew(struct ranked_lock *lock,
                                     enum lock_rank rank)
{
    const bool was_free = pthread_mutex_trylock(&lock->mutex) == 0;
    if (was_free)
        pthread_mutex_unlock(&lock->mutex);
    ranked_lock_init(lock, rank);
    return was_free;
}

static inline void ranked_lock_destroy(struct ranked_lock *lock)
{
    pthread_mutex_destroy(&lock->mutex);
}

static inline void ranked_lock_take(struct ranked_lock *lock)
{
#ifndef NDEBUG
    lock_rank_take(lock->rank);
#endif
    pthread_mutex_lock(&lock->mutex);
}

/* Does not wait: false if the lock is not free. */
static inline bool ranked_lock_try(struct ranked_lock *lock)
{
    if (pthread_mutex_trylock(&lock->mutex) != 0)
        return false;
#ifndef NDEBUG
    lock_rank_note(lock->rank);
#endif
    return true;
}

/* Waits, but leaves the order unchecked: for a lock that a signal handler may
 * take while its thread holds any other one. A thread that holds such a lock
 * has signals blocked and waits for no other lock, except around fork(2). */
static inline void ranked_lock_take_in_handler(struct ranked_lock *lock)
{
    pthread_mutex_lock(&lock->mutex);
#ifndef NDEBUG
    lock_rank_note(lock->rank);
#endif
}

static inline void ranked_lock_release(struct ranked_lock *lock)
{
    pthread_mutex_unlock(&lock->mutex);
#ifndef NDEBUG
    lock_rank_release(lock->rank);
#endif
}

/* pthread_cond_wait(3) with the lock. */
static inline void ranked_lock_wait(struct ranked_lock *lock,
                                    pthread_cond_t *condition)
{
    cancellation_forbid();
    pthread_cond_wait(condition, &lock->mutex);
}

/* Debug builds abort if the calling thread holds no lock of this one's rank. */
static inline void ranked_lock_assert_held(const struct ranked_lock *lock)
{
#ifdef NDEBUG
    (void)lock;
#else
    if (!lock_rank_is_held(lock->rank))
        __builtin_trap();
#endif
}

#endif
