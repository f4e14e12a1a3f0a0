/* SPDX-License-Identifier: BSD-2-Clause */
#include "region_grains.h"

#include <errno.h>
#include <libpmem.h>
#include <string.h>
#include <sys/mman.h>

#include "region_file.h"
#include "sys_calls.h"

/* ---- budget and file space ---------------------------------------------- */

static bool charge(struct region_pool *pool, size_t size)
{
    size_t held = atomic_load_explicit(&pool->charged, memory_order_relaxed);
    do {
        if (size > pool->budget - held)
            return false;
    } while (!atomic_compare_exchange_weak_explicit(&pool->charged, &held,
                                                    held + size,
                                                    memory_order_relaxed,
                                                    memory_order_relaxed));
    return true;
}

static void credit(struct region_pool *pool, size_t size)
{
    atomic_fetch_sub_explicit(&pool->charged, size, memory_order_relaxed);
}

int region_space_take(struct region_pool *pool, struct region *region,
                      size_t offset, size_t size)
{
    if (!charge(pool, size))
        return -ENOMEM;
    if (pool->backing == REGION_DEVICE) {
        /* What was there before, in this kind or another one, is nobody's
         * business. */
        pmem_memset_nodrain(region->base + offset, 0, size);
        return 0;
    }
    if (region->fd < 0)
        return 0;
    bool no_fallocate = atomic_load(&pool->no_fallocate);
    int result = region_file_allocate(region->fd, offset, size, &no_fallocate);
    if (no_fallocate)
        atomic_store(&pool->no_fallocate, true);
    if (result != 0)
        credit(pool, size);
    return result;
}

int region_space_give(struct region_pool *pool, struct region *region,
                      size_t offset, size_t size)
{
    int result;
    if (atomic_load_explicit(&pool->no_punch, memory_order_relaxed))
        return -EOPNOTSUPP;
    if (pool->backing == REGION_DEVICE)
        result = 0; /* the space is the device's; it is cleared when taken */
    else if (region->fd >= 0)
        result = region_file_punch(region->fd, offset, size);
    else if (pool->backing == REGION_MEMORY)
        result = sys.madvise(region->base + offset, size, MADV_DONTNEED) == 0
                     ? 0
                     : -errno;
    else
        result = -EOPNOTSUPP;
    if (result == 0)
        credit(pool, size);
    else if (result == -EOPNOTSUPP || result == -ENOSYS)
        atomic_store(&pool->no_punch, true);
    return result;
}

/* ---- tables --------------------------------------------------------------- */

static size_t live_bytes(const struct region_pool *pool,
                         const struct region *region)
{
    return region->size / pool->grain * sizeof *region->grain_live;
}

static size_t dirty_bytes(const struct region *region)
{
    return (region->size / region_page_size() + 63) / 64 *
           sizeof *region->page_dirty;
}

