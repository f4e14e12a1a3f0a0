/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The symbols that take the place of the C library's. Nearly all calls end in
 * the first lines of malloc() and free(), in the thread's cache, as those of
 * memkind_malloc() and memkind_free() do.
 *
 * This file is compiled without knowledge of what malloc() and its family do
 * (-fno-builtin): the compiler would make calloc() call itself.
 */
#if defined(__GNUC__) && !defined(__clang__)
/* The analyser takes these functions for the C library's, which they are not:
 * what one of them passes on is no leak. */
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"
#endif

#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "preload_allocator.h"
#include "preload_fast.h"
#include "preload_names.h"

/* ---- what nearly all calls are ---- */

PRELOAD_EXPORT void *malloc(size_t size)
{
    void *ptr = preload_fast_malloc(size);
    return __builtin_expect(ptr != NULL, 1) ? ptr : preload_malloc(size);
}

PRELOAD_EXPORT void free(void *ptr)
{
    if (__builtin_expect(preload_fast_free(ptr), 1))
        return;
    preload_free(ptr);
}

PRELOAD_EXPORT void *calloc(size_t nmemb, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(nmemb, size, &total)) {
        errno = ENOMEM;
        return NULL;
    }
    void *ptr = preload_fast_calloc(total);
    return __builtin_expect(ptr != NULL, 1) ? memset(ptr, 0, total)
                                            : preload_calloc(total);
}

PRELOAD_EXPORT void *realloc(void *ptr, size_t size)
{
    void *resized = preload_fast_realloc(ptr, size);
    if (__builtin_expect(resized != NULL, 1))
        return resized;
    return ptr != NULL ? preload_realloc(ptr, size) : malloc(size);
}

PRELOAD_EXPORT void *reallocarray(void *ptr, size_t nmemb, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(nmemb, size, &total)) {
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
