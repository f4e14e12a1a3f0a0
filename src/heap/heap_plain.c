/* SPDX-License-Identifier: BSD-2-Clause */
#include "heap_plain.h"

#include <errno.h>
#include <sched.h>
#include <string.h>

#include "allocator_gate.h"
#include "arena_exchange.h"
#include "cache_visit.h"
#include "exhaustion.h"
#include "fair_share.h"
#include "heap_fast.h"
#include "heap_reclaim.h"
#include "jemalloc_ctl.h"
#include "object_tag.h"

/* Another thread's decay may hold pages that are on their way back. */
#define RECLAIM_ROUNDS 3

/* What is parked is looked for so often, if others take it meanwhile. */
#define PARKED_ROUNDS 4

static bool is_cached_class(unsigned size_class)
{
    return size_class <= SIZE_CLASS_LAST;
}

/* ---- one attempt -------------------------------------------------------- */

/* Allocates from the arena at a place, past the magazines. */
static void *take_from_arena(struct memkind_heap *heap, unsigned tally,
                             unsigned place, size_t size, int flags)
{
    const size_t usable = JE_NAME(nallocx)(size, flags);
    const unsigned size_class = size_class_of(usable);
    const struct arena_fetch begun =
        arena_exchange_begin_fetch(&heap->arenas, tally, place, size_class);
    void *ptr =
        JE_NAME(mallocx)(size, heap_arenas_flags(&heap->arenas, place) | flags);
    if (ptr == NULL)
        return NULL;
    __builtin_prefetch(ptr, 1); /* see fetch() in magazine.c */
    arena_exchange_end_fetch(&heap->arenas, &begun, ptr);
    if (is_cached_class(size_class))
        object_tag_write(heap_pool(heap), ptr, size_class);
    else
        object_tag_write_large(heap_pool(heap), ptr, usable);
    return ptr;
}

static size_t alignment_of(int flags)
{
    return (size_t)1 << (flags & JE_LG_ALIGN_MASK);
}

/* The class whose objects are large enough and aligned; SIZE_CLASS_HUGE if
 * there is no such class among those that are cached. */
static unsigned class_for(size_t size, int flags)
{
    size_t alignment = alignment_of(flags);
    if (alignment > REGION_TAG_UNIT || size > size_class_sizes[SIZE_CLASS_LAST])
        return SIZE_CLASS_HUGE;
    unsigned size_class = size_class_of_aligned(size, alignment);
    return size_class != SIZE_CLASS_NONE ? size_class : SIZE_CLASS_HUGE;
}

/* Whether a thread's magazines are not used, and hold nothing. Then its cache
 * need not be locked: only the thread itself makes it active. */
static bool is_bypassed(const struct thread_cache *cache)
{
    return exhaustion_holds(cache->home->heap) && !CACHE_LOAD(cache->is_active);
}

static void *take_by_cache(struct thread_cache *cache, unsigned size_class,
                           size_t size, bool zero)
{
    bool fresh = true, bypassed = is_bypassed(cache);
    void *ptr;
    if (bypassed) {
        ptr = magazine_fetch(&cache->magazines, size_class, zero);
    } else {
        thread_cache_enter_slowly(cache);
        ptr = magazine_take(&cache->magazines, size_class, zero, &fresh);
        bypassed = cache->magazines.is_bypassed;
        thread_cache_leave_slowly(cache);
    }
    if (bypassed && ptr != NULL)
        exhaustion_note_success(cache->home->heap, cache);
    if (ptr != NULL && zero && !fresh)
        region_pool_clear(cache->home->arenas->extents.pool, ptr, size);
    return ptr;
}

/* Notes an object of a thread's that has come past the magazines, or gone. */
static void note_object(struct memkind_heap *heap, struct thread_cache *cache,
                        const void *ptr, bool has_come)
{
    if (!thread_cache_is_usable(cache))
        return;
    const int64_t bytes = (int64_t)heap_plain_usable_size(heap, ptr);
    magazine_note_held(&cache->magazines, has_come ? bytes : -bytes);
}

