/* SPDX-License-Identifier: BSD-2-Clause */
#include "heap_fork.h"

#include "allocator_gate.h"
#include "cache_visit.h"
#include "heap_struct.h"
#include "jemalloc_fork.h"
#include "lost_arenas.h"
#include "memory_barrier.h"
#include "object_records.h"
#include "page_traffic.h"
#include "snapshot_lock.h"

/* Whether no other thread is inside the allocator. */
static bool is_at_rest;
static bool has_barrier;

static void lock_for_reclaiming(struct memkind_heap *heap)
{
    ranked_lock_take(&heap->reclaim_lock);
}

static void lock_list_of_caches(struct memkind_heap *heap)
{
    ranked_lock_take(&heap->caches.caches_lock);
}

static void close_caches(struct memkind_heap *heap)
{
    cache_visit_close_all(&heap->caches, is_at_rest);
}

static void wait_for_caches(struct memkind_heap *heap)
{
    cache_visit_wait_all(&heap->caches, is_at_rest, has_barrier);
}

static void lock_arenas(struct memkind_heap *heap)
{
    ranked_lock_take(&heap->arenas.lock);
}

static void lock_records(struct memkind_heap *heap)
{
    if (heap_is_checked(heap))
        object_records_lock(heap->records);
}

static void unlock_heap(struct memkind_heap *heap)
{
    if (heap_is_checked(heap))
        object_records_unlock(heap->records);
    ranked_lock_release(&heap->arenas.lock);
    cache_visit_release_all(&heap->caches, is_at_rest);
    ranked_lock_release(&heap->caches.caches_lock);
    ranked_lock_release(&heap->reclaim_lock);
}

void heap_fork_prepare(void)
{
    is_at_rest = allocator_close_gate();
    je_fork_prepare(is_at_rest);
    heap_registry_lock();
    lock_rank_allow_equal(true);
    heap_registry_visit_locked(lock_for_reclaiming);
    heap_registry_visit_locked(lock_list_of_caches);
    heap_registry_visit_locked(close_caches);
    has_barrier = memory_barrier_in_all_threads();
    heap_registry_visit_locked(wait_for_caches);
    heap_registry_visit_locked(lock_arenas);
    heap_registry_visit_locked(lock_records);
    lock_rank_allow_equal(false);
}

static void unlock_heaps(void)
{
    heap_registry_visit_locked(unlock_heap);
    heap_registry_unlock();
}

void heap_fork_parent(void)
{
    unlock_heaps();
    allocator_open_gate();
}

/* A hook holds this lock for a moment, under jemalloc's locks, so that it
 * cannot be waited for here. What a hook does under it leaves the list usable
 * at any moment. */
static void renew_blocks_lock(struct memkind_heap *heap)
{
    ranked_lock_init(&heap->arenas.extents.blocks_lock, RANK_BLOCKS);
}

/* What another thread was at, it does not end in the child. */
static void forget_reclaims(struct memkind_heap *heap)
{
    atomic_store(&heap->exhaustion.reclaims, 0);
}

static void orphan_other_caches(struct memkind_heap *heap)
{
    cache_visit_orphan_others(&heap->caches, is_at_rest);
}

void heap_fork_child(void)
{
    /* The kernel may give the child another answer than its parent. */
    memory_barrier_register();
    (void)memory_barrier_in_all_threads();
    lost_arenas_renew_lock();
    page_traffic_renew();
    snapshot_lock_renew_in_child();
    heap_registry_forget_users();
    heap_registry_visit_locked(renew_blocks_lock);
    heap_registry_visit_locked(forget_reclaims);
    heap_registry_visit_locked(orphan_other_caches);
    unlock_heaps();
    allocator_open_gate_in_child();
}
