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

/* The region of an address in the range; NULL if there is none yet. */
static struct region *find_in_range(struct memkind_region_pool *pool,
                                    const char *addr)
{
    const size_t offset = (size_t)(addr - pool->range.base);
    struct region *region = &pool->regions[0];
    if (__builtin_expect(offset < region->size, 1))
        return region;
    const size_t number = pool_stripe_number(pool, offset);
    if (number >= REGION_POOL_MAX_STRIPES)
        return NULL;
    const unsigned index =
        atomic_load_explicit(&pool->stripes.at[number], memory_order_acquire);
    region = &pool->regions[index];
    return index != 0 && region_contains(region, addr) ? region : NULL;
}

struct region *region_pool_find(struct memkind_region_pool *pool,
                                const void *addr)
{
    const unsigned count =
        atomic_load_explicit(&pool->count, memory_order_acquire);
    if (region_range_contains(pool, addr))
        return find_in_range(pool, (const char *)addr);
    for (unsigned i = 1; i < count; i++)
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
        return pool->place.next == NULL &&
                       region_has_descriptor(&pool->regions[0])
                   ? file_system_size(pool->regions[0].fd)
                   : pool->first_capacity;
    return physical_memory_size();
}

/* A thread costs as much as dropping some hundred KiB. */
#define HELD_FOR_THREADS ((size_t)256 << 20)

bool region_pool_is_worth_threads(const struct memkind_region_pool *pool)
{
    return pool->stripes.count != 0 && !pool->is_inherited &&
           region_pool_charged(pool) >= HELD_FOR_THREADS;
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

/* Whether an earlier place of the pool is in the same file system. */
static bool is_counted(const struct memkind_region_pool *pool,
                       const struct pool_place *place)
{
    const struct pool_place *before = &pool->place;
    while (before != place &&
           (before->first == NULL ||
            before->first->identity.device != place->first->identity.device))
        before = before->next;
    return before != place;
}

/* What the file systems of the pool's places have left, each once; SIZE_MAX if
 * one of them does not tell. */
static size_t free_space(const struct memkind_region_pool *pool)
{
    size_t sum = 0;
    for (const struct pool_place *place = &pool->place; place != NULL;
         place = place->next) {
        if (place->first == NULL || is_counted(pool, place))
            continue;
        const size_t space = file_system_free(place->first->fd);
        if (space > SIZE_MAX - sum)
            return SIZE_MAX;
        sum += space;
    }
    return sum;
}

size_t region_pool_space_left(const struct memkind_region_pool *pool)
{
    if (!region_pool_lacks_space(pool))
        return region_pool_budget_left(pool);
    const size_t owed = bytes_owed(pool);
    const size_t room = region_space_room(pool);
    const size_t space = free_space(pool);
    return (space < room ? space : room) + owed;
}

bool region_pool_counts_space(const struct memkind_region_pool *pool)
{
    const struct pool_place *place = &pool->place;
    while (place != NULL &&
           (place->first == NULL ||
            atomic_load_explicit(&place->counts_space, memory_order_relaxed)))
        place = place->next;
    return place == NULL;
}

static bool is_in_one_file_system(const struct pool_place *one,
                                  const struct pool_place *other)
{
    return one->first != NULL && other->first != NULL && one->first->fd >= 0 &&
           other->first->fd >= 0 &&
           one->first->identity.device == other->first->identity.device;
}

bool region_pool_shares_space(const struct memkind_region_pool *pool,
                              const struct memkind_region_pool *other)
{
    if (pool == NULL || other == NULL || !pool_has_files(pool) ||
        !pool_has_files(other))
        return false;
    for (const struct pool_place *mine = &pool->place; mine != NULL;
         mine = mine->next)
        for (const struct pool_place *theirs = &other->place; theirs != NULL;
             theirs = theirs->next)
            if (is_in_one_file_system(mine, theirs))
                return true;
    return false;
}

bool region_pool_shows_parent(const struct memkind_region_pool *pool)
{
    return pool->regions[0].is_private &&
           pool->fork_policy != REGION_FORK_COPY &&
           pool->fork_policy != REGION_FORK_SNAPSHOT;
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
