/* SPDX-License-Identifier: BSD-2-Clause */
#include "exhaustion.h"

#include "arena_exchange.h"
#include "cache_visit.h"

/* So many calls of a thread at a time: if no thread's has failed meanwhile, the
 * heap is no longer exhausted. */
#define CALM 256U

/* Each so manieth allocation of a class is tried although it seems to be in
 * vain. */
#define RETRY 1024U

/* ---- what is known ------------------------------------------------------ */

/* Whether caches hold objects, or what they have held is on its way back. */
static bool caches_may_have_any(const struct memkind_heap *heap)
{
    return cache_visit_may_find(&heap->caches) ||
           atomic_load(&heap->exhaustion.reclaims) != 0;
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
static bool lacks_pages(struct memkind_heap *heap, unsigned size_class,
                        size_t size,
                        size_t (*room)(const struct memkind_region_pool *pool))
{
    /* In this order: a purge makes room of pages. */
    const size_t spare = arena_returns_spare(&heap->arenas.returns);
    const size_t needed = pages_for(size_class, size);
    return spare < needed && room(heap_pool(heap)) < needed - spare;
}

/* Whether the budget has no room for an object, whatever is purged. */
static bool is_over_budget(struct memkind_heap *heap, unsigned size_class,
                           size_t size)
{
    return heap_arenas_knows_pages(&heap->arenas) &&
           lacks_pages(heap, size_class, size, region_pool_budget_left);
}

/* Whether the budget or the file system has none. */
static bool is_over_space(struct memkind_heap *heap, unsigned size_class,
                          size_t size)
{
    return heap_arenas_knows_pages(&heap->arenas) &&
           lacks_pages(heap, size_class, size, region_pool_space_left);
}

/* Whether arenas may have a free object of a class by now. */
static bool may_have_objects(const struct class_returns *now,
                             const struct vain_attempt *vain)
{
    /* An object that was the last one of its slab may not be fetched again, but
     * none can be that has not gone back. */
    return now->objects - atomic_load(&vain->objects) !=
               now->fetched - atomic_load(&vain->fetched) ||
           now->renewed != atomic_load(&vain->renewed);
}

void exhaustion_begin_attempt(struct memkind_heap *heap, unsigned size_class,
                              struct exhaustion_attempt *attempt)
{
    struct arena_returns *returns = &heap->arenas.returns;
    const struct memkind_region_pool *pool = heap_pool(heap);
    attempt->epoch = atomic_load(&returns->epoch);
    /* As long as nothing is counted, there is nothing to compare. If that
     * begins during the attempt, one more is made: what went back between is
     * not known (object_went_back() in heap_plain.c). */
    const bool is_counted = attempt->epoch % 2 != 0;
    attempt->counts = is_counted ? arena_returns_of_class(returns, size_class)
                                 : (struct class_returns){0, 0, 0};
    attempt->free_pages = is_counted ? arena_returns_free_pages(returns) : 0;
    attempt->decommits = pool != NULL ? atomic_load(&pool->decommits) : 0;
    attempt->refusals =
        pool != NULL ? region_pool_refusals(pool) : (struct region_refusals){0};
}

/* Whether nothing had gone back by now that could be of use. */
static bool still_holds(struct memkind_heap *heap, unsigned size_class,
                        size_t size, const struct vain_attempt *vain,
                        const struct exhaustion_attempt *now)
{
    if (now->epoch != atomic_load(&vain->epoch) ||
        size < atomic_load(&vain->size) || may_have_objects(&now->counts, vain))
        return false;
    return (now->free_pages == atomic_load(&vain->free_pages) &&
            now->decommits == atomic_load(&vain->decommits)) ||
           is_over_budget(heap, size_class, size);
}

/* What the last attempt says. */
static enum outlook outlook_by_note(struct memkind_heap *heap,
                                    unsigned size_class, size_t size,
                                    const struct vain_attempt *vain,
                                    const struct exhaustion_attempt *now)
{
    const struct memkind_region_pool *pool = heap_pool(heap);
    const unsigned version = atomic_load(&vain->version);
    const bool may_be_passing = atomic_load(&vain->may_be_passing);
    if (version % 2 != 0 || version == 0 ||
        !still_holds(heap, size_class, size, vain, now) ||
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

/* Returns true for each RETRYth refusal of a tally's. If threads count at once
 * some may be missed, but no number is left out. */
static bool count_refusal(struct return_tally *tally, unsigned size_class)
{
    atomic_uint *count = &tally->classes[size_class].refusals;
    const unsigned refusals = atomic_load_explicit(count, memory_order_relaxed);
    atomic_store_explicit(count, refusals + 1, memory_order_relaxed);
    return refusals % RETRY == RETRY - 1;
}

enum outlook exhaustion_outlook(struct memkind_heap *heap, unsigned tally,
                                unsigned size_class, size_t size,
                                struct exhaustion_attempt *now)
{
    struct arena_returns *returns = &heap->arenas.returns;
    const struct vain_attempt *vain = &heap->exhaustion.vain[size_class];
    enum outlook outlook = OUTLOOK_OPEN;
    if (!exhaustion_holds(heap) || is_odd(size_class, size)) {
        exhaustion_begin_attempt(heap, size_class, now);
        return OUTLOOK_OPEN;
    }
    const struct parked parked =
        arena_exchange_find_parked(&heap->arenas, size_class);
    if (parked.wanted)
        return OUTLOOK_PARKED;
    const bool is_known = !parked.others && !caches_may_have_any(heap);
    if (is_known && size_class_has_own_pages(size_class) &&
        is_over_budget(heap, size_class, size)) {
        outlook = OUTLOOK_NONE;
    } else {
        exhaustion_begin_attempt(heap, size_class, now);
        if (is_known)
            outlook = outlook_by_note(heap, size_class, size, vain, now);
    }
    if (outlook == OUTLOOK_OPEN)
        return outlook;
    arena_returns_note_failure(returns, tally, size_class);
    if (!count_refusal(arena_returns_tally(returns, tally), size_class))
        return outlook;
    exhaustion_begin_attempt(heap, size_class, now);
    return OUTLOOK_RETRY;
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
    struct exhaustion_attempt now;
    exhaustion_begin_attempt(heap, size_class, &now);
    if (now.counts.objects != attempt->counts.objects ||
        now.counts.fetched != attempt->counts.fetched ||
        now.counts.renewed != attempt->counts.renewed)
        return;
    /* If another thread is at it, one note is enough. */
    unsigned version = atomic_load(&vain->version);
    if (version % 2 != 0 ||
        !atomic_compare_exchange_strong(&vain->version, &version, version + 1))
        return;
    atomic_store(&vain->may_be_passing, passing);
    atomic_store(&vain->size, size_class == SIZE_CLASS_HUGE ? size : 0);
    atomic_store(&vain->epoch, attempt->epoch);
    atomic_store(&vain->objects, attempt->counts.objects);
    atomic_store(&vain->fetched, attempt->counts.fetched);
    atomic_store(&vain->renewed, attempt->counts.renewed);
    atomic_store(&vain->free_pages, attempt->free_pages);
    atomic_store(&vain->decommits, attempt->decommits);
    atomic_store(&vain->version, version + 2);
}

/* ---- reclaims ----------------------------------------------------------- */

/* What is parked is read first: when it goes back, that is a reclaim. */
bool exhaustion_reclaim_may_help(struct memkind_heap *heap, unsigned size_class,
                                 size_t size)
{
    /* An attempt has seen what is parked of the class itself, or another thread
     * has taken it. */
    const bool has_parked =
        arena_exchange_find_parked(&heap->arenas, size_class).others;
    if (!exhaustion_holds(heap) || has_parked || caches_may_have_any(heap))
        return true;
    return arena_returns_spare(&heap->arenas.returns) != 0 &&
           !is_over_space(heap, size_class, size);
}

bool exhaustion_reclaim_may_help_others(struct memkind_heap *heap)
{
    const bool has_parked = arena_exchange_has_parked(&heap->arenas);
    return !exhaustion_holds(heap) || has_parked || caches_may_have_any(heap) ||
           arena_returns_spare(&heap->arenas.returns) != 0;
}

void exhaustion_begin(struct memkind_heap *heap)
{
    if (exhaustion_holds(heap))
        return;
    ranked_lock_take(&heap->arenas.lock);
    arena_returns_begin(&heap->arenas.returns);
    ranked_lock_release(&heap->arenas.lock);
}

void exhaustion_unpark_all(struct memkind_heap *heap)
{
    exhaustion_begin_reclaim(heap);
    arena_exchange_unpark_all(&heap->arenas);
    exhaustion_end_reclaim(heap);
}

/* ---- the end of it ------------------------------------------------------ */

void exhaustion_note_success(struct memkind_heap *heap,
                             struct thread_cache *cache)
{
    if (++cache->calm < CALM)
        return;
    cache->calm = 0;
    const unsigned failures = arena_returns_failures(&heap->arenas.returns);
    if (cache->failures_seen != failures) {
        cache->failures_seen = failures;
    } else {
        arena_returns_end(&heap->arenas.returns);
        exhaustion_unpark_all(heap);
    }
}
