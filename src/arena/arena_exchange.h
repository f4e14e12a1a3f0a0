/* SPDX-License-Identifier: BSD-2-Clause */
/* How objects are given back to the arenas of a heap, and taken out of them, so
 * that arena_returns.h counts them. */
#ifndef ARENA_EXCHANGE_H
#define ARENA_EXCHANGE_H

#include "heap_arenas.h"

/* Gives an object back to jemalloc, and counts it. */
void arena_exchange_give_counted(struct heap_arenas *arenas,
                                 unsigned size_class, void *ptr);

/* Gives an object back to its arena. If it is not counted, false is returned,
 * and arena_returns_note() is called after it or some of its class. */
static inline bool arena_exchange_give(struct heap_arenas *arenas,
                                       unsigned size_class, void *ptr)
{
    heap_arenas_note_free_pages(arenas);
    if (__builtin_expect(arena_returns_are_counted(&arenas->returns), 0)) {
        arena_exchange_give_counted(arenas, size_class, ptr);
        return true;
    }
    JE_NAME(dallocx)(ptr, JE_TCACHE_NONE);
    return false;
}

/* Bracket taking an object of a class out of an arena. */
struct arena_fetch {
    bool is_counted;
    unsigned size_class;
    unsigned commits; /* by this thread */
    unsigned objects;
    uint64_t reused;
};
struct arena_fetch arena_exchange_begin_fetch(const struct heap_arenas *arenas,
                                              unsigned size_class);
void arena_exchange_end_fetch(struct heap_arenas *arenas,
                              const struct arena_fetch *fetch, const void *ptr);

#endif