/* From the arena at a place, for a thread's cache. */
static void *take_past_magazines(struct memkind_heap *heap,
                                 struct thread_cache *cache, unsigned place,
                                 size_t size, int flags)
{
    void *ptr =
        take_from_arena(heap, cache->magazines.tally, place, size, flags);
    if (ptr != NULL)
        note_object(heap, cache, ptr, true);
    return ptr;
}

/* An object that another allocation of the class has been waiting for, in the
 * cache's tally or in one of so many in all. */
static void *take_parked(struct memkind_heap *heap, struct thread_cache *cache,
                         unsigned tallies, size_t size, int flags)
{
    const unsigned size_class = class_for(size, flags);
    if (!exhaustion_holds(heap) || !is_cached_class(size_class))
        return NULL;
    void *ptr = arena_exchange_take_parked(
        &heap->arenas, cache->magazines.tally, tallies, size_class);
    if (ptr == NULL)
        return NULL;
    if (thread_cache_is_usable(cache)) {
        magazine_note_held(&cache->magazines, size_class_sizes[size_class]);
        exhaustion_note_success(heap, cache);
    }
    if ((flags & JE_ZERO) != 0)
        region_pool_clear(heap_pool(heap), ptr, size);
    return ptr;
}

/* From the thread's own arena. */
static void *take_own(struct memkind_heap *heap, struct thread_cache *cache,
                      size_t size, int flags)
{
    const struct magazines *magazines = &cache->magazines;
    const unsigned size_class = class_for(size, flags);
    void *ptr =
        is_cached_class(size_class) && thread_cache_is_usable(cache)
            ? take_by_cache(cache, size_class, size, (flags & JE_ZERO) != 0)
            : take_past_magazines(heap, cache, magazines->arena_place, size,
                                  flags);
    if (ptr == NULL && exhaustion_holds(heap))
        arena_guess_note_none(arena_returns_guesses(&heap->arenas.returns),
                              magazines->tally, size_class);
    return ptr;
}

/* Whether the thread's own arena has an object, as far as can be guessed. */
static bool own_may_have(struct memkind_heap *heap,
                         const struct thread_cache *cache, unsigned size_class)
{
    const struct magazines *magazines = &cache->magazines;
    return is_cached_class(size_class) && cache != &thread_cache_none &&
           arena_guess_has(arena_returns_guesses(&heap->arenas.returns),
                           magazines->tally, magazines->arena_place,
                           size_class);
}

/* From another arena that is guessed to have one. */
static void *take_by_guess(struct memkind_heap *heap,
                           struct thread_cache *cache, size_t size, int flags)
{
    struct arena_returns *returns = &heap->arenas.returns;
    struct arena_guesses *guesses = arena_returns_guesses(returns);
    const struct magazines *magazines = &cache->magazines;
    const unsigned size_class = class_for(size, flags);
    unsigned place;
    if (!arena_guess_find(guesses, atomic_load(&returns->tally_count),
                          magazines->tally, magazines->arena_place, size_class,
                          &place) ||
        !heap_arenas_suit(&heap->arenas, place))
        return NULL;
    void *ptr = take_past_magazines(heap, cache, place, size, flags);
    if (ptr == NULL)
        arena_guess_note_none(guesses, arena_returns_tally_of(returns, place),
                              size_class);
    return ptr;
}

/* If the thread's own arena is not likely to have an object, another one that
 * is comes first. */
static void *attempt(struct memkind_heap *heap, struct thread_cache *cache,
                     size_t size, int flags)
{
    const unsigned size_class = class_for(size, flags);
    void *ptr = take_parked(heap, cache, RETURN_TALLIES_MOST, size, flags);
    if (ptr == NULL && exhaustion_holds(heap) && is_cached_class(size_class) &&
        !own_may_have(heap, cache, size_class))
        ptr = take_by_guess(heap, cache, size, flags);
    return ptr != NULL ? ptr : take_own(heap, cache, size, flags);
}

