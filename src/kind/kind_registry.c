/* SPDX-License-Identifier: BSD-2-Clause */
#include "kind_registry.h"

#include <pthread.h>
#include <string.h>

#include "heap_create.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct memkind *kinds[HEAP_SLOTS]; /* by their sets' slots */
static struct memkind storage[MEMKIND_MAX_KIND];
static bool storage_taken[MEMKIND_MAX_KIND];
static size_t storage_next; /* where the next search begins */

void kind_registry_add(struct memkind *kind)
{
    pthread_mutex_lock(&lock);
    kinds[heap_slot(kind->heap)] = kind;
    pthread_mutex_unlock(&lock);
}

void kind_registry_remove(struct memkind *kind)
{
    pthread_mutex_lock(&lock);
    kinds[heap_slot(kind->heap)] = NULL;
    pthread_mutex_unlock(&lock);
}

bool kind_registry_contains(const struct memkind *kind)
{
    bool found = false;
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < HEAP_SLOTS && !found; i++)
        found = kinds[i] == kind;
    pthread_mutex_unlock(&lock);
    return found;
}

void kind_registry_lock(void)
{
    pthread_mutex_lock(&lock);
}

void kind_registry_unlock(void)
{
    pthread_mutex_unlock(&lock);
}

void kind_registry_visit(void (*visit)(struct memkind *kind))
{
    for (size_t i = 0; i < HEAP_SLOTS; i++)
        if (kinds[i] != NULL)
            visit(kinds[i]);
}

struct memkind *kind_storage_get(void)
{
    struct memkind *kind = NULL;
    pthread_mutex_lock(&lock);
    for (size_t n = 0; n < MEMKIND_MAX_KIND; n++) {
        /* In turn: that of a kind that is gone stays empty for long. */
        size_t i = (storage_next + n) % MEMKIND_MAX_KIND;
        if (storage_taken[i])
            continue;
        storage_next = i + 1;
        storage_taken[i] = true;
        kind = &storage[i];
        memset(kind, 0, sizeof *kind);
        kind->partition = MEMKIND_NUM_BASE_KIND + (unsigned)i;
        break;
    }
    pthread_mutex_unlock(&lock);
    return kind;
}

void kind_storage_put(struct memkind *kind)
{
    pthread_mutex_lock(&lock);
    storage_taken[kind - storage] = false;
    pthread_mutex_unlock(&lock);
}

bool kind_storage_owns(const struct memkind *kind)
{
    return kind >= storage && kind < storage + MEMKIND_MAX_KIND;
}
