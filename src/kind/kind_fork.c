/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fork(2): the layers from here down to jemalloc are at rest while it runs, and
 * a child's kinds are what their regions are there (region_fork.h).
 *
 * Handlers prepare in reverse order of registration, and tidy up in that order.
 * region_fork.c registers before jemalloc does, this after: so all locks are
 * taken in the order in which calls take them, from the kinds down, and in the
 * child a layer finds those below it in order.
 */
#include <pthread.h>
#include <signal.h>
#include <stddef.h>

#include "allocator_gate.h"
#include "default_heap.h"
#include "heap_create.h"
#include "heap_fork.h"
#include "jemalloc_ctl.h"
#include "kind_registry.h"
#include "misuse.h"
#include "region_pool.h"

/* Of the thread that forks, which holds the locks. */
static sigset_t signals_before;

/* A signal handler that forks would wait for all of our locks, and jemalloc's,
 * in vain: the thread that it has interrupted has them. What the thread itself
 * raises by what it does cannot wait. */
static void block_signals(sigset_t *before)
{
    static const int own[] = {SIGSEGV, SIGBUS,  SIGFPE, SIGILL,
                              SIGTRAP, SIGABRT, SIGSYS};
    sigset_t set;
    sigfillset(&set);
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        sigdelset(&set, own[i]);
    pthread_sigmask(SIG_BLOCK, &set, before);
}

static void prepare(void)
{
    sigset_t before;
    block_signals(&before);
    allocator_enter_fork();
    default_heap_lock();
    signals_before = before;
    kind_registry_lock();
    misuse_lock();
    heap_fork_prepare();
}

static void unlock(void)
{
    const sigset_t before = signals_before;
    misuse_unlock();
    kind_registry_unlock();
    default_heap_unlock();
    allocator_leave_fork();
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void parent(void)
{
    heap_fork_parent();
    unlock();
}

/* No operation finds its arenas any more, in which there may be memory that
 * looks free. */
static void lose_kind(struct memkind *kind)
{
    if (kind->regions == NULL || !region_pool_is_lost(kind->regions) ||
        kind->heap == NULL)
        return;
    heap_shut(kind->heap);
    kind->lost_heap = kind->heap;
    kind->heap = NULL;
}

static void child(void)
{
    heap_fork_child();
    kind_registry_visit(lose_kind);
    unlock();
}

__attribute__((constructor)) static void register_handlers(void)
{
    (void)je_is_debug(); /* jemalloc is initialised, if it was not yet */
    (void)pthread_atfork(prepare, parent, child);
}
