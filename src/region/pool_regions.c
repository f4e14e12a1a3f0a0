/* SPDX-License-Identifier: BSD-2-Clause */
#include "pool_regions.h"

#include <assert.h>
#include <sys/mman.h>

#include "address_table.h"
#include "debug_log.h"
#include "descriptor.h"
#include "file_space.h"
#include "fork_mark.h"
#include "grain_small_pages.h"
#include "grain_tables.h"
#include "leak_roots.h"
#include "memory_marks.h"
#include "pool_state.h"
#include "region_detach.h"
#include "region_dump.h"
#include "region_owed.h"
#include "region_private.h"
#include "region_readahead.h"
#include "region_tags.h"
#include "sys_calls.h"

/*
 * Pages of 16 KiB are mapped 32 MiB at once, pages of 64 KiB 512 MiB. The
 * former is a grain for pools that hold many of them. The latter is out of
 * proportion to what an arena starts with, and what small pages cost is little
 * with pages of that size.
 */
#define DAX_GRAIN_MOST ((size_t)32 << 20)
#define DAX_GRAINS_LEAST 64

/* Pages of a grain are counted in 16 bits. */
_Static_assert(DAX_GRAIN_MOST / REGION_TAG_UNIT <= UINT16_MAX,
               "a grain has more pages than can be counted");
_Static_assert(FILE_SYSTEM_UNIT_MAX <= DAX_GRAIN_MOST,
               "a cluster has more pages than can be counted");

/* ---- guard pages ---- */

static atomic_bool guards_are_used;

void region_pool_use_guards(bool use)
{
    atomic_store(&guards_are_used, use);
}

size_t pool_guard_margin(void)
{
    return atomic_load(&guards_are_used) ? region_page_size() : 0;
}

/* False if there is something else already. */
static bool make_guard(char *addr)
{
    const size_t page_size = region_page_size();
    void *guard = sys.mmap(addr, page_size, PROT_NONE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE |
                               MAP_FIXED_NOREPLACE,
                           -1, 0);
    if (guard == addr)
        return true;
    /* Kernels before 4.17 take the address for a hint. */
    if (guard != MAP_FAILED)
        sys.munmap(guard, page_size);
    return false;
}

/* There are none around the memory of a caller, which may go on there. */
static void make_guards(const struct memkind_region_pool *pool,
                        struct region *region)
{
    if (pool->backing == REGION_BUFFER || !atomic_load(&guards_are_used))
        return;
    /* Within a range there is a gap before each stripe. */
    if (region->is_stripe)
        return;
    region->guard_before = make_guard(region->base - region_page_size());
    region->guard_behind =
        make_guard(region->base + region->size + region->room);
    if (!region->guard_before || !region->guard_behind)
        debug_log("no room for a guard page at %p", (void *)region->base);
}

static void drop_guards(struct region *region)
{
    const size_t page_size = region_page_size();
    if (region->guard_before)
        sys.munmap(region->base - page_size, page_size);
    if (region->guard_behind)
        sys.munmap(region->base + region->size + region->room, page_size);
    region->guard_before = region->guard_behind = false;
}

/* ---- files and mappings ---- */

bool pool_is_needed_by_children(const struct memkind_region_pool *pool)
{
    return pool->fork_policy == REGION_FORK_SNAPSHOT && fork_mark_is_held();
}

void pool_close_file(const struct memkind_region_pool *pool, int fd,
                     bool still_mapped)
{
    if (fd < 0)
        return;
    /* The caller's file outlives the pool; its space must not. A child that
     * shares the file leaves it to the parent. */
    if (((pool->backing == REGION_FILE && !pool->is_inherited) ||
         (pool->backing == REGION_FILES && still_mapped)) &&
        !pool_is_needed_by_children(pool))
        (void)file_space_resize(fd, 0);
    sys.close(fd);
}

/* Whether the region's file cannot be emptied by its number, and may be there
 * when the mapping is gone. A file without a name is not kept by a number that
 * is another file's by now; only a forked child may still read it. */
static bool may_stay_behind(const struct memkind_region_pool *pool,
                            const struct region *region)
{
    struct file_identity unused;
    if (!pool_has_files(pool) || pool->is_inherited ||
        pool_is_needed_by_children(pool))
        return false;
    if (pool->backing == REGION_FILE)
        return !region_has_descriptor(region);
    return descriptor_identify(region->fd, &unused) != 0 &&
           sys.get_flags(region->fd) >= 0;
}

/* Returns whether the mapping is gone, or will be. */
static bool unmap_region(const struct memkind_region_pool *pool,
                         const struct region *region, struct mapping *later)
{
    if (may_stay_behind(pool, region))
        (void)file_space_remove(region->base, region->open);
    const struct mapping mapping = {.base = region->base,
                                    .size = region->size,
                                    .room = region->room,
                                    .by_libpmem = region->by_libpmem};
    if (pool->backing == REGION_BUFFER || region->is_stripe)
        return true;
    if (later == NULL)
        return file_mapping_unmap(&mapping) == 0;
    *later = mapping;
    return true;
}

/* ---- grains ---- */

size_t pool_region_unit(const struct memkind_region_pool *pool)
{
    return pool->grain > REGION_ALIGN_GRAIN ? pool->grain : REGION_ALIGN_GRAIN;
}

