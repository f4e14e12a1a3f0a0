/* SPDX-License-Identifier: BSD-2-Clause */
#include <memkind/internal/memkind_pmem.h>

#include <errno.h>
#include <sys/mman.h>

#include "allocator_gate.h"
#include "cancellation.h"
#include "dax_device.h"
#include "fork_mark.h"
#include "jemalloc_private.h"
#include "kind_error.h"
#include "kind_heap.h"
#include "kind_operations.h"
#include "kind_paths.h"
#include "kind_place.h"
#include "last_error.h"
#include "options.h"
#include "thread_cache.h"

struct memkind_ops MEMKIND_PMEM_OPS = {
    KIND_OPERATIONS_WITH_HEAP(memkind_pmem_create, memkind_pmem_destroy),
    .mmap = memkind_pmem_mmap,
    .get_mmap_flags = memkind_pmem_get_mmap_flags,
    .finalize = memkind_pmem_destroy,
};

int memkind_pmem_set_source(struct memkind *kind,
                            const struct memkind_pmem_source *source)
{
    last_error_begin();
    return kind_error_of_call(__func__, kind_regions_set_source(kind, source));
}

/* Files in a directory and others beside it. */
static int open_directories(struct memkind_region_pool *pool,
                            const struct memkind_pmem_source *source,
                            struct memkind *kind)
{
    const char *dirs[MEMKIND_PMEM_MAX_PATHS] = {source->dir};
    if (source->dir == NULL || source->further_dirs == NULL ||
        source->further_count >= MEMKIND_PMEM_MAX_PATHS) {
        last_error_reason("%u directories beside the first one; there have to "
                          "be a first one, and no more than %d",
                          source->further_count, MEMKIND_PMEM_MAX_PATHS);
        return -EINVAL;
    }
    for (unsigned i = 0; i < source->further_count; i++)
        dirs[i + 1] = source->further_dirs[i];
    return region_pool_open_places(pool, dirs, source->further_count + 1,
                                   source->max_size, kind);
}

/* Files in the directories of a list. */
static int open_list(struct memkind_region_pool *pool,
                     const struct memkind_pmem_source *source,
                     struct memkind *kind)
{
    struct kind_paths *paths = JE_NAME(mallocx)(sizeof *paths, 0);
    if (paths == NULL)
        return -ENOMEM;
    int result = kind_paths_split(paths, source->dir);
    if (result == 0)
        result = region_pool_open_places(pool, paths->dirs, paths->count,
                                         source->max_size, kind);
    JE_NAME(dallocx)(paths, 0);
    return result;
}

_Static_assert(MEMKIND_PMEM_MAX_PATHS == REGION_POOL_MAX_PLACES,
               "a kind has as many directories as its pool");

static int open_source(struct memkind_region_pool *pool,
                       const struct memkind_pmem_source *source,
                       struct memkind *kind)
{
    if (source->dir != NULL && source->further_count == 0 &&
        region_file_is_device(source->dir))
        return region_pool_open_device(pool, source->dir, source->max_size,
                                       kind);
    if (source->further_count != 0)
        return open_directories(pool, source, kind);
    if (source->dir != NULL && kind_paths_is_list(source->dir))
        return open_list(pool, source, kind);
    if (source->dir != NULL)
        return region_pool_open_files(pool, source->dir, source->max_size,
                                      kind);
    return region_pool_open_file(pool, source->fd, source->max_size, kind);
}

/* A device DAX cannot be mapped privately. */
static int check_fork_policy(const struct memkind_pmem_source *source)
{
    if (source->fork_policy != MEMKIND_FORK_SNAPSHOT)
        return 0;
    if (source->dir != NULL && region_file_is_device(source->dir)) {
        last_error_reason_at(
            source->dir, "a device DAX cannot have MEMKIND_FORK_SNAPSHOT", 0);
        return -EINVAL;
    }
    int result = fork_mark_probe();
    if (result != 0)
        last_error_reason("MEMKIND_FORK_SNAPSHOT needs memfd_create(2) with "
                          "seals: %s",
                          error_number_text(-result));
    return result;
}

