/* SPDX-License-Identifier: BSD-2-Clause */
#include "pool_files.h"

#include <errno.h>

#include "descriptor.h"
#include "file_space.h"
#include "sys_calls.h"

int pool_create_file(const struct pool_place *place)
{
    const struct file_identity *identity = &place->identity;
    if (descriptor_is_of(place->directory, identity))
        return descriptor_create_file(place->directory);
    int directory = descriptor_open_directory(place->path);
    if (directory < 0)
        return directory;
    /* The descriptor of the directory is gone; a path leads there still. */
    int fd = descriptor_is_of(directory, identity)
                 ? descriptor_create_file(directory)
                 : -EBADF;
    sys.close(directory);
    return fd;
}

int pool_prepare_file(struct memkind_region_pool *pool, int fd,
                      struct file_system *file_system)
{
    int result = file_system_prepare(fd, file_system);
    if (result == 0 && !file_space_has_holes(fd))
        pool->no_holes = true;
    return result;
}

bool pool_avoids_full_places(const struct memkind_region_pool *pool)
{
    const struct pool_place *place = &pool->place;
    if (place->next == NULL)
        return false;
    while (place != NULL && pool_place_is_full(place))
        place = place->next;
    return place != NULL;
}

struct pool_place *pool_place_with_space(struct memkind_region_pool *pool)
{
    struct pool_place *place = &pool->place;
    while (place != NULL && pool_place_is_full(place))
        place = place->next;
    return place != NULL ? place : &pool->place;
}
