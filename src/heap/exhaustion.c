/* SPDX-License-Identifier: BSD-2-Clause */
#include "exhaustion.h"

#include "arena_exchange.h"
#include "cache_visit.h"

/* Calls of a thread, if none fails meanwhile, after which the heap is no longer
 * exhausted. */
#define CALM 256U

/* Each so manieth allocation of a class is tried although it seems to be in
 * vain. */
#define RETRY 1024U

/* ---- failures ----------------------------------------------------------- */

void exhaustion_note_failure(struct memkind_heap *heap, unsigned size_class)
{
    atomic_uint *wanted = &heap->arenas.returns.wanted;
    if (atomic_load_explicit(wanted, memory_order_relaxed) != size_class)
        atomic_store_explicit(wanted, size_class, memory_order_relaxed);
    atomic_fetch_add_explicit(&heap->exhaustion.failures, 1,
                              memory_order_relaxed);
}

/* ---- what is known ------------------------------------------------------ */

/* Whether caches hold objects, or what they have held is on its way back. */
static bool caches_may_have_any(const struct memkind_heap *heap)
{
    return cache_visit_may_find(&heap->caches) ||
           arena_exchange_has_parked(&heap->arenas) ||
           atomic_load(&heap->exhaustion.is_reclaiming);
}

/* An aligned object whose size has a class that does not see to that. It may
 * need more than a larger object, or less than its pages: a place in a slab. */
static bool is_odd(unsigned size_class, size_t size)
{
    return size_class == SIZE_CLASS_HUGE &&
           size <= size_class_sizes[SIZE_CLASS_LAST];
}

/* Bytes of pages that an object may need. */
static size_t pages_for(unsigned size_class, size_t size)
{
    return size_class <= SIZE_CLASS_LAST ? size_class_pages[size_class] : size;
}

/* Whether the pages that are free, and the room there is, are too few. */
static bool lacks_pages(const struct memkind_heap *heap, unsigned size_class,
                        size_t size,
                        size_t (*room)(const struct memkind_region_pool *pool))
{
    /* In this order: a purge makes room of pages. */
    const size_t spare = arena_returns_spare(&heap->arenas.returns);
    const size_t needed = pages_for(size_class, size);
    return spare < needed && room(heap_pool(heap)) < needed - spare;
}

/* Whether the budget has no room for an object, whatever is purged. */
static bool is_over_budget(const struct memkind_heap *heap, unsigned size_class,
                           size_t size)
{
    return heap_arenas_knows_pages(&heap->arenas) &&
           lacks_pages(heap, size_class, size, region_pool_budget_left);
}

/* Whether the budget or the file system has none. */
static bool is_over_space(const struct memkind_heap *heap, unsigned size_class,
                          size_t size)
{
    return heap_arenas_knows_pages(&heap->arenas) &&
           lacks_pages(heap, size_class, size, region_pool_space_left);
}

/* Whether arenas may have a free object of a class by now. */
static bool may_have_objects(const struct memkind_heap *heap,
                             unsigned size_class,
                             const struct vain_attempt *vain)
{
    const struct arena_returns *returns = &heap->arenas.returns;
    const unsigned returned =
                       atomic_load(&returns->classes[size_class].objects),
                   fetched = atomic_load(&returns->classes[size_class].fetched),
                   renewed = atomic_load(&returns->classes[size_class].renewed);
    /* An object that was the last one of its slab may not be fetched again, but
     * none can be that has not gone back. */
    return returned - atomic_load(&vain->objects) !=
               fetched - atomic_load(&vain->fetched) ||
           renewed != atomic_load(&vain->renewed);
}

/* Whether nothing has gone back since that could be of use. */
static bool still_holds(const struct memkind_heap *heap, unsigned size_class,
                        size_t size, const struct vain_attempt *vain)
{
    const struct arena_returns *returns = &heap->arenas.returns;
    if (atomic_load(&returns->epoch) != atomic_load(&vain->epoch) ||
        size < atomic_load(&vain->size) ||
        may_have_objects(heap, size_class, vain))
        return false;
    return (atomic_load(&returns->free_pages) ==
                atomic_load(&vain->free_pages) &&
            atomic_load(&heap_pool(heap)->decommits) ==
                atomic_load(&vain->decommits)) ||
           is_over_budget(heap, size_class, size);
}

/* What the last attempt says. */
static enum outlook outlook_by_note(const struct memkind_heap *heap,
                                    unsigned size_class, size_t size,
                                    const struct vain_attempt *vain)
{
    const struct memkind_region_pool *pool = heap_pool(heap);
    const unsigned version = atomic_load(&vain->version);
    const bool may_be_passing = atomic_load(&vain->may_be_passing);
    if (version % 2 != 0 || version == 0 ||
        !still_holds(heap, size_class, size, vain) ||
        atomic_load(&vain->version) != version)
        return OUTLOOK_OPEN;
    if (!may_be_passing)
        return exhaustion_reclaim_may_help(heap, size_class, size)
                   ? OUTLOOK_OPEN
                   : OUTLOOK_NONE;
    if (!region_pool_lacks_space(pool))
        return OUTLOOK_NEW_SPACE;
    /* If the file system has space again, any arena may take it. */
    if (region_pool_space_left(pool) >= pages_for(size_class, size))
        return OUTLOOK_OPEN;
    return region_pool_counts_space(pool) &&
                   heap_arenas_knows_pages(&heap->arenas)
               ? OUTLOOK_OTHERS
               : OUTLOOK_NEW_SPACE;
}