/* From the heap's other arenas; first from one that may have got something. */
static void *attempt_elsewhere(struct memkind_heap *heap,
                               struct thread_cache *cache, size_t size,
                               int flags)
{
    const unsigned count = heap_arenas_count(&heap->arenas);
    void *ptr = count > 2 && exhaustion_holds(heap)
                    ? take_by_guess(heap, cache, size, flags)
                    : NULL;
    for (unsigned i = 1; ptr == NULL && i < count; i++)
        ptr = take_past_magazines(heap, cache,
                                  (cache->magazines.arena_place + i) % count,
                                  size, flags);
    return ptr;
}

/* From the other arenas as they are, after the thread's own was asked in vain
 * in an attempt that had begun then. */
static void *continue_elsewhere(struct memkind_heap *heap,
                                struct thread_cache *cache, size_t size,
                                int flags,
                                const struct exhaustion_attempt *begun)
{
    void *ptr = attempt_elsewhere(heap, cache, size, flags);
    /* An aligned object may lack no more than its place. */
    if (ptr == NULL && alignment_of(flags) <= REGION_TAG_UNIT)
        exhaustion_note_vain(heap, begun, class_for(size, flags), size);
    return ptr;
}

/* From all arenas as they are. */
static void *attempt_everywhere(struct memkind_heap *heap,
                                struct thread_cache *cache, size_t size,
                                int flags)
{
    struct exhaustion_attempt begun;
    exhaustion_begin_attempt(heap, class_for(size, flags), &begun);
    void *ptr = attempt(heap, cache, size, flags);
    return ptr != NULL ? ptr
                       : continue_elsewhere(heap, cache, size, flags, &begun);
}

/* ---- more attempts, with memory reclaimed ------------------------------- */

/* What the thread's own cache holds, for a heap that is not exhausted. */
static void *drain_own_and_attempt(struct memkind_heap *heap,
                                   struct thread_cache *cache, size_t size,
                                   int flags)
{
    if (exhaustion_holds(heap) || !thread_cache_is_usable(cache))
        return NULL;
    (void)cache_visit(cache, magazine_drain_all);
    return attempt_everywhere(heap, cache, size, flags);
}

/* What other threads hold. */
static void *drain_others_and_attempt(struct memkind_heap *heap,
                                      struct thread_cache *cache, size_t size,
                                      int flags)
{
    if (!cache_visit_may_find(&heap->caches) &&
        !arena_exchange_find_parked(&heap->arenas, class_for(size, flags))
             .others)
        return NULL;
    heap_reclaim_caches_locked(heap);
    return attempt_everywhere(heap, cache, size, flags);
}

/* In steps, the cheapest first: what caches hold, then pages. */
static void *reclaim_and_attempt(struct memkind_heap *heap,
                                 struct thread_cache *cache, size_t size,
                                 int flags)
{
    const unsigned size_class = class_for(size, flags);
    void *ptr = NULL;
    /* Another thread may have done it meanwhile. */
    if (!ranked_lock_try(&heap->reclaim_lock)) {
        ranked_lock_take(&heap->reclaim_lock);
        ptr = attempt_everywhere(heap, cache, size, flags);
        if (ptr != NULL ||
            !exhaustion_reclaim_may_help(heap, size_class, size)) {
            ranked_lock_release(&heap->reclaim_lock);
            return ptr;
        }
    }
    const bool was_exhausted = exhaustion_holds(heap);
    ptr = drain_own_and_attempt(heap, cache, size, flags);
    if (ptr == NULL) {
        exhaustion_begin(heap);
        ptr = drain_others_and_attempt(heap, cache, size, flags);
    }
    for (int round = 0; ptr == NULL && round < RECLAIM_ROUNDS; round++) {
        if (round > 0)
            sched_yield();
        heap_reclaim_within_budget_locked(heap);
        ptr = attempt_everywhere(heap, cache, size, flags);
        if (was_exhausted &&
            !exhaustion_reclaim_may_help(heap, size_class, size))
            break;
    }
    ranked_lock_release(&heap->reclaim_lock);
    return ptr;
}

