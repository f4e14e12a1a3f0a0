/* SPDX-License-Identifier: BSD-2-Clause */
#include "pool_stripes.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "cpu_count.h"
#include "debug_log.h"
#include "file_mapping.h"
#include "file_space.h"
#include "last_error.h"
#include "pool_files.h"
#include "pool_regions.h"
#include "pool_state.h"
#include "sys_calls.h"

#define MIB ((size_t)1 << 20)
#define GIB ((size_t)1 << 30)
#define TIB ((size_t)1 << 40)

/* ---- how many ---------------------------------------------------------- */

/* What a pool may hold for each of its files, at least. */
#define CAPACITY_PER_FILE (64 * MIB)

/* What it holds for each of them before there is one more. */
#define CHARGED_PER_FILE (4 * MIB)

/* Addresses of a stripe: a part of the first region's, no more than this unless
 * all stripes together would have fewer than the first region. Multiples of a
 * unit, with which the tags of a stripe begin at a page. */
#define STRIPE_PART 4
#define STRIPE_SIZE_MOST (16 * GIB)
#define STRIPE_UNIT (128 * MIB)

/* Addresses for stripes of all pools: a quarter of what a process has. */
#define ROOM_IN_ALL (32 * TIB)

/* Descriptors of stripes of all pools: such a part of what the process may
 * have. */
#define DESCRIPTORS_PART 4

static _Atomic size_t room_in_all;
static atomic_uint stripes_in_all;

static unsigned count_places(const struct memkind_region_pool *pool)
{
    unsigned count = 0;
    for (const struct pool_place *place = &pool->place; place != NULL;
         place = place->next)
        count++;
    return count;
}

static size_t stripe_size(size_t size, unsigned planned)
{
    size_t each = size / STRIPE_PART;
    if (each > STRIPE_SIZE_MOST)
        each = STRIPE_SIZE_MOST;
    if (each < size / planned)
        each = size / planned < size / STRIPE_PART ? size / planned
                                                   : size / STRIPE_PART;
    return each & ~((each >= 2 * GIB ? GIB : STRIPE_UNIT) - 1);
}

void pool_stripes_plan(struct memkind_region_pool *pool, size_t size)
{
    const unsigned places = count_places(pool);
    const size_t capacity = region_pool_capacity(pool);
    size_t files = cpu_count();
    pool->stripes.planned = 0;
    if (pool->backing != REGION_FILES || pool->no_holes)
        return;
    if (files > capacity / CAPACITY_PER_FILE)
        files = capacity / CAPACITY_PER_FILE;
    if (files < places)
        files = places;
    if (files > REGION_POOL_MAX_STRIPES + 1)
        files = REGION_POOL_MAX_STRIPES + 1;
    if (files < 2 || stripe_size(size, (unsigned)files - 1) == 0)
        return;
    pool->stripes.planned = (unsigned)files - 1;
    pool->stripes.charged_least = CHARGED_PER_FILE;
}

size_t pool_stripes_room(const struct memkind_region_pool *pool, size_t size)
{
    const unsigned planned = pool->stripes.planned;
    if (planned == 0 || atomic_load(&pool->count) != 0)
        return 0;
    const size_t room = planned * stripe_size(size, planned);
    return atomic_load(&room_in_all) + room <= ROOM_IN_ALL ? room : 0;
}

void pool_stripes_note_room(struct memkind_region_pool *pool, size_t room)
{
    if (room == 0)
        pool->stripes.planned = 0;
    else
        pool->stripes.size = room / pool->stripes.planned;
    atomic_fetch_add(&room_in_all, room);
}

/* ---- making one -------------------------------------------------------- */

/* Whether one more descriptor is little of what the process may have. */
static bool take_descriptor(void)
{
    struct rlimit limit;
    const unsigned before = atomic_fetch_add(&stripes_in_all, 1);
    if (sys.get_descriptor_limit(&limit) != 0 ||
        before < limit.rlim_cur / DESCRIPTORS_PART)
        return true;
    atomic_fetch_sub(&stripes_in_all, 1);
    return false;
}

/* Files of one pool have to be alike: what is decided by the first one's file
 * system holds for all of them. */
