/* SPDX-License-Identifier: BSD-2-Clause */
#include "heap_registry.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t unused = PTHREAD_COND_INITIALIZER;
static struct memkind_heap *sets[THREAD_CACHE_SLOTS];
static bool taken[THREAD_CACHE_SLOTS];

bool heap_registry_add(struct memkind_heap *heap)
{
    bool found = false;
    pthread_mutex_lock(&lock);
    for (unsigned i = 0; i < THREAD_CACHE_SLOTS && !found; i++) {
        if (taken[i])
            continue;
        found = true;
        taken[i] = true;
        sets[i] = heap;
        heap->slot = i;
    }
    pthread_mutex_unlock(&lock);
    return found;
}

void heap_registry_remove(struct memkind_heap *heap)
{
    pthread_mutex_lock(&lock);
    sets[heap->slot] = NULL;
    while (heap->users > 0)
        pthread_cond_wait(&unused, &lock);
    pthread_mutex_unlock(&lock);
}

void heap_registry_free_slot(unsigned slot)
{
    pthread_mutex_lock(&lock);
    taken[slot] = false;
    pthread_mutex_unlock(&lock);
}

struct memkind_heap *heap_registry_use(unsigned slot, uint64_t id)
{
    pthread_mutex_lock(&lock);
    struct memkind_heap *heap = sets[slot];
    if (heap != NULL && heap->id != id)
        heap = NULL;
    if (heap != NULL)
        heap->users++;
    pthread_mutex_unlock(&lock);
    return heap;
}

struct memkind_heap *heap_registry_use_next(unsigned slot)
{
    struct memkind_heap *heap = NULL;
    pthread_mutex_lock(&lock);
    for (unsigned i = slot; i < THREAD_CACHE_SLOTS && heap == NULL; i++)
        heap = sets[i];
    if (heap != NULL)
        heap->users++;
    pthread_mutex_unlock(&lock);
    return heap;
}

void heap_registry_done(struct memkind_heap *heap)
{
    pthread_mutex_lock(&lock);
    if (--heap->users == 0)
        pthread_cond_broadcast(&unused);
    pthread_mutex_unlock(&lock);
}

/* ---- fork --------------------------------------------------------------- */

void heap_registry_lock(void)
{
    pthread_mutex_lock(&lock);
}

void heap_registry_unlock(void)
{
    pthread_mutex_unlock(&lock);
}

void heap_registry_visit_locked(void (*visit)(struct memkind_heap *heap))
{
    for (unsigned i = 0; i < THREAD_CACHE_SLOTS; i++)
        if (sets[i] != NULL)
            visit(sets[i]);
}

void heap_registry_forget_users(void)
{
    for (unsigned i = 0; i < THREAD_CACHE_SLOTS; i++)
        if (sets[i] != NULL)
            sets[i]->users = 0;
    pthread_cond_init(&unused, NULL);
}