/* Returns true for each RETRYth refusal. If threads count at once some may be
 * missed, but no number is left out. */
static bool count_refusal(struct vain_attempt *vain)
{
    const unsigned refusals =
        atomic_load_explicit(&vain->refusals, memory_order_relaxed);
    atomic_store_explicit(&vain->refusals, refusals + 1, memory_order_relaxed);
    return refusals % RETRY == RETRY - 1;
}

enum outlook exhaustion_outlook(struct memkind_heap *heap, unsigned size_class,
                                size_t size)
{
    struct vain_attempt *vain = &heap->exhaustion.vain[size_class];
    enum outlook outlook;
    if (!exhaustion_holds(heap) || is_odd(size_class, size) ||
        caches_may_have_any(heap))
        return OUTLOOK_OPEN;
    if (size_class_has_own_pages(size_class) &&
        is_over_budget(heap, size_class, size))
        outlook = OUTLOOK_NONE;
    else
        outlook = outlook_by_note(heap, size_class, size, vain);
    if (outlook == OUTLOOK_OPEN)
        return outlook;
    exhaustion_note_failure(heap, size_class);
    return count_refusal(vain) ? OUTLOOK_RETRY : outlook;
}

struct exhaustion_attempt
exhaustion_begin_attempt(const struct memkind_heap *heap, unsigned size_class)
{
    const struct arena_returns *returns = &heap->arenas.returns;
    const struct memkind_region_pool *pool = heap_pool(heap);
    struct exhaustion_attempt attempt = {
        .epoch = atomic_load(&returns->epoch),
        .objects = atomic_load(&returns->classes[size_class].objects),
        .fetched = atomic_load(&returns->classes[size_class].fetched),
        .renewed = atomic_load(&returns->classes[size_class].renewed),
        .free_pages = atomic_load(&returns->free_pages),
    };
    if (pool != NULL) {
        attempt.decommits = atomic_load(&pool->decommits);
        attempt.refusals = region_pool_refusals(pool);
    }
    return attempt;
}

void exhaustion_note_vain(struct memkind_heap *heap,
                          const struct exhaustion_attempt *attempt,
                          unsigned size_class, size_t size)
{
    const struct memkind_region_pool *pool = heap_pool(heap);
    struct vain_attempt *vain = &heap->exhaustion.vain[size_class];
    if (pool == NULL || is_odd(size_class, size) || attempt->epoch % 2 == 0 ||
        attempt->epoch != atomic_load(&heap->arenas.returns.epoch))
        return;
    const struct region_refusals refusals = region_pool_refusals(pool);
    const bool passing = refusals.passing != attempt->refusals.passing;
    if (!passing && refusals.lasting == attempt->refusals.lasting)
        return;
    /* An object that others have fetched may have been there before. */
    const struct exhaustion_attempt now =
        exhaustion_begin_attempt(heap, size_class);
    if (now.objects != attempt->objects || now.fetched != attempt->fetched ||
        now.renewed != attempt->renewed)
        return;
    /* If another thread is at it, one note is enough. */
    unsigned version = atomic_load(&vain->version);
    if (version % 2 != 0 ||
        !atomic_compare_exchange_strong(&vain->version, &version, version + 1))
        return;
    atomic_store(&vain->may_be_passing, passing);
    atomic_store(&vain->size, size_class == SIZE_CLASS_HUGE ? size : 0);
    atomic_store(&vain->epoch, attempt->epoch);
    atomic_store(&vain->objects, attempt->objects);
    atomic_store(&vain->fetched, attempt->fetched);
    atomic_store(&vain->renewed, attempt->renewed);
    atomic_store(&vain->free_pages, attempt->free_pages);
    atomic_store(&vain->decommits, attempt->decommits);
    atomic_store(&vain->version, version + 2);
}

/* ---- reclaims ----------------------------------------------------------- */

bool exhaustion_reclaim_may_help(const struct memkind_heap *heap,
                                 unsigned size_class, size_t size)
{
    if (!exhaustion_holds(heap) || caches_may_have_any(heap))
        return true;
    return arena_returns_spare(&heap->arenas.returns) != 0 &&
           !is_over_space(heap, size_class, size);
}

bool exhaustion_reclaim_may_help_others(const struct memkind_heap *heap)
{
    return !exhaustion_holds(heap) || caches_may_have_any(heap) ||
           arena_returns_spare(&heap->arenas.returns) != 0;
}

void exhaustion_begin(struct memkind_heap *heap)
{
    arena_returns_begin(&heap->arenas.returns);
}

/* ---- the end of it ------------------------------------------------------ */

void exhaustion_note_success(struct memkind_heap *heap,
                             struct thread_cache *cache)
{
    const unsigned failures =
        atomic_load_explicit(&heap->exhaustion.failures, memory_order_relaxed);
    if (cache->failures_seen != failures) {
        cache->failures_seen = failures;
        cache->calm = 0;
    } else if (++cache->calm >= CALM) {
        cache->calm = 0;
        arena_returns_end(&heap->arenas.returns);
        arena_exchange_unpark_all(&heap->arenas);
    }
}
