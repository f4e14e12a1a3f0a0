/* SPDX-License-Identifier: BSD-2-Clause */
#include "region_private.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>

#include "address_space.h"
#include "page_bits.h"
#include "region_dump.h"
#include "region_owed.h"
#include "sys_calls.h"

/* ---- pieces ---- */

/* Each page that is inherited has a bit in two tables: `anonymous`, and
 * `mergeable`, which says that a new mapping beside it becomes one with it. */

static void drop_tables(struct region *region)
{
    page_bits_drop(&region->anonymous, region_page_of(region->inherited));
    page_bits_drop(&region->mergeable, region_page_of(region->inherited));
}

static bool ensure_tables(struct region *region)
{
    const size_t pages = region_page_of(region->inherited);
    if (region->anonymous != NULL)
        return true;
    region->anonymous = page_bits_new(pages);
    region->mergeable = page_bits_new(pages);
    if (region->anonymous != NULL && region->mergeable != NULL)
        return true;
    drop_tables(region);
    return false;
}

static bool adjoins_a_piece(const struct region *region, size_t page,
                            size_t end)
{
    return (page != 0 && page_bits_has(region->mergeable, page - 1)) ||
           (end < region_page_of(region->inherited) &&
            page_bits_has(region->mergeable, end));
}

static int map_memory_over(const struct region *region, size_t offset,
                           size_t size)
{
    void *at = sys.mmap(region->base + offset, size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED,
                        -1, 0);
    if (at == MAP_FAILED)
        return -errno;
    region_dump_note_remapped(region, offset, size);
    return 0;
}

static void count_piece(struct region *region)
{
    region->pieces++;
    mapping_count_add(1);
}

static int map_piece(struct region *region, size_t page, size_t end,
                     enum mapping_need need)
{
    const size_t page_size = region_page_size();
    bool is_new = !adjoins_a_piece(region, page, end);
    if (is_new && !mapping_count_allows(need))
        return -EAGAIN;
    int result =
        map_memory_over(region, page * page_size, (end - page) * page_size);
    if (result != 0)
        return result;
    page_bits_fill(region->anonymous, page, end, true);
    page_bits_fill(region->mergeable, page, end, true);
    if (is_new)
        count_piece(region);
    return 0;
}

static int map_pieces(struct region *region, size_t page, size_t end,
                      enum mapping_need need)
{
    if (!ensure_tables(region))
        return -ENOMEM;
    for (;;) {
        page = page_bits_find(region->anonymous, page, end, false);
        if (page == end)
            return 0;
        size_t next = page_bits_find(region->anonymous, page, end, true);
        int result = map_piece(region, page, next, need);
        if (result != 0)
            return result;
        page = next;
    }
}

static void clear_stale(struct region *region, size_t offset, size_t size)
{
    if (offset < region->stale &&
        address_space_drop(region->base + offset, size) != 0)
        memset(region->base + offset, 0, size);
}

int region_private_commit(struct region *region, size_t offset, size_t size,
                          enum mapping_need need)
{
    clear_stale(region, offset, size);
    size_t end = offset + size;
    if (end > region->inherited)
        end = region->inherited;
    if (offset >= end)
        return 0;
    mapping_count_lock();
    int result =
        map_pieces(region, region_page_of(offset), region_page_of(end), need);
    mapping_count_unlock();
    return result;
}

/* Gives back locked memory, of which Linux before 5.18 drops nothing: maps over
 * it. */
static int drop_locked(struct region *region, size_t offset, size_t size)
{
    size_t end = offset + size;
    if (end > region->inherited)
        end = region->inherited;
    mapping_count_lock();
    int result = -EAGAIN;
    if (mapping_count_allows(MAPPING_NEED_MUCH) &&
        (offset >= end || ensure_tables(region)))
        result = map_memory_over(region, offset, size);
    if (result == 0 && offset < end)
        page_bits_fill(region->anonymous, region_page_of(offset),
                       region_page_of(end), true);
    if (result == 0)
        count_piece(region);
    mapping_count_unlock();
    return result;
}

/* Gives memory back. A private mapping of the file shows the file again; no
 * thread looks before the range is committed, and then it is mapped anew. */
int region_private_decommit(struct region *region, size_t offset, size_t size)
{
    int result = address_space_drop(region->base + offset, size);
    if (result != -EINVAL)
        return result;
    return drop_locked(region, offset, size);
}

