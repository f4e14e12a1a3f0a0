/* SPDX-License-Identifier: BSD-2-Clause */
#include "lost_arenas.h"

#include <stdatomic.h>
#include <stdio.h>

#include "jemalloc_private.h"
#include "ranked_lock.h"

#ifdef MEMKIND_JEMALLOC_EMBEDDED

#define INDICES_MOST 4096

/* What cmake/embed_jemalloc.sh makes of jemalloc's arena_init(), for all calls
 * but those of its ctl.c, which come to our own. */
void *JE_NAME(real_arena_init)(void *tsdn, unsigned index, const void *config);
void *JE_NAME(arena_init)(void *tsdn, unsigned index, const void *config);

/* Taken under jemalloc's locks; none of them is taken under it. */
static struct ranked_lock lost_lock = RANKED_LOCK_INITIALIZER(RANK_LOST_ARENAS);
static unsigned greatest; /* index that there has been an arena of */
static unsigned short lost[INDICES_MOST];
static _Atomic unsigned lost_count;

static void note_lost(unsigned index)
{
    ranked_lock_take(&lost_lock);
    unsigned count = atomic_load(&lost_count);
    if (count < INDICES_MOST) {
        lost[count] = (unsigned short)index;
        atomic_store(&lost_count, count + 1);
    }
    ranked_lock_release(&lost_lock);
}

void *JE_NAME(arena_init)(void *tsdn, unsigned index, const void *config)
{
    void *arena = JE_NAME(real_arena_init)(tsdn, index, config);
    ranked_lock_take(&lost_lock);
    /* A new index is not lost: jemalloc tries it again. */
    bool was_free = index <= greatest;
    if (arena != NULL && index > greatest)
        greatest = index;
    ranked_lock_release(&lost_lock);
    if (arena == NULL && was_free && index < INDICES_MOST)
        note_lost(index);
    return arena;
}

/* To allocate from an arena that is missing makes one, with hooks of jemalloc's
 * own; to destroy that arena puts its index on the free list. */
static bool recover(unsigned index)
{
    char name[64];
    const int flags = JE_ARENA(index) | JE_TCACHE_NONE;
    void *object = JE_NAME(mallocx)(1, flags);
    if (object == NULL)
        return false;
    JE_NAME(dallocx)(object, JE_TCACHE_NONE);
    snprintf(name, sizeof name, "arena.%u.destroy", index);
    (void)JE_NAME(mallctl)(name, NULL, NULL, NULL, 0);
    return true;
}

static bool take_lost(unsigned *index)
{
    ranked_lock_take(&lost_lock);
    unsigned count = atomic_load(&lost_count);
    if (count != 0) {
        *index = lost[count - 1];
        atomic_store(&lost_count, count - 1);
    }
    ranked_lock_release(&lost_lock);
    return count != 0;
}

bool lost_arenas_recover(void)
{
    unsigned index;
    while (atomic_load(&lost_count) != 0 && take_lost(&index))
        if (!recover(index)) {
            note_lost(index);
            return false;
        }
    return true;
}

void lost_arenas_renew_lock(void)
{
    ranked_lock_init(&lost_lock, RANK_LOST_ARENAS);
}

#else

bool lost_arenas_recover(void)
{
    return true;
}

void lost_arenas_renew_lock(void)
{
}

#endif
