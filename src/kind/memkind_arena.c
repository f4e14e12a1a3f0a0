/* SPDX-License-Identifier: BSD-2-Clause */
#include <memkind/internal/memkind_arena.h>

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <memkind/internal/memkind_default.h>

#include "address_table.h"
#include "allocator_gate.h"
#include "cpu_count.h"
#include "debug_log.h"
#include "environment.h"
#include "hardening.h"
#include "heap.h"
#include "heap_create.h"
#include "heap_stat.h"
#include "jemalloc_ctl.h"
#include "kind_error.h"
#include "kind_regions.h"
#include "kind_registry.h"
#include "misuse.h"
#include "region_pool.h"

#define ARENAS_PER_CPU 4
#define ARENAS_MAX 4094

#define DECAY_DEFAULT_MS 10000
#define DECAY_AT_ONCE_MS 0
#define DECAY_NEVER_MS (-1)

/* ---- making a heap
 * ------------------------------------------------------------ */

static int start_background_threads(void)
{
    static _Atomic bool done;
    bool set;
    size_t limit;
    int err = environment_number("MEMKIND_BACKGROUND_THREAD_LIMIT", 0, UINT_MAX,
                                 &set, &limit);
    if (err != MEMKIND_SUCCESS || !set || atomic_exchange(&done, true))
        return err;
    err = memkind_arena_set_max_bg_threads(limit);
    if (err == MEMKIND_SUCCESS)
        err = memkind_arena_set_bg_threads(true);
    if (err != MEMKIND_SUCCESS)
        debug_log("background threads cannot be started");
    return MEMKIND_SUCCESS; /* a kind does without */
}

static int choose_limit(const struct memkind *kind, unsigned *limit)
{
    bool set;
    size_t asked;
    int err = environment_number("MEMKIND_ARENA_NUM_PER_KIND", 1, INT_MAX, &set,
                                 &asked);
    if (err != MEMKIND_SUCCESS)
        return err;
    if (kind->ops->get_arena == memkind_bijective_get_arena)
        *limit = 1;
    else if (set)
        *limit = asked < ARENAS_MAX ? (unsigned)asked : ARENAS_MAX;
    else if (kind->regions != NULL)
        *limit =
            region_pool_arenas(kind->regions, ARENAS_PER_CPU, je_page_size());
    else
        *limit = cpu_count() * ARENAS_PER_CPU;
    return MEMKIND_SUCCESS;
}

static void *map_by_operation(void *context, size_t size)
{
    struct memkind *kind = context;
    void *block = kind->ops->mmap != NULL
                      ? kind->ops->mmap(kind, NULL, size)
                      : memkind_default_mmap(kind, NULL, size);
    return block == MAP_FAILED ? NULL : block;
}

static bool maps_in_its_own_way(const struct memkind *kind)
{
    const struct memkind_ops *ops = kind->ops;
    if (kind->regions != NULL)
        return ops->mmap != NULL && ops->mmap != kind->regions_mmap;
    return ops->mmap != NULL || ops->get_mmap_flags != NULL ||
           ops->mbind != NULL || ops->madvise != NULL;
}

/* Whether the kind's heap operations are the ones in this file, so that
 * memkind.h's functions may go past them. */
static bool has_plain_operations(const struct memkind_ops *ops)
{
    return (ops->malloc == memkind_arena_malloc &&
            ops->free == memkind_arena_free) ||
           (ops->malloc == memkind_default_malloc &&
            ops->free == memkind_default_free);
}

static int open_memory(struct memkind_region_pool *pool, const void *source,
                       struct memkind *kind)
{
    (void)source;
    return region_pool_open_memory(pool, kind);
}

static int open_dram(struct memkind *kind)
{
    struct memkind_region_pool *pool = NULL;
    int err = kind_regions_new(kind, NULL, open_memory, &pool);
    if (err != MEMKIND_SUCCESS)
        return err;
    kind->regions = pool;
    kind->owns_regions = true;
    return MEMKIND_SUCCESS;
}

static void close_own_regions(struct memkind *kind)
{
    if (!kind->owns_regions)
        return;
    kind_regions_delete(kind->regions);
    kind->regions = NULL;
    kind->owns_regions = false;
}

