/* SPDX-License-Identifier: BSD-2-Clause */
#include "pool_list.h"

#include <fcntl.h>

#include "descriptor.h"
#include "mapping_reserve.h"
#include "pool_state.h"
#include "ranked_lock.h"
#include "sys_calls.h"

static struct ranked_lock list_lock = RANKED_LOCK_INITIALIZER(RANK_POOL_LIST);
static struct memkind_region_pool *pools; /* guarded by list_lock */
static unsigned with_files;               /* how many have files; likewise */

void pool_list_lock(void)
{
    ranked_lock_take(&list_lock);
}

void pool_list_unlock(void)
{
    ranked_lock_release(&list_lock);
}

struct memkind_region_pool *pool_list_first(void)
{
    ranked_lock_assert_held(&list_lock);
    return pools;
}

void pool_list_add(struct memkind_region_pool *pool)
{
    ranked_lock_take(&list_lock);
    pool->prev = NULL;
    pool->next = pools;
    if (pools != NULL)
        pools->prev = pool;
    pools = pool;
    if (pool_has_files(pool))
        mapping_reserve_fit(++with_files);
    ranked_lock_release(&list_lock);
}

static bool is_same_directory(const struct pool_place *place,
                              const struct pool_place *other)
{
    return place->directory == other->directory &&
           place->identity.device == other->identity.device &&
           place->identity.inode == other->identity.inode;
}

void pool_list_add_place(struct memkind_region_pool *pool,
                         struct pool_place *place)
{
    struct pool_place *last = &pool->place;
    ranked_lock_take(&list_lock);
    while (last->next != NULL)
        last = last->next;
    last->next = place;
    ranked_lock_release(&list_lock);
}

/* Whether a number is still that of a directory of ours, which O_PATH
 * distinguishes from a descriptor of the program's own. */
static bool is_our_directory(int number, const struct file_identity *identity)
{
    return descriptor_is_of(number, identity) &&
           (sys.get_flags(number) & O_PATH) != 0;
}

/* A place, of any pool in the list, with the same directory as this one, by
 * whatever number; NULL if there is none. The list is locked. */
static const struct pool_place *find_directory(const struct pool_place *wanted)
{
    for (const struct memkind_region_pool *pool = pools; pool != NULL;
         pool = pool->next)
        for (const struct pool_place *place = &pool->place; place != NULL;
             place = place->next)
            if (place != wanted && place->directory >= 0 &&
                is_our_directory(place->directory, &wanted->identity))
                return place;
    return NULL;
}

int pool_list_share_directory(struct pool_place *place, int directory)
{
    int result = descriptor_identify(directory, &place->identity);
    if (result != 0) {
        sys.close(directory);
        return result;
    }
    ranked_lock_take(&list_lock);
    const struct pool_place *other = find_directory(place);
    place->directory = other != NULL ? other->directory : directory;
    if (place->directory != directory)
        sys.close(directory);
    ranked_lock_release(&list_lock);
    return 0;
}

/* Whether a place of any pool but this one has the directory. */
static bool is_shared(const struct memkind_region_pool *but,
                      const struct pool_place *wanted)
{
    for (const struct memkind_region_pool *pool = pools; pool != NULL;
         pool = pool->next)
        for (const struct pool_place *place = &pool->place; place != NULL;
             place = place->next)
            if (pool != but && is_same_directory(place, wanted))
                return true;
    return false;
}

/* The last place that has a directory closes it. The list is locked. */
static void drop_directories(struct memkind_region_pool *pool)
{
    for (struct pool_place *place = &pool->place; place != NULL;
         place = place->next) {
        if (place->directory < 0)
            continue;
        if (!is_shared(pool, place) &&
            is_our_directory(place->directory, &place->identity))
            sys.close(place->directory);
        /* If another place has it as well, it is closed already. */
        for (struct pool_place *other = place->next; other != NULL;
             other = other->next)
            if (is_same_directory(place, other))
                other->directory = -1;
        place->directory = -1;
    }
}

void pool_list_remove(struct memkind_region_pool *pool)
{
    ranked_lock_take(&list_lock);
    drop_directories(pool);
    if (pool->prev != NULL)
        pool->prev->next = pool->next;
    else
        pools = pool->next;
    if (pool->next != NULL)
        pool->next->prev = pool->prev;
    if (pool_has_files(pool))
        mapping_reserve_fit(--with_files);
    ranked_lock_release(&list_lock);
}
