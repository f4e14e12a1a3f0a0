/* SPDX-License-Identifier: BSD-2-Clause */
#include "upkeep.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "heap_checked.h"
#include "heap_registry.h"
#include "jemalloc_ctl.h"
#include "magazine.h"
#include "object_records.h"

/* Every so often something is due; for a share of the sets, their magazines'
 * ageing, so that each has its turn once a second. */
#define UPKEEP_MS 100
#define AGEING_SHARES 10

/* Allocations between two looks at the clock: few enough for a thread that
 * has become slow to be on time all the same, and one where it is slow. */
#define PERIOD 32
#define SLOW_MS 100

/* For a while longer than pages are kept. */
#define DECAY_SLACK_MS 2000

static _Atomic int64_t next_upkeep;
/* Which prefers readers: programs may take snapshots all the time, and threads
 * must be able to end. */
static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;

void upkeep_enter(void)
{
    pthread_rwlock_rdlock(&lock);
}

void upkeep_leave(void)
{
    pthread_rwlock_unlock(&lock);
}

void upkeep_pause(void)
{
    pthread_rwlock_wrlock(&lock);
}

void upkeep_resume(void)
{
    pthread_rwlock_unlock(&lock);
}

void upkeep_renew_lock(void)
{
    pthread_rwlock_init(&lock, NULL);
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* True for one of all the threads that ask at a time. */
static bool is_due(int64_t now)
{
    int64_t due = atomic_load_explicit(&next_upkeep, memory_order_relaxed);
    return now >= due &&
           atomic_compare_exchange_strong(&next_upkeep, &due, now + UPKEEP_MS);
}

static void age(struct memkind_heap *heap)
{
    thread_cache_bury_orphans(heap);
    thread_cache_visit_used(heap, magazine_age_all);
    if (heap->records != NULL)
        (void)heap_checked_release_down_to(
            heap, object_records_waiting(heap->records) / 2);
}

/* Only where something has been given back to the arenas not long ago. */
static void decay(struct memkind_heap *heap, int64_t now)
{
    ssize_t decay_ms = heap->dirty_decay_ms;
    if (atomic_exchange_explicit(&heap->returned, false, memory_order_relaxed))
        atomic_store(&heap->decays_until_ms, now + decay_ms + DECAY_SLACK_MS);
    if (decay_ms >= 0 && now < atomic_load(&heap->decays_until_ms))
        heap_arenas_decay(heap);
}

static void do_what_is_due(int64_t now)
{
    struct memkind_heap *heap;
    const unsigned share = (unsigned)(now / UPKEEP_MS % AGEING_SHARES);
    const bool decays = !je_has_background_threads();
    upkeep_enter();
    for (unsigned slot = 0; (heap = heap_registry_use_next(slot)) != NULL;) {
        slot = heap->slot + 1;
        if (heap->slot % AGEING_SHARES == share)
            age(heap);
        if (decays)
            decay(heap, now);
        heap_registry_done(heap);
    }
    upkeep_leave();
}

void upkeep_tick(struct thread_cache *cache)
{
    int64_t now = now_ms();
    cache->ticks = now - cache->last_tick_ms < SLOW_MS ? PERIOD : 1;
    cache->last_tick_ms = now;
    if (__builtin_expect(is_due(now), 0) && allocator_enter()) {
        int saved_errno = errno; /* the call that we are in may succeed */
        do_what_is_due(now);
        errno = saved_errno;
        allocator_leave();
    }
}
