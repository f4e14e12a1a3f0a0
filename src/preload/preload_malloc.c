/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The symbols that take the place of the C library's. Nearly all calls end in
 * the first lines of malloc() and free(), in the thread's cache, as those of
 * memkind_malloc() and memkind_free() do.
 *
 * This file is compiled without knowledge of what malloc() and its family do
 * (-fno-builtin): the compiler would make calloc() call itself.
 */
#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "heap_fast.h"
#include "libc_malloc.h"
#include "preload_heap.h"
#include "preload_names.h"

/* ---- what nearly all calls are ---- */

PRELOAD_EXPORT void *malloc(size_t size)
{
    if (__builtin_expect(size >= preload_heap.min_size, 1)) {
        void *ptr = heap_malloc_direct(preload_heap.owner, size);
        if (__builtin_expect(ptr != NULL, 1))
            return ptr;
    }
    return preload_malloc(size);
}

PRELOAD_EXPORT void free(void *ptr)
{
    if (__builtin_expect(heap_free_direct(NULL, ptr), 1))
        return;
    preload_free(ptr);
}

PRELOAD_EXPORT void *calloc(size_t num, size_t size)
{
    size_t total;
    if (__builtin_expect(!__builtin_mul_overflow(num, size, &total) &&
                             total <= SIZE_CLASS_TABLE_MAX &&
                             total >= preload_heap.min_size,
                         1)) {
        void *ptr = heap_malloc_direct(preload_heap.owner, total);
        if (__builtin_expect(ptr != NULL, 1))
            return memset(ptr, 0, total);
    }
    return preload_calloc(num, size);
}

PRELOAD_EXPORT void *realloc(void *ptr, size_t size)
{
    return ptr != NULL ? preload_realloc(ptr, size) : malloc(size);
}

PRELOAD_EXPORT void *reallocarray(void *ptr, size_t num, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(num, size, &total)) {
        errno = ENOMEM;
        return NULL;
    }
    return realloc(ptr, total);
}

/* ---- alignment ---- */

static bool is_power_of_two(size_t value)
{
    return value != 0 && (value & (value - 1)) == 0;
}

/* glibc rounds what is no power of two up to one. */
PRELOAD_EXPORT void *memalign(size_t alignment, size_t size)
{
    if (alignment > SIZE_MAX / 2 + 1) {
        errno = EINVAL;
        return NULL;
    }
    size_t rounded = 1;
    while (rounded < alignment)
        rounded *= 2;
    return preload_memalign(rounded, size);
}

PRELOAD_EXPORT int posix_memalign(void **memptr, size_t alignment, size_t size)
{
    if (!is_power_of_two(alignment) || alignment % sizeof(void *) != 0)
        return EINVAL;
    const int saved_errno = errno;
    void *ptr = preload_memalign(alignment, size);
    errno = saved_errno;
    if (ptr == NULL)
        return ENOMEM;
    *memptr = ptr;
    return 0;
}

PRELOAD_EXPORT void *aligned_alloc(size_t alignment, size_t size)
{
    if (!is_power_of_two(alignment)) {
        errno = EINVAL;
        return NULL;
    }
    return preload_memalign(alignment, size);
}

static size_t memory_page(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

PRELOAD_EXPORT void *valloc(size_t size)
{
    return preload_memalign(memory_page(), size);
}

/* Whole pages, as many as the size needs. */
PRELOAD_EXPORT void *pvalloc(size_t size)
{
    const size_t page = memory_page();
    size_t rounded;
    if (__builtin_add_overflow(size, page - 1, &rounded)) {
        errno = ENOMEM;
        return NULL;
    }
    return preload_memalign(page, rounded & ~(page - 1));
}

/* ---- freeing, by other names ---- */

PRELOAD_EXPORT void cfree(void *ptr)
{
    free(ptr);
}

PRELOAD_EXPORT void free_sized(void *ptr, size_t size)
{
    (void)size;
    free(ptr);
}

PRELOAD_EXPORT void free_aligned_sized(void *ptr, size_t alignment, size_t size)
{
    (void)alignment;
    (void)size;
    free(ptr);
}

/* ---- questions ---- */

PRELOAD_EXPORT size_t malloc_usable_size(void *ptr)
{
    return preload_usable_size(ptr);
}

PRELOAD_EXPORT int malloc_trim(size_t pad)
{
    const int trimmed = libc_trim(pad);
    if (preload_heap.kind == NULL)
        return trimmed;
    const size_t before = preload_heap_file_space();
    memkind_purge_kind(preload_heap.kind);
    return trimmed != 0 || preload_heap_file_space() < before;
}

/* The C library's figures and the kind's, added up. What has no counterpart in
 * a kind is the C library's alone. */
PRELOAD_EXPORT struct mallinfo2 mallinfo2(void)
{
    struct mallinfo2 info = libc_mallinfo();
    if (preload_heap.kind == NULL)
        return info;
    const size_t held = preload_heap_file_space();
    const size_t allocated = preload_heap_allocated();
    info.arena += held;
    info.uordblks += allocated;
    info.fordblks += held > allocated ? held - allocated : 0;
    return info;
}

/* Has no room for large numbers; they are cut off as glibc's are. */
PRELOAD_EXPORT struct mallinfo mallinfo(void)
{
    const struct mallinfo2 info = mallinfo2();
    return (struct mallinfo){
        .arena = (int)info.arena,
        .ordblks = (int)info.ordblks,
        .smblks = (int)info.smblks,
        .hblks = (int)info.hblks,
        .hblkhd = (int)info.hblkhd,
        .usmblks = (int)info.usmblks,
        .fsmblks = (int)info.fsmblks,
        .uordblks = (int)info.uordblks,
        .fordblks = (int)info.fordblks,
        .keepcost = (int)info.keepcost,
    };
}
