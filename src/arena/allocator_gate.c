/* SPDX-License-Identifier: BSD-2-Clause */
#include "allocator_gate.h"

#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "cancellation.h"
#include "debug_log.h"
#include "extent_hooks.h"
#include "gate_lanes.h"
#include "jemalloc_thread.h"
#include "memory_barrier.h"
#include "ranked_lock.h"
#include "spread.h"
#include "tls_model.h"

/* Threads share a counter only if there are very many of them. */
#define STRIPE_BITS 6
#define STRIPES (1 << STRIPE_BITS)
#define CACHE_LINE 64

#define YIELDS 100
#define PAUSE_NS 100000

/* How many threads are inside that have no lane. */
static struct {
    _Alignas(CACHE_LINE) atomic_int inside;
} stripes[STRIPES];

static atomic_bool gate_is_closed;
int allocator_gate_patience = 100000; /* ten seconds, or more */

/* Held while the gate is closed. */
static struct ranked_lock gate_lock = RANKED_LOCK_INITIALIZER(RANK_FORK_GATE);

static void (*after_leaving)(void);

static __thread bool thread_inside TLS_MODEL;
static __thread bool thread_was_inside_before_fork TLS_MODEL;
/* Set when a thread's caches are gone for good: the thread is ending. */
static __thread bool thread_ended TLS_MODEL;
/* jemalloc's part of the thread is revived until the thread leaves. */
static __thread bool thread_revived TLS_MODEL;
static __thread int fork_cancel_state TLS_MODEL;
/* The thread's own counter, or NULL; see gate_lanes.h. */
static __thread atomic_int *thread_lane TLS_MODEL;
static __thread bool thread_keeps_lane TLS_MODEL; /* when it leaves */
/* It is counted by a shared one. */
static __thread bool thread_has_no_lane TLS_MODEL;
/* How many forks led to this process. */
static atomic_uint forks;

/* ---- the counters ------------------------------------------------------- */

static atomic_int *shared_counter(void)
{
    static __thread char place TLS_MODEL;
    return &stripes[spread((uintptr_t)&place) >> (64 - STRIPE_BITS)].inside;
}

/*
 * A signal handler may fork at any moment, and the thread that it has
 * interrupted goes on in the child. There a lane is the thread's if this said
 * so at the fork, and what it says then stays; no other one is taken. So what
 * the thread was about to do with a lane before is not to be done there.
 */
static void take_lane(void)
{
    unsigned before;
    do {
        before = atomic_load_explicit(&forks, memory_order_relaxed);
        thread_lane = gate_lane_take();
        atomic_signal_fence(memory_order_seq_cst);
    } while (atomic_load_explicit(&forks, memory_order_relaxed) != before);
}

static void give_lane_up(void)
{
    const unsigned before = atomic_load_explicit(&forks, memory_order_relaxed);
    atomic_int *lane = thread_lane;
    thread_lane = NULL;
    atomic_signal_fence(memory_order_seq_cst);
    if (lane != NULL &&
        atomic_load_explicit(&forks, memory_order_relaxed) == before)
        gate_lane_give_up(lane);
}

/* Whoever closes the gate has a barrier issued between that and a look at the
 * counters, see allocator_close_gate(); or the thread issues one between the
 * two here. What it knows of that is read after the store: a thread that was
 * interrupted in between has stored for all to see. */
static void count_in(void)
{
    if (__builtin_expect(thread_lane == NULL, 0))
        take_lane();
    if (__builtin_expect(thread_lane == NULL, 0)) {
        thread_has_no_lane = true;
        atomic_signal_fence(memory_order_seq_cst);
        atomic_fetch_add(shared_counter(), 1);
        return;
    }
    atomic_store_explicit(thread_lane, 1, memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst);
    if (__builtin_expect(!memory_barrier_is_asymmetric(), 0))
        (void)atomic_exchange(thread_lane, 1);
}

static void count_out(void)
{
    if (__builtin_expect(thread_has_no_lane, 0)) {
        atomic_fetch_sub_explicit(shared_counter(), 1, memory_order_release);
        atomic_signal_fence(memory_order_seq_cst);
        thread_has_no_lane = false;
        return;
    }
    atomic_store_explicit(thread_lane, 0, memory_order_release);
    if (__builtin_expect(!thread_keeps_lane, 0))
        give_lane_up();
}

