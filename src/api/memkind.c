/* SPDX-License-Identifier: BSD-2-Clause */
/* The functions of memkind.h: checks of their arguments, and the kind's
 * operation. */
#include <memkind.h>

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include <memkind/internal/memkind_arena.h>
#include <memkind/internal/memkind_default.h>
#include <memkind/internal/memkind_fixed.h>
#include <memkind/internal/memkind_pmem.h>

#include "allocator_gate.h"
#include "debug_log.h"
#include "heap.h"
#include "kind_heap.h"
#include "kind_operations.h"
#include "kind_reclaim.h"
#include "kind_registry.h"
#include "memkind_config.h"
#include "misuse.h"
#include "region_pool.h"
#include "static_kinds.h"
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

/* A call that has failed on the way to a success leaves no errno. */
static int keep_errno(int err, int saved_errno)
{
    if (err == MEMKIND_SUCCESS)
        errno = saved_errno;
    return err;
}

/* ---- making and destroying kinds --------------------------------------- */

/* Makes a kind of the library's own storage by an operation table. */
/* The caller is an extent hook, or a signal handler that has interrupted the
 * library: the thread may hold locks that come after the registry's. */
static bool is_called_inside(void)
{
    if (!allocator_is_inside())
        return false;
    errno = EDEADLK;
    return true;
}

static int create_kind(struct memkind_ops *ops, const char *name_prefix,
                       const void *source, memkind_t *kind)
{
    if (is_called_inside())
        return MEMKIND_ERROR_OPERATION_FAILED;
    struct memkind *created = kind_storage_get();
    if (created == NULL)
        return MEMKIND_ERROR_TOOMANY;
    char name[MEMKIND_NAME_LENGTH_PRIV];
    snprintf(name, sizeof name, "%s%u", name_prefix, created->partition);
    created->priv = (void *)source;
    int saved_errno = errno;
    int err = ops->create(created, ops, name);
    if (err != MEMKIND_SUCCESS) {
        saved_errno = errno;
        debug_log("%s cannot be created: %d, errno %d", name, err, errno);
        kind_storage_put(created);
        errno = saved_errno;
        return err;
    }
    errno = saved_errno;
    *kind = created;
    return MEMKIND_SUCCESS;
}

static int create_pmem(const struct memkind_pmem_source *source,
                       memkind_t *kind)
{
    if (source->dir == NULL || kind == NULL) {
        errno = EINVAL;
        return MEMKIND_ERROR_INVALID;
    }
    return create_kind(&MEMKIND_PMEM_OPS, "pmem", source, kind);
}

int memkind_create_pmem(const char *dir, size_t max_size, memkind_t *kind)
{
    const struct memkind_pmem_source source = {
        .dir = dir, .fd = -1, .max_size = max_size};
    return create_pmem(&source, kind);
}

static int update_policy(memkind_t kind, memkind_mem_usage_policy policy)
{
    int saved_errno = errno;
    return keep_errno(kind->ops->update_memory_usage_policy(kind, policy),
                      saved_errno);
}

int memkind_create_pmem_with_config(struct memkind_config *cfg, memkind_t *kind)
{
    if (cfg == NULL || !config_is_valid(cfg)) {
        errno = EINVAL;
        return MEMKIND_ERROR_INVALID;
    }
    const struct memkind_pmem_source source = {
        .dir = cfg->pmem_dir,
        .fd = -1,
        .max_size = cfg->pmem_size,
        .fork_policy = cfg->fork_policy,
        .dump_objects = cfg->dump_objects,
    };
    int err = create_pmem(&source, kind);
    if (err != MEMKIND_SUCCESS)
        return err;
    if (cfg->decay_ms != DECAY_UNSET_MS)
        kind_set_decay(*kind, cfg->decay_ms);
    err = update_policy(*kind, cfg->policy);
    if (err != MEMKIND_SUCCESS)
        (void)memkind_destroy_kind(*kind);
    return err;
}

int memkind_create_fixed(void *addr, size_t size, memkind_t *kind)
{
    if (addr == NULL || kind == NULL) {
        errno = EINVAL;
        return MEMKIND_ERROR_INVALID;
    }
    const struct memkind_fixed_source source = {addr, size};
    return create_kind(&MEMKIND_FIXED_OPS, "fixed", &source, kind);
}

int memkind_create_kind(memkind_memtype_t memtype_flags,
                        memkind_policy_t policy, memkind_bits_t flags,
                        memkind_t *kind)
{
    static const struct {
        unsigned types;
        memkind_policy_t policy;
    } known[] = {
        {MEMKIND_MEMTYPE_DEFAULT, MEMKIND_POLICY_PREFERRED_LOCAL},
        {MEMKIND_MEMTYPE_HIGH_BANDWIDTH, MEMKIND_POLICY_BIND_LOCAL},
        {MEMKIND_MEMTYPE_HIGH_BANDWIDTH, MEMKIND_POLICY_BIND_ALL},
        {MEMKIND_MEMTYPE_HIGH_BANDWIDTH, MEMKIND_POLICY_PREFERRED_LOCAL},
        {MEMKIND_MEMTYPE_HIGH_BANDWIDTH, MEMKIND_POLICY_INTERLEAVE_ALL},
        {MEMKIND_MEMTYPE_DEFAULT | MEMKIND_MEMTYPE_HIGH_BANDWIDTH,
         MEMKIND_POLICY_INTERLEAVE_ALL},
    };
    const unsigned types = (unsigned)memtype_flags;
    const unsigned bits = (unsigned)flags;
    bool is_known = false;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        is_known |= known[i].types == types && known[i].policy == policy;
    if (kind == NULL || !is_known ||
        (bits != 0 && bits != MEMKIND_MASK_PAGE_SIZE_2MB))
        return MEMKIND_ERROR_INVALID;
    if (types != MEMKIND_MEMTYPE_DEFAULT || bits != 0)
        return MEMKIND_ERROR_MEMTYPE_NOT_AVAILABLE;
    return create_kind(&static_kind_dram_ops, "dram", NULL, kind);
}

