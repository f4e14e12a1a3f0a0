/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A thread's own part of jemalloc, and its end. jemalloc ends it in a
 * destructor of pthread_key_create(3). Destructors that run later may allocate,
 * too, but jemalloc then takes all memory from its first arena, whichever one
 * is asked for. So the thread gets a part of its own again for as long as that
 * takes.
 */
#ifndef JEMALLOC_THREAD_H
#define JEMALLOC_THREAD_H

#include <stdbool.h>

/* Remembers what a thread's part is before jemalloc uses it. To be called
 * before jemalloc starts. */
void je_thread_init(void);

/* Whether that destructor has run in the calling thread, as far as is known. It
 * also runs if the thread has used jemalloc for our own data alone. */
bool je_thread_has_ended(void);

/* What to call around that destructor's work, during which a signal handler
 * must not get into jemalloc. To be set before jemalloc starts. */
void je_thread_set_brackets(bool (*begin)(void), void (*end)(void));

/* Called when the calling thread's caches end: what it has of jemalloc from
 * then on is ended by je_thread_end_again(), if it has nothing so far. */
void je_thread_begin_end(void);

/* Makes sure that the calling thread can allocate from any arena. False if it
 * cannot: its part has ended, and jemalloc is not our own copy. */
bool je_thread_revive(void);

/* Ends what je_thread_revive() may have made, or what has been made since
 * je_thread_begin_end(). */
void je_thread_end_again(void);

#endif
