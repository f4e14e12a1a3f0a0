/* SPDX-License-Identifier: BSD-2-Clause */
#include "fork_gate.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <time.h>

#include "debug_log.h"

/* Threads share a counter only where there are very many. */
#define STRIPE_BITS 6
#define STRIPES (1 << STRIPE_BITS)
#define CACHE_LINE 64

#define YIELDS 100
#define PAUSE_NS 100000
#define PAUSES_MOST 100000 /* ten seconds, or more */

static struct {
    _Alignas(CACHE_LINE) atomic_int inside;
} stripes[STRIPES];

static atomic_bool closed;
/* Held while the gate is closed. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static atomic_int *own_counter(void)
{
    static __thread char place;
    const uint64_t golden = 0x9e3779b97f4a7c15;
    return &stripes[(uintptr_t)&place * golden >> (64 - STRIPE_BITS)].inside;
}

void fork_gate_enter(void)
{
    atomic_int *counter = own_counter();
    for (;;) {
        atomic_fetch_add(counter, 1);
        if (__builtin_expect(!atomic_load(&closed), 1))
            return;
        atomic_fetch_sub(counter, 1);
        pthread_mutex_lock(&lock);
        pthread_mutex_unlock(&lock);
    }
}

void fork_gate_leave(void)
{
    atomic_fetch_sub_explicit(own_counter(), 1, memory_order_release);
}

static int count_inside(void)
{
    int count = 0;
    for (int i = 0; i < STRIPES; i++)
        count += atomic_load(&stripes[i].inside);
    return count;
}

/* Those that enter only to find the gate closed are counted for a moment. */
static bool wait_for_others(int own)
{
    const struct timespec pause = {.tv_nsec = PAUSE_NS};
    for (int i = 0; i < YIELDS + PAUSES_MOST; i++) {
        if (count_inside() <= own)
            return true;
        if (i < YIELDS)
            sched_yield();
        else
            nanosleep(&pause, NULL);
    }
    return false;
}

void fork_gate_close(bool is_inside)
{
    pthread_mutex_lock(&lock);
    atomic_store(&closed, true);
    if (!wait_for_others(is_inside))
        debug_log("fork: a thread does not come out of the allocator");
}

void fork_gate_open(void)
{
    atomic_store(&closed, false);
    pthread_mutex_unlock(&lock);
}

void fork_gate_open_in_child(bool is_inside)
{
    for (int i = 0; i < STRIPES; i++)
        atomic_store(&stripes[i].inside, 0);
    atomic_store(own_counter(), is_inside);
    fork_gate_open();
}