static int check_file_beside(struct memkind_region_pool *pool, int fd)
{
    const struct file_system *first = &pool->file_system;
    struct file_system own;
    bool is_pmem;
    int result = pool_prepare_file(pool, fd, &own);
    if (result == 0)
        result = file_mapping_is_pmem(fd, &is_pmem);
    if (result != 0)
        return result;
    const char *flaw = NULL;
    if (is_pmem != pool->regions[0].is_pmem)
        flaw = is_pmem ? "is persistent memory, and the first directory is not"
                       : "is no persistent memory, and the first directory is";
    else if (pool->no_holes)
        flaw = "has files without holes";
    else if (is_pmem ? own.unit > pool->grain
                     : own.unit != first->unit ||
                           own.largest_folio > first->largest_folio ||
                           own.has_huge_pages != first->has_huge_pages)
        flaw = "takes space in other units than the first directory";
    if (flaw == NULL)
        return 0;
    last_error_reason("it %s", flaw);
    return -EINVAL;
}

/* Whether the file system of the first region tells all of a file there. */
static bool is_known_place(const struct memkind_region_pool *pool,
                           const struct pool_place *place)
{
    return place == pool->regions[0].place || place->first != NULL;
}

/* A gap before each stripe, if there are guard pages. */
static size_t stripe_gap(const struct memkind_region_pool *pool)
{
    return pool_guard_margin() != 0 ? pool_region_unit(pool) : 0;
}

static int map_stripe(struct memkind_region_pool *pool,
                      struct pool_place *place, int fd)
{
    const size_t gap = stripe_gap(pool);
    const size_t start =
        pool->regions[0].size + pool->stripes.count * pool->stripes.size + gap;
    const struct mapping mapping = {.base = pool->range.base + start,
                                    .size = pool->stripes.size - gap,
                                    .is_pmem = pool->regions[0].is_pmem};
    int result = file_space_resize(fd, mapping.size);
    if (result == 0)
        result = file_mapping_fill_room(mapping.base, mapping.size, fd);
    if (result != 0)
        return result;
    result = pool_add_region(pool, &mapping, place, fd, 0);
    if (result != 0)
        (void)file_mapping_empty_room(mapping.base, mapping.size);
    return result;
}

static int add_with_descriptor(struct memkind_region_pool *pool,
                               struct pool_place *place)
{
    struct file_system unused;
    int fd = pool_create_file(place);
    if (fd < 0)
        return fd;
    int result = is_known_place(pool, place)
                     ? pool_prepare_file(pool, fd, &unused)
                     : check_file_beside(pool, fd);
    if (result == 0)
        result = map_stripe(pool, place, fd);
    if (result != 0)
        sys.close(fd);
    return result;
}

int pool_stripes_add(struct memkind_region_pool *pool, struct pool_place *place)
{
    ranked_lock_assert_held(&pool->lock);
    if (pool->stripes.count >= pool->stripes.planned || !take_descriptor())
        return -ENOBUFS;
    int result = add_with_descriptor(pool, place);
    if (result != 0)
        atomic_fetch_sub(&stripes_in_all, 1);
    return result;
}

int pool_stripes_check(struct memkind_region_pool *pool,
                       const struct pool_place *place)
{
    ranked_lock_assert_held(&pool->lock);
    int fd = pool_create_file(place);
    if (fd < 0)
        return fd;
    int result = check_file_beside(pool, fd);
    sys.close(fd);
    return result;
}

/* ---- the home of an arena ---------------------------------------------- */

/* jemalloc has fewer arenas. */
#define ARENAS_MOST 4096

static bool knows_nodes(const struct memkind_region_pool *pool)
{
    const struct pool_place *place = &pool->place;
    while (place != NULL && place->node < 0)
        place = place->next;
    return place != NULL && pool->place.next != NULL;
}

/* The node of the calling thread, if that matters; or else -1. */
static int node_of_thread(const struct memkind_region_pool *pool)
{
    unsigned node;
    return knows_nodes(pool) && sys.get_node(&node) == 0 ? (int)node : -1;
}

/* How ill a place suits a thread of that node. */
static unsigned distance_of(const struct pool_place *place, int node)
{
    return (pool_place_is_full(place) ? 2U : 0U) +
           (node >= 0 && place->node != node ? 1U : 0U);
}

/* The region that suits an arena best: by its place, and by how many arenas are
 * at home there. */
static unsigned best_region(const struct memkind_region_pool *pool, int node)
{
    unsigned best = 0, best_distance = 0;
    const unsigned count = atomic_load(&pool->count);
    for (unsigned i = 0; i < count; i++) {
        const struct region *region = &pool->regions[i];
        const unsigned distance = distance_of(region->place, node);
        if (i != 0 && !region->is_stripe)
            continue;
        if (i == 0 || distance < best_distance ||
            (distance == best_distance &&
             region->arenas < pool->regions[best].arenas)) {
            best = i;
            best_distance = distance;
        }
    }
    return best;
}