/* Chooses the grain on DAX by the first region. */
static size_t dax_grain(const struct memkind_region_pool *pool)
{
    const size_t large = region_large_page_size();
    const size_t size = pool->regions[0].size;
    if (large <= REGION_ALIGN_GRAIN || large > DAX_GRAIN_MOST ||
        size % large != 0 || size / large < DAX_GRAINS_LEAST ||
        region_pool_capacity(pool) / large < DAX_GRAINS_LEAST)
        return REGION_ALIGN_GRAIN;
    return large;
}

/* Chooses the grain by the first region; the others are on the same file
 * system. */
static void choose_grain(struct memkind_region_pool *pool,
                         const struct region *region)
{
    size_t capacity = pool->first_capacity;
    if (capacity == 0 || capacity > pool->budget)
        capacity = pool->budget;
    /* There is no readahead on DAX. Without holes it does no harm. */
    if (region->is_pmem || pool->no_holes)
        pool->file_system.largest_folio = 0;
    if (region->is_pmem || pool->no_holes)
        pool->file_system.is_memory = pool->file_system.has_huge_pages = false;
    if (region->is_pmem)
        pool->grain = dax_grain(pool);
    else if (!pool->no_holes)
        pool->grain = region_readahead_grain(&pool->file_system, capacity);
}

/* ---- adding and removing ---- */

/* Devices and buffers can be touched as a whole: neither takes anything for
 * that. */
static bool is_reserved(const struct memkind_region_pool *pool)
{
    return pool->backing != REGION_BUFFER && pool->backing != REGION_DEVICE;
}

/* Makes a region known to those that look for one, after all else of it. */
static void publish_region(struct memkind_region_pool *pool,
                           struct region *region)
{
    const unsigned index = (unsigned)(region - pool->regions);
    if (region->is_stripe) {
        const size_t number =
            pool_stripe_number(pool, (size_t)(region->base - pool->range.base));
        atomic_store_explicit(&pool->stripes.at[number], (uint8_t)index,
                              memory_order_release);
        pool->stripes.count++;
    } else {
        pool->newest = index;
        pool->following++;
    }
    if (region->place->first == NULL && region->fd >= 0)
        region->place->first = region;
    atomic_store_explicit(&pool->count, index + 1, memory_order_release);
}

int pool_add_region(struct memkind_region_pool *pool,
                    const struct mapping *mapping, struct pool_place *place,
                    int fd, size_t file_offset)
{
    ranked_lock_assert_held(&pool->lock);
    unsigned count = atomic_load(&pool->count);
    struct region *region = &pool->regions[count];
    *region = (struct region){
        .base = mapping->base,
        .size = mapping->size,
        .room = mapping->room,
        .place = place,
        .is_stripe = region_range_contains(pool, mapping->base),
        .open = is_reserved(pool) ? 0 : mapping->size,
        .fd = fd,
        .file_offset = file_offset,
        .owns_file = fd >= 0 && file_offset == 0,
        .is_private = fd < 0 && pool_has_files(pool),
        .is_pmem = mapping->is_pmem,
        .by_libpmem = mapping->by_libpmem,
    };
    /* Before anything else is mapped, which might come to lie there. */
    make_guards(pool, region);
    if (count == 0 && pool_has_files(pool))
        choose_grain(pool, region);
    if (pool_has_files(pool))
        grain_small_pages_advise(pool, region, 0, region->size);
    int result = fd < 0 ? 0 : descriptor_identify(fd, &region->identity);
    if (result == 0)
        result = region_tags_make(pool, region);
    if (result != 0)
        goto fail_tags;
    result = grain_tables_init(pool, region);
    if (result != 0)
        goto fail_grains;
    result = address_table_add(region->base, region->size, pool->owner);
    if (result != 0)
        goto fail_address;
    ranked_lock_init(&region->detach_lock, RANK_DETACHED);
    region_dump_init(pool, region);
    /* Whole grains are written to before their pages are committed. */
    if (!pool_is_always_committed(pool) && region->grain_live == NULL)
        memory_mark_unusable(region->base, region->size);
    publish_region(pool, region);
    region_readahead_add(pool, region);
    return 0;

fail_address:
    grain_tables_fini(pool, region);
fail_grains:
    region_tags_drop(pool, region);
fail_tags:
    drop_guards(region);
    return result;
}

bool pool_charge_is_sound(const struct memkind_region_pool *pool)
{
    size_t space = 0;
    if (pool->is_lost || pool_is_always_committed(pool))
        return true;
    for (unsigned i = 0; i < atomic_load(&pool->count); i++) {
        if (pool->regions[i].grain_live == NULL)
            return true;
        space += grain_tables_space(pool, &pool->regions[i]);
    }
    return region_pool_charged(pool) == space;
}

bool pool_remove_region(struct memkind_region_pool *pool, struct region *region,
                        struct mapping *later)
{
    assert(region->used <= region->size && region->open <= region->size);
    assert(grain_tables_are_sound(pool, region));
    address_table_remove(region->base, region->size);
    leak_roots_remove(region->base, region->size);
    drop_guards(region);
    const bool is_gone = unmap_region(pool, region, later);
    region_owed_fini(region);
    grain_tables_fini(pool, region);
    region_private_fini(region);
    region_detach_fini(region);
    region_dump_fini(region);
    region_tags_drop(pool, region);
    return is_gone;
}
