/* SPDX-License-Identifier: BSD-2-Clause */
#include "lost_arenas.h"

#include <pthread.h>
#include <stdatomic.h>

#include "jemalloc_ctl.h"
#include "jemalloc_private.h"

#ifdef MEMKIND_JEMALLOC_EMBEDDED

#define ARENAS_MAX 4096

/* What cmake/embed_jemalloc.sh makes of jemalloc's arena_init(), for all calls
 * but those of its ctl.c, which come to our own. */
void *JE_NAME(real_arena_init)(void *tsdn, unsigned index, const void *config);
void *JE_NAME(arena_init)(void *tsdn, unsigned index, const void *config);

/* Taken under jemalloc's locks; none of them is taken under it. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned greatest; /* index that there has been an arena of */
static unsigned short lost[ARENAS_MAX];
static _Atomic unsigned lost_count;

static void note(unsigned index)
{
    pthread_mutex_lock(&lock);
    unsigned count = atomic_load(&lost_count);
    if (count < ARENAS_MAX) {
        lost[count] = (unsigned short)index;
        atomic_store(&lost_count, count + 1);
    }
    pthread_mutex_unlock(&lock);
}

void *JE_NAME(arena_init)(void *tsdn, unsigned index, const void *config)
{
    void *arena = JE_NAME(real_arena_init)(tsdn, index, config);
    pthread_mutex_lock(&lock);
    /* One that is new is not lost: it is tried again. */
    bool was_free = index <= greatest;
    if (arena != NULL && index > greatest)
        greatest = index;
    pthread_mutex_unlock(&lock);
    if (arena == NULL && was_free && index < ARENAS_MAX)
        note(index);
    return arena;
}

/* To allocate from an arena that is missing makes one, with hooks of jemalloc's
 * own; to destroy that puts its index on the free list. */
static bool recover(unsigned index)
{
    const int flags = JE_ARENA(index) | JE_TCACHE_NONE;
    void *object = JE_NAME(mallocx)(1, flags);
    if (object == NULL)
        return false;
    JE_NAME(dallocx)(object, JE_TCACHE_NONE);
    (void)je_arena_destroy(index);
    return true;
}

static bool take_lost(unsigned *index)
{
    pthread_mutex_lock(&lock);
    unsigned count = atomic_load(&lost_count);
    if (count != 0) {
        *index = lost[count - 1];
        atomic_store(&lost_count, count - 1);
    }
    pthread_mutex_unlock(&lock);
    return count != 0;
}

bool lost_arenas_recover(void)
{
    unsigned index;
    while (atomic_load(&lost_count) != 0 && take_lost(&index))
        if (!recover(index)) {
            note(index);
            return false;
        }
    return true;
}

void lost_arenas_renew_lock(void)
{
    pthread_mutex_init(&lock, NULL);
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
