/* SPDX-License-Identifier: BSD-2-Clause */
/* The functions of memkind.h: checks of their arguments, and the kind's
 * operation. memkind_create.c has those that give out and destroy kinds. */
#include <memkind.h>

#include <errno.h>
#include <limits.h>
#include <sys/resource.h>
#include <unistd.h>

#include <memkind/internal/memkind_arena.h>
#include <memkind/internal/memkind_default.h>
#include <memkind/internal/memkind_pmem.h>

#include "allocator_gate.h"
#include "call_result.h"
#include "heap.h"
#include "heap_resize.h"
#include "kept_descriptors.h"
#include "kind_heap.h"
#include "kind_shortage.h"
#include "last_error.h"
#include "misuse.h"
#include "numa_places.h"
#include "region_pool.h"
#include "sys_calls.h"

/* The interface that this library speaks: libmemkind's last release. */
#define VERSION_MAJOR 1
#define VERSION_MINOR 14
#define VERSION_PATCH 0

int memkind_get_version(void)
{
    return VERSION_MAJOR * 1000000 + VERSION_MINOR * 1000 + VERSION_PATCH;
}

/* Whether a handle is that of a kind, as far as a look at it shows. */
static inline bool is_kind(const struct memkind *kind)
{
    return __builtin_expect(kind != NULL && kind->ops != NULL, 1);
}

/* Off the fast paths, the handle of a destroyed kind is also reported. */
static bool is_kind_or_report(struct memkind *kind, const void *ptr)
{
    if (is_kind(kind))
        return true;
    if (kind != NULL)
        misuse_report(MEMKIND_MISUSE_DEAD_KIND, kind, ptr);
    return false;
}

/* ---- kinds ------------------------------------------------------------- */

memkind_t memkind_detect_kind(void *ptr)
{
    return memkind_arena_detect_kind(ptr);
}

int memkind_check_available(memkind_t kind)
{
    if (!is_kind(kind))
        return call_refuse_argument(__func__, "not a kind");
    if (kind->ops->check_available == NULL)
        return MEMKIND_SUCCESS;
    int saved_errno = errno;
    last_error_begin();
    return call_finish_keeping(__func__, kind->ops->check_available(kind),
                               saved_errno);
}

ssize_t memkind_get_capacity(memkind_t kind)
{
    if (!is_kind(kind)) {
        call_refuse_argument(__func__, "not a kind");
        return -1;
    }
    const struct memkind_region_pool *regions = kind_regions_of(kind);
    size_t capacity = 0;
    const bool is_numa = numa_kind_capacity(kind, &capacity);
    if (!is_numa && regions != NULL)
        capacity = region_pool_capacity(regions);
    if (capacity != 0 && capacity <= SSIZE_MAX)
        return (ssize_t)capacity;
    if (is_numa || regions != NULL || !kind_has(kind, KIND_MAKES_HEAP_LATE)) {
        call_refuse_argument(__func__, "the kind's capacity is not known");
        return -1;
    }
    return (ssize_t)sys.sysconf(_SC_PHYS_PAGES) * (ssize_t)region_page_size();
}

int memkind_check_dax_path(const char *pmem_dir)
{
    return call_finish(__func__, memkind_pmem_validate_dir(pmem_dir));
}

/* ---- statistics and threads -------------------------------------------- */

int memkind_update_cached_stats(void)
{
    int saved_errno = errno;
    last_error_begin();
    return call_finish_keeping(__func__, memkind_arena_update_cached_stats(),
                               saved_errno);
}

int memkind_get_stat(memkind_t kind, memkind_stat_type stat, size_t *value)
{
    last_error_begin();
    if (kind != NULL && !is_kind_or_report(kind, NULL))
        return call_refuse_argument(__func__, REASON_DEAD_KIND);
    if (value == NULL)
        return call_refuse_argument(__func__,
                                    "there is no place for the value");
    if ((int)stat < 0 || stat >= MEMKIND_STAT_TYPE_MAX_VALUE)
        return call_refuse_argument(__func__, "there is no such statistic");
    if (kind == NULL)
        return call_finish(__func__,
                           memkind_arena_get_global_stat(stat, value));
    if (kind->ops->get_stat == NULL)
        return call_refuse_argument(__func__, "the kind keeps no statistics");
    return call_finish(__func__, kind->ops->get_stat(kind, stat, value));
}

int memkind_stats_print(void (*write_cb)(void *, const char *), void *cbopaque,
                        memkind_stat_print_opt opts)
{
    int saved_errno = errno;
    last_error_begin();
    return call_finish_keeping(
        __func__, memkind_arena_stats_print(write_cb, cbopaque, opts),
        saved_errno);
}

int memkind_attach_kind(memkind_t kind)
{
    int saved_errno = errno;
    if (!is_kind_or_report(kind, NULL))
        return call_refuse_argument(__func__, "not a kind");
    last_error_begin();
    return call_finish_keeping(__func__, memkind_arena_attach(kind),
                               saved_errno);
}

bool memkind_is_inside(void)
{
    return allocator_is_inside();
}