int memkind_destroy_kind(memkind_t kind)
{
    if (kind == NULL)
        return MEMKIND_ERROR_INVALID;
    /* As with libmemkind: programs end with this call whichever kind they
     * use. */
    if (static_kind_owns(kind))
        return MEMKIND_SUCCESS;
    if (is_called_inside())
        return MEMKIND_ERROR_OPERATION_FAILED;
    if (!kind_registry_contains(kind)) {
        misuse_report(MEMKIND_MISUSE_DEAD_KIND, kind, NULL);
        return MEMKIND_ERROR_OPERATION_FAILED;
    }
    int saved_errno = errno;
    int err = keep_errno(kind->ops->destroy(kind), saved_errno);
    if (kind_storage_owns(kind))
        kind_storage_put(kind);
    return err;
}

memkind_t memkind_detect_kind(void *ptr)
{
    return memkind_arena_detect_kind(ptr);
}

int memkind_get_kind_by_partition(int partition, memkind_t *kind)
{
    struct memkind *found = static_kind(partition);
    if (kind == NULL)
        return MEMKIND_ERROR_INVALID;
    *kind = found;
    return found != NULL ? MEMKIND_SUCCESS : MEMKIND_ERROR_UNAVAILABLE;
}

int memkind_check_available(memkind_t kind)
{
    if (!is_kind(kind))
        return MEMKIND_ERROR_INVALID;
    if (kind->ops->check_available == NULL)
        return MEMKIND_SUCCESS;
    int saved_errno = errno;
    return keep_errno(kind->ops->check_available(kind), saved_errno);
}

ssize_t memkind_get_capacity(memkind_t kind)
{
    if (!is_kind(kind))
        return -1;
    const struct memkind_region_pool *regions = kind_regions_of(kind);
    if (regions != NULL) {
        size_t capacity = region_pool_capacity(regions);
        return capacity != 0 && capacity <= SSIZE_MAX ? (ssize_t)capacity : -1;
    }
    if (!kind_has(kind, KIND_MAKES_HEAP_LATE))
        return -1;
    return (ssize_t)sys.sysconf(_SC_PHYS_PAGES) * (ssize_t)region_page_size();
}

int memkind_check_dax_path(const char *pmem_dir)
{
    return memkind_pmem_validate_dir(pmem_dir);
}

/* ---- statistics and threads -------------------------------------------- */

int memkind_update_cached_stats(void)
{
    int saved_errno = errno;
    return keep_errno(memkind_arena_update_cached_stats(), saved_errno);
}

int memkind_get_stat(memkind_t kind, memkind_stat_type stat, size_t *value)
{
    if (kind == NULL)
        return memkind_arena_get_global_stat(stat, value);
    if (!is_kind_or_report(kind, NULL) || kind->ops->get_stat == NULL)
        return MEMKIND_ERROR_INVALID;
    return kind->ops->get_stat(kind, stat, value);
}

int memkind_stats_print(void (*write_cb)(void *, const char *), void *cbopaque,
                        memkind_stat_print_opt opts)
{
    int saved_errno = errno;
    return keep_errno(memkind_arena_stats_print(write_cb, cbopaque, opts),
                      saved_errno);
}

int memkind_purge_kind(memkind_t kind)
{
    int saved_errno = errno;
    return is_kind_or_report(kind, NULL)
               ? keep_errno(memkind_arena_purge(kind), saved_errno)
               : MEMKIND_ERROR_INVALID;
}

int memkind_set_bg_threads(bool state)
{
    int saved_errno = errno;
    return keep_errno(memkind_arena_set_bg_threads(state), saved_errno);
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

/* Nearly all calls end in the first lines of the following two functions: the
 * thread's own cache has what they need. Slower ways are kept out of them, so
 * that they save no registers. */

static __attribute__((noinline)) void *malloc_by_operation(memkind_t kind,
                                                           size_t size)
{
    if (!is_kind_or_report(kind, NULL)) {
        errno = EINVAL;
        return NULL;
    }
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
    if (!is_kind_or_report(kind, NULL)) {
        errno = EINVAL;
        return NULL;
    }
    return kind->ops->calloc(kind, num, size);
}

int memkind_posix_memalign(memkind_t kind, void **memptr, size_t alignment,
                           size_t size)
{
    if (!is_kind_or_report(kind, NULL) || memptr == NULL)
        return kind_refuse_memalign(memptr, EINVAL);
    return kind->ops->posix_memalign(kind, memptr, alignment, size);
}

void *memkind_realloc(memkind_t kind, void *ptr, size_t size)
{
    if (kind == NULL)
        return memkind_arena_realloc_with_kind_detect(ptr, size);
    if (!is_kind_or_report(kind, ptr)) {
        errno = EINVAL;
        return NULL;
    }
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
