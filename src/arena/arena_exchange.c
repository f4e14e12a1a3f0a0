/* SPDX-License-Identifier: BSD-2-Clause */
#include "arena_exchange.h"

#include "heap_report.h"
#include "jemalloc_batch.h"
#include "memory_marks.h"
#include "object_tag.h"
#include "pages_ahead.h"

/* Bytes of the pages that an object has for itself, or a slab of its class. */
static size_t pages_of(unsigned size_class, const void *ptr)
{
    return size_class <= SIZE_CLASS_LAST ? size_class_pages[size_class]
                                         : JE_NAME(sallocx)(ptr, 0);
}

/* Whether a call has given pages back to an arena; `before` is from before. */
static bool has_given(struct page_traffic before)
{
    return !PAGE_TRAFFIC_IS_SEEN || page_traffic_now().given != before.given;
}

/* Whether a call that returned an object of a class has taken the pages that it
 * lies in. */
static bool has_taken(unsigned size_class, struct page_traffic before)
{
    return PAGE_TRAFFIC_IS_SEEN ? page_traffic_now().taken != before.taken
                                : size_class_has_own_pages(size_class);
}

/* Gives an object to jemalloc. */
static void give(struct heap_arenas *arenas, unsigned size_class, void *ptr)
{
    /* A smaller object shares its tag with others of its slab. */
    if (size_class >= size_class_first_large)
        object_tag_clear_large(arenas->extents.pool, ptr);
    else
        object_tag_begin_giving(arenas->extents.pool);
    JE_NAME(dallocx)(ptr, JE_TCACHE_NONE);
    object_tag_end_giving();
}

/* How many objects a slab of a class has; 0 if the class has none, or it is not
 * seen when they come and go. */
static uint32_t objects_of_slab(unsigned size_class)
{
    return PAGE_TRAFFIC_IS_SEEN && size_class <= SIZE_CLASS_LAST &&
                   !size_class_has_own_pages(size_class)
               ? size_class_pages[size_class] / size_class_sizes[size_class]
               : 0;
}

static void give_counted(struct heap_arenas *arenas, unsigned number,
                         unsigned size_class, void *ptr)
{
    struct return_tally *tally = arena_returns_tally(&arenas->returns, number);
    const size_t pages = pages_of(size_class, ptr);
    const struct page_traffic before = page_traffic_now();
    give(arenas, size_class, ptr);
    const bool pages_are_free = has_given(before);
    if (pages_are_free)
        atomic_fetch_add(&tally->free_pages, pages);
    arena_guess_note_given(arena_returns_guesses(&arenas->returns), number,
                           size_class, ptr,
                           pages_are_free ? objects_of_slab(size_class) : 0);
    atomic_fetch_add(&tally->classes[size_class].objects, 1);
}

bool arena_exchange_give(struct heap_arenas *arenas, unsigned tally,
                         unsigned size_class, void *ptr)
{
    heap_arenas_note_free_pages(arenas);
    if (__builtin_expect(arena_returns_are_counted(&arenas->returns), 0)) {
        give_counted(arenas, tally, size_class, ptr);
        return true;
    }
    give(arenas, size_class, ptr);
    return false;
}

/* Whether the tag of an object says that it has not gone back. */
static bool may_live(struct heap_arenas *arenas, unsigned size_class,
                     const void *ptr)
{
    struct memkind_region_pool *pool = arenas->extents.pool;
    return pool == NULL || object_tag_class(pool, ptr) == size_class;
}

/* Objects of a pool's slabs, which have not gone. */
static void give_slab_objects(struct heap_arenas *arenas, unsigned size_class,
                              int flags, void **objects, uint32_t count)
{
    heap_arenas_note_free_pages(arenas);
    object_tag_begin_giving(arenas->extents.pool);
    je_batch_give(flags, size_class - SIZE_CLASS_FIRST, objects, count);
    object_tag_end_giving();
}

uint32_t arena_exchange_give_some(struct heap_arenas *arenas, unsigned tally,
                                  unsigned size_class, int flags,
                                  void **objects, uint32_t count)
{
    uint32_t kept = 0, not_counted = 0;
    const bool in_batch = arenas->extents.pool != NULL &&
                          size_class < size_class_first_large &&
                          !size_class_has_own_pages(size_class) &&
                          !arena_returns_are_counted(&arenas->returns);
    for (uint32_t i = 0; i < count; i++) {
        if (!may_live(arenas, size_class, objects[i]))
            heap_report(HEAP_DOUBLE_FREE, arenas->extents.address_owner,
                        objects[i]);
        else if (in_batch)
            objects[kept++] = objects[i];
        else
            not_counted +=
                !arena_exchange_give(arenas, tally, size_class, objects[i]);
    }
    if (!in_batch)
        return not_counted;
    give_slab_objects(arenas, size_class, flags, objects, kept);
    return kept;
}