int memkind_next_descriptor(int first, int last)
{
    return kept_descriptors_next(first, last);
}

int memkind_set_least_descriptor(int least)
{
    const int saved_errno = errno;
    struct rlimit limit;
    if (least <= STDERR_FILENO)
        return call_refuse_argument(__func__, "a standard descriptor's number");
    if (sys.get_descriptor_limit(&limit) == 0 &&
        (rlim_t)least >= limit.rlim_cur) {
        errno = saved_errno;
        return call_refuse_argument(__func__, "a number above RLIMIT_NOFILE");
    }
    kept_descriptors_set_least(least);
    errno = saved_errno;
    return MEMKIND_SUCCESS;
}

int memkind_purge_kind(memkind_t kind)
{
    int saved_errno = errno;
    if (!is_kind_or_report(kind, NULL))
        return call_refuse_argument(__func__, "not a kind");
    last_error_begin();
    return call_finish_keeping(__func__, memkind_arena_purge(kind),
                               saved_errno);
}

int memkind_set_bg_threads(bool state)
{
    int saved_errno = errno;
    last_error_begin();
    return call_finish_keeping(__func__, memkind_arena_set_bg_threads(state),
                               saved_errno);
}

void memkind_set_misuse_handler(memkind_misuse_handler *handler, void *arg)
{
    misuse_set_handler(handler, arg);
}

void memkind_set_allow_zero_allocs(memkind_t kind, bool allow_zero_allocs)
{
    if (kind != NULL)
        kind->allow_zero_allocs = allow_zero_allocs;
}

/* ---- the heap ---------------------------------------------------------- */

static void *refuse_kind(const char *function, const struct memkind *kind)
{
    errno = EINVAL;
    return kind_shortage_refuse(function, kind == NULL ? "the kind is NULL"
                                                       : REASON_DEAD_KIND);
}

/* Nearly all calls end in the first lines of the following two functions: the
 * thread's own cache has what they need. Slower ways are kept out of them, so
 * that they save no registers. */

static __attribute__((noinline)) void *malloc_by_operation(memkind_t kind,
                                                           size_t size)
{
    if (!is_kind_or_report(kind, NULL))
        return refuse_kind("memkind_malloc", kind);
    return kind->ops->malloc(kind, size);
}

void *memkind_malloc(memkind_t kind, size_t size)
{
    void *ptr = heap_malloc_direct(kind, size);
    if (__builtin_expect(ptr != NULL, 1))
        return ptr;
    return malloc_by_operation(kind, size);
}

void *memkind_calloc(memkind_t kind, size_t num, size_t size)
{
    if (!is_kind_or_report(kind, NULL))
        return refuse_kind(__func__, kind);
    return kind->ops->calloc(kind, num, size);
}

int memkind_posix_memalign(memkind_t kind, void **memptr, size_t alignment,
                           size_t size)
{
    if (!is_kind_or_report(kind, NULL) || memptr == NULL) {
        kind_shortage_refuse(__func__, "the kind or the pointer is no use");
        return kind_refuse_memalign(memptr, EINVAL);
    }
    return kind->ops->posix_memalign(kind, memptr, alignment, size);
}

void *memkind_realloc(memkind_t kind, void *ptr, size_t size)
{
    void *resized = heap_realloc_direct(kind, ptr, size);
    if (__builtin_expect(resized != NULL, 1))
        return resized;
    if (kind == NULL)
        return memkind_arena_realloc_with_kind_detect(ptr, size);
    if (!is_kind_or_report(kind, ptr))
        return refuse_kind(__func__, kind);
    return kind->ops->realloc(kind, ptr, size);
}

static __attribute__((noinline)) void free_by_operation(memkind_t kind,
                                                        void *ptr)
{
    if (is_kind(kind)) {
        kind->ops->free(kind, ptr);
        return;
    }
    if (kind != NULL && ptr != NULL) {
        misuse_report(MEMKIND_MISUSE_DEAD_KIND, kind, ptr);
        if (memkind_arena_detect_kind(ptr) == NULL)
            return;
    }
    memkind_arena_free_with_kind_detect(ptr);
}

void memkind_free(memkind_t kind, void *ptr)
{
    if (__builtin_expect(heap_free_direct(kind, ptr), 1))
        return;
    free_by_operation(kind, ptr);
}

size_t memkind_malloc_usable_size(memkind_t kind,
                                  MEMKIND_MALLOC_USABLE_SIZE_CONST void *ptr)
{
    if (kind == NULL || kind->ops == NULL ||
        kind->ops->malloc_usable_size == NULL)
        return memkind_default_malloc_usable_size(kind, (void *)ptr);
    return kind->ops->malloc_usable_size(kind, (void *)ptr);
}

void *memkind_defrag_reallocate(memkind_t kind, void *ptr)
{
    if (kind == NULL)
        return memkind_arena_defrag_reallocate_with_kind_detect(ptr);
    if (!is_kind_or_report(kind, ptr) || kind->ops->defrag_reallocate == NULL)
        return NULL;
    return kind->ops->defrag_reallocate(kind, ptr);
}
