/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Making a kind and its heap, and taking them down: what create and destroy
 * operations begin and end with, and the operations that make the heap at their
 * first call.
 */
#include "kind_create.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include <memkind/internal/memkind_arena.h>
#include <memkind/internal/memkind_default.h>

#include "allocator_gate.h"
#include "hardening.h"
#include "heap.h"
#include "heap_create.h"
#include "huge_pages.h"
#include "kind_arenas.h"
#include "kind_error.h"
#include "kind_heap.h"
#include "kind_reclaim.h"
#include "kind_regions.h"
#include "kind_registry.h"
#include "kind_shortage.h"
#include "last_error.h"
#include "numa_places.h"
#include "ranked_lock.h"
#include "region_pool.h"

/* ---- the kind ---------------------------------------------------------- */

static bool makes_heap_late(const struct memkind_ops *ops)
{
    return ops->malloc == memkind_default_malloc ||
           (numa_kind_is(ops) && ops->free == memkind_default_free);
}

static bool resizes_directly(const struct memkind_ops *ops)
{
    return ops->realloc == memkind_arena_realloc ||
           ops->realloc == memkind_default_realloc || numa_kind_is(ops);
}

/* The pairs are those of kind_malloc.c, numa_kinds.c, and below. */
static bool is_direct(const struct memkind_ops *ops)
{
    return ((ops->malloc == memkind_arena_malloc &&
             ops->free == memkind_arena_free) ||
            (makes_heap_late(ops) && ops->free == memkind_default_free)) &&
           resizes_directly(ops);
}

static bool maps_blocks(const struct memkind *kind)
{
    const struct memkind_ops *ops = kind->ops;
    if (kind->regions != NULL)
        return ops->mmap != NULL && ops->mmap != kind->regions_mmap;
    return ops->mmap != NULL || ops->get_mmap_flags != NULL ||
           ops->mbind != NULL || ops->madvise != NULL;
}

/* The only place that compares operations: a program may have put together a
 * table of its own. */
static unsigned find_properties(const struct memkind *kind)
{
    const struct memkind_ops *ops = kind->ops;
    unsigned properties = 0;
    if (is_direct(ops))
        properties |= KIND_IS_DIRECT;
    if (makes_heap_late(ops))
        properties |= KIND_MAKES_HEAP_LATE;
    if (maps_blocks(kind))
        properties |= KIND_MAPS_BLOCKS;
    if (ops->mmap == NULL || ops->mmap == memkind_default_mmap)
        properties |= KIND_UNMAPS_BLOCKS;
    if (ops->get_arena == memkind_bijective_get_arena)
        properties |= KIND_HAS_ONE_ARENA;
    return properties;
}

static bool operations_are_complete(const struct memkind_ops *ops)
{
    return ops->create != NULL && ops->destroy != NULL && ops->malloc != NULL &&
           ops->calloc != NULL && ops->posix_memalign != NULL &&
           ops->realloc != NULL && ops->free != NULL && ops->init_once == NULL;
}

static int use_operations(struct memkind *kind, struct memkind_ops *ops,
                          const char *name)
{
    if (kind == NULL || ops == NULL || name == NULL)
        return MEMKIND_ERROR_INVALID;
    size_t length = strnlen(name, MEMKIND_NAME_LENGTH_PRIV);
    if (length == 0 || length == MEMKIND_NAME_LENGTH_PRIV)
        return MEMKIND_ERROR_INVALID;
    if (!operations_are_complete(ops))
        return MEMKIND_ERROR_BADOPS;
    kind->ops = ops;
    __atomic_store_n(&kind->properties, find_properties(kind),
                     __ATOMIC_RELAXED);
    memcpy(kind->name, name, length + 1);
    return MEMKIND_SUCCESS;
}

int memkind_default_create(struct memkind *kind, struct memkind_ops *ops,
                           const char *name)
{
    last_error_begin();
    return kind_error_of_call(__func__, use_operations(kind, ops, name));
}