/* Whether no heap can hold so much, or one with that pool never can. */
static bool is_too_large(const struct memkind_region_pool *pool, size_t size,
                         int flags)
{
    size_t usable = JE_NAME(nallocx)(size, flags);
    return usable == 0 || (pool != NULL && usable > pool->budget);
}

/* Whether others have given pages back since the attempt has begun. */
static bool pages_went_back(const struct memkind_region_pool *pool,
                            const struct exhaustion_attempt *begun)
{
    return pool != NULL && atomic_load(&pool->decommits) != begun->decommits;
}

/* Whether an object of the class has gone back since. */
static bool object_went_back(struct memkind_heap *heap, unsigned size_class,
                             const struct exhaustion_attempt *begun)
{
    return exhaustion_holds(heap) &&
           arena_returns_of_class(&heap->arenas.returns, size_class).objects !=
               begun->counts.objects;
}

/* For what was on its way back when the arenas were asked, in another thread's
 * reclaim, say. */
static void *attempt_again(struct memkind_heap *heap,
                           struct thread_cache *cache, size_t size, int flags,
                           struct exhaustion_attempt begun)
{
    const unsigned size_class = class_for(size, flags);
    void *ptr = NULL;
    for (int i = 0; ptr == NULL && i < RECLAIM_ROUNDS &&
                    (pages_went_back(heap_pool(heap), &begun) ||
                     object_went_back(heap, size_class, &begun));
         i++) {
        exhaustion_begin_attempt(heap, size_class, &begun);
        ptr = attempt_everywhere(heap, cache, size, flags);
    }
    return ptr;
}

/* For an object that neither the heap nor the file system has room for. */
static void *attempt_by_others(struct memkind_heap *heap,
                               struct thread_cache *cache, size_t size,
                               int flags)
{
    return heap_reclaim_from_others(heap, size)
               ? attempt_everywhere(heap, cache, size, flags)
               : NULL;
}

/* For an object that the heap's arenas did not have as they were, in an attempt
 * that had begun then. */
static void *attempt_with_reclaim(struct memkind_heap *heap,
                                  struct thread_cache *cache, size_t size,
                                  int flags,
                                  const struct exhaustion_attempt *begun,
                                  bool is_retry)
{
    const struct memkind_region_pool *pool = heap_pool(heap);
    void *ptr = NULL;
    if (is_retry ||
        exhaustion_reclaim_may_help(heap, class_for(size, flags), size))
        ptr = reclaim_and_attempt(heap, cache, size, flags);
    if (ptr == NULL)
        ptr = attempt_again(heap, cache, size, flags, *begun);
    if (ptr == NULL && pool != NULL && region_pool_lacks_space(pool))
        ptr = attempt_by_others(heap, cache, size, flags);
    return ptr;
}

/* Allocates, and gives up only if there is no space even after all that is free
 * was given back, by this heap and by those that share its file system. */
static void *attempt_all(struct memkind_heap *heap, struct thread_cache *cache,
                         size_t size, int flags, enum outlook outlook,
                         const struct exhaustion_attempt *begun)
{
    void *ptr = attempt(heap, cache, size, flags);
    if (__builtin_expect(ptr != NULL, 1) ||
        is_too_large(heap_pool(heap), size, flags))
        return ptr;
    if (outlook != OUTLOOK_NEW_SPACE)
        ptr = continue_elsewhere(heap, cache, size, flags, begun);
    if (ptr == NULL)
        ptr = attempt_with_reclaim(heap, cache, size, flags, begun,
                                   outlook == OUTLOOK_RETRY);
    arena_returns_note_failure(&heap->arenas.returns, cache->magazines.tally,
                               class_for(size, flags));
    return ptr;
}