int memkind_arena_create_map(struct memkind *kind, extent_hooks_t *hooks,
                             bool metadata_use_hooks)
{
    if (kind == NULL || kind->ops == NULL || kind->heap != NULL)
        return MEMKIND_ERROR_INVALID;
    const struct block_source source = {
        .map = map_by_operation,
        .context = kind,
        .unmap =
            kind->ops->mmap == NULL || kind->ops->mmap == memkind_default_mmap,
    };
    struct heap_config config = {
        .arenas =
            {
                .address_owner = kind,
                .user_hooks = hooks,
                .metadata_use_hooks = metadata_use_hooks,
                .dirty_decay_ms = environment_hog_memory() ? DECAY_NEVER_MS
                                                           : DECAY_DEFAULT_MS,
            },
        .direct_owner = has_plain_operations(kind->ops) ? kind : NULL,
        .is_checked = hardening_is_on(),
    };
    int err = start_background_threads();
    if (err != MEMKIND_SUCCESS)
        return err;
    if (maps_in_its_own_way(kind))
        config.arenas.source = &source;
    else if (kind->regions == NULL && hooks == NULL)
        err = open_dram(kind);
    if (err != MEMKIND_SUCCESS)
        return err;
    config.arenas.pool = kind->regions;

    struct memkind_heap *heap = NULL;
    err = choose_limit(kind, &config.arenas.limit);
    if (err == MEMKIND_SUCCESS)
        err = kind_error_of_heap(heap_create(&config, &heap));
    if (err != MEMKIND_SUCCESS) {
        close_own_regions(kind);
        return err;
    }
    __atomic_store_n(&kind->heap, heap, __ATOMIC_RELEASE);
    kind_registry_add(kind);
    return MEMKIND_SUCCESS;
}

int memkind_arena_create(struct memkind *kind, struct memkind_ops *ops,
                         const char *name)
{
    if (kind != NULL && kind->heap != NULL)
        return MEMKIND_ERROR_INVALID;
    int err = memkind_default_create(kind, ops, name);
    if (err != MEMKIND_SUCCESS)
        return err;
    err = memkind_arena_create_map(kind, NULL, false);
    if (err != MEMKIND_SUCCESS)
        (void)memkind_default_destroy(kind);
    return err;
}

int memkind_arena_destroy(struct memkind *kind)
{
    if (kind == NULL)
        return MEMKIND_ERROR_INVALID;
    if (kind->lost_heap != NULL)
        kind->heap = kind->lost_heap;
    kind->lost_heap = NULL;
    if (kind->heap != NULL) {
        kind_registry_remove(kind);
        heap_destroy(kind->heap);
        kind->heap = NULL;
    }
    close_own_regions(kind);
    return memkind_default_destroy(kind);
}

int memkind_arena_finalize(struct memkind *kind)
{
    return memkind_arena_destroy(kind);
}

/* ---- which kind
 * ----------------------------------------------------------------- */

struct memkind *memkind_arena_detect_kind(void *ptr)
{
    return address_table_find(ptr);
}

/* The heap that an address belongs to: most often that of the kind named. */
static inline struct memkind_heap *heap_of(struct memkind *kind,
                                           const void *ptr)
{
    struct memkind_heap *heap = kind != NULL ? kind_heap_of(kind) : NULL;
    if (__builtin_expect(heap != NULL && kind->regions != NULL &&
                             region_contains(&kind->regions->regions[0], ptr),
                         1))
        return heap;
    const struct memkind *owner = address_table_find(ptr);
    if (owner == NULL) {
        misuse_report(MEMKIND_MISUSE_FOREIGN, kind, ptr);
        return NULL;
    }
    if (kind != NULL && owner != kind)
        misuse_report(MEMKIND_MISUSE_WRONG_KIND, kind, ptr);
    return kind_heap_of(owner);
}

/* ---- the heap operations
 * --------------------------------------------------------- */

/* Kinds give NULL for nothing unless told otherwise. Returns false then. */
static inline bool size_to_ask_for(const struct memkind *kind, size_t *size)
{
    if (__builtin_expect(*size != 0, 1))
        return true;
    *size = 1;
    return kind->allow_zero_allocs;
}

/* Why there is no heap: a forked child may have lost it. */
static int without_heap(const struct memkind *kind)
{
    return kind != NULL && kind->lost_heap != NULL ? ENOMEM : EINVAL;
}

static void *refuse(struct memkind *kind)
{
    if (kind != NULL && kind->lost_heap == NULL)
        misuse_report(MEMKIND_MISUSE_DEAD_KIND, kind, NULL);
    errno = without_heap(kind);
    return NULL;
}

void *memkind_arena_malloc(struct memkind *kind, size_t size)
{
    if (__builtin_expect(kind->heap == NULL, 0))
        return refuse(kind);
    void *ptr = heap_malloc_fast(heap_cache_known(kind->heap), size);
    if (__builtin_expect(ptr != NULL, 1))
        return ptr;
    if (!size_to_ask_for(kind, &size))
        return NULL;
    return heap_malloc(kind->heap, size, 0);
}