int memkind_default_destroy(struct memkind *kind)
{
    if (kind == NULL)
        return MEMKIND_ERROR_INVALID;
    kind->ops = NULL;
    kind->priv = NULL;
    return MEMKIND_SUCCESS;
}

/* ---- its heap ---------------------------------------------------------- */

static void *map_by_operation(void *context, size_t size)
{
    struct memkind *kind = context;
    void *block = kind->ops->mmap != NULL
                      ? kind->ops->mmap(kind, NULL, size)
                      : memkind_default_mmap(kind, NULL, size);
    return block == MAP_FAILED ? NULL : block;
}

/* What blocks are made of. They are mapped and unmapped by whole pages. */
static size_t unit_of_blocks(struct memkind *kind)
{
    int flags = 0;
    if (kind->ops->get_mmap_flags == NULL ||
        kind->ops->get_mmap_flags(kind, &flags) != 0)
        flags = 0;
    return huge_pages_unit(flags);
}

static int open_dram_pool(struct memkind_region_pool *pool, const void *source,
                          struct memkind *kind)
{
    const struct numa_place *place = source;
    int result = place != NULL && place->has_huge_pages
                     ? region_pool_open_huge_pages(pool, kind)
                     : region_pool_open_memory(pool, kind);
    if (result == 0 && place != NULL && place->has_nodes)
        region_pool_set_numa(pool, &place->numa);
    return result;
}

