/* SPDX-License-Identifier: BSD-2-Clause */
#include "region_tags.h"

#include <errno.h>
#include <sys/mman.h>

#include "address_space.h"
#include "sys_calls.h"

/* Tags are opened by so much at once, whole pages: those of 128 MiB. */
#define TAGS_OPEN_STEP ((size_t)64 << 10)

static size_t bytes_for(size_t size)
{
    return size / REGION_TAG_UNIT * sizeof(uint16_t);
}

int region_tags_make(struct region *region)
{
    void *tags = sys.mmap(NULL, bytes_for(region->size), PROT_READ,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (tags == MAP_FAILED)
        return -errno;
    /* gcore(1) would read all of it. */
    (void)sys.madvise(tags, bytes_for(region->size), MADV_DONTDUMP);
    region->tags = tags;
    region->tags_open = 0;
    return 0;
}

void region_tags_drop(struct region *region)
{
    sys.munmap((void *)region->tags, bytes_for(region->size));
    region->tags = NULL;
}

int region_tags_open(struct region *region, size_t size)
{
    const size_t all = bytes_for(region->size), step = TAGS_OPEN_STEP;
    size_t wanted = bytes_for(size);
    if (wanted <= region->tags_open)
        return 0;
    wanted = (wanted + step - 1) / step * step;
    if (wanted > all)
        wanted = all;
    char *from = (char *)region->tags + region->tags_open;
    int result = address_space_open(from, wanted - region->tags_open);
    if (result == 0)
        region->tags_open = wanted;
    return result;
}
