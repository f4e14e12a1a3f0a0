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

/* Those of the first region are the range's. */
int region_tags_make(struct memkind_region_pool *pool, struct region *region)
{
    region->tags_open = 0;
    if (region->is_stripe) {
        const size_t offset = (size_t)(region->base - pool->range.base);
        region->tags = pool->range.tags + (offset >> REGION_TAG_SHIFT);
        return 0;
    }
    const size_t size = region->size + region->room;
    void *tags = sys.mmap(NULL, bytes_for(size), PROT_READ,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (tags == MAP_FAILED)
        return -errno;
    /* gcore(1) would read all of it. */
    (void)sys.madvise(tags, bytes_for(size), MADV_DONTDUMP);
    region->tags = tags;
    if (region == &pool->regions[0]) {
        pool->range.base = region->base;
        pool->range.size = size;
        pool->range.tags = tags;
    }
    return 0;
}

void region_tags_drop(struct memkind_region_pool *pool, struct region *region)
{
    if (!region->is_stripe)
        sys.munmap((void *)region->tags,
                   bytes_for(region->size + region->room));
    if (region == &pool->regions[0])
        pool->range.size = 0;
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
    size_t more = wanted - region->tags_open;
    if (region->is_stripe) {
        /* They may begin within a page, behind a gap. */
        const size_t before = (uintptr_t)from & (region_page_size() - 1);
        from -= before;
        more += before;
    }
    int result = address_space_open(from, more);
    if (result == 0)
        region->tags_open = wanted;
    return result;
}
