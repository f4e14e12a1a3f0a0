/* SPDX-License-Identifier: BSD-2-Clause */
#include "pool_blocks.h"

#include <assert.h>
#include <errno.h>

#include "address_space.h"
#include "coarse_clock.h"
#include "grain_tables.h"
#include "huge_pages.h"
#include "pool_commit.h"
#include "pool_files.h"
#include "pool_growth.h"
#include "pool_state.h"
#include "pool_stripes.h"
#include "region_dump.h"
#include "region_private.h"
#include "region_space.h"
#include "region_tags.h"
#include "rounding.h"

/* Blocks are opened by so much at once: no mapping by large pages is split. */
#define REGION_OPEN_STEP ((size_t)2 << 20)

/* Blocks of up to this size are tried even in a smaller pool. */
#define BLOCK_ALWAYS_TRIED ((size_t)8 << 30)

#define NO_PLACE SIZE_MAX

/* The end of a region's blocks. What is always committed is charged with each
 * block: no commit keeps it within the budget. */
static size_t end_of_blocks(const struct memkind_region_pool *pool,
                            const struct region *region)
{
    return pool_is_always_committed(pool) && pool->budget < region->size
               ? pool->budget
               : region->size;
}

/* The offset that a block would have in a region; NO_PLACE if there is no
 * room. */
static size_t place_block(const struct memkind_region_pool *pool,
                          const struct region *region, size_t size,
                          size_t alignment)
{
    uintptr_t base = (uintptr_t)region->base;
    size_t offset = round_up(base + region->used, alignment) - base;
    size_t end = end_of_blocks(pool, region);
    return offset <= end && size <= end - offset ? offset : NO_PLACE;
}

size_t region_pool_room(struct memkind_region_pool *pool)
{
    ranked_lock_take(&pool->lock);
    const struct region *region = &pool->regions[0];
    size_t room = end_of_blocks(pool, region) - region->used;
    ranked_lock_release(&pool->lock);
    return room;
}

static int open_huge_pages(struct memkind_region_pool *pool, char *from,
                           size_t size)
{
    int result = huge_pages_map(from, size);
    if (result != 0) {
        atomic_fetch_add_explicit(&pool->refusals.passing, 1,
                                  memory_order_relaxed);
        return result;
    }
    if (pool->numa != NULL)
        result = region_numa_apply(pool->numa, from, size);
    if (result == 0)
        result = address_space_open(from, size);
    if (result != 0)
        huge_pages_unmap(from, size);
    return result;
}

static int open_addresses(struct memkind_region_pool *pool, char *from,
                          size_t size)
{
    int result = 0;
    if (pool->has_huge_pages)
        return open_huge_pages(pool, from, size);
    if (pool->numa != NULL)
        result = region_numa_apply(pool->numa, from, size);
    return result == 0 ? address_space_open(from, size) : result;
}

/* Makes the start of a region usable up to `end`, and before that the tables of
 * what is noted about it. */
static int open_up_to(struct memkind_region_pool *pool, struct region *region,
                      size_t end)
{
    ranked_lock_assert_held(&pool->lock);
    int result = region_tags_open(region, end);
    if (result == 0)
        result = grain_tables_open(pool, region, end);
    if (result != 0 || end <= region->open)
        return result;
    size_t open = round_up(end, REGION_OPEN_STEP);
    if (open > region->size)
        open = region->size;
    result =
        open_addresses(pool, region->base + region->open, open - region->open);
    if (result != 0)
        return result;
    region_dump_note_opened(region, region->open, open - region->open);
    region->open = open;
    return 0;
}

static void *take_block(struct memkind_region_pool *pool, struct region *region,
                        size_t offset, size_t size, bool *commit, bool *zeroed)
{
    char *block = region->base + offset;
    *zeroed = true;
    int result = open_up_to(pool, region, offset + size);
    bool always = pool_is_always_committed(pool);
    if (result == 0 && (always || atomic_load(&pool->pretending))) {
        if (always) {
            atomic_fetch_add(&pool->charged, size);
            pool_note_committed(pool, region, offset, size);
        }
        *commit = true;
        *zeroed = false;
    } else if (result == 0 && *commit) {
        result = region_pool_commit(pool, block, size);
    }
    if (result != 0) {
        errno = -result;
        return NULL;
    }
    assert(offset >= region->used);
    region->used = offset + size;
    assert(region->used <= region->open && region->open <= region->size);
    return block;
}

