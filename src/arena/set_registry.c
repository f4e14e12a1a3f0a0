/* SPDX-License-Identifier: BSD-2-Clause */
#include "set_registry.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t unused = PTHREAD_COND_INITIALIZER;
static struct memkind_arena_set *sets[THREAD_CACHE_SLOTS];
static bool taken[THREAD_CACHE_SLOTS];

bool set_registry_add(struct memkind_arena_set *set)
{
    bool found = false;
    pthread_mutex_lock(&lock);
    for (unsigned i = 0; i < THREAD_CACHE_SLOTS && !found; i++) {
        if (taken[i])
            continue;
        found = true;
        taken[i] = true;
        sets[i] = set;
        set->slot = i;
    }
    pthread_mutex_unlock(&lock);
    return found;
}

void set_registry_remove(struct memkind_arena_set *set)
{
    pthread_mutex_lock(&lock);
    sets[set->slot] = NULL;
    while (set->users > 0)
        pthread_cond_wait(&unused, &lock);
    pthread_mutex_unlock(&lock);
}

void set_registry_free_slot(unsigned slot)
{
    pthread_mutex_lock(&lock);
    taken[slot] = false;
    pthread_mutex_unlock(&lock);
}

struct memkind_arena_set *set_registry_use(unsigned slot, uint64_t id)
{
    pthread_mutex_lock(&lock);
    struct memkind_arena_set *set = sets[slot];
    if (set != NULL && set->id != id)
        set = NULL;
    if (set != NULL)
        set->users++;
    pthread_mutex_unlock(&lock);
    return set;
}

struct memkind_arena_set *set_registry_use_next(unsigned slot)
{
    struct memkind_arena_set *set = NULL;
    pthread_mutex_lock(&lock);
    for (unsigned i = slot; i < THREAD_CACHE_SLOTS && set == NULL; i++)
        set = sets[i];
    if (set != NULL)
        set->users++;
    pthread_mutex_unlock(&lock);
    return set;
}

void set_registry_done(struct memkind_arena_set *set)
{
    pthread_mutex_lock(&lock);
    if (--set->users == 0)
        pthread_cond_broadcast(&unused);
    pthread_mutex_unlock(&lock);
}

/* ---- fork --------------------------------------------------------------- */

void set_registry_lock(void)
{
    pthread_mutex_lock(&lock);
}

void set_registry_unlock(void)
{
    pthread_mutex_unlock(&lock);
}

void set_registry_visit_locked(void (*visit)(struct memkind_arena_set *set))
{
    for (unsigned i = 0; i < THREAD_CACHE_SLOTS; i++)
        if (sets[i] != NULL)
            visit(sets[i]);
}

void set_registry_forget_users(void)
{
    for (unsigned i = 0; i < THREAD_CACHE_SLOTS; i++)
        if (sets[i] != NULL)
            sets[i]->users = 0;
    pthread_cond_init(&unused, NULL);
}
