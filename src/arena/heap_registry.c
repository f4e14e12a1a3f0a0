/* SPDX-License-Identifier: BSD-2-Clause */
#include "heap_registry.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include "cancellation.h"
#include "ranked_lock.h"
#include "spread.h"
#include "tls_model.h"

static struct ranked_lock registry_lock =
    RANKED_LOCK_INITIALIZER(RANK_HEAP_REGISTRY);
static pthread_cond_t heap_is_unused = PTHREAD_COND_INITIALIZER;
static uint64_t last_id;

/* NULL before a heap is entered, and afterwards. Changed with the lock. */
static struct memkind_heap *_Atomic heaps[HEAP_SLOTS];
static atomic_uint slots_end; /* behind the last one that was ever taken */

static struct {
    uint64_t id;
    unsigned users;
    bool is_taken;
} slots[HEAP_SLOTS];

/* ---- looks without the lock ---------------------------------------------- */

/* Threads that look at heaps which they do not use. Each has a place, in which
 * it says whose turn it is before it reads whether that heap is there. Who
 * takes a heap out reads the places afterwards: one of the two sees the other.
 */
#define LOOKERS 64
#define CACHE_LINE 64

static struct {
    _Alignas(CACHE_LINE) atomic_uint looks_at; /* 1 + slot, or one of these */
} lookers[LOOKERS];

enum { NO_LOOKER = 0, AT_NONE = HEAP_SLOTS + 1 };

/* The number of a place; LOOKERS: all are taken. */
static unsigned begin_to_look(void)
{
    static __thread char own TLS_MODEL;
    const unsigned first = (unsigned)(spread((uintptr_t)&own) % LOOKERS);
    for (unsigned i = 0; i < LOOKERS; i++) {
        const unsigned place = (first + i) % LOOKERS;
        unsigned none = NO_LOOKER;
        if (atomic_compare_exchange_strong(&lookers[place].looks_at, &none,
                                           AT_NONE))
            return place;
    }
    return LOOKERS;
}

static void end_look(unsigned place)
{
    if (place < LOOKERS)
        atomic_store(&lookers[place].looks_at, NO_LOOKER);
}

/* A look takes a microsecond, or as long as a thread that looks has no CPU. */
#define LOOK_US 20

static void wait_for_lookers(unsigned slot)
{
    cancellation_forbid();
    for (unsigned i = 0; i < LOOKERS; i++)
        while (atomic_load(&lookers[i].looks_at) == slot + 1)
            usleep(LOOK_US);
}

/* ---- heaps --------------------------------------------------------------- */

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
        atomic_store(&heaps[i], heap);
        if (atomic_load(&slots_end) <= i)
            atomic_store(&slots_end, i + 1);
    }
    ranked_lock_release(&registry_lock);
    return found;
}

void heap_registry_remove(unsigned slot)
{
    ranked_lock_take(&registry_lock);
    atomic_store(&heaps[slot], NULL);
    while (slots[slot].users > 0)
        ranked_lock_wait(&registry_lock, &heap_is_unused);
    ranked_lock_release(&registry_lock);
    wait_for_lookers(slot);
}

void heap_registry_free_slot(unsigned slot)
{
    ranked_lock_take(&registry_lock);
    assert(slots[slot].is_taken && atomic_load(&heaps[slot]) == NULL);
    slots[slot].is_taken = false;
    ranked_lock_release(&registry_lock);
}

struct memkind_heap *heap_registry_use(const struct heap_place *place)
{
    struct memkind_heap *heap = NULL;
    ranked_lock_take(&registry_lock);
    if (slots[place->slot].id == place->id)
        heap = atomic_load(&heaps[place->slot]);
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
        heap = atomic_load(&heaps[i]);
        *slot = i;
    }
    if (heap != NULL)
        slots[*slot].users++;
    ranked_lock_release(&registry_lock);
    return heap;
}

/* The first slot at or behind `slot` whose heap suits; HEAP_SLOTS: none.
 * Without a place, the lock is held. */
static unsigned look_for(unsigned slot, unsigned place, heap_look_fn *suits,
                         const void *context)
{
    const unsigned end = atomic_load(&slots_end);
    for (; slot < end; slot++) {
        if (atomic_load_explicit(&heaps[slot], memory_order_relaxed) == NULL)
            continue;
        if (place < LOOKERS)
            atomic_store(&lookers[place].looks_at, slot + 1);
        struct memkind_heap *heap = atomic_load(&heaps[slot]);
        if (heap != NULL && suits(heap, context))
            break;
    }
    return slot < end ? slot : HEAP_SLOTS;
}

static unsigned look(unsigned slot, heap_look_fn *suits, const void *context)
{
    const unsigned place = begin_to_look();
    if (place < LOOKERS) {
        slot = look_for(slot, place, suits, context);
        end_look(place);
    } else {
        ranked_lock_take(&registry_lock);
        slot = look_for(slot, place, suits, context);
        ranked_lock_release(&registry_lock);
    }
    return slot;
}

struct memkind_heap *heap_registry_use_next_that(unsigned *slot,
                                                 heap_look_fn *suits,
                                                 const void *context)
{
    struct memkind_heap *heap = NULL;
    while (heap == NULL && (*slot = look(*slot, suits, context)) < HEAP_SLOTS) {
        ranked_lock_take(&registry_lock);
        heap = atomic_load(&heaps[*slot]);
        if (heap != NULL)
            slots[*slot].users++;
        ranked_lock_release(&registry_lock);
        *slot += heap == NULL;
    }
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
        if (atomic_load(&heaps[i]) != NULL)
            visit(atomic_load(&heaps[i]));
}

void heap_registry_forget_users(void)
{
    ranked_lock_assert_held(&registry_lock);
    for (unsigned i = 0; i < HEAP_SLOTS; i++)
        slots[i].users = 0;
    for (unsigned i = 0; i < LOOKERS; i++)
        end_look(i);
    pthread_cond_init(&heap_is_unused, NULL);
}
