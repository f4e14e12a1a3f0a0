/* SPDX-License-Identifier: BSD-2-Clause */
#include "kind_registry.h"

#include <assert.h>
#include <string.h>

#include "heap_create.h"
#include "kind_tally.h"
#include "ranked_lock.h"

static struct ranked_lock registry_lock =
    RANKED_LOCK_INITIALIZER(RANK_KIND_REGISTRY);
static struct memkind *registered[HEAP_SLOTS]; /* by heaps' slots */
static struct memkind storage[MEMKIND_MAX_KIND];
static bool storage_taken[MEMKIND_MAX_KIND];
static size_t storage_next; /* where the next search begins */

void kind_registry_add(struct memkind *kind)
{
    assert(kind->heap != NULL);
    kind_tally_clear(heap_slot(kind->heap));
    ranked_lock_take(&registry_lock);
    registered[heap_slot(kind->heap)] = kind;
    ranked_lock_release(&registry_lock);
}

void kind_registry_remove(struct memkind *kind)
{
    ranked_lock_take(&registry_lock);
    assert(registered[heap_slot(kind->heap)] == kind);
    registered[heap_slot(kind->heap)] = NULL;
    ranked_lock_release(&registry_lock);
}

bool kind_registry_contains(const struct memkind *kind)
{
    bool found = false;
    ranked_lock_take(&registry_lock);
    for (size_t i = 0; i < HEAP_SLOTS && !found; i++)
        found = registered[i] == kind;
    ranked_lock_release(&registry_lock);
    return found;
}

void kind_registry_lock(void)
{
    ranked_lock_take(&registry_lock);
}

void kind_registry_unlock(void)
{
    ranked_lock_release(&registry_lock);
}

void kind_registry_visit(void (*visit)(struct memkind *kind, void *context),
                         void *context)
{
    ranked_lock_assert_held(&registry_lock);
    for (size_t i = 0; i < HEAP_SLOTS; i++)
        if (registered[i] != NULL)
            visit(registered[i], context);
}

struct memkind *kind_storage_get(void)
{
    struct memkind *kind = NULL;
    ranked_lock_take(&registry_lock);
    for (size_t n = 0; n < MEMKIND_MAX_KIND; n++) {
        /* In turn: the handle of a destroyed kind then stays dead for long. */
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
    ranked_lock_release(&registry_lock);
    return kind;
}

void kind_storage_put(struct memkind *kind)
{
    ranked_lock_take(&registry_lock);
    assert(kind_storage_owns(kind) && storage_taken[kind - storage]);
    storage_taken[kind - storage] = false;
    ranked_lock_release(&registry_lock);
}

bool kind_storage_owns(const struct memkind *kind)
{
    return kind >= storage && kind < storage + MEMKIND_MAX_KIND;
}
