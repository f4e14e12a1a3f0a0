/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The heap that a benchmark program measures, chosen when it is compiled, so
 * that every peer pays for a direct call and nothing else:
 *
 *   BENCH_MEMKIND  a file-backed kind of the loaded libmemkind.so.0; needs
 *                  nothing that libmemkind 1.14 lacks
 *   otherwise      malloc and its family, of the library that is preloaded
 *
 * With BENCH_CHECK the objects' contents are written in full and compared
 * before they are freed; otherwise the object_*() functions only touch memory
 * as their names say.
 */
#ifndef BENCH_HEAP_H
#define BENCH_HEAP_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef BENCH_MEMKIND
#include <memkind.h>
struct heap {
    memkind_t kind;
    memkind_t free_kind; /* passed when freeing: the kind, or NULL */
};
#else
struct heap {
    char unused;
};
#endif

/* Makes a heap (with files in `dir`); 0 or a negative status. */
int heap_create(struct heap *heap, const char *dir, bool free_null);
/* Makes a heap with a limit in bytes; 0: none. */
int heap_create_limited(struct heap *heap, const char *dir, size_t limit,
                        bool free_null);
int heap_destroy(struct heap *heap);
/* Moves the object if that helps; returns its address. */
void *heap_defrag(struct heap heap, void *ptr);
/* Gives back all free memory at once; false if the heap has no such call. */
bool heap_trim(struct heap heap);
/* Bytes in pages with live objects; 0 if the heap does not report them. */
size_t heap_active(struct heap heap);
/* The path of the library that allocates. */
const char *heap_library(void);
/* Whether heaps can be made and destroyed. */
bool heap_is_kind(void);

/* The least limit that a heap can have. */
size_t heap_limit_min(void);

/* Ends the program with a message: nothing below but heap_try_malloc() returns
 * NULL. */
_Noreturn void bench_no_memory(size_t size);
_Noreturn void bench_bad_object(const void *ptr, const char *what);

static inline void *heap_must(void *ptr, size_t size)
{
    if (__builtin_expect(ptr == NULL, 0))
        bench_no_memory(size);
    return ptr;
}

/* NULL if there is no room. */
static inline void *heap_try_malloc(struct heap heap, size_t size)
{
#ifdef BENCH_MEMKIND
    return memkind_malloc(heap.kind, size);
#else
    (void)heap;
    return malloc(size);
#endif
}

static inline void *heap_malloc(struct heap heap, size_t size)
{
    return heap_must(heap_try_malloc(heap, size), size);
}

static inline void *heap_calloc(struct heap heap, size_t size)
{
#ifdef BENCH_MEMKIND
    return heap_must(memkind_calloc(heap.kind, 1, size), size);
#else
    (void)heap;
    return heap_must(calloc(1, size), size);
#endif
}

static inline void *heap_realloc(struct heap heap, void *ptr, size_t size)
{
#ifdef BENCH_MEMKIND
    return heap_must(memkind_realloc(heap.kind, ptr, size), size);
#else
    (void)heap;
    return heap_must(realloc(ptr, size), size);
#endif
}

static inline void *heap_memalign(struct heap heap, size_t alignment,
                                  size_t size)
{
    void *ptr = NULL;
#ifdef BENCH_MEMKIND
    int err = memkind_posix_memalign(heap.kind, &ptr, alignment, size);
#else
    (void)heap;
    int err = posix_memalign(&ptr, alignment, size);
#endif
    return heap_must(err == 0 ? ptr : NULL, size);
}

static inline void heap_free(struct heap heap, void *ptr)
{
#ifdef BENCH_MEMKIND
    memkind_free(heap.free_kind, ptr);
#else
    (void)heap;
    free(ptr);
#endif
}

/* ---- what is written to objects ------------------------------------------ */

enum {
    OBJECT_MIN = 16, /* no pattern asks for less */
    OBJECT_PAGE = 4096,
};

/* The second word of an object, which patterns may use to link objects. */
static inline void **object_link(void *ptr)
{
    return (void **)ptr + 1;
}

#ifdef BENCH_CHECK
void object_mark(void *ptr, size_t size);
/* Ends the program if the contents are not what was marked. */
void object_check(const void *ptr);
void object_check_zero(const void *ptr, size_t size);
void object_check_aligned(const void *ptr, size_t alignment);

static inline void object_touch(void *ptr, size_t size)
{
    object_mark(ptr, size);
}

static inline void object_fill(void *ptr, size_t size)
{
    object_mark(ptr, size);
}

static inline void object_touch_pages(void *ptr, size_t size)
{
    object_mark(ptr, size);
}

static inline void object_touch_tail(void *ptr, size_t old_size, size_t size)
{
    (void)old_size;
    object_check(ptr);
    object_mark(ptr, size);
}
#else
/* Writes the first word. */
static inline void object_touch(void *ptr, size_t size)
{
    *(volatile size_t *)ptr = size;
}

/* Writes every byte. */
static inline void object_fill(void *ptr, size_t size)
{
    memset(ptr, (int)(size & 0xff), size);
}

/* Writes the first byte of every page. */
static inline void object_touch_pages(void *ptr, size_t size)
{
    volatile char *bytes = ptr;
    for (size_t i = 0; i < size; i += OBJECT_PAGE)
        bytes[i] = 1;
}

/* After an object has grown, writes the first byte of every new page, and the
 * last byte. */
static inline void object_touch_tail(void *ptr, size_t old_size, size_t size)
{
    volatile char *bytes = ptr;
    for (size_t i = (old_size + OBJECT_PAGE - 1) & ~(size_t)(OBJECT_PAGE - 1);
         i < size; i += OBJECT_PAGE)
        bytes[i] = 1;
    bytes[size - 1] = 1;
}

static inline void object_check(const void *ptr)
{
    (void)ptr;
}

static inline void object_check_zero(const void *ptr, size_t size)
{
    (void)ptr;
    (void)size;
}

static inline void object_check_aligned(const void *ptr, size_t alignment)
{
    (void)ptr;
    (void)alignment;
}
#endif

#endif