static void pass_gate(void)
{
    lock_rank_take(RANK_FORK_GATE); /* whether or not the gate is closed */
    lock_rank_release(RANK_FORK_GATE);
    for (;;) {
        count_in();
        if (__builtin_expect(!atomic_load(&gate_is_closed), 1))
            return;
        count_out();
        ranked_lock_take(&gate_lock);
        ranked_lock_release(&gate_lock);
    }
}

static int count_inside(void)
{
    int count = gate_lanes_inside();
    for (int i = 0; i < STRIPES; i++)
        count += atomic_load(&stripes[i].inside);
    return count;
}

/* What the thread itself adds to that. */
static int count_oneself(void)
{
    if (thread_lane != NULL)
        return atomic_load(thread_lane);
    return thread_has_no_lane ? 1 : 0;
}

/* A thread that enters only to find the gate closed is counted for a moment. */
static bool wait_for_others(int own)
{
    const struct timespec pause = {.tv_nsec = PAUSE_NS};
    for (int i = 0; i < YIELDS + allocator_gate_patience; i++) {
        if (count_inside() <= own)
            return true;
        if (i < YIELDS)
            sched_yield();
        else
            nanosleep(&pause, NULL);
    }
    return false;
}

/* ---- entering and leaving ----------------------------------------------- */

void allocator_call_after_leaving(void (*function)(void))
{
    after_leaving = function;
}

static void call_after_leaving(void)
{
    if (after_leaving != NULL)
        after_leaving();
}

bool allocator_enter_briefly(void)
{
    if (__builtin_expect(thread_inside, 0))
        return false;
    thread_inside = true;
    atomic_signal_fence(memory_order_seq_cst);
    cancellation_begin_part();
    if (!JEMALLOC_IS_OWN)
        cancellation_forbid();
    pass_gate();
    extent_merges_begin_call();
    return true;
}

bool allocator_enter(void)
{
    const bool entered = allocator_enter_briefly();
    if (entered)
        cancellation_forbid();
    return entered;
}

void allocator_leave(void)
{
    if (__builtin_expect(thread_revived || thread_ended, 0)) {
        je_thread_end_again();
        thread_revived = false;
    }
    const struct cancellation_part part = cancellation_end_part();
    count_out();
    atomic_signal_fence(memory_order_seq_cst);
    thread_inside = false;
    call_after_leaving();
    cancellation_leave_part(part);
}

bool allocator_is_inside(void)
{
    return thread_inside;
}

bool allocator_may_allocate(void)
{
    if (__builtin_expect(!allocator_thread_has_ended(), 1))
        return true;
    thread_revived = je_thread_revive();
    return thread_revived;
}

void allocator_begin_thread(void)
{
    thread_keeps_lane = !thread_ended;
}

void allocator_end_thread(void)
{
    if (!thread_ended)
        je_thread_begin_end();
    thread_ended = true;
    thread_keeps_lane = false;
}

bool allocator_thread_has_ended(void)
{
    return thread_ended || je_thread_has_ended();
}

/* ---- fork --------------------------------------------------------------- */

void allocator_enter_fork(void)
{
    thread_was_inside_before_fork = thread_inside;
    thread_inside = true;
    atomic_signal_fence(memory_order_seq_cst);
    fork_cancel_state = cancellation_disable();
}

void allocator_leave_fork(void)
{
    const int before = fork_cancel_state;
    atomic_signal_fence(memory_order_seq_cst);
    thread_inside = thread_was_inside_before_fork;
    if (!thread_inside)
        call_after_leaving();
    cancellation_restore(before);
}

bool allocator_close_gate(void)
{
    ranked_lock_take(&gate_lock);
    atomic_store(&gate_is_closed, true);
    /* From now on a thread that has passed the gate is seen to be inside, and
     * one that has not stays out. */
    memory_barrier_in_all_or_pause();
    const bool alone = wait_for_others(count_oneself());
    if (!alone)
        debug_log("fork: a thread does not come out of the allocator");
    return alone && !thread_was_inside_before_fork;
}

void allocator_open_gate(void)
{
    atomic_store(&gate_is_closed, false);
    ranked_lock_release(&gate_lock);
}

void allocator_open_gate_in_child(void)
{
    atomic_fetch_add(&forks, 1);
    for (int i = 0; i < STRIPES; i++)
        atomic_store(&stripes[i].inside, 0);
    gate_lanes_keep_only(thread_lane);
    if (thread_has_no_lane)
        atomic_store(shared_counter(), 1);
    allocator_open_gate();
}
