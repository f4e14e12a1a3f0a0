/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What heaps find wrong with what they are asked to do. It may be found under
 * locks, or in a signal handler that has interrupted the library: it is then
 * told when the thread has come out of the library.
 */
#ifndef HEAP_REPORT_H
#define HEAP_REPORT_H

enum heap_error {
    HEAP_OK = 0,
    HEAP_NO_OBJECT,   /* no object starts at that address */
    HEAP_DOUBLE_FREE, /* it is free already */
    HEAP_REENTERED,   /* a signal handler has interrupted the library */
    HEAP_OVERRUN,     /* the bytes around an object were written to */
    HEAP_AFTER_FREE,  /* a freed object was */
};

/* owner: whom the set's addresses belong to (heap_config.address_owner).
 * No lock is held. */
typedef void heap_report_fn(enum heap_error error, void *owner,
                            const void *ptr);

/* To whom it is told; to be set before there is a heap. */
void heap_report_to(heap_report_fn *report);

/* Tells now, or when the thread comes out of allocator_leave(). Of what one
 * call finds, the first few are told. */
void heap_report(enum heap_error error, void *owner, const void *ptr);

/* Tells what had to wait. No lock is held. */
void heap_report_what_waits(void);

#endif