/* What is known before the arenas are asked; see exhaustion_outlook(). */
static enum outlook outlook_of(struct memkind_heap *heap, size_t size,
                               int flags, struct exhaustion_attempt *begun)
{
    const struct memkind_region_pool *pool = heap_pool(heap);
    const unsigned size_class = class_for(size, flags);
    if (pool != NULL && size > pool->budget)
        return OUTLOOK_NONE;
    if (exhaustion_holds(heap) && alignment_of(flags) <= REGION_TAG_UNIT) {
        const struct thread_cache *cache = heap_cache_known(heap);
        /* Pages of an object's own may be another class's by now, and what is
         * more than there are pages for is refused at less cost. */
        if (!size_class_has_own_pages(size_class) &&
            own_may_have(heap, cache, size_class))
            return OUTLOOK_LIKELY;
        return exhaustion_outlook(heap, cache->magazines.tally, size_class,
                                  size, begun);
    }
    exhaustion_begin_attempt(heap, size_class, begun);
    return OUTLOOK_OPEN;
}

/* What the thread's own arena is likely to have is taken without a look at the
 * counters of other threads. */
static void *take_likely(struct memkind_heap *heap, struct thread_cache *cache,
                         size_t size, int flags)
{
    void *ptr = take_parked(heap, cache, 1, size, flags);
    return ptr != NULL ? ptr : take_own(heap, cache, size, flags);
}

static void *attempt_by_outlook(struct memkind_heap *heap,
                                struct thread_cache *cache, size_t size,
                                int flags, enum outlook outlook,
                                struct exhaustion_attempt *begun)
{
    /* Another thread may be quicker to take it. */
    for (int i = 0; outlook == OUTLOOK_LIKELY || outlook == OUTLOOK_PARKED;
         i++) {
        void *ptr =
            outlook == OUTLOOK_LIKELY
                ? take_likely(heap, cache, size, flags)
                : take_parked(heap, cache, RETURN_TALLIES_MOST, size, flags);
        if (ptr != NULL)
            return ptr;
        if (i < PARKED_ROUNDS) {
            outlook = outlook_of(heap, size, flags, begun);
        } else {
            exhaustion_begin_attempt(heap, class_for(size, flags), begun);
            outlook = OUTLOOK_OPEN;
        }
    }
    if (outlook == OUTLOOK_NONE)
        return NULL;
    return outlook == OUTLOOK_OTHERS
               ? attempt_by_others(heap, cache, size, flags)
               : attempt_all(heap, cache, size, flags, outlook, begun);
}

/* ---- malloc and free ---------------------------------------------------- */

static void *refuse(void)
{
    errno = ENOMEM;
    return NULL;
}

/* Without entering the allocator. A thread that does nothing else looks after
 * the heap as well. */
static void *refuse_at_once(struct memkind_heap *heap, size_t size, int flags)
{
    struct thread_cache *cache = heap_cache_known(heap);
    if (cache != &thread_cache_none && --cache->ticks < 0)
        upkeep_tick(cache);
    fair_share_note_refused(heap, cache, class_for(size, flags));
    return refuse();
}

/* The fast way of a thread that issues its barriers itself. */
static void *take_fenced(struct memkind_heap *heap, size_t size, int flags)
{
    struct thread_cache *cache = heap_cache_known(heap);
    if (!thread_cache_enter_fenced(cache))
        return NULL;
    unsigned size_class = class_for(size, flags);
    if (!is_cached_class(size_class)) {
        thread_cache_leave(cache);
        return NULL;
    }
    void *ptr = heap_pop_and_leave(cache, size_class);
    if (ptr != NULL && (flags & JE_ZERO) != 0)
        region_pool_clear(heap_pool(heap), ptr, size);
    return ptr;
}

