/* SPDX-License-Identifier: BSD-2-Clause */
#include "arena_exchange.h"

#include "jemalloc_ctl.h"

/* Bytes of the pages that an object has for itself, or a slab of its class. */
static size_t pages_of(unsigned size_class, const void *ptr)
{
    return size_class <= SIZE_CLASS_LAST ? size_class_pages[size_class]
                                         : JE_NAME(sallocx)(ptr, 0);
}

/*
 * Whether no object of the slab may be left when this one has gone. Of several
 * threads that return the last objects of a slab, the one that has entered last
 * finds each other one either inside or done.
 */
static bool may_be_last(unsigned size_class, const void *ptr, unsigned inside)
{
    size_t slab_free, slab_objects;
    if (size_class_has_own_pages(size_class) ||
        je_slab_use(ptr, &slab_free, &slab_objects) != 0)
        return true;
    return slab_free + inside >= slab_objects;
}

void arena_exchange_give_counted(struct heap_arenas *arenas,
                                 unsigned size_class, void *ptr)
{
    struct arena_returns *returns = &arenas->returns;
    const unsigned inside =
        atomic_fetch_add(&returns->classes[size_class].returning, 1) + 1;
    const size_t pages =
        may_be_last(size_class, ptr, inside) ? pages_of(size_class, ptr) : 0;
    JE_NAME(dallocx)(ptr, JE_TCACHE_NONE);
    if (pages != 0)
        atomic_fetch_add(&returns->free_pages, pages);
    atomic_fetch_add(&returns->classes[size_class].objects, 1);
    atomic_fetch_sub(&returns->classes[size_class].returning, 1);
}

struct arena_fetch arena_exchange_begin_fetch(const struct heap_arenas *arenas,
                                              unsigned size_class)
{
    const struct arena_returns *returns = &arenas->returns;
    struct arena_fetch fetch = {
        .is_counted = arena_returns_are_counted(returns),
        .size_class = size_class,
    };
    if (__builtin_expect(fetch.is_counted, 0)) {
        fetch.reused = atomic_load(&returns->reused);
        fetch.commits = extent_commits;
        fetch.objects = atomic_load(&returns->classes[size_class].objects);
    }
    return fetch;
}

static bool has_slabs(unsigned size_class)
{
    return size_class <= SIZE_CLASS_LAST &&
           !size_class_has_own_pages(size_class);
}

/* Whether the object has pages of its own, or is the only one of a slab, which
 * is new then: no other object of the class went back meanwhile. */
static bool is_first(const struct arena_returns *returns,
                     const struct arena_fetch *fetch, const void *ptr)
{
    const unsigned size_class = fetch->size_class;
    size_t slab_free, slab_objects;
    if (size_class > SIZE_CLASS_LAST)
        return false;
    if (size_class_has_own_pages(size_class))
        return true;
    return je_slab_use(ptr, &slab_free, &slab_objects) == 0 &&
           slab_free + 1 == slab_objects &&
           atomic_load(&returns->classes[size_class].returning) == 0 &&
           atomic_load(&returns->classes[size_class].objects) == fetch->objects;
}

void arena_exchange_end_fetch(struct heap_arenas *arenas,
                              const struct arena_fetch *fetch, const void *ptr)
{
    struct arena_returns *returns = &arenas->returns;
    const unsigned size_class = fetch->size_class;
    if (__builtin_expect(!arena_returns_are_counted(returns), 1))
        return;
    arena_returns_note_fetched(returns, size_class);
    const bool has_committed =
        !fetch->is_counted || extent_commits != fetch->commits;
    if (has_committed && has_slabs(size_class) &&
        !is_first(returns, fetch, ptr)) {
        /* Another thread may have had a slab ready meanwhile. jemalloc frees
         * the new one then. */
        atomic_fetch_add(&returns->free_pages, size_class_pages[size_class]);
    } else if (!has_committed && heap_arenas_knows_pages(arenas) &&
               is_first(returns, fetch, ptr)) {
        /* Pages that needed no commit are some that had become free. */
        arena_returns_note_reused(returns, fetch->reused,
                                  size_class_pages[size_class]);
    }
}
