/* SPDX-License-Identifier: BSD-2-Clause */
#include "page_traffic.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "jemalloc_batch.h"
#include "jemalloc_ctl.h"
#include "jemalloc_private.h"
#include "pages_ahead.h"
#include "spread.h"

#ifdef MEMKIND_JEMALLOC_EMBEDDED

__thread struct page_traffic page_traffic TLS_MODEL;

/* In place of jemalloc's own. */
void *JE_NAME(pa_alloc)(void *tsdn, void *shard, size_t size, size_t alignment,
                        bool slab, unsigned size_class, bool zero, bool guarded,
                        bool *deferred);
void JE_NAME(pa_dalloc)(void *tsdn, void *shard, void *extent, bool *deferred);

void *JE_NAME(pa_alloc)(void *tsdn, void *shard, size_t size, size_t alignment,
                        bool slab, unsigned size_class, bool zero, bool guarded,
                        bool *deferred)
{
    pages_ahead_begin_call();
    void *extent = JE_NAME(real_pa_alloc)(tsdn, shard, size, alignment, slab,
                                          size_class, zero, guarded, deferred);
    page_traffic.taken += extent != NULL;
    if (extent != NULL && !zero)
        pages_ahead_end_call(tsdn, shard, size, alignment, size_class);
    return extent;
}

void JE_NAME(pa_dalloc)(void *tsdn, void *shard, void *extent, bool *deferred)
{
    page_traffic.given++;
    je_batch_note_release(extent);
    JE_NAME(real_pa_dalloc)(tsdn, shard, extent, deferred);
}

/* ---- decay -------------------------------------------------------------- */

/* The functions by which an arena's free pages are given back, when they are
 * due, or all of them: redirected as well. */
void JE_NAME(real_pac_decay_all)(void *tsdn, void *pac, void *decay,
                                 void *stats, void *extents, bool fully);
bool JE_NAME(real_pac_maybe_decay_purge)(void *tsdn, void *pac, void *decay,
                                         void *stats, void *extents,
                                         int eagerness);
void JE_NAME(pac_decay_all)(void *tsdn, void *pac, void *decay, void *stats,
                            void *extents, bool fully);
bool JE_NAME(pac_maybe_decay_purge)(void *tsdn, void *pac, void *decay,
                                    void *stats, void *extents, int eagerness);

/* These are jemalloc's own. The former two take and release a lock. */
void JE_NAME(ecache_prefork)(void *tsdn, void *extents);
void JE_NAME(ecache_postfork_parent)(void *tsdn, void *extents);
void JE_NAME(arena_basic_stats_merge)(void *tsdn, void *arena,
                                      unsigned *threads, const char **dss,
                                      ssize_t *dirty_ms, ssize_t *muzzy_ms,
                                      size_t *active, size_t *dirty,
                                      size_t *muzzy);
extern void *JE_NAME(arenas)[] __attribute__((visibility("hidden")));

/* Calls of them. Arenas share a place only if there are very many. */
#define PLACE_BITS 8

static struct decays {
    atomic_uint begun, ended;
} places[1 << PLACE_BITS];

static __thread struct {
    bool is_on, is_disturbed;
    const unsigned *arena; /* whose free pages are next; NULL: none */
    size_t left;           /* of free pages */
} purge TLS_MODEL;

static struct decays *decays_of(const void *pac)
{
    return &places[spread((uintptr_t)pac) >> (64 - PLACE_BITS)];
}

/* Returns the number of the call. */
static unsigned begin_decay(struct decays *decays)
{
    const unsigned ended = atomic_load(&decays->ended);
    const unsigned begun = atomic_fetch_add(&decays->begun, 1);
    if (purge.is_on && begun != ended)
        purge.is_disturbed = true;
    return begun;
}

static void end_decay(struct decays *decays, unsigned number)
{
    if (purge.is_on && atomic_load(&decays->begun) != number + 1)
        purge.is_disturbed = true;
    atomic_fetch_add(&decays->ended, 1);
}

/* jemalloc gives back as many free pages as it counts when it begins, without
 * the lock: while another thread splits some, or merges them, these are not
 * counted. What is left is counted under the lock of the free pages; `extents`
 * are the arena's. */
static size_t count_left(void *tsdn, void *extents, unsigned arena)
{
    unsigned threads = 0;
    const char *dss;
    ssize_t dirty_ms, muzzy_ms;
    size_t active = 0, dirty = 0, muzzy = 0;
    JE_NAME(ecache_prefork)(tsdn, extents);
    JE_NAME(arena_basic_stats_merge)
    (tsdn, JE_NAME(arenas)[arena], &threads, &dss, &dirty_ms, &muzzy_ms,
     &active, &dirty, &muzzy);
    JE_NAME(ecache_postfork_parent)(tsdn, extents);
    return dirty;
}

/* So often at most, if there is something left. */
#define DECAY_ROUNDS 3

void JE_NAME(pac_decay_all)(void *tsdn, void *pac, void *decay, void *stats,
                            void *extents, bool fully)
{
    struct decays *decays = decays_of(pac);
    const unsigned number = begin_decay(decays);
    JE_NAME(real_pac_decay_all)(tsdn, pac, decay, stats, extents, fully);
    /* The first call for an arena is for its dirty pages. */
    if (purge.is_on && purge.arena != NULL) {
        size_t left = count_left(tsdn, extents, *purge.arena);
        for (int i = 1; left != 0 && i < DECAY_ROUNDS; i++) {
            JE_NAME(real_pac_decay_all)
            (tsdn, pac, decay, stats, extents, fully);
            left = count_left(tsdn, extents, *purge.arena);
        }
        purge.left += left;
        purge.arena = NULL;
    }
    end_decay(decays, number);
}

bool JE_NAME(pac_maybe_decay_purge)(void *tsdn, void *pac, void *decay,
                                    void *stats, void *extents, int eagerness)
{
    struct decays *decays = decays_of(pac);
    const unsigned number = begin_decay(decays);
    const bool result = JE_NAME(real_pac_maybe_decay_purge)(
        tsdn, pac, decay, stats, extents, eagerness);
    end_decay(decays, number);
    return result;
}

void page_traffic_renew(void)
{
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
        atomic_store(&places[i].ended, atomic_load(&places[i].begun));
}

void page_traffic_begin_purge(void)
{
    purge.is_on = true;
    purge.is_disturbed = false;
    purge.left = 0;
}

void page_traffic_purge_next(const unsigned *arena)
{
    purge.arena = arena;
}

bool page_traffic_end_purge(void)
{
    purge.is_on = false;
    purge.arena = NULL;
    return !purge.is_disturbed;
}

size_t page_traffic_left_by_purge(void)
{
    return purge.left != 0 ? purge.left * je_page_size() : 0;
}

#endif
