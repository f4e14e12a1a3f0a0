/* SPDX-License-Identifier: BSD-2-Clause */
#include "pool_list.h"

#include <fcntl.h>

#include "descriptor.h"
#include "ranked_lock.h"
#include "sys_calls.h"

static struct ranked_lock list_lock = RANKED_LOCK_INITIALIZER(RANK_POOL_LIST);
static struct memkind_region_pool *pools; /* guarded by list_lock */

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
    ranked_lock_release(&list_lock);
}

static bool has_directory(const struct memkind_region_pool *pool, int number,
                          const struct file_identity *identity)
{
    return pool->directory == number &&
           pool->directory_identity.device == identity->device &&
           pool->directory_identity.inode == identity->inode;
}

/* Whether a number is still that of a directory of ours, which O_PATH
 * distinguishes from a descriptor of the program's own. */
static bool is_our_directory(int number, const struct file_identity *identity)
{
    return descriptor_is_of(number, identity) &&
           (sys.get_flags(number) & O_PATH) != 0;
}

int pool_list_share_directory(struct memkind_region_pool *pool, int directory)
{
    struct file_identity *identity = &pool->directory_identity;
    int result = descriptor_identify(directory, identity);
    if (result != 0) {
        sys.close(directory);
        return result;
    }
    ranked_lock_take(&list_lock);
    pool->directory = directory;
    for (struct memkind_region_pool *other = pools; other != NULL;
         other = other->next)
        if (other != pool && other->directory >= 0 &&
            is_our_directory(other->directory, identity)) {
            pool->directory = other->directory;
            break;
        }
    if (pool->directory != directory)
        sys.close(directory);
    ranked_lock_release(&list_lock);
    return 0;
}

/* The last pool that has a directory closes it. The list is locked. */
static void drop_directory(struct memkind_region_pool *pool)
{
    const struct file_identity *identity = &pool->directory_identity;
    const struct memkind_region_pool *other = pools;
    if (pool->directory < 0)
        return;
    while (other != NULL &&
           (other == pool || !has_directory(other, pool->directory, identity)))
        other = other->next;
    if (other == NULL && is_our_directory(pool->directory, identity))
        sys.close(pool->directory);
    pool->directory = -1;
}

void pool_list_remove(struct memkind_region_pool *pool)
{
    ranked_lock_take(&list_lock);
    drop_directory(pool);
    if (pool->prev != NULL)
        pool->prev->next = pool->next;
    else
        pools = pool->next;
    if (pool->next != NULL)
        pool->next->prev = pool->prev;
    ranked_lock_release(&list_lock);
}