void arena_exchange_return(struct heap_arenas *arenas, unsigned tally,
                           unsigned size_class, void *ptr)
{
    const size_t pages = pages_of(size_class, ptr);
    if (!arena_exchange_give(arenas, tally, size_class, ptr))
        arena_returns_note(&arenas->returns, size_class, pages);
}

struct arena_fetch arena_exchange_begin_fetch(const struct heap_arenas *arenas,
                                              unsigned tally, unsigned place,
                                              unsigned size_class)
{
    const struct arena_returns *returns = &arenas->returns;
    struct arena_fetch fetch = {
        .is_counted = arena_returns_are_counted(returns),
        .tally = tally,
        .place = place,
        .size_class = size_class,
        .ahead = pages_ahead_taken(),
    };
    if (__builtin_expect(fetch.is_counted, 0)) {
        fetch.reused = atomic_load(&returns->reused);
        fetch.commits = extent_commits;
        fetch.traffic = page_traffic_now();
    }
    return fetch;
}

void arena_exchange_end_fetch(struct heap_arenas *arenas,
                              const struct arena_fetch *fetch, const void *ptr)
{
    struct arena_returns *returns = &arenas->returns;
    const unsigned size_class = fetch->size_class;
    if (__builtin_expect(!arena_returns_are_counted(returns), 1))
        return;
    arena_returns_note_fetched(returns, fetch->tally, size_class, ptr);
    if (fetch->is_counted)
        arena_guess_note_taken(arena_returns_guesses(returns),
                               arena_returns_tally_of(returns, fetch->place),
                               fetch->place, size_class, ptr,
                               has_taken(size_class, fetch->traffic)
                                   ? objects_of_slab(size_class)
                                   : 0);
    struct return_tally *tally = arena_returns_tally(returns, fetch->tally);
    const size_t ahead = pages_ahead_taken() - fetch->ahead;
    if (ahead != 0)
        atomic_fetch_add(&tally->free_pages, ahead);
    if (size_class > SIZE_CLASS_LAST)
        return;
    const size_t pages = size_class_pages[size_class];
    if (!PAGE_TRAFFIC_IS_SEEN || !fetch->is_counted ||
        has_taken(size_class, fetch->traffic))
        arena_returns_note_renewed(returns, fetch->tally, size_class);
    if (!fetch->is_counted) {
        /* Counting has begun meanwhile. */
        atomic_fetch_add(&tally->free_pages, pages);
    } else if (extent_commits != fetch->commits) {
        /* Another thread may have had a slab ready meanwhile. jemalloc has
         * freed the new one then. */
        if (!size_class_has_own_pages(size_class) && has_given(fetch->traffic))
            atomic_fetch_add(&tally->free_pages, pages);
    } else if (has_taken(size_class, fetch->traffic) &&
               heap_arenas_knows_pages(arenas)) {
        /* Pages that needed no commit are some that had become free. If they
         * are free again, a purge may have missed them meanwhile. */
        if (PAGE_TRAFFIC_IS_SEEN && has_given(fetch->traffic))
            atomic_fetch_add(&tally->free_pages, pages);
        else
            arena_returns_note_reused(returns, fetch->reused, pages);
    }
}

uint32_t arena_exchange_fetch_some(struct heap_arenas *arenas, unsigned tally,
                                   unsigned place, unsigned size_class,
                                   void **objects, uint32_t count)
{
    const struct arena_fetch begun =
        arena_exchange_begin_fetch(arenas, tally, place, size_class);
    if (begun.is_counted)
        return 0;
    const uint32_t taken =
        je_batch_take(heap_arenas_flags(arenas, place),
                      size_class - SIZE_CLASS_FIRST, objects, count);
    if (__builtin_expect(arena_returns_are_counted(&arenas->returns), 0))
        for (uint32_t i = count - taken; i < count; i++)
            arena_exchange_end_fetch(arenas, &begun, objects[i]);
    return taken;
}

/* ---- parked objects ----------------------------------------------------- */

