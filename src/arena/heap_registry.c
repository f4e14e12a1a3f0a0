/* SPDX-License-Identifier: BSD-2-Clause */
#include "heap_registry.h"

#include <assert.h>
#include <pthread.h>
#include <stddef.h>

#include "ranked_lock.h"

static struct ranked_lock registry_lock =
    RANKED_LOCK_INITIALIZER(RANK_HEAP_REGISTRY);
static pthread_cond_t heap_is_unused = PTHREAD_COND_INITIALIZER;
static uint64_t last_id;

static struct {
    struct memkind_heap *heap; /* NULL before it is entered, and afterwards */
    uint64_t id;
    unsigned users;
    bool is_taken;
} slots[HEAP_SLOTS];

bool heap_registry_add(struct memkind_heap *heap, struct heap_place *place)
{
    bool found = false;
    ranked_lock_take(&registry_lock);
    for (unsigned i = 0; i < HEAP_SLOTS && !found; i++) {
        if (slots[i].is_taken)
            continue;
        found = true;
        *place = (struct heap_place){.id = ++last_id, .slot = i};
        slots[i].is_taken = true;
        slots[i].id = place->id;
        slots[i].heap = heap;
    }
    ranked_lock_release(&registry_lock);
    return found;
}

void heap_registry_remove(unsigned slot)
{
    ranked_lock_take(&registry_lock);
    slots[slot].heap = NULL;
    while (slots[slot].users > 0)
        ranked_lock_wait(&registry_lock, &heap_is_unused);
    ranked_lock_release(&registry_lock);
}

void heap_registry_free_slot(unsigned slot)
{
    ranked_lock_take(&registry_lock);
    assert(slots[slot].is_taken && slots[slot].heap == NULL);
    slots[slot].is_taken = false;
    ranked_lock_release(&registry_lock);
}

struct memkind_heap *heap_registry_use(const struct heap_place *place)
{
    struct memkind_heap *heap = NULL;
    ranked_lock_take(&registry_lock);
    if (slots[place->slot].id == place->id)
        heap = slots[place->slot].heap;
    if (heap != NULL)
        slots[place->slot].users++;
    ranked_lock_release(&registry_lock);
    return heap;
}

struct memkind_heap *heap_registry_use_next(unsigned *slot)
{
    struct memkind_heap *heap = NULL;
    ranked_lock_take(&registry_lock);
    for (unsigned i = *slot; i < HEAP_SLOTS && heap == NULL; i++) {
        heap = slots[i].heap;
        *slot = i;
    }
    if (heap != NULL)
        slots[*slot].users++;
    ranked_lock_release(&registry_lock);
    return heap;
}

void heap_registry_done(unsigned slot)
{
    ranked_lock_take(&registry_lock);
    assert(slots[slot].users > 0);
    if (--slots[slot].users == 0)
        pthread_cond_broadcast(&heap_is_unused);
    ranked_lock_release(&registry_lock);
}

/* ---- tables of threads ------------------------------------------------- */

#define TABLES_MOST 64

static void *tables[TABLES_MOST];
static unsigned table_count;

void *heap_registry_take_table(void)
{
    void *table = NULL;
    ranked_lock_take(&registry_lock);
    if (table_count > 0)
        table = tables[--table_count];
    ranked_lock_release(&registry_lock);
    return table;
}

bool heap_registry_keep_table(void *table)
{
    ranked_lock_take(&registry_lock);
    const bool kept = table_count < TABLES_MOST;
    if (kept)
        tables[table_count++] = table;
    ranked_lock_release(&registry_lock);
    return kept;
}

/* ---- fork --------------------------------------------------------------- */

void heap_registry_lock(void)
{
    ranked_lock_take(&registry_lock);
}

void heap_registry_unlock(void)
{
    ranked_lock_release(&registry_lock);
}

void heap_registry_visit_locked(void (*visit)(struct memkind_heap *heap))
{
    ranked_lock_assert_held(&registry_lock);
    for (unsigned i = 0; i < HEAP_SLOTS; i++)
        if (slots[i].heap != NULL)
            visit(slots[i].heap);
}

void heap_registry_forget_users(void)
{
    ranked_lock_assert_held(&registry_lock);
    for (unsigned i = 0; i < HEAP_SLOTS; i++)
        slots[i].users = 0;
    pthread_cond_init(&heap_is_unused, NULL);
}
