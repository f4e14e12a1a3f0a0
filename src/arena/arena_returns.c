/* SPDX-License-Identifier: BSD-2-Clause */
#include "arena_returns.h"

/* More than any heap has. */
#define UNKNOWN_PAGES ((size_t)1 << 47)

void arena_returns_begin(struct arena_returns *returns)
{
    unsigned epoch = atomic_load(&returns->epoch);
    if (epoch % 2 != 0)
        return;
    atomic_fetch_add(&returns->free_pages, UNKNOWN_PAGES);
    /* If it fails, another thread has begun. */
    (void)atomic_compare_exchange_strong(&returns->epoch, &epoch, epoch + 1);
}

void arena_returns_end(struct arena_returns *returns)
{
    unsigned epoch = atomic_load(&returns->epoch);
    if (epoch % 2 != 0)
        (void)atomic_compare_exchange_strong(&returns->epoch, &epoch,
                                             epoch + 1);
}

void arena_returns_note(struct arena_returns *returns, unsigned size_class,
                        size_t pages)
{
    /* The thread that begins to count does so before it looks at the arenas. */
    atomic_thread_fence(memory_order_seq_cst);
    if (!arena_returns_are_counted(returns))
        return;
    atomic_fetch_add(&returns->free_pages, pages);
    atomic_fetch_add(&returns->classes[size_class].objects, 1);
    arena_returns_note_renewed(returns, size_class);
}

/* ---- what becomes of free pages ----------------------------------------- */

#define REUSED_BITS 40 /* of pages of 4 KiB */
#define REUSED_UNIT 12

static size_t bytes_reused(uint64_t reused)
{
    return (size_t)(reused & (((uint64_t)1 << REUSED_BITS) - 1)) << REUSED_UNIT;
}

size_t arena_returns_spare(const struct arena_returns *returns)
{
    const size_t reused = bytes_reused(atomic_load(&returns->reused)),
                 freed = atomic_load(&returns->free_pages) -
                         atomic_load(&returns->purged);
    return freed > reused ? freed - reused : 0;
}

void arena_returns_note_purge(struct arena_returns *returns, size_t free_pages)
{
    const uint64_t number = (atomic_load(&returns->reused) >> REUSED_BITS) + 1;
    atomic_store(&returns->purged, free_pages);
    atomic_store(&returns->reused, number << REUSED_BITS);
}

void arena_returns_note_reused(struct arena_returns *returns, uint64_t before,
                               size_t pages)
{
    uint64_t reused = atomic_load(&returns->reused);
    do
        if (reused >> REUSED_BITS != before >> REUSED_BITS)
            return;
    while (!atomic_compare_exchange_weak(&returns->reused, &reused,
                                         reused + (pages >> REUSED_UNIT)));
}
