/* SPDX-License-Identifier: BSD-2-Clause */
#include "region_detach.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "address_space.h"
#include "file_space.h"
#include "fork_mark.h"
#include "grain_small_pages.h"
#include "kernel_number.h"
#include "mapping_count.h"
#include "own_pages.h"
#include "page_bits.h"
#include "region_dump.h"
#include "region_readahead.h"
#include "sys_calls.h"

/* New in Linux 5.7 and 5.13 for files; headers may not have it. */
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

/* A mapping is worth moving aside from this size on. */
#define OLD_LEAST ((size_t)4 << 20)

/* So much of it is unmapped at once: a third of a millisecond. */
#define OLD_SLICE ((size_t)4 << 20)

/* So much is written to the file at once. */
#define WINDOW ((size_t)16 << 20)

static char *page_address(const struct region *region, size_t page)
{
    return region->base + page * region_page_size();
}

/* Finds the first run of detached pages of [*page, end); false if there is
 * none. */
static bool next_run(const struct region *region, size_t *page, size_t end,
                     size_t *run_end)
{
    ranked_lock_assert_held(&region->detach_lock);
    if (region->detached == NULL)
        return false;
    *page = page_bits_find(region->detached, *page, end, true);
    *run_end = page_bits_find(region->detached, *page, end, false);
    return *page < end;
}

static void note(struct region *region, size_t page, size_t end, bool detached)
{
    ranked_lock_assert_held(&region->detach_lock);
    page_bits_fill(region->detached, page, end, detached);
    if (detached)
        atomic_fetch_add(&region->detached_pages, end - page);
    else
        atomic_fetch_sub(&region->detached_pages, end - page);
}

static void forget_attached_runs(struct region *region)
{
    mapping_count_remove(region->attached_runs);
    region->attached_runs = 0;
}

/* ---- mapping ---- */

/* A new mapping has none of the old one's. */
static void renew_advice(struct memkind_region_pool *pool,
                         const struct region *region, size_t offset,
                         size_t size)
{
    region_dump_renew(region, offset, size);
    region_readahead_renew(pool, region, offset, size);
    grain_small_pages_advise(pool, region, offset, size);
}

static int map_pages(struct memkind_region_pool *pool,
                     const struct region *region, size_t page, size_t end,
                     int flags)
{
    const size_t page_size = region_page_size();
    const size_t offset = page * page_size, size = (end - page) * page_size;
    if (sys.mmap(region->base + offset, size, PROT_READ | PROT_WRITE,
                 flags | MAP_FIXED, region->fd,
                 (off_t)(region->file_offset + offset)) == MAP_FAILED)
        return -errno;
    renew_advice(pool, region, offset, size);
    return 0;
}

/* Leaves a mapping without page tables. If that cannot be, the pages are
 * unmapped when others are mapped over them. */