/* What a tally has: the object's class above its address. No processor gives a
 * program addresses of more than 56 bits. */
#define CLASS_SHIFT 56

static uint64_t parked_value(unsigned size_class, const void *ptr)
{
    return (uint64_t)size_class << CLASS_SHIFT | (uintptr_t)ptr;
}

static void *parked_object(uint64_t value)
{
    /* NOLINTNEXTLINE(performance-no-int-to-ptr): it has a class beside it */
    return (void *)(uintptr_t)(value & (((uint64_t)1 << CLASS_SHIFT) - 1));
}

bool arena_exchange_is_parked(struct heap_arenas *arenas, unsigned size_class,
                              const void *ptr)
{
    struct arena_returns *returns = &arenas->returns;
    const unsigned count = atomic_load(&returns->tally_count);
    const uint64_t value = parked_value(size_class, ptr);
    for (unsigned i = 0; i < count; i++)
        if (atomic_load(&arena_returns_tally(returns, i)->parked) == value)
            return true;
    return false;
}

/* Takes out what is parked in `from` if it is of that class. */
static void *take(struct heap_arenas *arenas, unsigned from, unsigned tally,
                  unsigned size_class)
{
    struct arena_returns *returns = &arenas->returns;
    _Atomic uint64_t *place = &arena_returns_tally(returns, from)->parked;
    uint64_t value = atomic_load_explicit(place, memory_order_relaxed);
    if (value == 0 || value >> CLASS_SHIFT != size_class ||
        !atomic_compare_exchange_strong(place, &value, 0))
        return NULL;
    void *ptr = parked_object(value);
    arena_returns_note_fetched(returns, tally, size_class, ptr);
    return ptr;
}

void *arena_exchange_take_parked(struct heap_arenas *arenas, unsigned tally,
                                 unsigned tallies, unsigned size_class)
{
    const unsigned count = atomic_load(&arenas->returns.tally_count);
    void *ptr = NULL;
    for (unsigned i = 0; ptr == NULL && i < tallies && i < count; i++)
        ptr = take(arenas, (tally + i) % count, tally, size_class);
    return ptr;
}

struct parked arena_exchange_find_parked(struct heap_arenas *arenas,
                                         unsigned size_class)
{
    struct arena_returns *returns = &arenas->returns;
    const unsigned count = atomic_load(&returns->tally_count);
    struct parked found = {false, false};
    for (unsigned i = 0; i < count; i++) {
        const uint64_t value =
            atomic_load(&arena_returns_tally(returns, i)->parked);
        if (value != 0 && value >> CLASS_SHIFT == size_class)
            found.wanted = true;
        else if (value != 0)
            found.others = true;
    }
    return found;
}

bool arena_exchange_park(struct heap_arenas *arenas, unsigned tally,
                         unsigned size_class, void *ptr)
{
    struct arena_returns *returns = &arenas->returns;
    struct return_tally *place = arena_returns_tally(returns, tally);
    const uint64_t value = parked_value(size_class, ptr);
    uint64_t none = 0;
    if ((size_class >= size_class_first_large &&
         !heap_arenas_keep_pages(arenas)) ||
        atomic_load_explicit(&place->wanted, memory_order_relaxed) !=
            size_class ||
        !arena_returns_are_counted(returns) || memory_marks_need_locks() ||
        parked_object(value) != ptr ||
        !atomic_compare_exchange_strong(&place->parked, &none, value))
        return false;
    atomic_fetch_add(&place->classes[size_class].objects, 1);
    /* What was parked when counting ended has gone back. */
    uint64_t own = value;
    if (atomic_load(&returns->epoch) % 2 == 0 &&
        atomic_compare_exchange_strong(&place->parked, &own, 0))
        arena_exchange_return(arenas, tally, size_class, ptr);
    return true;
}

void arena_exchange_unpark_all(struct heap_arenas *arenas)
{
    struct arena_returns *returns = &arenas->returns;
    const unsigned count = atomic_load(&returns->tally_count);
    for (unsigned i = 0; i < count; i++) {
        _Atomic uint64_t *place = &arena_returns_tally(returns, i)->parked;
        const uint64_t value =
            atomic_load(place) != 0 ? atomic_exchange(place, 0) : 0;
        if (value != 0)
            arena_exchange_return(arenas, i, (unsigned)(value >> CLASS_SHIFT),
                                  parked_object(value));
    }
}
