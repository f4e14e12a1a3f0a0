/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whether a call of jemalloc has taken pages from its arena, or has given some
 * back to it: the counters of the calling thread move then. An object that goes
 * back gives pages back if it was the last one of its slab; one that is taken
 * out takes pages if its slab is new. A slab that turns out not to be needed is
 * taken and given back by one call.
 */
#ifndef PAGE_TRAFFIC_H
#define PAGE_TRAFFIC_H

#include <stdbool.h>
#include <stddef.h>

#include "tls_model.h"

struct page_traffic {
    unsigned taken, given; /* slabs and large objects */
};

#ifdef MEMKIND_JEMALLOC_EMBEDDED

#define PAGE_TRAFFIC_IS_SEEN true

extern __thread struct page_traffic page_traffic TLS_MODEL
    __attribute__((visibility("hidden")));

static inline struct page_traffic page_traffic_now(void)
{
    return page_traffic;
}

/* Bracket a purge of arenas by this thread, each of which is named before: by
 * jemalloc's number, which stays there. Returns whether no other thread has
 * been at the free pages of one of them: then jemalloc leaves them alone. */
void page_traffic_begin_purge(void);
void page_traffic_purge_next(const unsigned *arena);
bool page_traffic_end_purge(void);

/* Bytes of free pages that the thread's last purge has left: some of them that
 * were there before, or that have become free meanwhile. */
size_t page_traffic_left_by_purge(void);

/* In a forked child: a background thread that was at it is not there. */
void page_traffic_renew(void);

#else

/* A shared jemalloc does not show it. */
#define PAGE_TRAFFIC_IS_SEEN false

static inline struct page_traffic page_traffic_now(void)
{
    return (struct page_traffic){0};
}

static inline void page_traffic_begin_purge(void)
{
}

static inline void page_traffic_purge_next(const unsigned *arena)
{
    (void)arena;
}

static inline size_t page_traffic_left_by_purge(void)
{
    return 0;
}

static inline bool page_traffic_end_purge(void)
{
    return true;
}

static inline void page_traffic_renew(void)
{
}

#endif

#endif
