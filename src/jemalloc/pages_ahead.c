/* SPDX-License-Identifier: BSD-2-Clause */
#include "pages_ahead.h"

#include <stdatomic.h>

#include "jemalloc_ctl.h"
#include "jemalloc_private.h"
#include "tls_model.h"

#ifdef MEMKIND_JEMALLOC_EMBEDDED

/* An arena takes that part of what it has grown by, if that is enough for some
 * of the objects at hand. */
#define PART_OF_GROWTH 8
#define OBJECTS_LEAST 4

/* More would keep the call for too long: a server that stores small objects
 * answers dozens of requests later in that time. (And jemalloc does not cut an
 * object from a free extent that is 64 times as large or more.) */
#define OBJECTS_MOST 8

/* Bytes that an arena has grown by, up to this: what was committed last, less
 * what was given back since. */
#define GROWTH_MOST (PART_OF_GROWTH * PAGES_AHEAD_MOST)
#define ARENAS 4096
static _Atomic size_t growth[ARENAS];

/* This thread's calls. */
static __thread struct {
    unsigned arena;
    size_t allowed; /* to the call that it is in */
    bool is_on;     /* pages are being taken ahead */
    bool has_committed;
    size_t taken;
} ahead TLS_MODEL;

static _Atomic size_t *growth_of(unsigned arena)
{
    return &growth[arena % ARENAS];
}

void pages_ahead_forget(unsigned arena)
{
    atomic_store_explicit(growth_of(arena), 0, memory_order_relaxed);
}

/* If threads of one arena do this at once, some growth may be missed. */
size_t pages_ahead_note_commit(unsigned arena, size_t size)
{
    _Atomic size_t *place = growth_of(arena);
    if (ahead.is_on) {
        ahead.has_committed = true;
        return 0;
    }
    size_t grown = atomic_load_explicit(place, memory_order_relaxed);
    if (grown < GROWTH_MOST) {
        grown = size < GROWTH_MOST - grown ? grown + size : GROWTH_MOST;
        atomic_store_explicit(place, grown, memory_order_relaxed);
    }
    size_t most = grown / PART_OF_GROWTH;
    if (most / OBJECTS_MOST > size)
        most = OBJECTS_MOST * size;
    return most < PAGES_AHEAD_LEAST || most / OBJECTS_LEAST < size ? 0 : most;
}

void pages_ahead_note_decommit(unsigned arena, size_t size)
{
    _Atomic size_t *place = growth_of(arena);
    const size_t grown = atomic_load_explicit(place, memory_order_relaxed);
    if (grown != 0)
        atomic_store_explicit(place, grown > size ? grown - size : 0,
                              memory_order_relaxed);
}

void pages_ahead_allow(unsigned arena, size_t most)
{
    ahead.arena = arena;
    ahead.allowed = most;
}

bool pages_ahead_are_being_taken(void)
{
    return ahead.is_on;
}

size_t pages_ahead_taken(void)
{
    return ahead.taken;
}

void pages_ahead_begin_call(void)
{
    ahead.allowed = 0;
}

void pages_ahead_end_call(void *tsdn, void *shard, size_t size,
                          size_t alignment, unsigned size_class)
{
    /* A whole number of objects: what is left over would be of use to none. */
    const size_t step = ahead.allowed - ahead.allowed % size;
    if (__builtin_expect(step < OBJECTS_LEAST * size, 1))
        return;
    /* What lies between aligned objects is of no use to the next. */
    const size_t page = je_page_size();
    if (alignment > page)
        return;
    /* Decay is for the ticks of later calls: a call that allocates may not ask
     * jemalloc for it. */
    bool deferred = false;
    ahead.allowed = 0;
    ahead.is_on = true;
    ahead.has_committed = false;
    void *extent = JE_NAME(real_pa_alloc)(tsdn, shard, step, page, false,
                                          size_class, false, false, &deferred);
    ahead.is_on = false;
    if (extent != NULL) {
        ahead.taken += step;
        JE_NAME(real_pa_dalloc)(tsdn, shard, extent, &deferred);
    }
    /* There is no space, or pages that were free are of no use to objects of
     * this size. */
    if (!ahead.has_committed)
        pages_ahead_forget(ahead.arena);
}

#endif
