/* SPDX-License-Identifier: BSD-2-Clause */
#include "preload_heap.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#include <memkind/internal/memkind_arena.h>
#include <memkind/internal/memkind_default.h>

#include "address_table.h"
#include "allocator_gate.h"
#include "heap_fast.h"
#include "kind_heap.h"
#include "libc_malloc.h"
#include "preload_allocator.h"
#include "preload_names.h"
#include "region_pool.h"

/* glibc's malloc aligns to this. */
#define LEAST_ALIGNMENT 16U

/* An owner that no heap has. */
static const char no_owner;

struct preload_heap preload_heap = {.owner = &no_owner};

static atomic_size_t shortages;
static atomic_size_t most_file_space;

/* The thread is in one of the functions below: what the library or the C
 * library allocates on the way lies in DRAM. */
static __thread bool is_busy __attribute__((tls_model("initial-exec")));

/* The library has its own copy of the allocator. */
bool preload_is_allocator(const void *dso_handle)
{
    return dso_handle == &__dso_handle;
}

void preload_heap_start(memkind_t kind, size_t min_size, bool full_is_null)
{
    preload_heap.min_size = min_size;
    preload_heap.full_is_null = full_is_null;
    preload_heap.kind = kind;
    preload_heap.owner = kind;
}

size_t preload_heap_shortages(void)
{
    return shortages;
}

static size_t statistic(memkind_stat_type type)
{
    size_t value = 0;
    memkind_get_stat(preload_heap.kind, type, &value);
    return value;
}

size_t preload_heap_allocated(void)
{
    memkind_update_cached_stats();
    return statistic(MEMKIND_STAT_TYPE_ALLOCATED);
}

size_t preload_heap_detached(void)
{
    return statistic(MEMKIND_STAT_TYPE_DETACHED);
}

size_t preload_heap_file_space(void)
{
    return region_pool_charged(kind_regions_of(preload_heap.kind));
}

size_t preload_heap_most_file_space(void)
{
    const size_t held = preload_heap_file_space(), most = most_file_space;
    return most > held ? most : held;
}

/* Whether the thread may use the kind now. If so it has to call leave_kind().
 * A thread that has given its caches back may not: each call would set up what
 * the allocator has for a thread, and end it. */
static bool enter_kind(void)
{
    if (preload_heap.kind == NULL) {
        preload_heap.was_asked = true;
        return false;
    }
    if (is_busy || allocator_is_inside() || allocator_thread_has_ended())
        return false;
    is_busy = true;
    return true;
}

static void leave_kind(void)
{
    is_busy = false;
}

static bool belongs_to_kind(size_t size)
{
    return size >= preload_heap.min_size;
}

/* What the calls of an allocation in the kind come to: an object, or none. */
static void *after_kind(void *ptr)
{
    static __thread unsigned calls __attribute__((tls_model("initial-exec")));
    if (ptr == NULL) {
        atomic_fetch_add_explicit(&shortages, 1, memory_order_relaxed);
    } else if (++calls % 256 == 1) {
        const size_t held = preload_heap_file_space();
        if (held > most_file_space)
            most_file_space = held;
    }
    leave_kind();
    return ptr;
}

/* ---- allocating ---- */

void *preload_malloc(size_t size)
{
    if (belongs_to_kind(size) && enter_kind()) {
        const int saved_errno = errno;
        void *ptr = after_kind(
            memkind_arena_malloc(preload_heap.kind, size != 0 ? size : 1));
        if (ptr != NULL || preload_heap.full_is_null)
            return ptr;
        errno = saved_errno;
    }
    return __libc_malloc(size);
}

void *preload_calloc(size_t size)
{
    if (belongs_to_kind(size) && enter_kind()) {
        const int saved_errno = errno;
        void *ptr = after_kind(
            memkind_arena_calloc(preload_heap.kind, 1, size != 0 ? size : 1));
        if (ptr != NULL || preload_heap.full_is_null)
            return ptr;
        errno = saved_errno;
    }
    return __libc_calloc(1, size);
}

void *preload_memalign(size_t alignment, size_t size)
{
    if (alignment < LEAST_ALIGNMENT)
        alignment = LEAST_ALIGNMENT;
    if (belongs_to_kind(size) && enter_kind()) {
        void *ptr = NULL;
        memkind_arena_posix_memalign(preload_heap.kind, &ptr, alignment,
                                     size != 0 ? size : 1);
        after_kind(ptr);
        if (ptr != NULL)
            return ptr;
        if (preload_heap.full_is_null) {
            errno = ENOMEM;
            return NULL;
        }
    }
    return __libc_memalign(alignment, size);
}

/* ---- objects that are there ---- */

/* Whether an object lies in the kind, and not in the C library's heap. */
static bool is_in_kind(const void *ptr)
{
    return address_table_find(ptr) != NULL;
}

void preload_free(void *ptr)
{
    if (ptr == NULL)
        return;
    if (is_in_kind(ptr))
        memkind_arena_free(preload_heap.kind, ptr);
    else
        __libc_free(ptr);
}

size_t preload_usable_size(void *ptr)
{
    if (ptr == NULL)
        return 0;
    return is_in_kind(ptr)
               ? memkind_default_malloc_usable_size(preload_heap.kind, ptr)
               : libc_usable_size(ptr);
}

/* Copies what both objects have room for. */
static void copy_object(void *to, size_t size, const void *from,
                        size_t old_size)
{
    memcpy(to, from, size < old_size ? size : old_size);
}

/* An object of the C library's that has become large enough moves to the kind;
 * so does one from before the kind. */
static void *realloc_from_dram(void *ptr, size_t size)
{
    if (size == 0 || !belongs_to_kind(size) || !enter_kind())
        return __libc_realloc(ptr, size);
    const int saved_errno = errno;
    const size_t old_size = libc_usable_size(ptr);
    if (old_size == 0) {
        leave_kind();
        return __libc_realloc(ptr, size);
    }
    void *moved = after_kind(memkind_arena_malloc(preload_heap.kind, size));
    if (moved == NULL) {
        if (preload_heap.full_is_null && size > old_size)
            return NULL;
        errno = saved_errno;
        return __libc_realloc(ptr, size);
    }
    copy_object(moved, size, ptr, old_size);
    __libc_free(ptr);
    return moved;
}

/* The kind has no room: the object moves to DRAM. */
static void *realloc_to_dram(void *ptr, size_t size, int saved_errno)
{
    void *moved = __libc_malloc(size);
    if (moved == NULL)
        return NULL;
    copy_object(moved, size, ptr, preload_usable_size(ptr));
    preload_free(ptr);
    errno = saved_errno;
    return moved;
}

void *preload_realloc(void *ptr, size_t size)
{
    if (ptr == NULL)
        return preload_malloc(size);
    if (!is_in_kind(ptr))
        return realloc_from_dram(ptr, size);
    if (size == 0) {
        preload_free(ptr);
        return NULL;
    }
    const int saved_errno = errno;
    if (!enter_kind())
        return realloc_to_dram(ptr, size, saved_errno);
    void *resized =
        after_kind(memkind_arena_realloc(preload_heap.kind, ptr, size));
    if (resized != NULL || preload_heap.full_is_null || errno != ENOMEM)
        return resized;
    return realloc_to_dram(ptr, size, saved_errno);
}