void *heap_plain_malloc(struct memkind_heap *heap, size_t size, int flags)
{
    void *ptr = take_fenced(heap, size, flags);
    int saved_errno = errno;
    if (ptr != NULL)
        return ptr;
    struct exhaustion_attempt begun;
    const enum outlook outlook = outlook_of(heap, size, flags, &begun);
    if (outlook == OUTLOOK_NONE)
        return refuse_at_once(heap, size, flags);
    if (!allocator_enter_briefly()) {
        heap_report(HEAP_REENTERED, heap_owner(heap), NULL);
        return refuse();
    }
    struct thread_cache *cache = thread_cache_get(&heap->caches);
    if (allocator_may_allocate())
        ptr = attempt_by_outlook(heap, cache, size, flags, outlook, &begun);
    if (__builtin_expect(extent_found_full_place, 0) &&
        cache != &heap->caches.fallback)
        thread_cache_change_arena(cache);
    allocator_leave();
    if (cache != &heap->caches.fallback && --cache->ticks < 0)
        upkeep_tick(cache);
    if (ptr == NULL) {
        fair_share_note_refused(heap, cache, class_for(size, flags));
        return refuse();
    }
    fair_share_note_taken(heap, cache);
    /* What failed on the way is of no concern to the caller. */
    errno = saved_errno;
    return ptr;
}

void *heap_plain_calloc(struct memkind_heap *heap, size_t size)
{
    void *ptr = heap_malloc_fast(heap_cache_known(heap), size);
    if (__builtin_expect(ptr == NULL, 0))
        return heap_plain_malloc(heap, size, JE_ZERO);
    region_pool_clear(heap_pool(heap), ptr, size);
    return ptr;
}

/* To a thread whose magazines are bypassed. */
static enum heap_error put_past_cache(struct thread_cache *cache,
                                      unsigned size_class, void *ptr)
{
    if (magazine_returned_lately(&cache->magazines, size_class, ptr))
        return HEAP_DOUBLE_FREE;
    magazine_return(&cache->magazines, size_class, ptr);
    exhaustion_note_success(cache->home->heap, cache);
    return HEAP_OK;
}

static enum heap_error put_by_cache(struct thread_cache *cache,
                                    unsigned size_class, void *ptr)
{
    enum heap_error error = HEAP_OK;
    if (is_bypassed(cache))
        return put_past_cache(cache, size_class, ptr);
    thread_cache_enter_slowly(cache);
    if (magazine_has_lately(&cache->magazines, size_class, ptr))
        error = HEAP_DOUBLE_FREE;
    else
        magazine_put(&cache->magazines, size_class, ptr);
    const bool bypassed = cache->magazines.is_bypassed;
    thread_cache_leave_slowly(cache);
    if (bypassed)
        exhaustion_note_success(cache->home->heap, cache);
    return error;
}

static void put_past_magazines(struct memkind_heap *heap,
                               struct thread_cache *cache, unsigned size_class,
                               void *ptr)
{
    note_object(heap, cache, ptr, false);
    arena_exchange_return(&heap->arenas, cache->magazines.tally, size_class,
                          ptr);
}

/* The fast way for an object that is not in the heap's first region, or of a
 * thread that issues its barriers itself. */
static bool put_fast(struct memkind_heap *heap, unsigned size_class, void *ptr)
{
    struct thread_cache *cache = heap_cache_known(heap);
    if (!is_cached_class(size_class) ||
        (!thread_cache_enter(cache) && !thread_cache_enter_fenced(cache)))
        return false;
    bool done = heap_push(cache, size_class, ptr);
    thread_cache_leave(cache);
    return done;
}