/* DRAM, or the memory of the kind's NUMA nodes, or huge pages. */
static int open_dram(struct memkind *kind)
{
    struct memkind_region_pool *pool = NULL;
    const struct numa_place *place;
    int err = numa_kind_find(kind, &place);
    if (err == MEMKIND_SUCCESS)
        err = kind_regions_new(kind, place, open_dram_pool, &pool);
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

static int make_heap(struct memkind *kind, struct heap_config *config)
{
    struct memkind_heap *heap = NULL;
    config->arenas.pool = kind->regions;
    int err = kind_arenas_limit(kind, &config->arenas.limit);
    if (err == MEMKIND_SUCCESS)
        err = kind_error_of_heap(heap_create(config, &heap));
    if (err != MEMKIND_SUCCESS) {
        close_own_regions(kind);
        return err;
    }
    assert(heap != NULL);
    __atomic_store_n(&kind->heap, heap, __ATOMIC_RELEASE);
    kind_registry_add(kind);
    return MEMKIND_SUCCESS;
}

static int create_heap(struct memkind *kind, extent_hooks_t *hooks,
                       bool metadata_use_hooks)
{
    if (kind == NULL || kind->ops == NULL || kind->heap != NULL)
        return MEMKIND_ERROR_INVALID;
    __atomic_store_n(&kind->properties, find_properties(kind),
                     __ATOMIC_RELAXED);
    const struct block_source source = {
        .map = map_by_operation,
        .context = kind,
        .unit = unit_of_blocks(kind),
        .unmap = kind_has(kind, KIND_UNMAPS_BLOCKS),
    };
    struct heap_config config = {
        .arenas =
            {
                .address_owner = kind,
                .user_hooks = hooks,
                .metadata_use_hooks = metadata_use_hooks,
            },
        .direct_owner = kind_has(kind, KIND_IS_DIRECT) ? kind : NULL,
        .is_checked = hardening_is_on(),
    };
    int err = kind_decay_init(kind, &config.arenas.dirty_decay_ms);
    if (err == MEMKIND_SUCCESS)
        err = kind_start_background_threads();
    if (err != MEMKIND_SUCCESS) {
        errno = EINVAL; /* a variable of the environment is not valid */
        return err;
    }
    if (kind_has(kind, KIND_MAPS_BLOCKS))
        config.arenas.source = &source;
    else if (kind->regions == NULL && hooks == NULL)
        err = open_dram(kind);
    return err == MEMKIND_SUCCESS ? make_heap(kind, &config) : err;
}

int memkind_arena_create_map(struct memkind *kind, extent_hooks_t *hooks,
                             bool metadata_use_hooks)
{
    last_error_begin();
    return kind_error_of_call(__func__,
                              create_heap(kind, hooks, metadata_use_hooks));
}

int memkind_arena_create(struct memkind *kind, struct memkind_ops *ops,
                         const char *name)
{
    last_error_begin();
    if (kind != NULL && kind->heap != NULL) {
        last_error_reason("the kind is in use already");
        return kind_error_of_call(__func__, MEMKIND_ERROR_INVALID);
    }
    int err = use_operations(kind, ops, name);
    if (err == MEMKIND_SUCCESS) {
        err = create_heap(kind, NULL, false);
        if (err != MEMKIND_SUCCESS)
            (void)memkind_default_destroy(kind);
    }
    return kind_error_of_call(__func__, err);
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

/* ---- the heap, made at the first call ---------------------------------- */

static struct ranked_lock heap_lock =
    RANKED_LOCK_INITIALIZER(RANK_DEFAULT_HEAP);

/* A signal handler that finds this true has interrupted a call that makes a
 * heap, or fork(). */
static __thread bool uses_heap_lock;

void kind_create_lock(void)
{
    assert(!uses_heap_lock);
    uses_heap_lock = true;
    ranked_lock_take(&heap_lock);
}

void kind_create_unlock(void)
{
    ranked_lock_release(&heap_lock);
    uses_heap_lock = false;
}

static bool make_heap_late(struct memkind *kind, const char *function)
{
    if (uses_heap_lock || allocator_is_inside()) {
        last_error_of_shortage(function, SHORTAGE_REENTERED, 0, 0, 0);
        return false;
    }
    kind_create_lock();
    int err = MEMKIND_SUCCESS;
    last_error_begin();
    if (kind->heap == NULL)
        err = create_heap(kind, NULL, false);
    kind_create_unlock();
    return kind_error_of_call(function, err) == MEMKIND_SUCCESS;
}

static inline bool has_or_makes_heap(struct memkind *kind, const char *function)
{
    if (__builtin_expect(kind_heap_of(kind) != NULL, 1))
        return true;
    int saved_errno = errno;
    if (make_heap_late(kind, function)) {
        errno = saved_errno;
        return true;
    }
    errno = ENOMEM;
    return false;
}

void kind_create_heap(struct memkind *kind)
{
    const int saved_errno = errno;
    if (kind_heap_of(kind) == NULL && kind->lost_heap == NULL)
        (void)make_heap_late(kind, "memkind_init_once");
    errno = saved_errno;
}

void *memkind_default_malloc(struct memkind *kind, size_t size)
{
    return has_or_makes_heap(kind, "memkind_malloc")
               ? memkind_arena_malloc(kind, size)
               : NULL;
}

void *memkind_default_calloc(struct memkind *kind, size_t num, size_t size)
{
    return has_or_makes_heap(kind, "memkind_calloc")
               ? memkind_arena_calloc(kind, num, size)
               : NULL;
}

int memkind_default_posix_memalign(struct memkind *kind, void **memptr,
                                   size_t alignment, size_t size)
{
    int saved_errno = errno;
    if (!has_or_makes_heap(kind, "memkind_posix_memalign")) {
        errno = saved_errno;
        return kind_refuse_memalign(memptr, ENOMEM);
    }
    return memkind_arena_posix_memalign(kind, memptr, alignment, size);
}

void *memkind_default_realloc(struct memkind *kind, void *ptr, size_t size)
{
    return has_or_makes_heap(kind, "memkind_realloc")
               ? memkind_arena_realloc(kind, ptr, size)
               : NULL;
}

void memkind_default_free(struct memkind *kind, void *ptr)
{
    memkind_arena_free(kind, ptr);
}
