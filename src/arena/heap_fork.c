/* SPDX-License-Identifier: BSD-2-Clause */
#include "heap_fork.h"

#include "fork_gate.h"
#include "heap_create.h"
#include "heap_registry.h"
#include "lost_arenas.h"
#include "memory_barrier.h"
#include "object_records.h"
#include "thread_cache.h"
#include "upkeep.h"

static void lock_for_reclaiming(struct memkind_heap *heap)
{
    pthread_mutex_lock(&heap->reclaim_lock);
}

static void lock(struct memkind_heap *heap)
{
    pthread_mutex_lock(&heap->lock);
    if (heap->records != NULL)
        object_records_lock(heap->records);
}

static void unlock(struct memkind_heap *heap)
{
    if (heap->records != NULL)
        object_records_unlock(heap->records);
    pthread_mutex_unlock(&heap->lock);
    thread_cache_unlock_all(heap);
    pthread_mutex_unlock(&heap->reclaim_lock);
}

/* Nothing of what a hook does under this lock takes long, or leaves its list
 * unusable half-way; hooks hold it under jemalloc's locks, and so it cannot be
 * waited for here. */
static void renew_owner_lock(struct memkind_heap *heap)
{
    ranked_lock_init(&heap->extents.blocks_lock, RANK_BLOCKS);
}

void heap_fork_prepare(void)
{
    fork_gate_close(allocator_forks_inside());
    heap_registry_lock();
    heap_registry_visit_locked(lock_for_reclaiming);
    heap_registry_visit_locked(thread_cache_lock_all);
    heap_registry_visit_locked(lock);
}

static void unlock_all(void)
{
    heap_registry_visit_locked(unlock);
    heap_registry_unlock();
}

void heap_fork_parent(void)
{
    unlock_all();
    fork_gate_open();
}

void heap_fork_child(void)
{
    /* The kernel may think otherwise of the child. */
    memory_barrier_register();
    (void)memory_barrier_in_all_threads();
    lost_arenas_renew_lock();
    upkeep_renew_lock();
    heap_registry_forget_users();
    heap_registry_visit_locked(renew_owner_lock);
    heap_registry_visit_locked(thread_cache_orphan_others);
    unlock_all();
    fork_gate_open_in_child(allocator_forks_inside());
}
