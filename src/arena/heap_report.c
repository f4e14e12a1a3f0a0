/* SPDX-License-Identifier: BSD-2-Clause */
#include "heap_report.h"

#include <stdatomic.h>

#include "thread_cache.h"

#define WAITING_MAX 4U

struct waiting {
    enum heap_error error;
    void *owner;
    const void *ptr;
};

static heap_report_fn *tell;

/* A signal handler may add to it at any point: a place is taken by one atomic
 * step, and only filled after that. */
static __thread struct waiting waiting[WAITING_MAX] THREAD_CACHE_TLS;
static __thread atomic_uint waiting_count THREAD_CACHE_TLS;

void heap_report_to(heap_report_fn *report)
{
    tell = report;
}

void heap_report(enum heap_error error, void *owner, const void *ptr)
{
    if (!allocator_is_inside()) {
        if (tell != NULL)
            tell(error, owner, ptr);
        return;
    }
    unsigned place = atomic_fetch_add(&waiting_count, 1);
    if (place < WAITING_MAX)
        waiting[place] = (struct waiting){error, owner, ptr};
}

void heap_report_what_waits(void)
{
    struct waiting told[WAITING_MAX];
    unsigned count = atomic_load_explicit(&waiting_count, memory_order_relaxed);
    if (__builtin_expect(count == 0, 1) || tell == NULL)
        return;
    if (count > WAITING_MAX)
        count = WAITING_MAX;
    for (unsigned i = 0; i < count; i++)
        told[i] = waiting[i];
    /* Before any is told: whoever is told may call the library. */
    atomic_store(&waiting_count, 0);
    for (unsigned i = 0; i < count; i++)
        tell(told[i].error, told[i].owner, told[i].ptr);
}
