/* SPDX-License-Identifier: BSD-2-Clause */
#include "jemalloc_fork.h"

#include <pthread.h>

#include "jemalloc_ctl.h"
#include "jemalloc_private.h"

#ifdef MEMKIND_JEMALLOC_EMBEDDED

#ifdef MEMKIND_TLS_INITIAL_EXEC
#define FORK_TLS __attribute__((tls_model("initial-exec")))
#else
#define FORK_TLS
#endif

/* See cmake/embed_jemalloc.sh. */
extern __thread char JE_NAME(tsd_tls)[] FORK_TLS
    __attribute__((visibility("hidden")));
extern void *JE_NAME(arenas)[] __attribute__((visibility("hidden")));
void JE_NAME(tsd_postfork_child)(void *tsd);
void JE_NAME(arena_postfork_child)(void *tsdn, void *arena);
int JE_NAME(pthread_atfork)(void (*first)(void), void (*parent)(void),
                            void (*child)(void));

static bool is_at_rest;
static struct {
    void (*prepare)(void);
    void (*parent)(void);
    void (*child)(void);
} handlers;

/* jemalloc's background threads know no gate. No thread is switching them while
 * no thread is inside. */
void je_fork_prepare(bool at_rest)
{
    is_at_rest = at_rest && !je_has_background_threads();
}

static void prepare(void)
{
    if (!is_at_rest)
        handlers.prepare();
}

static void leave_in_parent(void)
{
    if (!is_at_rest)
        handlers.parent();
    is_at_rest = false;
}

/* Other threads' parts of jemalloc are in two lists: of all of them, and of
 * their caches. These belong to the first arena, the only one that jemalloc
 * chooses by itself. */
static void leave_in_child(void)
{
    if (is_at_rest) {
        /* The thread may have used jemalloc for nothing so far. */
        (void)JE_NAME(nallocx)(1, 0);
        JE_NAME(tsd_postfork_child)(JE_NAME(tsd_tls));
        JE_NAME(arena_postfork_child)(JE_NAME(tsd_tls), JE_NAME(arenas)[0]);
    } else {
        handlers.child();
        je_background_threads_end_in_child();
    }
    is_at_rest = false;
}

int JE_NAME(pthread_atfork)(void (*first)(void), void (*parent)(void),
                            void (*child)(void))
{
    handlers.prepare = first;
    handlers.parent = parent;
    handlers.child = child;
    return pthread_atfork(prepare, leave_in_parent, leave_in_child);
}

#else

void je_fork_prepare(bool at_rest)
{
    (void)at_rest;
}

#endif