static void *table_map(size_t size)
{
    void *table = sys.mmap(NULL, size, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return table == MAP_FAILED ? NULL : table;
}

int region_grains_init(struct region_pool *pool, struct region *region)
{
    if (pool->grain == region_page_size())
        return 0;
    region->grain_live = table_map(live_bytes(pool, region));
    if (region->grain_live == NULL)
        return -errno;
    region->page_dirty = table_map(dirty_bytes(region));
    if (region->page_dirty == NULL) {
        int error = -errno;
        sys.munmap(region->grain_live, live_bytes(pool, region));
        region->grain_live = NULL;
        return error;
    }
    pthread_mutex_init(&region->grain_lock, NULL);
    return 0;
}

void region_grains_fini(struct region_pool *pool, struct region *region)
{
    if (region->grain_live == NULL)
        return;
    sys.munmap(region->grain_live, live_bytes(pool, region));
    sys.munmap(region->page_dirty, dirty_bytes(region));
    region->grain_live = NULL;
    region->page_dirty = NULL;
    pthread_mutex_destroy(&region->grain_lock);
}

/* ---- commit and decommit -------------------------------------------------- */

/* A range in grains, [first, end), and the pages of it in each grain. */
struct span {
    size_t offset, size, grain;
    size_t first, end;
};

static struct span span_of(const struct region_pool *pool, size_t offset,
                           size_t size)
{
    return (struct span){offset, size, pool->grain, offset / pool->grain,
                         (offset + size - 1) / pool->grain + 1};
}

static size_t max_size(size_t a, size_t b)
{
    return a > b ? a : b;
}

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t pages_in_grain(const struct span *span, size_t grain)
{
    size_t from = max_size(span->offset, grain * span->grain);
    size_t to =
        min_size(span->offset + span->size, (grain + 1) * span->grain);
    return (to - from) / region_page_size();
}

/*
 * The grains of a span whose pages are all of the span: a range of whole
 * grains, since only the first and the last grain can be shared with others.
 * Such a grain has no live page before a commit, those of the span before a
 * decommit.
 */
static struct span whole_grains(const struct region *region, struct span span,
                                bool committed)
{
    size_t last = span.end - 1;
    if (region->grain_live[last] !=
        (committed ? pages_in_grain(&span, last) : 0))
        span.end--;
    if (span.first < span.end &&
        region->grain_live[span.first] !=
            (committed ? pages_in_grain(&span, span.first) : 0))
        span.first++;
    span.offset = span.first * span.grain;
    span.size = (span.end - span.first) * span.grain;
    return span;
}

/* Pages that were in use before, in a grain that was never empty since, still
 * hold their old contents; jemalloc expects zeroes. */
static void clear_dirty_pages(struct region *region, const struct span *span)
{
    const size_t page_size = region_page_size();
    const size_t end = (span->offset + span->size) / page_size;
    for (size_t page = span->offset / page_size; page < end; page++) {
        uint64_t *word = &region->page_dirty[page / 64];
        uint64_t bit = (uint64_t)1 << page % 64;
        if (*word & bit)
            memset(region->base + page * page_size, 0, page_size);
        *word |= bit;
    }
}

static void forget_dirty_pages(struct region *region, size_t grain,
                               size_t grain_size)
{
    const size_t page_size = region_page_size();
    const size_t first = grain * grain_size / page_size;
    for (size_t page = first; page < first + grain_size / page_size; page++)
        region->page_dirty[page / 64] &= ~((uint64_t)1 << page % 64);
}

int region_grains_commit(struct region_pool *pool, struct region *region,
                         size_t offset, size_t size)
{
    const struct span span = span_of(pool, offset, size);
    int result = 0;
    pthread_mutex_lock(&region->grain_lock);
    const struct span fresh = whole_grains(region, span, false);
    if (fresh.size != 0)
        result = region_space_take(pool, region, fresh.offset, fresh.size);
    if (result == 0) {
        for (size_t i = span.first; i < span.end; i++)
            region->grain_live[i] =
                (uint16_t)(region->grain_live[i] + pages_in_grain(&span, i));
        clear_dirty_pages(region, &span);
    }
    pthread_mutex_unlock(&region->grain_lock);
    return result;
}

int region_grains_decommit(struct region_pool *pool, struct region *region,
                           size_t offset, size_t size)
{
    const struct span span = span_of(pool, offset, size);
    int result = 0;
    pthread_mutex_lock(&region->grain_lock);
    const struct span empty = whole_grains(region, span, true);
    if (atomic_load_explicit(&pool->no_punch, memory_order_relaxed))
        result = -EOPNOTSUPP;
    else if (empty.size != 0)
        result = region_space_give(pool, region, empty.offset, empty.size);
    if (result == 0) {
        for (size_t i = span.first; i < span.end; i++)
            region->grain_live[i] =
                (uint16_t)(region->grain_live[i] - pages_in_grain(&span, i));
        for (size_t i = empty.first; i < empty.end; i++)
            forget_dirty_pages(region, i, span.grain);
    }
    pthread_mutex_unlock(&region->grain_lock);
    return result;
}