/* A block that could never be committed as a whole is not worth a region that
 * is made for it: address space does not come back. jemalloc then asks for
 * less. */
static size_t largest_block(const struct memkind_region_pool *pool)
{
    size_t capacity =
        pool->backing == REGION_MEMORY ? 0 : region_pool_capacity(pool);
    if (capacity == 0 || capacity > SIZE_MAX / 8)
        return SIZE_MAX / 4;
    size_t most = power_of_two_from(capacity) * 2;
    return most > BLOCK_ALWAYS_TRIED ? most : BLOCK_ALWAYS_TRIED;
}

/* Failures of growth before it is not tried again in the same moment. */
#define GROWTH_PATIENCE 8

/* Whether there was so little address space a moment ago, several times. To
 * look for smaller and smaller regions is slow. */
static bool is_growth_vain(const struct memkind_region_pool *pool, size_t size)
{
    return pool->no_growth.times >= GROWTH_PATIENCE &&
           size >= pool->no_growth.least &&
           coarse_clock_ms() == pool->no_growth.ms;
}

static void note_no_growth(struct memkind_region_pool *pool, size_t size)
{
    const int64_t now = coarse_clock_ms();
    const bool is_another = pool->no_growth.ms != now;
    if (is_another || size < pool->no_growth.least)
        pool->no_growth.least = size;
    pool->no_growth.times = is_another ? 1 : pool->no_growth.times + 1;
    pool->no_growth.ms = now;
}

/* Grows the pool so that a block of that size has room. */
static int grow(struct memkind_region_pool *pool, size_t size)
{
    ranked_lock_assert_held(&pool->lock);
    int result =
        is_growth_vain(pool, size) ? -ENOMEM : pool_grow(pool, -1, size);
    pool->could_not_grow = result != 0;
    if (result == -ENOMEM || result == -EAGAIN)
        note_no_growth(pool, size);
    if (result != 0)
        atomic_fetch_add_explicit(&pool->refusals.passing, 1,
                                  memory_order_relaxed);
    return result;
}

/* A block that is wanted. */
struct wanted {
    unsigned home; /* index of the region that is tried first */
    size_t size, alignment;
    bool *commit, *zeroed;
    bool was_tried;   /* some region had room for it */
    bool was_refused; /* and it was not for a file system's space */
};

/* The regions in the order in which they are tried: the arena's home; the
 * newest of those that follow one another, which is the largest, as older ones
 * have been used up; the others in the range. NULL if there is none at that
 * turn. */
static struct region *region_of_turn(struct memkind_region_pool *pool,
                                     unsigned home, unsigned turn)
{
    const unsigned newest = pool->newest;
    if (turn == 0)
        return &pool->regions[home];
    if (turn == 1)
        return newest != home ? &pool->regions[newest] : NULL;
    const unsigned index = turn - 2;
    struct region *region = &pool->regions[index];
    const bool is_in_range =
        region->is_stripe || (index == 0 && pool->stripes.count != 0);
    return is_in_range && index != home && index != newest ? region : NULL;
}

/* Takes a block where there is room. If some other place has space, a full one
 * is left out or tried, and none of the others. */
static void *take_where_room(struct memkind_region_pool *pool,
                             struct wanted *wanted, bool avoids_full)
{
    const unsigned count = atomic_load(&pool->count);
    for (unsigned turn = 0; turn < count + 2; turn++) {
        struct region *region = region_of_turn(pool, wanted->home, turn);
        if (region == NULL ||
            (avoids_full && pool_place_is_full(region->place)))
            continue;
        const size_t offset =
            place_block(pool, region, wanted->size, wanted->alignment);
        if (offset == NO_PLACE)
            continue;
        wanted->was_tried = true;
        void *block = take_block(pool, region, offset, wanted->size,
                                 wanted->commit, wanted->zeroed);
        /* Another file system may have space. */
        wanted->was_refused =
            block == NULL && errno != ENOSPC && errno != EDQUOT;
        if (block != NULL || pool->place.next == NULL || wanted->was_refused)
            return block;
        avoids_full = pool_avoids_full_places(pool);
    }
    return NULL;
}