static unsigned count_regions_in(const struct memkind_region_pool *pool,
                                 const struct pool_place *place)
{
    const unsigned count = atomic_load(&pool->count);
    unsigned found = 0;
    for (unsigned i = 0; i < count; i++)
        if (pool->regions[i].place == place)
            found++;
    return found;
}

/* The place for one more stripe: of those that suit best, the one with the
 * fewest. */
static struct pool_place *best_place(struct memkind_region_pool *pool, int node)
{
    struct pool_place *best = &pool->place;
    for (struct pool_place *place = best->next; place != NULL;
         place = place->next) {
        const unsigned distance = distance_of(place, node);
        const unsigned best_distance = distance_of(best, node);
        if (distance < best_distance ||
            (distance == best_distance &&
             count_regions_in(pool, place) < count_regions_in(pool, best)))
            best = place;
    }
    return best;
}

/* Whether the pool holds enough for one more. */
static bool is_worth_one_more(const struct memkind_region_pool *pool)
{
    const size_t held = region_pool_charged(pool);
    return pool->stripes.count < pool->stripes.planned &&
           held / CHARGED_PER_FILE > pool->stripes.count &&
           held >= pool->stripes.charged_least;
}

/* Makes one more for an arena that would share a region with others. If that
 * fails it is tried again when the pool has twice as much. */
static unsigned make_home(struct memkind_region_pool *pool, int node,
                          unsigned shared)
{
    const int result = pool_stripes_add(pool, best_place(pool, node));
    if (result == 0)
        return atomic_load(&pool->count) - 1;
    pool->stripes.charged_least = 2 * region_pool_charged(pool);
    debug_log("no further stripe: %s", strerror(-result));
    return shared;
}

/* Whether an arena that has a home stays there. One whose home is full stays:
 * it has pages there that it would try first, so its threads move to other
 * arenas instead (pool_stripes_suit()). */
static bool stays(const struct memkind_region_pool *pool,
                  const struct region *region)
{
    return region->arenas == 1 || !is_worth_one_more(pool);
}

static bool make_homes(struct memkind_region_pool *pool, unsigned arena)
{
    if (pool->stripes.homes != NULL)
        return true;
    /* Until there is something to choose, all are at home in the first region.
     * So is the first arena as long as it is the only one. */
    if (pool->stripes.first_arena == 0)
        pool->stripes.first_arena = arena + 1;
    if (pool->stripes.count == 0 &&
        (!is_worth_one_more(pool) || pool->stripes.first_arena == arena + 1))
        return false;
    void *homes = sys.mmap(NULL, ARENAS_MOST, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (homes == MAP_FAILED)
        return false;
    pool->stripes.homes = homes;
    if (pool->stripes.first_arena != arena + 1) {
        pool->stripes.homes[pool->stripes.first_arena - 1] = 1;
        pool->regions[0].arenas++;
    }
    return true;
}

unsigned pool_stripes_home(struct memkind_region_pool *pool, unsigned arena)
{
    ranked_lock_assert_held(&pool->lock);
    if (pool->stripes.planned == 0 || pool->is_inherited ||
        arena >= ARENAS_MOST || !make_homes(pool, arena))
        return pool->newest;
    uint8_t *home = &pool->stripes.homes[arena];
    struct region *old = *home != 0 ? &pool->regions[*home - 1] : NULL;
    if (old != NULL && stays(pool, old))
        return *home - 1U;
    if (old != NULL)
        old->arenas--;
    const int node = node_of_thread(pool);
    unsigned index = best_region(pool, node);
    if (pool->regions[index].arenas != 0 && is_worth_one_more(pool))
        index = make_home(pool, node, index);
    pool->regions[index].arenas++;
    *home = (uint8_t)(index + 1);
    return index;
}

bool pool_stripes_suit(struct memkind_region_pool *pool, unsigned arena)
{
    bool suits = true;
    if (pool->place.next == NULL || arena >= ARENAS_MOST)
        return true;
    ranked_lock_take(&pool->lock);
    if (pool->stripes.homes != NULL && pool->stripes.homes[arena] != 0) {
        const int node = node_of_thread(pool);
        const struct region *home =
            &pool->regions[pool->stripes.homes[arena] - 1];
        suits = distance_of(home->place, node) <=
                distance_of(best_place(pool, node), node);
    }
    ranked_lock_release(&pool->lock);
    return suits;
}

void pool_stripes_fini(struct memkind_region_pool *pool)
{
    if (pool->stripes.homes != NULL)
        sys.munmap(pool->stripes.homes, ARENAS_MOST);
    pool->stripes.homes = NULL;
    atomic_fetch_sub(&stripes_in_all, pool->stripes.count);
    atomic_fetch_sub(&room_in_all, pool->stripes.size * pool->stripes.planned);
}
