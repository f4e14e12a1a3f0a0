/* SPDX-License-Identifier: BSD-2-Clause */
#include "pool_place_use.h"

bool pool_place_use(const struct memkind_region_pool *pool, unsigned index,
                    struct pool_place_use *use)
{
    const struct pool_place *place = &pool->place;
    if (pool->backing != REGION_FILES)
        return false;
    while (place != NULL && index-- > 0)
        place = place->next;
    if (place == NULL)
        return false;
    *use = (struct pool_place_use){.path = place->path};
    const unsigned count =
        atomic_load_explicit(&pool->count, memory_order_acquire);
    for (unsigned i = 0; i < count; i++) {
        const struct region *region = &pool->regions[i];
        if (region->place != place || !region->owns_file ||
            !region_has_descriptor(region))
            continue;
        use->files++;
        use->space += file_system_held_by(region->fd);
    }
    return true;
}