static enum heap_error why_no_object(struct memkind_heap *heap, const void *ptr)
{
    return object_tag_has_gone(heap_pool(heap), ptr) ? HEAP_DOUBLE_FREE
                                                     : HEAP_NO_OBJECT;
}

enum heap_error heap_plain_free(struct memkind_heap *heap, void *ptr)
{
    enum heap_error error = HEAP_OK;
    unsigned size_class = object_tag_class(heap_pool(heap), ptr);
    if (size_class == SIZE_CLASS_NONE)
        return why_no_object(heap, ptr);
    if (put_fast(heap, size_class, ptr))
        return HEAP_OK;
    if (!allocator_enter_briefly())
        return HEAP_REENTERED;
    struct thread_cache *cache = thread_cache_get(&heap->caches);
    if (thread_cache_is_usable(cache) && is_cached_class(size_class))
        error = put_by_cache(cache, size_class, ptr);
    else
        put_past_magazines(heap, cache, size_class, ptr);
    allocator_leave();
    if (error == HEAP_OK)
        fair_share_note_freed(heap, cache, size_class);
    return error;
}

size_t heap_plain_usable_size(struct memkind_heap *heap, const void *ptr)
{
    unsigned size_class = object_tag_class(heap_pool(heap), ptr);
    if (size_class == SIZE_CLASS_NONE)
        return 0;
    if (is_cached_class(size_class))
        return size_class_sizes[size_class];
    return JE_NAME(sallocx)(ptr, 0);
}

/* ---- realloc ------------------------------------------------------------ */

/* Returns false if the object would have to move. */
static bool resize_in_place(struct memkind_heap *heap, void *ptr, size_t size)
{
    size_t before = JE_NAME(sallocx)(ptr, 0);
    size_t wanted = JE_NAME(nallocx)(size, 0);
    if (wanted == 0 || JE_NAME(xallocx)(ptr, size, 0, JE_TCACHE_NONE) != wanted)
        return false;
    object_tag_write_large(heap_pool(heap), ptr, wanted);
    struct thread_cache *cache = heap_cache_known(heap);
    arena_returns_note_fetched(&heap->arenas.returns, cache->magazines.tally,
                               size_class_of(wanted), ptr);
    if (cache != &thread_cache_none)
        magazine_note_held(&cache->magazines,
                           (int64_t)wanted - (int64_t)before);
    if (wanted < before) {
        heap_arenas_note_free_pages(&heap->arenas);
        arena_returns_note(&heap->arenas.returns, SIZE_CLASS_HUGE,
                           before - wanted);
    }
    return true;
}

static bool resize_large(struct memkind_heap *heap, void *ptr, size_t size)
{
    bool done = false;
    int saved_errno = errno;
    if (allocator_enter()) {
        done = resize_in_place(heap, ptr, size);
        allocator_leave();
    }
    errno = saved_errno;
    return done;
}

/* Whether the thread's last free of that class was of this object. */
static bool was_just_freed(struct memkind_heap *heap, unsigned size_class,
                           const void *ptr)
{
    struct thread_cache *cache = heap_cache_known(heap);
    if (!is_cached_class(size_class) ||
        (!thread_cache_enter(cache) && !thread_cache_enter_fenced(cache)))
        return false;
    bool is_free = magazine_was_put_last(&cache->magazines, size_class, ptr) ||
                   magazine_returned_lately(&cache->magazines, size_class, ptr);
    thread_cache_leave(cache);
    return is_free;
}

/* The class of an object that the program has passed. SIZE_CLASS_NONE, and a
 * report, if it is no live object. */
static unsigned class_of_object(struct memkind_heap *heap, const void *ptr)
{
    unsigned size_class = object_tag_class(heap_pool(heap), ptr);
    enum heap_error error = HEAP_OK;
    if (size_class == SIZE_CLASS_NONE)
        error = why_no_object(heap, ptr);
    else if (was_just_freed(heap, size_class, ptr))
        error = HEAP_DOUBLE_FREE;
    if (__builtin_expect(error == HEAP_OK, 1))
        return size_class;
    heap_report(error, heap_owner(heap), ptr);
    return SIZE_CLASS_NONE;
}