static int open_files_or_device(struct memkind_region_pool *pool,
                                const void *context, struct memkind *kind)
{
    static const enum region_fork_policy
        policies[MEMKIND_FORK_POLICY_MAX_VALUE] = {
            [MEMKIND_FORK_PRIVATE] = REGION_FORK_PRIVATE,
            [MEMKIND_FORK_SHARED] = REGION_FORK_SHARED,
            [MEMKIND_FORK_UNAVAILABLE] = REGION_FORK_UNAVAILABLE,
            [MEMKIND_FORK_COPY] = REGION_FORK_COPY,
            [MEMKIND_FORK_SNAPSHOT] = REGION_FORK_SNAPSHOT,
        };
    const struct memkind_pmem_source *source = context;
    if (source->max_size != 0 && source->max_size < MEMKIND_PMEM_MIN_SIZE) {
        last_error_reason("a limit of %zu bytes is less than %d "
                          "(MEMKIND_PMEM_MIN_SIZE, 16 MiB)",
                          source->max_size, MEMKIND_PMEM_MIN_SIZE);
        return -EINVAL;
    }
    if ((unsigned)source->fork_policy >= MEMKIND_FORK_POLICY_MAX_VALUE) {
        last_error_reason("%d is no fork policy", (int)source->fork_policy);
        return -EINVAL;
    }
    int result = check_fork_policy(source);
    if (result == 0)
        result = open_source(pool, source, kind);
    if (result != 0)
        return result;
    region_pool_set_fork_policy(pool, policies[source->fork_policy]);
    if (source->dump_objects || option_is_on(OPTION_CORE_DUMP))
        region_pool_dump_objects(pool);
    if (source->background_destroy)
        region_pool_set_closes_late(pool);
    return 0;
}

int memkind_pmem_create(struct memkind *kind, struct memkind_ops *ops,
                        const char *name)
{
    last_error_begin();
    return kind_error_of_call(__func__, kind_place_create(kind, ops, name,
                                                          open_files_or_device,
                                                          memkind_pmem_mmap));
}

int memkind_pmem_destroy(struct memkind *kind)
{
    last_error_begin();
    return kind_error_of_call(__func__, kind_place_destroy(kind));
}

void *memkind_pmem_mmap(struct memkind *kind, void *addr, size_t size)
{
    (void)addr;
    return kind_regions_mmap(kind, size, KIND_ON_FILES);
}

int memkind_pmem_get_mmap_flags(struct memkind *kind, int *flags)
{
    (void)kind;
    if (flags == NULL)
        return MEMKIND_ERROR_INVALID;
    *flags = MAP_SHARED;
    return MEMKIND_SUCCESS;
}

int memkind_pmem_validate_dir(const char *dir)
{
    bool is_dax = false;
    last_error_begin();
    if (dir == NULL) {
        last_error_reason("the directory is NULL");
        errno = EINVAL;
        return kind_error_of_call(__func__, MEMKIND_ERROR_INVALID);
    }
    int saved_errno = errno;
    bool entered = allocator_enter();
    int result = region_file_probe_dax(dir, &is_dax);
    if (entered)
        allocator_leave();
    errno = result == 0 ? saved_errno : -result;
    if (result != 0) {
        last_error_reason_at(dir, NULL, -result);
        return kind_error_of_call(__func__, MEMKIND_ERROR_RUNTIME);
    }
    if (is_dax)
        return MEMKIND_SUCCESS;
    last_error_reason_at(dir, "files there are not mapped with DAX", 0);
    return kind_error_of_call(__func__, MEMKIND_ERROR_MMAP);
}

int memkind_pmem_persist(struct memkind *kind, const void *addr, size_t size)
{
    struct memkind_region_pool *regions =
        kind != NULL ? kind_regions_of(kind) : NULL;
    last_error_begin();
    if (regions == NULL) {
        last_error_reason("not a kind in files");
        return kind_error_of_call(__func__, MEMKIND_ERROR_INVALID);
    }
    int saved_errno = errno, cancellation = cancellation_disable();
    int result = region_pool_persist(regions, addr, size);
    cancellation_restore(cancellation);
    errno = result == 0 ? saved_errno : -result;
    if (result == 0)
        return MEMKIND_SUCCESS;
    last_error_reason("%zu bytes at %p: %s", size, addr,
                      error_number_text(-result));
    return kind_error_of_call(__func__, result == -EINVAL
                                            ? MEMKIND_ERROR_INVALID
                                            : MEMKIND_ERROR_OPERATION_FAILED);
}

bool memkind_pmem_is_pmem(struct memkind *kind)
{
    struct memkind_region_pool *regions =
        kind != NULL ? kind_regions_of(kind) : NULL;
    return regions != NULL && region_pool_is_pmem(regions);
}