static void move_aside(struct region *region, size_t page, size_t end)
{
    const size_t size = (end - page) * region_page_size();
    if (atomic_load(&region->old_size) != 0 || size < OLD_LEAST)
        return;
    void *old = sys.mremap(page_address(region, page), size, size,
                           MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
    if (old == MAP_FAILED)
        return;
    region->old = old;
    atomic_store(&region->old_size, size);
}

/* Whether the kernel counts private memory when it is mapped. */
static bool counts_memory(void)
{
    enum { NEVER_TOO_MUCH = 2 };
    long long mode;
    return !kernel_number_read("/proc/sys/vm/overcommit_memory", &mode) ||
           mode == NEVER_TOO_MUCH;
}

/* mmap(2) over a mapping unmaps that first: if it turns out then that there may
 * be no more private memory, there is nothing any more (before Linux 6.12). So
 * the new mapping is made elsewhere, and moved. If addresses lack for that, and
 * memory does not count, it is made in place. */
static int map_detached(struct memkind_region_pool *pool,
                        const struct region *region, size_t page, size_t end)
{
    const size_t page_size = region_page_size();
    const size_t offset = page * page_size, size = (end - page) * page_size;
    void *fresh = sys.mmap(NULL, size, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_NORESERVE, region->fd,
                           (off_t)(region->file_offset + offset));
    if (fresh == MAP_FAILED)
        return counts_memory() ? -ENOMEM
                               : map_pages(pool, region, page, end,
                                           MAP_PRIVATE | MAP_NORESERVE);
    if (sys.mremap(fresh, size, size, MREMAP_MAYMOVE | MREMAP_FIXED,
                   region->base + offset) == MAP_FAILED) {
        sys.munmap(fresh, size);
        return -ENOMEM;
    }
    renew_advice(pool, region, offset, size);
    return 0;
}

static bool detach_run(struct memkind_region_pool *pool, struct region *region,
                       size_t page, size_t end)
{
    move_aside(region, page, end);
    if (map_detached(pool, region, page, end) != 0)
        return false;
    note(region, page, end, true);
    return true;
}

static bool adjoins_attached(const struct region *region, size_t page,
                             size_t end)
{
    return (page != 0 && !page_bits_has(region->detached, page - 1)) ||
           (end < region_page_count(region) &&
            !page_bits_has(region->detached, end));
}

/* What is flushed to a file of the caller's outlives a crash. */
static int map_shared(struct memkind_region_pool *pool,
                      const struct region *region, size_t page, size_t end)
{
    if (region->is_pmem && pool->backing == REGION_FILE &&
        map_pages(pool, region, page, end, MAP_SHARED_VALIDATE | MAP_SYNC) == 0)
        return 0;
    return map_pages(pool, region, page, end, MAP_SHARED);
}

static int attach_run(struct memkind_region_pool *pool, struct region *region,
                      size_t page, size_t end, enum mapping_need need)
{
    int result = -EAGAIN;
    mapping_count_lock();
    const bool is_new = !adjoins_attached(region, page, end);
    if (!region_has_descriptor(region))
        result = -EBADF;
    else if (!is_new || mapping_count_allows(need))
        result = map_shared(pool, region, page, end);
    if (result == 0) {
        note(region, page, end, false);
        region->attached_runs += is_new;
        mapping_count_add(is_new);
        if (!region_is_detached(region))
            forget_attached_runs(region);
    }
    mapping_count_unlock();
    return result;
}

/* ---- around fork ---- */

void region_detach_prepare(struct memkind_region_pool *pool,
                           struct region *region)
{
    const size_t used = region_page_of(region->used);
    ranked_lock_assert_held(&region->detach_lock);
    region->is_snapshot = false;
    region->snapshot_size = region->used;
    if (region->detached == NULL)
        region->detached = page_bits_new(region_page_count(region));
    if (region->detached == NULL)
        return;
    size_t page = 0;
    while ((page = page_bits_find(region->detached, page, used, false)) !=
           used) {
        size_t end = page_bits_find(region->detached, page, used, true);
        if (!region_has_descriptor(region) ||
            !detach_run(pool, region, page, end))
            return;
        page = end;
    }
    forget_attached_runs(region);
    region->is_snapshot = true;
}

void region_detach_parent(struct region *region)
{
    region->is_snapshot = false;
}

static void drop_notes(struct region *region)
{
    page_bits_drop(&region->detached, region_page_count(region));
    atomic_store(&region->detached_pages, 0);
    const size_t old_size = atomic_load(&region->old_size);
    if (old_size != 0)
        sys.munmap(region->old, old_size);
    atomic_store(&region->old_size, 0);
}

void region_detach_child(struct memkind_region_pool *pool,
                         struct region *region)
{
    forget_attached_runs(region);
    drop_notes(region);
    region->is_snapshot = false;
    /* As with other private mappings (region_fork.c). */
    if (region_readahead_matters(pool) && region->snapshot_size != 0)
        (void)sys.madvise(region->base, region->snapshot_size, MADV_RANDOM);
}

void region_detach_fini(struct region *region)
{
    mapping_count_lock();
    forget_attached_runs(region);
    mapping_count_unlock();
    drop_notes(region);
    ranked_lock_destroy(&region->detach_lock);
}

bool region_detach_unmap_old(struct region *region)
{
    if (atomic_load_explicit(&region->old_size, memory_order_relaxed) == 0)
        return false;
    ranked_lock_take(&region->detach_lock);
    const size_t size = atomic_load(&region->old_size);
    const size_t left = size > OLD_SLICE ? size - OLD_SLICE : 0;
    const bool unmapped =
        size != left && sys.munmap(region->old + left, size - left) == 0;
    if (unmapped)
        atomic_store(&region->old_size, left);
    ranked_lock_release(&region->detach_lock);
    return unmapped && left != 0;
}

/* ---- ranges ---- */

bool region_detach_has(struct region *region, size_t offset, size_t size)
{
    size_t page = region_page_of(offset), run_end;
    if (!region_is_detached(region))
        return false;
    ranked_lock_take(&region->detach_lock);
    const size_t end = region_page_of(offset + size + region_page_size() - 1);
    const bool has = next_run(region, &page, end, &run_end);
    ranked_lock_release(&region->detach_lock);
    return has;
}

bool region_detach_is_needed(struct region *region, size_t offset, size_t size)
{
    return region_detach_has(region, offset, size) && fork_mark_is_held();
}

int region_detach_attach(struct memkind_region_pool *pool,
                         struct region *region, size_t offset, size_t size,
                         bool is_hole)
{
    const size_t end = region_page_of(offset + size);
    size_t page = region_page_of(offset), run_end;
    int result = 0;
    if (!region_is_detached(region))
        return 0;
    ranked_lock_take(&region->detach_lock);
    for (; result == 0 && next_run(region, &page, end, &run_end);
         page = run_end)
        result =
            region->is_snapshot || (!is_hole && fork_mark_is_held())
                ? -EBUSY
                : attach_run(pool, region, page, run_end, MAPPING_NEED_LITTLE);
    ranked_lock_release(&region->detach_lock);
    return result;
}

int region_detach_drop(struct region *region, size_t offset, size_t size)
{
    const size_t end = region_page_of(offset + size);
    size_t page = region_page_of(offset), run_end;
    int result = 0;
    if (!region_is_detached(region))
        return 0;
    ranked_lock_take(&region->detach_lock);
    for (; result == 0 && next_run(region, &page, end, &run_end);
         page = run_end)
        result = address_space_drop(page_address(region, page),
                                    (run_end - page) * region_page_size());
    ranked_lock_release(&region->detach_lock);
    return result;
}

/* ---- writing to the file ---- */

/* If it is not known which pages are the process's own, all may be. */
static void find_stored_pages(int fd, const char *addr, size_t pages,
                              uint64_t *own)
{
    if (fd < 0 || !own_pages_find(fd, addr, pages, own)) {
        memset(own, 0, page_bits_bytes(pages));
        page_bits_fill(own, 0, pages, true);
    }
}

/* Stores what differs: some kernels take pages of a file on DAX for the
 * process's own. What is between objects is copied as well, which
 * AddressSanitizer would not have read. */
__attribute__((no_sanitize("address", "thread"))) static void
copy_words(uint64_t *to, const uint64_t *from, size_t words)
{
    for (size_t i = 0; i < words; i++)
        /* cppcheck-suppress duplicateConditionalAssign; a store costs a page */
        if (to[i] != from[i])
            to[i] = from[i];
}

/* Copies a run of pages to a shared mapping of the file. They have their file
 * space, unless the program has stored to what it has freed: a store to a hole
 * would raise SIGBUS if there is none. Some may have nothing but what is in the
 * file. */
static int write_run(struct memkind_region_pool *pool,
                     const struct region *region, size_t page, size_t end,
                     char *to)
{
    const size_t page_size = region_page_size();
    const size_t offset = page * page_size, size = (end - page) * page_size;
    int result = atomic_load(&pool->no_fallocate)
                     ? 0
                     : file_space_complete(region->fd,
                                           region->file_offset + offset, size);
    if (result != 0 && result != -EOPNOTSUPP && result != -ENOSYS)
        return result;
    copy_words((uint64_t *)(void *)to,
               (const uint64_t *)(const void *)page_address(region, page),
               size / sizeof(uint64_t));
    return 0;
}

/* Writes the own pages among so many. */
static int write_pages(struct memkind_region_pool *pool,
                       const struct region *region, size_t first, size_t pages,
                       const uint64_t *own, char *window)
{
    int result = 0;
    size_t page = 0;
    while (result == 0 &&
           (page = page_bits_find(own, page, pages, true)) != pages) {
        size_t end = page_bits_find(own, page, pages, false);
        result = write_run(pool, region, first + page, first + end,
                           window + page * region_page_size());
        page = end;
    }
    return result;
}

static int write_window(struct memkind_region_pool *pool,
                        const struct region *region, size_t page, size_t end,
                        int fd)
{
    const size_t page_size = region_page_size();
    const size_t size = (end - page) * page_size;
    uint64_t own[OWN_PAGES_MOST / PAGE_BITS_WORD];
    char *window =
        sys.mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, region->fd,
                 (off_t)(region->file_offset + page * page_size));
    if (window == MAP_FAILED)
        return -errno;
    grain_small_pages_only(region, window, size);
    int result = 0;
    for (size_t at = page; result == 0 && at < end; at += OWN_PAGES_MOST) {
        const size_t pages =
            end - at < OWN_PAGES_MOST ? end - at : OWN_PAGES_MOST;
        find_stored_pages(fd, page_address(region, at), pages, own);
        result = write_pages(pool, region, at, pages, own,
                             window + (at - page) * page_size);
    }
    sys.munmap(window, size);
    return result;
}