/* Grows the pool for a block, and takes it there. */
static void *take_behind(struct memkind_region_pool *pool,
                         struct wanted *wanted)
{
    int result = grow(pool, wanted->size + wanted->alignment);
    if (result != 0) {
        errno = -result;
        return NULL;
    }
    wanted->home = pool->newest;
    return take_where_room(pool, wanted, false);
}

/* Takes a block at the end of a region. If there is no room, the pool grows;
 * full places come last. */
static void *take_new_block(struct memkind_region_pool *pool, unsigned arena,
                            size_t size, size_t alignment, bool *commit,
                            bool *zeroed)
{
    struct wanted wanted = {.home = pool_stripes_home(pool, arena),
                            .size = size,
                            .alignment = alignment,
                            .commit = commit,
                            .zeroed = zeroed};
    const bool grows = pool_can_grow(pool) && size <= largest_block(pool);
    bool avoids_full = pool_avoids_full_places(pool);
    void *block = take_where_room(pool, &wanted, avoids_full);
    /* What no place has space for, or the budget has not, needs no further
     * region. */
    if (block != NULL || wanted.was_refused ||
        (wanted.was_tried && !avoids_full))
        return block;
    if (grows && (!wanted.was_tried || pool_avoids_full_places(pool)))
        block = take_behind(pool, &wanted);
    if (block == NULL && avoids_full)
        block = take_where_room(pool, &wanted, false);
    if (block != NULL || wanted.was_tried || grows)
        return block;
    if (!pool_can_grow(pool))
        region_space_note_refusal(pool);
    errno = ENOMEM;
    return NULL;
}

/* No arena: no block is ever taken back from it. */
#define NO_ARENA UINT16_MAX

/* Takes a block that was taken back from the arena; NULL if there is none. */
static void *take_old_block(struct memkind_region_pool *pool, unsigned arena,
                            size_t size, size_t alignment, bool commit,
                            bool *zeroed)
{
    for (unsigned i = 0; i < atomic_load(&pool->count); i++) {
        struct region *region = &pool->regions[i];
        size_t offset =
            region_private_take_free(region, arena, size, alignment);
        if (offset == region->size)
            continue;
        *zeroed = true;
        char *block = region->base + offset;
        if (!commit || region_pool_commit(pool, block, size) == 0)
            return block;
        region_private_add_free(region, arena, offset, size);
        return NULL;
    }
    return NULL;
}

void *region_pool_alloc(struct memkind_region_pool *pool, size_t size,
                        size_t alignment, bool *commit, bool *zeroed)
{
    return region_pool_alloc_for(pool, NO_ARENA, size, alignment, commit,
                                 zeroed);
}

void *region_pool_alloc_for(struct memkind_region_pool *pool, unsigned arena,
                            size_t size, size_t alignment, bool *commit,
                            bool *zeroed)
{
    void *block = NULL;
    bool takes_back = atomic_load(&pool->takes_back);
    /* Uncommitted blocks are taken ahead of need; the arena would use older
     * ones first. */
    if (size > SIZE_MAX / 4 || alignment > SIZE_MAX / 4 ||
        (*commit && size > pool->budget) || (!*commit && takes_back) ||
        pool->is_lost) {
        errno = ENOMEM;
        return NULL;
    }
    ranked_lock_take(&pool->lock);
    if (takes_back)
        block = take_old_block(pool, arena, size, alignment, *commit, zeroed);
    if (block == NULL)
        block = take_new_block(pool, arena, size, alignment, commit, zeroed);
    ranked_lock_release(&pool->lock);
    return block;
}

/* Nothing can fail once the decommit has been done: what can, comes first. */
int region_pool_take_back(struct memkind_region_pool *pool, unsigned arena,
                          void *addr, size_t size, bool committed)
{
    if (!atomic_load_explicit(&pool->takes_back, memory_order_relaxed))
        return -EOPNOTSUPP;
    struct region *region = region_pool_find(pool, addr);
    if (region == NULL || pool->is_lost)
        return -EOPNOTSUPP;
    size_t offset = (size_t)((char *)addr - region->base);
    ranked_lock_take(&pool->lock);
    int result = region_private_can_take_back(region, offset) ? 0 : -EOPNOTSUPP;
    if (result == 0 && committed)
        result = region_pool_decommit(pool, addr, size);
    if (result == 0)
        region_private_add_free(region, arena, offset, size);
    ranked_lock_release(&pool->lock);
    return result;
}