/* ---- blocks that are taken back ---- */

/* The table of arena numbers is made as a bitmap of as many bits. */
static size_t numbers_as_bits(const struct region *region)
{
    return region_page_count(region) * sizeof *region->free_for * CHAR_BIT;
}

static void drop_free_tables(struct region *region)
{
    uint64_t *numbers = (uint64_t *)(void *)region->free_for;
    page_bits_drop(&numbers, numbers_as_bits(region));
    page_bits_drop(&region->free_pages, region_page_count(region));
    region->free_for = NULL;
}

static bool make_free_tables(struct region *region)
{
    region->free_pages = page_bits_new(region_page_count(region));
    region->free_for = (void *)page_bits_new(numbers_as_bits(region));
    region->free_first = region_page_count(region);
    region->free_end = 0;
    if (region->free_pages != NULL && region->free_for != NULL)
        return true;
    drop_free_tables(region);
    return false;
}

bool region_private_can_take_back(struct region *region, size_t offset)
{
    if (offset < region->inherited)
        return false;
    return region->free_pages != NULL || make_free_tables(region);
}

void region_private_add_free(struct region *region, unsigned arena,
                             size_t offset, size_t size)
{
    assert(arena <= UINT16_MAX && offset + size <= region->used);
    size_t page = region_page_of(offset), end = region_page_of(offset + size);
    page_bits_fill(region->free_pages, page, end, true);
    for (size_t i = page; i < end; i++)
        region->free_for[i] = (uint16_t)arena;
    if (page < region->free_first)
        region->free_first = page;
    if (end > region->free_end)
        region->free_end = end;
}

/* The first place of an alignment at or behind a page. */
static size_t align_page(const struct region *region, size_t page,
                         size_t alignment)
{
    uintptr_t at = (uintptr_t)region->base + page * region_page_size();
    uintptr_t aligned = (at + alignment - 1) & ~(alignment - 1);
    return page + region_page_of(aligned - at);
}

/* Finds the first page of [page, end) that was of this arena when it was taken
 * back last (is: true), or was not; `end` if there is none. */
static size_t find_of_arena(const struct region *region, size_t page,
                            size_t end, unsigned arena, bool is)
{
    while (page < end && (region->free_for[page] == arena) != is)
        page++;
    return page;
}

static size_t find_free(const struct region *region, unsigned arena,
                        size_t pages, size_t alignment)
{
    const size_t end = region->free_end;
    size_t page = region->free_first;
    while (page < end) {
        page = page_bits_find(region->free_pages, page, end, true);
        page = align_page(region, page, alignment);
        if (page >= end || pages > end - page)
            break;
        size_t free_to =
            page_bits_find(region->free_pages, page, page + pages, false);
        free_to = find_of_arena(region, page, free_to, arena, false);
        if (free_to == page + pages)
            return page;
        page = find_of_arena(region, free_to, end, arena, true);
    }
    return region_page_count(region);
}

size_t region_private_take_free(struct region *region, unsigned arena,
                                size_t size, size_t alignment)
{
    if (region->free_pages == NULL)
        return region->size;
    const size_t pages = region_page_of(size);
    size_t page = find_free(region, arena, pages, alignment);
    if (page == region_page_count(region))
        return region->size;
    page_bits_fill(region->free_pages, page, page + pages, false);
    region->free_first = page_bits_find(region->free_pages, region->free_first,
                                        region->free_end, true);
    return page * region_page_size();
}

/* ---- beginning and end ---- */

void region_private_init(struct region *region, size_t used, bool copied)
{
    region->inherited = copied ? 0 : used;
    /* Pages that are not committed may have kept their file space, and what is
     * in it. */
    bool is_clean = region->grain_live == NULL && !region_owes(region);
    region->stale = copied && !is_clean ? used : 0;
}

void region_private_inherit(struct region *region)
{
    if (region->mergeable == NULL)
        return;
    const size_t bytes = page_bits_bytes(region_page_of(region->inherited));
    if (address_space_drop(region->mergeable, bytes) != 0)
        memset(region->mergeable, 0, bytes);
}

void region_private_fini(struct region *region)
{
    drop_tables(region);
    drop_free_tables(region);
    mapping_count_lock();
    mapping_count_remove(region->pieces);
    mapping_count_unlock();
    region->pieces = 0;
}