static int write_and_attach(struct memkind_region_pool *pool,
                            struct region *region, int fd)
{
    const size_t most = WINDOW / region_page_size();
    size_t page = 0, end;
    int result = 0;
    while (result == 0 &&
           next_run(region, &page, region_page_count(region), &end)) {
        if (end - page > most)
            end = page + most;
        result = region_has_descriptor(region)
                     ? write_window(pool, region, page, end, fd)
                     : -EBADF;
        if (result == 0)
            result = attach_run(pool, region, page, end, MAPPING_NEED_MUCH);
    }
    return result;
}

int region_detach_attach_all(struct memkind_region_pool *pool,
                             struct region *region)
{
    if (!region_is_detached(region))
        return 0;
    if (fork_mark_is_held_now())
        return -EBUSY;
    int fd = own_pages_open();
    ranked_lock_take(&region->detach_lock);
    int result = write_and_attach(pool, region, fd);
    ranked_lock_release(&region->detach_lock);
    if (fd >= 0)
        sys.close(fd);
    return result;
}

/* ---- how much it is ---- */

static size_t count_own(int fd, const struct region *region, size_t page,
                        size_t end)
{
    uint64_t own[OWN_PAGES_MOST / PAGE_BITS_WORD];
    size_t count = 0;
    for (; page < end; page += OWN_PAGES_MOST) {
        size_t pages = end - page;
        if (pages > OWN_PAGES_MOST)
            pages = OWN_PAGES_MOST;
        find_stored_pages(fd, page_address(region, page), pages, own);
        for (size_t i = 0; i < pages; i++)
            count += page_bits_has(own, i);
    }
    return count;
}

size_t region_detach_memory(struct region *region)
{
    size_t count = 0, page = 0, end;
    if (!region->is_private && !region_is_detached(region))
        return 0;
    int fd = own_pages_open();
    ranked_lock_take(&region->detach_lock);
    if (region->is_private)
        count = count_own(fd, region, 0, region_page_of(region->open));
    else
        for (; next_run(region, &page, region_page_count(region), &end);
             page = end)
            count += count_own(fd, region, page, end);
    ranked_lock_release(&region->detach_lock);
    if (fd >= 0)
        sys.close(fd);
    return count * region_page_size();
}
