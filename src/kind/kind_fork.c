/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fork(2): the layers from here down to jemalloc are at rest while it runs, and
 * a child's kinds are what their regions are there (region_fork.h).
 *
 * Handlers prepare in reverse order of registration, and tidy up in the order
 * of registration. library_init.c has region_fork.c register first, then
 * jemalloc, then this file: so all locks are taken in the order in which calls
 * take them, from the kinds down, and in the child a layer finds those below it
 * in order.
 */
#include "kind_fork.h"

#include <pthread.h>
#include <signal.h>
#include <stddef.h>

#include "allocator_gate.h"
#include "heap_create.h"
#include "heap_fork.h"
#include "kind_create.h"
#include "kind_registry.h"
#include "misuse.h"
#include "region_pool.h"

/* The signal mask of the thread that forks, which holds the locks. */
static sigset_t signals_before;

/* A signal handler that forks would wait in vain for all of our locks, and
 * jemalloc's: the thread that the signal has interrupted holds them. Signals
 * that the thread raises itself, by a fault, stay unblocked. */
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

static void prepare_kinds(void)
{
    sigset_t before;
    block_signals(&before);
    allocator_enter_fork();
    kind_create_lock();
    signals_before = before;
    kind_registry_lock();
    misuse_lock();
    heap_fork_prepare();
}

static void release_all(void)
{
    const sigset_t before = signals_before;
    misuse_unlock();
    kind_registry_unlock();
    kind_create_unlock();
    allocator_leave_fork();
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void go_on_in_parent(void)
{
    heap_fork_parent();
    release_all();
}

/* No operation of a kind whose regions the child cannot have finds the heap any
 * more: there may be memory in it that looks free. */
static void shut_heap_if_lost(struct memkind *kind, void *context)
{
    (void)context;
    if (kind->regions == NULL || !region_pool_is_lost(kind->regions) ||
        kind->heap == NULL)
        return;
    heap_shut(kind->heap);
    kind->lost_heap = kind->heap;
    kind->heap = NULL;
}

static void go_on_in_child(void)
{
    heap_fork_child();
    kind_registry_visit(shut_heap_if_lost, NULL);
    release_all();
}

void kind_fork_init(void)
{
    (void)pthread_atfork(prepare_kinds, go_on_in_parent, go_on_in_child);
}