void *memkind_arena_calloc(struct memkind *kind, size_t num, size_t size)
{
    size_t total;
    if (kind->heap == NULL)
        return refuse(kind);
    if (__builtin_mul_overflow(num, size, &total)) {
        errno = ENOMEM;
        return NULL;
    }
    if (!size_to_ask_for(kind, &total))
        return NULL;
    return heap_calloc(kind->heap, total);
}

int memkind_arena_posix_memalign(struct memkind *kind, void **memptr,
                                 size_t alignment, size_t size)
{
    if (memptr == NULL || memkind_posix_check_alignment(kind, alignment) != 0)
        return EINVAL;
    if (kind->heap == NULL)
        return without_heap(kind);
    if (!size_to_ask_for(kind, &size)) {
        *memptr = NULL;
        return 0;
    }
    void *ptr = NULL;
    if (alignment <= REGION_TAG_UNIT && size <= SIZE_CLASS_TABLE_MAX &&
        size_class_of_aligned(size, alignment) != SIZE_CLASS_NONE)
        ptr = heap_malloc_fast(heap_cache_known(kind->heap),
                               (size + alignment - 1) & ~(alignment - 1));
    int saved_errno = errno;
    if (ptr == NULL)
        ptr = heap_malloc(kind->heap, size,
                          JE_LG_ALIGN(__builtin_ctzl(alignment)));
    errno = saved_errno;
    if (ptr == NULL)
        return ENOMEM;
    *memptr = ptr;
    return 0;
}

void *memkind_arena_realloc(struct memkind *kind, void *ptr, size_t size)
{
    if (ptr == NULL && kind != NULL)
        return memkind_arena_malloc(kind, size);
    if (ptr == NULL) {
        errno = EINVAL;
        return NULL;
    }
    if (size == 0) {
        memkind_arena_free(kind, ptr);
        return NULL;
    }
    struct memkind_heap *heap = heap_of(kind, ptr);
    if (heap == NULL)
        return refuse(address_table_find(ptr));
    int saved_errno = errno;
    void *resized = heap_realloc(heap, ptr, size);
    if (resized != NULL)
        errno = saved_errno;
    return resized;
}

void memkind_arena_free(struct memkind *kind, void *ptr)
{
    if (ptr == NULL)
        return;
    int saved_errno = errno;
    struct memkind_heap *heap = heap_of(kind, ptr);
    if (heap != NULL && !heap_free_fast(heap_cache_known(heap), ptr)) {
        enum heap_error error = heap_free(heap, ptr);
        if (error != HEAP_OK)
            heap_report(error, heap_owner(heap), ptr);
    }
    errno = saved_errno;
}

void *memkind_arena_defrag_reallocate(struct memkind *kind, void *ptr)
{
    struct memkind_heap *heap = ptr != NULL ? heap_of(kind, ptr) : NULL;
    int saved_errno = errno;
    void *moved = heap != NULL ? heap_defragment(heap, ptr) : NULL;
    errno = saved_errno; /* to stay where it is, is no failure */
    return moved;
}

void *memkind_arena_realloc_with_kind_detect(void *ptr, size_t size)
{
    return memkind_arena_realloc(NULL, ptr, size);
}

void memkind_arena_free_with_kind_detect(void *ptr)
{
    memkind_arena_free(NULL, ptr);
}

void *memkind_arena_defrag_reallocate_with_kind_detect(void *ptr)
{
    return memkind_arena_defrag_reallocate(NULL, ptr);
}

/* ---- arenas and policies
 * --------------------------------------------------------- */

int memkind_thread_get_arena(struct memkind *kind, unsigned int *arena,
                             size_t size)
{
    (void)size;
    struct memkind_heap *heap = kind != NULL ? kind_heap_of(kind) : NULL;
    if (arena == NULL || heap == NULL)
        return MEMKIND_ERROR_INVALID;
    const struct thread_cache *cache = heap_cache(heap);
    *arena = heap->arenas.slots[cache != NULL ? cache->arena_place : 0].index;
    return MEMKIND_SUCCESS;
}

int memkind_bijective_get_arena(struct memkind *kind, unsigned int *arena,
                                size_t size)
{
    (void)size;
    const struct memkind_heap *heap = kind != NULL ? kind_heap_of(kind) : NULL;
    if (arena == NULL || heap == NULL)
        return MEMKIND_ERROR_INVALID;
    *arena = heap->arenas.slots[0].index;
    return MEMKIND_SUCCESS;
}

