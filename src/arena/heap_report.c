/* SPDX-License-Identifier: BSD-2-Clause */
#include "heap_report.h"

#include <stdatomic.h>
#include <stddef.h>

#include "allocator_gate.h"
#include "tls_model.h"

#define DEFERRED_MAX 4U

struct report {
    enum heap_error error;
    void *owner;
    const void *ptr;
};

static heap_report_fn *receive_report;

/* A signal handler may add a report at any point: a place is taken by one
 * atomic step, and filled after that. */
static __thread struct report deferred[DEFERRED_MAX] TLS_MODEL;
static __thread atomic_uint deferred_count TLS_MODEL;

static void pass_on_deferred(void)
{
    struct report reports[DEFERRED_MAX];
    unsigned count =
        atomic_load_explicit(&deferred_count, memory_order_relaxed);
    if (__builtin_expect(count == 0, 1))
        return;
    if (count > DEFERRED_MAX)
        count = DEFERRED_MAX;
    for (unsigned i = 0; i < count; i++)
        reports[i] = deferred[i];
    /* Before any report is passed on: the receiver may call the library. */
    atomic_store(&deferred_count, 0);
    for (unsigned i = 0; i < count; i++)
        receive_report(reports[i].error, reports[i].owner, reports[i].ptr);
}

void heap_report_init(heap_report_fn *receive)
{
    receive_report = receive;
    allocator_call_after_leaving(pass_on_deferred);
}

void heap_report(enum heap_error error, void *owner, const void *ptr)
{
    if (receive_report == NULL)
        return;
    if (!allocator_is_inside()) {
        receive_report(error, owner, ptr);
        return;
    }
    unsigned place = atomic_fetch_add(&deferred_count, 1);
    if (place < DEFERRED_MAX)
        deferred[place] = (struct report){error, owner, ptr};
}
