/* SPDX-License-Identifier: BSD-2-Clause */
#include "arena_returns.h"

#include "jemalloc_private.h"

/* More than any heap has. */
#define UNKNOWN_PAGES ((size_t)1 << 47)

void arena_returns_init(struct arena_returns *returns, unsigned arenas,
                        size_t bytes)
{
    returns->bytes = bytes;
    returns->tallies_most =
        arenas < RETURN_TALLIES_MOST ? arenas : RETURN_TALLIES_MOST;
    returns->tallies_opened = 1;
    atomic_store(&returns->tally_count, 1);
}

void arena_returns_fini(struct arena_returns *returns)
{
    struct return_tallies *others = atomic_exchange(&returns->others, NULL);
    if (others != NULL)
        JE_NAME(dallocx)(others, 0);
    arena_guess_destroy(atomic_exchange(&returns->guesses, NULL));
}

void arena_returns_open_tally(struct arena_returns *returns, unsigned number)
{
    if (returns->tallies_opened > number)
        return;
    returns->tallies_opened = number + 1;
    if (atomic_load(&returns->others) != NULL)
        atomic_store(&returns->tally_count, number + 1);
}

/* If there is no DRAM for more than one tally, one will do. Nothing is counted
 * before the next beginning. */
static void make_tallies(struct arena_returns *returns)
{
    struct return_tallies *others = atomic_load(&returns->others);
    const size_t count = returns->tallies_most - 1;
    if (others != NULL)
        return;
    others =
        JE_NAME(mallocx)(sizeof *others + count * sizeof others->tallies[0],
                         JE_ZERO | JE_LG_ALIGN(6));
    if (others == NULL)
        return;
    atomic_store(&returns->others, others);
    atomic_store(&returns->tally_count, returns->tallies_opened);
}

/* If there is no DRAM for guesses, nothing is guessed. */
static void make_guesses(struct arena_returns *returns)
{
    if (atomic_load(&returns->guesses) == NULL)
        atomic_store(&returns->guesses,
                     arena_guess_create(returns->tallies_most, returns->bytes));
    arena_guess_forget(atomic_load(&returns->guesses));
}

void arena_returns_begin(struct arena_returns *returns)
{
    const unsigned epoch = atomic_load(&returns->epoch);
    if (epoch % 2 != 0)
        return;
    make_tallies(returns);
    make_guesses(returns);
    atomic_fetch_add(&returns->first.free_pages, UNKNOWN_PAGES);
    atomic_store(&returns->epoch, epoch + 1);
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
    atomic_fetch_add(&returns->first.free_pages, pages);
    atomic_fetch_add(&returns->first.classes[size_class].objects, 1);
    arena_returns_note_renewed(returns, 0, size_class);
}

/* ---- sums --------------------------------------------------------------- */

struct class_returns arena_returns_of_class(struct arena_returns *returns,
                                            unsigned size_class)
{
    struct class_returns sum = {0, 0, 0};
    unsigned count = atomic_load(&returns->tally_count);
    for (unsigned i = 0; i < count; i++)
        sum.fetched += atomic_load(
            &arena_returns_tally(returns, i)->classes[size_class].fetched);
    /* There may be more by now. */
    count = atomic_load(&returns->tally_count);
    for (unsigned i = 0; i < count; i++) {
        struct return_tally *tally = arena_returns_tally(returns, i);
        sum.objects += atomic_load(&tally->classes[size_class].objects);
        sum.renewed += atomic_load(&tally->classes[size_class].renewed);
    }
    return sum;
}

size_t arena_returns_free_pages(struct arena_returns *returns)
{
    size_t sum = 0;
    const unsigned count = atomic_load(&returns->tally_count);
    for (unsigned i = 0; i < count; i++)
        sum += atomic_load(&arena_returns_tally(returns, i)->free_pages);
    return sum;
}

unsigned arena_returns_failures(struct arena_returns *returns)
{
    unsigned sum = 0;
    const unsigned count = atomic_load(&returns->tally_count);
    for (unsigned i = 0; i < count; i++)
        sum += atomic_load_explicit(&arena_returns_tally(returns, i)->failures,
                                    memory_order_relaxed);
    return sum;
}

/* ---- what becomes of free pages ----------------------------------------- */

#define REUSED_BITS 40 /* of pages of 4 KiB */
#define REUSED_UNIT 12

static size_t bytes_reused(uint64_t reused)
{
    return (size_t)(reused & (((uint64_t)1 << REUSED_BITS) - 1)) << REUSED_UNIT;
}

size_t arena_returns_spare(struct arena_returns *returns)
{
    uint64_t before = atomic_load(&returns->reused), reused;
    size_t freed;
    for (;;) {
        reused = before;
        freed = arena_returns_free_pages(returns);
        freed -= atomic_load(&returns->purged);
        before = atomic_load(&returns->reused);
        if (before >> REUSED_BITS == reused >> REUSED_BITS)
            break; /* no purge was noted in between */
    }
    return freed > bytes_reused(reused) ? freed - bytes_reused(reused) : 0;
}

/* A reader in between counts too much. */
void arena_returns_note_purge(struct arena_returns *returns, size_t free_pages,
                              size_t left)
{
    const uint64_t number = (atomic_load(&returns->reused) >> REUSED_BITS) + 1;
    atomic_store(&returns->reused, number << REUSED_BITS);
    atomic_store(&returns->purged, free_pages - left);
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