int memkind_arena_update_memory_usage_policy(struct memkind *kind,
                                             memkind_mem_usage_policy policy)
{
    ssize_t decay;
    struct memkind_heap *heap = kind != NULL ? kind_heap_of(kind) : NULL;
    if (heap == NULL)
        return MEMKIND_ERROR_INVALID;
    if (policy == MEMKIND_MEM_USAGE_POLICY_DEFAULT)
        decay = DECAY_DEFAULT_MS;
    else if (policy == MEMKIND_MEM_USAGE_POLICY_CONSERVATIVE)
        decay = DECAY_AT_ONCE_MS;
    else
        return MEMKIND_ERROR_INVALID;
    if (environment_hog_memory())
        decay = DECAY_NEVER_MS;
    return heap_set_decay(heap, decay) == 0 ? MEMKIND_SUCCESS
                                            : MEMKIND_ERROR_RUNTIME;
}

int memkind_arena_purge(struct memkind *kind)
{
    if (kind == NULL)
        return MEMKIND_ERROR_INVALID;
    struct memkind_heap *heap = kind_heap_of(kind);
    if (heap != NULL)
        heap_purge(heap);
    return MEMKIND_SUCCESS;
}

int memkind_arena_set_max_bg_threads(size_t threads_limit)
{
    const size_t cpus = cpu_count();
    /* jemalloc takes no more than one for each CPU. */
    if (threads_limit == 0 || threads_limit > cpus)
        threads_limit = cpus;
    if (!allocator_enter())
        return MEMKIND_ERROR_OPERATION_FAILED;
    int result = je_background_threads_max(threads_limit);
    allocator_leave();
    return result == 0 ? MEMKIND_SUCCESS : MEMKIND_ERROR_INVALID;
}

int memkind_arena_set_bg_threads(bool state)
{
    if (!allocator_enter())
        return MEMKIND_ERROR_OPERATION_FAILED;
    int result = je_background_threads(state);
    allocator_leave();
    return result == 0 ? MEMKIND_SUCCESS : MEMKIND_ERROR_OPERATION_FAILED;
}

/* ---- statistics
 * ------------------------------------------------------------------- */

int memkind_arena_update_cached_stats(void)
{
    return heap_stat_snapshot() == 0 ? MEMKIND_SUCCESS
                                     : MEMKIND_ERROR_OPERATION_FAILED;
}

int memkind_arena_get_kind_stat(struct memkind *kind, memkind_stat_type stat,
                                size_t *value)
{
    static const enum heap_stat heap_stats[MEMKIND_STAT_TYPE_MAX_VALUE] = {
        [MEMKIND_STAT_TYPE_RESIDENT] = HEAP_RESIDENT,
        [MEMKIND_STAT_TYPE_ACTIVE] = HEAP_ACTIVE,
        [MEMKIND_STAT_TYPE_ALLOCATED] = HEAP_ALLOCATED,
    };
    if (kind == NULL || value == NULL || (int)stat < 0 ||
        stat >= MEMKIND_STAT_TYPE_MAX_VALUE)
        return MEMKIND_ERROR_INVALID;
    struct memkind_heap *heap = kind_heap_of(kind);
    *value = heap != NULL ? heap_stat(heap, heap_stats[stat]) : 0;
    return MEMKIND_SUCCESS;
}

int memkind_arena_get_global_stat(memkind_stat_type stat, size_t *value)
{
    static const char *const stats[MEMKIND_STAT_TYPE_MAX_VALUE] = {
        [MEMKIND_STAT_TYPE_RESIDENT] = "stats.resident",
        [MEMKIND_STAT_TYPE_ACTIVE] = "stats.active",
        [MEMKIND_STAT_TYPE_ALLOCATED] = "stats.allocated",
    };
    if (value == NULL || (int)stat < 0 || stat >= MEMKIND_STAT_TYPE_MAX_VALUE)
        return MEMKIND_ERROR_INVALID;
    if (!allocator_enter())
        return MEMKIND_ERROR_OPERATION_FAILED;
    int result = je_stat(stats[stat], value);
    allocator_leave();
    if (result != 0)
        return MEMKIND_ERROR_OPERATION_FAILED;
    size_t cached = heap_stat_cached();
    if (stat == MEMKIND_STAT_TYPE_ALLOCATED)
        *value = *value > cached ? *value - cached : 0;
    return MEMKIND_SUCCESS;
}
