/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pages that an arena takes ahead of need. An arena that grows asks for the
 * space of one slab, or of one object, after another, and each time a file
 * system takes microseconds on top of what the pages cost. So if it has grown
 * by more than a little, a call that has needed new space takes some more, up
 * to an eighth of what the arena has grown by, and frees it: then these are
 * pages like those of freed objects, which the arena uses before it asks for
 * new space, gives back by its decay time, and loses to a reclaim. Hooks say
 * when that is of use.
 */
#ifndef PAGES_AHEAD_H
#define PAGES_AHEAD_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes that are taken ahead at once. To take 512 KiB keeps a call for a fifth
 * of a millisecond. */
#define PAGES_AHEAD_LEAST ((size_t)32 << 10)
#define PAGES_AHEAD_MOST ((size_t)512 << 10)

#ifdef MEMKIND_JEMALLOC_EMBEDDED

/* Called by the hooks of an arena, by jemalloc's number, after a commit or a
 * decommit. The former returns how much it is reasonable to take ahead; 0:
 * nothing. */
size_t pages_ahead_note_commit(unsigned arena, size_t size);
void pages_ahead_note_decommit(unsigned arena, size_t size);

/* Lets the call of jemalloc that this thread is in take that much ahead for the
 * arena, at most. */
void pages_ahead_allow(unsigned arena, size_t most);

/* Bracket a call that takes pages for a slab or an object of some class from an
 * arena, whose part for that is `shard`. The call is not ended if the pages had
 * to be zero: jemalloc does not know that of free pages. */
void pages_ahead_begin_call(void);
void pages_ahead_end_call(void *tsdn, void *shard, size_t size,
                          size_t alignment, unsigned size_class);

/* Whether a hook is called for what is taken ahead: if it fails, nothing is
 * lacking. */
bool pages_ahead_are_being_taken(void);

/* Bytes that the thread has taken ahead in all its calls. */
size_t pages_ahead_taken(void);

/* Called when an arena is made: its number may have been another one's. */
void pages_ahead_forget(unsigned arena);

#else

/* A shared jemalloc cannot be made to. */
static inline size_t pages_ahead_note_commit(unsigned arena, size_t size)
{
    (void)arena, (void)size;
    return 0;
}

static inline void pages_ahead_note_decommit(unsigned arena, size_t size)
{
    (void)arena, (void)size;
}

static inline void pages_ahead_allow(unsigned arena, size_t most)
{
    (void)arena, (void)most;
}

static inline bool pages_ahead_are_being_taken(void)
{
    return false;
}

static inline size_t pages_ahead_taken(void)
{
    return 0;
}

static inline void pages_ahead_forget(unsigned arena)
{
    (void)arena;
}

#endif

#endif
