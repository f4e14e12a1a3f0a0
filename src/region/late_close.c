/* SPDX-License-Identifier: BSD-2-Clause */
#include "late_close.h"

#include <sys/mman.h>

#include "file_space.h"
#include "late_space.h"
#include "parallel.h"
#include "ranked_lock.h"
#include "sys_calls.h"

/* Pages are taken out of the process's tables in pieces: while the kernel does
 * that, fork() and other mappings wait. */
#define STEP ((size_t)64 << 20)

struct late_close {
    size_t size; /* of the list itself, bytes */
    unsigned count;
    bool is_stuck; /* a mapping cannot be undone */
    struct late_region list[];
};

/* Guards what follows, and mappings that are about to go. */
static struct ranked_lock late_lock = RANKED_LOCK_INITIALIZER(RANK_LATE_CLOSE);
static struct late_close *running; /* NULL: none */

struct late_close *late_close_new(unsigned count)
{
    const size_t size =
        sizeof(struct late_close) + count * sizeof(struct late_region);
    while (!late_space_begin())
        (void)late_space_wait();
    struct late_close *list = sys.mmap(NULL, size, PROT_READ | PROT_WRITE,
                                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (list == MAP_FAILED) {
        late_space_end();
        return NULL;
    }
    list->size = size;
    return list;
}

void late_close_add(struct late_close *list, const struct late_region *region)
{
    list->list[list->count++] = *region;
}

/* Without pages in it, a mapping is undone in a moment. */
static void drop_pages(void *context, unsigned index)
{
    const struct late_close *list = context;
    const struct late_region *region = &list->list[index];
    for (size_t at = 0; at < region->used; at += STEP) {
        const size_t left = region->used - at;
        (void)sys.madvise(region->base + at, left < STEP ? left : STEP,
                          MADV_DONTNEED);
    }
}

static void undo_mapping(struct late_close *list, struct late_region *region)
{
    if (region->mapping.base == NULL)
        return;
    ranked_lock_take(&late_lock);
    list->is_stuck |= file_mapping_unmap(&region->mapping) != 0;
    region->mapping.base = NULL;
    ranked_lock_release(&late_lock);
}

static void close_file(void *context, unsigned index)
{
    const struct late_close *list = context;
    const struct late_region *region = &list->list[index];
    /* The program may have closed it, and have another file by the number. */
    if (region->fd < 0 || !descriptor_is_of(region->fd, &region->identity))
        return;
    if (list->is_stuck && region->may_empty)
        (void)file_space_resize(region->fd, 0);
    sys.close(region->fd);
}

static void do_all(struct late_close *list)
{
    parallel_do(list->count, drop_pages, list);
    for (unsigned i = 0; i < list->count; i++)
        undo_mapping(list, &list->list[i]);
    parallel_do(list->count, close_file, list);
    ranked_lock_take(&late_lock);
    running = NULL;
    sys.munmap(list, list->size);
    ranked_lock_release(&late_lock);
    late_space_end();
}

static void *do_in_thread(void *list)
{
    do_all(list);
    return NULL;
}

void late_close_start(struct late_close *list)
{
    ranked_lock_take(&late_lock);
    running = list;
    ranked_lock_release(&late_lock);
    if (!parallel_start(do_in_thread, list))
        do_all(list);
}

/* ---- fork ---- */

void late_close_lock(void)
{
    ranked_lock_take(&late_lock);
}

void late_close_unlock(void)
{
    ranked_lock_release(&late_lock);
}

void late_close_renew_lock(void)
{
    (void)ranked_lock_renew(&late_lock, RANK_LATE_CLOSE);
}

void late_close_child(void)
{
    struct late_close *list = running;
    ranked_lock_assert_held(&late_lock);
    running = NULL;
    late_space_end();
    for (unsigned i = 0; list != NULL && i < list->count; i++) {
        const struct late_region *region = &list->list[i];
        if (region->mapping.base != NULL)
            sys.munmap(region->mapping.base,
                       region->mapping.size + region->mapping.room);
        if (region->fd >= 0 && descriptor_is_of(region->fd, &region->identity))
            sys.close(region->fd);
    }
    if (list != NULL)
        sys.munmap(list, list->size);
}