void *heap_plain_realloc(struct memkind_heap *heap, void *ptr, size_t size)
{
    unsigned old_class = class_of_object(heap, ptr);
    if (old_class == SIZE_CLASS_NONE) {
        errno = EINVAL;
        return NULL;
    }
    unsigned new_class = size_class_of(size);
    if (old_class == new_class && is_cached_class(old_class))
        return ptr;
    bool both_large = old_class >= size_class_first_large &&
                      new_class >= size_class_first_large;
    if (both_large && resize_large(heap, ptr, size))
        return ptr;

    size_t old_size = heap_plain_usable_size(heap, ptr);
    void *moved = heap_malloc_fast(heap_cache_known(heap), size);
    if (moved == NULL)
        moved = heap_plain_malloc(heap, size, 0);
    if (moved == NULL) {
        /* The space behind the object may have been reclaimed; and an object
         * that is to shrink may as well stay as it is. */
        if (size <= old_size || (both_large && resize_large(heap, ptr, size)))
            return ptr;
        return NULL;
    }
    region_pool_copy(heap_pool(heap), moved, ptr,
                     old_size < size ? old_size : size);
    if (!heap_free_fast(heap_cache_known(heap), ptr))
        (void)heap_plain_free(heap, ptr);
    return moved;
}

/* ---- defragmentation ---------------------------------------------------- */

/* Whether moving the object helps to empty its slab: other slabs have room for
 * it, are fuller than its own, and its own is not the one being filled. */
static bool worth_moving(const void *ptr)
{
    struct je_utilization use;
    if (je_utilization(ptr, &use) != 0 || use.slab_objects <= 1 ||
        use.slab_free == 0 || use.bin_objects <= use.slab_objects)
        return false;
    if ((uintptr_t)ptr - (uintptr_t)use.current_slab < use.slab_size)
        return false;
    size_t slab_used = use.slab_objects - use.slab_free;
    size_t bin_used = use.bin_objects - use.bin_free;
    /* A slab has less than 2^16 objects, so neither product overflows. */
    return slab_used * use.bin_objects <= bin_used * use.slab_objects;
}

/* Moves an object to a place that comes from the arena, since the cache might
 * give a place in a sparse slab. The cache is drained first: the objects of the
 * class that it holds would keep slabs from becoming empty. */
static void *move_out(struct memkind_heap *heap, struct thread_cache *cache,
                      unsigned size_class, void *ptr)
{
    if (thread_cache_is_usable(cache) && is_cached_class(size_class)) {
        thread_cache_enter_slowly(cache);
        magazine_drain(&cache->magazines, size_class);
        thread_cache_leave_slowly(cache);
    }
    if (!worth_moving(ptr))
        return NULL;
    size_t size = heap_plain_usable_size(heap, ptr);
    void *moved = take_from_arena(heap, cache->magazines.tally,
                                  cache->magazines.arena_place, size, 0);
    if (moved == NULL)
        return NULL;
    memcpy(moved, ptr, size);
    arena_exchange_return(&heap->arenas, cache->magazines.tally, size_class,
                          ptr);
    return moved;
}

void *heap_plain_defragment(struct memkind_heap *heap, void *ptr)
{
    void *moved = NULL;
    unsigned size_class = class_of_object(heap, ptr);
    if (size_class == SIZE_CLASS_NONE)
        return NULL;
    if (!allocator_enter()) {
        heap_report(HEAP_REENTERED, heap_owner(heap), ptr);
        return NULL;
    }
    struct thread_cache *cache = thread_cache_get(&heap->caches);
    if (allocator_may_allocate())
        moved = move_out(heap, cache, size_class, ptr);
    allocator_leave();
    return moved;
}
