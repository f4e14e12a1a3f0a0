/* SPDX-License-Identifier: BSD-2-Clause */
#include "arena_fork.h"

#include "arena_set.h"
#include "fork_gate.h"
#include "lost_arenas.h"
#include "memory_barrier.h"
#include "object_records.h"
#include "set_registry.h"
#include "thread_cache.h"
#include "upkeep.h"

static void lock_for_reclaiming(struct memkind_arena_set *set)
{
    pthread_mutex_lock(&set->reclaim_lock);
}

static void lock(struct memkind_arena_set *set)
{
    pthread_mutex_lock(&set->lock);
    if (set->records != NULL)
        object_records_lock(set->records);
}

static void unlock(struct memkind_arena_set *set)
{
    if (set->records != NULL)
        object_records_unlock(set->records);
    pthread_mutex_unlock(&set->lock);
    thread_cache_unlock_all(set);
    pthread_mutex_unlock(&set->reclaim_lock);
}

/* Nothing of what a hook does under this lock takes long, or leaves its list
 * unusable half-way; hooks hold it under jemalloc's locks, and so it cannot be
 * waited for here. */
static void renew_owner_lock(struct memkind_arena_set *set)
{
    pthread_mutex_init(&set->extents.blocks_lock, NULL);
}

void arena_fork_prepare(void)
{
    fork_gate_close(thread_cache_forks_inside());
    set_registry_lock();
    set_registry_visit_locked(lock_for_reclaiming);
    set_registry_visit_locked(thread_cache_lock_all);
    set_registry_visit_locked(lock);
}

static void unlock_all(void)
{
    set_registry_visit_locked(unlock);
    set_registry_unlock();
}

void arena_fork_parent(void)
{
    unlock_all();
    fork_gate_open();
}

void arena_fork_child(void)
{
    /* The kernel may think otherwise of the child. */
    memory_barrier_register();
    (void)memory_barrier_in_all_threads();
    lost_arenas_renew_lock();
    upkeep_renew_lock();
    set_registry_forget_users();
    set_registry_visit_locked(renew_owner_lock);
    set_registry_visit_locked(thread_cache_orphan_others);
    unlock_all();
    fork_gate_open_in_child(thread_cache_forks_inside());
}
