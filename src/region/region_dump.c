/* SPDX-License-Identifier: BSD-2-Clause */
#include "region_dump.h"

#include <errno.h>
#include <sys/mman.h>

#include "mapping_count.h"
#include "page_bits.h"
#include "sys_calls.h"

static bool is_file_backed(const struct memkind_region_pool *pool)
{
    return pool->backing == REGION_FILES || pool->backing == REGION_FILE ||
           pool->backing == REGION_DEVICE;
}

static int advise_pages(const struct region *region, size_t page, size_t end,
                        int advice)
{
    const size_t page_size = region_page_size();
    return sys.madvise(region->base + page * page_size,
                       (end - page) * page_size, advice) == 0
               ? 0
               : -errno;
}

/* A kernel that does not know the advice changes nothing. */
static void leave_out(const struct region *region, size_t offset, size_t size)
{
    if (size != 0)
        (void)sys.madvise(region->base + offset, size, MADV_DONTDUMP);
}

void region_dump_init(const struct memkind_region_pool *pool,
                      struct region *region)
{
    region->dumps_objects =
        pool->dumps_objects || pool->backing == REGION_MEMORY;
    if (is_file_backed(pool))
        leave_out(region, 0, region->size);
}

void region_dump_note_opened(const struct region *region, size_t offset,
                             size_t size)
{
    /* Ranges of a file are dumped when they are committed. */
    if (region->dumps_objects && region->fd < 0)
        (void)sys.madvise(region->base + offset, size, MADV_DODUMP);
}

void region_dump_fini(struct region *region)
{
    page_bits_drop(&region->dumped, region_page_count(region));
    mapping_count_lock();
    mapping_count_remove(region->dumped_runs);
    mapping_count_unlock();
    region->dumped_runs = 0;
}

/* The handler of fork() holds the lock of the count. */
void region_dump_inherit(struct region *region, bool copied)
{
    page_bits_drop(&region->dumped, region_page_count(region));
    mapping_count_remove(region->dumped_runs);
    region->dumped_runs = 0;
    const size_t kept = region->dumps_objects && copied ? region->used : 0;
    leave_out(region, kept, region->size - kept);
}

void region_dump_note_remapped(const struct region *region, size_t offset,
                               size_t size)
{
    if (!region->dumps_objects)
        leave_out(region, offset, size);
}

void region_dump_renew(const struct region *region, size_t offset, size_t size)
{
    const size_t end = region_page_of(offset + size);
    leave_out(region, offset, size);
    if (region->dumped == NULL)
        return;
    size_t page = region_page_of(offset);
    while ((page = page_bits_find(region->dumped, page, end, true)) != end) {
        size_t next = page_bits_find(region->dumped, page, end, false);
        (void)advise_pages(region, page, next, MADV_DODUMP);
        page = next;
    }
}

/* ---- marks ---- */

/* `dumped` has a bit for each page that is marked, `dumped_runs` is the number
 * of runs of such pages. */

static bool is_marked(const struct region *region, size_t page)
{
    return page_bits_has(region->dumped, page);
}

static bool is_marked_before(const struct region *region, size_t page)
{
    return page != 0 && is_marked(region, page - 1);
}

static bool is_marked_behind(const struct region *region, size_t end)
{
    return end != region_page_count(region) && is_marked(region, end);
}

/* Counts the runs that begin in [page, end), or go on into it. */
static size_t count_runs(const struct region *region, size_t page, size_t end)
{
    size_t runs = 0;
    page = page_bits_find(region->dumped, page, end, true);
    while (page != end) {
        runs++;
        page = page_bits_find(region->dumped, page, end, false);
        page = page_bits_find(region->dumped, page, end, true);
    }
    return runs;
}

static void note_runs(struct region *region, size_t before, size_t after)
{
    region->dumped_runs = region->dumped_runs - before + after;
    mapping_count_remove(before);
    mapping_count_add(after);
}

static bool ensure_marks(struct region *region)
{
    if (region->dumped == NULL && !region->marks_are_refused)
        region->dumped = page_bits_new(region_page_count(region));
    return region->dumped != NULL;
}

/* Leaves all of the region out from now on. What a child has in its place need
 * not be. */
static int unmark_all(struct region *region)
{
    int result =
        advise_pages(region, 0, region_page_count(region), MADV_DONTDUMP);
    if (result != 0)
        return result;
    region->marks_are_refused = true;
    page_bits_drop(&region->dumped, region_page_count(region));
    note_runs(region, region->dumped_runs, 0);
    return 0;
}

static void mark_pages(struct region *region, size_t page, size_t end)
{
    bool before = is_marked_before(region, page);
    bool behind = is_marked_behind(region, end);
    if (!before && !behind && !mapping_count_allows(MAPPING_NEED_LITTLE))
        return;
    int result = advise_pages(region, page, end, MADV_DODUMP);
    if (result == 0) {
        page_bits_fill(region->dumped, page, end, true);
        note_runs(region, (size_t)before + behind, 1);
    } else if (result == -EINVAL) {
        /* DAX, to most kernels: what was left out once stays out. */
        (void)unmark_all(region);
    }
}

/* If one run may not become two, the smaller part is unmarked as well. */
static void extend_to_border(const struct region *region, size_t *page,
                             size_t *end)
{
    size_t before =
        page_bits_find_back(region->dumped, *page, 0, false) + 1; /* or 0 */
    size_t behind =
        page_bits_find(region->dumped, *end, region_page_count(region), false);
    if (*page - before < behind - *end)
        *page = before;
    else
        *end = behind;
}

static int unmark_pages(struct region *region, size_t page, size_t end)
{
    if (page_bits_find(region->dumped, page, end, true) == end)
        return 0;
    if (is_marked_before(region, page) && is_marked_behind(region, end) &&
        !mapping_count_allows(MAPPING_NEED_LITTLE))
        extend_to_border(region, &page, &end);
    if (advise_pages(region, page, end, MADV_DONTDUMP) != 0)
        return unmark_all(region);
    /* Includes the pages around the range, so that runs which go on are
     * counted. */
    size_t first = page - is_marked_before(region, page);
    size_t last = end + is_marked_behind(region, end);
    size_t runs = count_runs(region, first, last);
    page_bits_fill(region->dumped, page, end, false);
    note_runs(region, runs, count_runs(region, first, last));
    return 0;
}

void region_dump_note_committed(struct region *region, size_t offset,
                                size_t size)
{
    mapping_count_lock();
    if (ensure_marks(region))
        mark_pages(region, region_page_of(offset),
                   region_page_of(offset + size));
    mapping_count_unlock();
}

int region_dump_prepare_decommit(struct region *region, size_t offset,
                                 size_t size)
{
    int result = 0;
    mapping_count_lock();
    if (region->dumped != NULL)
        result = unmark_pages(region, region_page_of(offset),
                              region_page_of(offset + size));
    mapping_count_unlock();
    return result;
}
