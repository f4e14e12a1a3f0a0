/* SPDX-License-Identifier: BSD-2-Clause */
#include "mapping_count.h"

#include <errno.h>

#include "kernel_number.h"
#include "ranked_lock.h"

/* One in so many of the mappings that a process may have. */
#define SHARE_LITTLE 32
#define SHARE_MUCH 8
#define MAPPINGS_DEFAULT 65530

static struct ranked_lock mapping_lock =
    RANKED_LOCK_INITIALIZER(RANK_MAPPING_COUNT);
static size_t count;
static size_t most_mappings; /* 0: not known yet */

void mapping_count_lock(void)
{
    ranked_lock_take(&mapping_lock);
}

void mapping_count_unlock(void)
{
    ranked_lock_release(&mapping_lock);
}

void mapping_count_renew_lock(void)
{
    (void)ranked_lock_renew(&mapping_lock, RANK_MAPPING_COUNT);
}

/* A limit of a billion is not made use of: the usual number will do. */
static size_t read_most(void)
{
    long long most;
    if (!kernel_number_read("/proc/sys/vm/max_map_count", &most) || most <= 0 ||
        most > MAPPINGS_DEFAULT)
        return MAPPINGS_DEFAULT;
    return (size_t)most;
}

bool mapping_count_allows(enum mapping_need need)
{
    ranked_lock_assert_held(&mapping_lock);
    if (most_mappings == 0) {
        int saved_errno = errno;
        most_mappings = read_most();
        errno = saved_errno;
    }
    size_t share = need == MAPPING_NEED_MUCH ? SHARE_MUCH : SHARE_LITTLE;
    return count < most_mappings / share;
}

void mapping_count_add(size_t pieces)
{
    ranked_lock_assert_held(&mapping_lock);
    count += pieces;
}

void mapping_count_remove(size_t pieces)
{
    ranked_lock_assert_held(&mapping_lock);
    count -= pieces;
}
