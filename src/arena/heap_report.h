/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What heaps find wrong with the calls that they get. It may be found under
 * locks, or in a signal handler that has interrupted the library; then it is
 * reported when the thread has left the allocator (allocator_gate.h).
 */
#ifndef HEAP_REPORT_H
#define HEAP_REPORT_H

enum heap_error {
    HEAP_OK = 0,
    HEAP_NO_OBJECT,   /* no object starts at that address */
    HEAP_DOUBLE_FREE, /* the object is free already */
    HEAP_REENTERED,   /* a signal handler has interrupted the library */
    HEAP_OVERRUN,     /* the bytes around an object were written to */
    HEAP_AFTER_FREE,  /* a freed object was written to */
};

/* owner: the kind that the heap's addresses belong to. Called with no lock
 * held. */
typedef void heap_report_fn(enum heap_error error, void *owner,
                            const void *ptr);

/* Sets the function that reports are passed to. To be called before there is a
 * heap. */
void heap_report_init(heap_report_fn *receive);

/* Passes a report on, at once or when the thread leaves the allocator. The
 * first few reports of one call are passed on, the others are dropped. */
void heap_report(enum heap_error error, void *owner, const void *ptr);

#endif
