/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The heap of a process whose malloc is this library's: a kind of its own, with
 * the C library's malloc for what cannot lie there. preload_malloc.c has the
 * symbols, which try the thread's cache and then come here.
 */
#ifndef PRELOAD_HEAP_H
#define PRELOAD_HEAP_H

#include <stdbool.h>
#include <stddef.h>

#include <memkind.h>

/* Set once, by preload_heap_start(), while there is one thread. */
struct preload_heap {
    memkind_t kind;    /* NULL: all lies in DRAM */
    const void *owner; /* for heap_malloc_direct(); no heap's before that */
    size_t min_size;   /* smaller objects lie in DRAM */
    bool full_is_null; /* an allocation fails if the kind is full */
    bool was_asked;    /* the process's malloc() has come here */
};
extern struct preload_heap preload_heap __attribute__((visibility("hidden")));

/* Lets the process allocate from the kind. */
void preload_heap_start(memkind_t kind, size_t min_size, bool full_is_null);

/* How many allocations the kind had no room for. */
size_t preload_heap_shortages(void);

/* Bytes of the kind's objects, which takes a look at all of its caches. There
 * has to be a kind, as for the functions below. */
size_t preload_heap_allocated(void);

/* Bytes of file space that the kind holds, and the most that it was seen to
 * hold. */
size_t preload_heap_file_space(void);
size_t preload_heap_most_file_space(void);

/* Bytes of DRAM that the kind takes beside its file because of fork(), when
 * preload_heap_allocated() was called last. */
size_t preload_heap_detached(void);

#endif
