/* SPDX-License-Identifier: BSD-2-Clause */
#include "pool_state.h"

#include "cpu_count.h"
#include "file_system_space.h"
#include "region_owed.h"
#include "region_space.h"

/* How much of a limited pool is worth an arena, which has slabs of some pages
 * for each size class. */
#define BUDGET_PER_ARENA ((size_t)8 << 20)
#define EXTENT_PAGES_PER_ARENA 1024

struct region *region_pool_find(struct memkind_region_pool *pool,
                                const void *addr)
{
    unsigned count = atomic_load_explicit(&pool->count, memory_order_acquire);
    for (unsigned i = 0; i < count; i++)
        if (region_contains(&pool->regions[i], addr))
            return &pool->regions[i];
    return NULL;
}

bool region_pool_is_fixed(const struct memkind_region_pool *pool)
{
    return pool->backing == REGION_BUFFER || pool->backing == REGION_DEVICE ||
           (pool->no_holes && pool->budget != SIZE_MAX);
}

bool region_pool_is_pmem(const struct memkind_region_pool *pool)
{
    return atomic_load(&pool->count) != 0 && pool->regions[0].is_pmem;
}

size_t region_pool_charged(const struct memkind_region_pool *pool)
{
    return atomic_load_explicit(&pool->charged, memory_order_relaxed);
}

size_t region_pool_capacity(const struct memkind_region_pool *pool)
{
    if (pool->budget != SIZE_MAX)
        return pool->budget;
    if (pool_has_files(pool) && pool->regions[0].fd >= 0)
        return region_has_descriptor(&pool->regions[0])
                   ? file_system_size(pool->regions[0].fd)
                   : pool->first_capacity;
    return physical_memory_size();
}

bool region_pool_lacks_space(const struct memkind_region_pool *pool)
{
    return atomic_load_explicit(&pool->lacks_space, memory_order_relaxed);
}

struct region_refusals
region_pool_refusals(const struct memkind_region_pool *pool)
{
    return (struct region_refusals){
        .lasting =
            atomic_load_explicit(&pool->refusals.lasting, memory_order_relaxed),
        .passing =
            atomic_load_explicit(&pool->refusals.passing, memory_order_relaxed),
    };
}

bool region_pool_charges_pages(const struct memkind_region_pool *pool)
{
    if (pool->grain > region_page_size() || pool_is_always_committed(pool) ||
        pool->is_inherited || atomic_load(&pool->no_punch) ||
        atomic_load(&pool->has_kept))
        return false;
    return true;
}

/* Bytes that are owed; if a grain is a page. */
static size_t bytes_owed(const struct memkind_region_pool *pool)
{
    size_t pages = 0;
    const unsigned count = atomic_load(&pool->count);
    for (unsigned i = 0; i < count; i++)
        pages += atomic_load_explicit(&pool->regions[i].owed_pages,
                                      memory_order_acquire);
    return pages * region_page_size();
}

size_t region_pool_budget_left(const struct memkind_region_pool *pool)
{
    /* What is paid for meanwhile is counted twice rather than never. */
    const size_t owed = bytes_owed(pool);
    return region_space_room(pool) + owed;
}

size_t region_pool_space_left(const struct memkind_region_pool *pool)
{
    if (!region_pool_lacks_space(pool))
        return region_pool_budget_left(pool);
    const size_t owed = bytes_owed(pool);
    const size_t room = region_space_room(pool);
    const size_t space = file_system_free(pool->regions[0].fd);
    return (space < room ? space : room) + owed;
}

bool region_pool_counts_space(const struct memkind_region_pool *pool)
{
    return atomic_load_explicit(&pool->counts_space, memory_order_relaxed);
}

bool region_pool_shares_space(const struct memkind_region_pool *pool,
                              const struct memkind_region_pool *other)
{
    return pool != NULL && other != NULL && pool_has_files(pool) &&
           pool_has_files(other) && pool->regions[0].fd >= 0 &&
           other->regions[0].fd >= 0 &&
           pool->regions[0].identity.device ==
               other->regions[0].identity.device;
}

bool region_pool_shows_parent(const struct memkind_region_pool *pool)
{
    return pool->regions[0].is_private && pool->fork_policy != REGION_FORK_COPY;
}

bool region_pool_is_shared(const struct memkind_region_pool *pool)
{
    return atomic_load_explicit(&pool->is_shared, memory_order_relaxed);
}

bool region_pool_is_lost(const struct memkind_region_pool *pool)
{
    return pool->is_lost;
}

unsigned region_pool_arenas(const struct memkind_region_pool *pool,
                            unsigned per_cpu, size_t extent_page)
{
    size_t most = (size_t)cpu_count() * per_cpu;
    size_t by_size = SIZE_MAX, least = EXTENT_PAGES_PER_ARENA * extent_page;
    if (least < BUDGET_PER_ARENA)
        least = BUDGET_PER_ARENA;
    /* Without spare address space, no other arena gets what one has had. */
    if (region_pool_is_fixed(pool))
        return 1;
    /* An arena keeps some slabs half empty. */
    if (pool->budget != SIZE_MAX)
        by_size = pool->budget / (pool->grain + least);
    if (by_size < most)
        most = by_size;
    return most == 0 ? 1 : (unsigned)most;
}
