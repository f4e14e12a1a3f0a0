/* SPDX-License-Identifier: BSD-2-Clause */
/* The beginning and the end of heaps. */
#ifndef HEAP_CREATE_H
#define HEAP_CREATE_H

#include "heap_struct.h"

struct heap_config {
    struct heap_arenas_config arenas;
    /* Who may use heap_malloc_direct() and heap_free_direct(); NULL: no caller
     * may. */
    const void *direct_owner;
    bool is_checked; /* see heap_checked.h */
};

/*
 * Makes a heap with its first arena. Returns 0; -ENOMEM; -ENOSPC if there are
 * too many heaps; -EAGAIN if jemalloc makes no more arenas; -EINVAL if the
 * jemalloc in use will not do; -EDEADLK in a signal handler that has
 * interrupted the library.
 */
int heap_create(const struct heap_config *config, struct memkind_heap **heap);

/* Drops all objects, cached ones too, and the arenas. No other thread may be
 * using the heap. */
void heap_destroy(struct memkind_heap *heap);

/* From now on no thread gets at its cache of the heap, until the heap is
 * destroyed. For a forked child that cannot have the heap's memory. */
void heap_shut(struct memkind_heap *heap);

/* Sets how long free pages are kept, -1: for ever. Returns 0 or a negative
 * errno. */
int heap_set_decay(struct memkind_heap *heap, ssize_t milliseconds);

#endif
