/* SPDX-License-Identifier: BSD-2-Clause */
#include "late_close.h"

#include <pthread.h>
#include <stdatomic.h>
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
    struct late_close *next;
    pthread_cond_t begins;
    pthread_barrier_t all; /* of the threads */
    bool has_begun;
    bool is_stuck; /* a mapping cannot be undone */
    unsigned count;
    atomic_uint dropped, closed; /* the first that no thread has taken */
    atomic_uint threads;         /* that are not done */
    struct late_region list[];
};

/* Guards what follows, and mappings that are about to go. */
static struct ranked_lock late_lock = RANKED_LOCK_INITIALIZER(RANK_LATE_CLOSE);
static struct late_close *lists; /* under way, or waiting for their turn */

struct late_close *late_close_new(unsigned count)
{
    const size_t size =
        sizeof(struct late_close) + count * sizeof(struct late_region);
    struct late_close *list = sys.mmap(NULL, size, PROT_READ | PROT_WRITE,
                                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (list == MAP_FAILED)
        return NULL;
    list->size = size;
    pthread_cond_init(&list->begins, NULL);
    ranked_lock_take(&late_lock);
    list->next = lists;
    lists = list;
    ranked_lock_release(&late_lock);
    return list;
}

void late_close_add(struct late_close *list, const struct late_region *region)
{
    ranked_lock_take(&late_lock);
    list->list[list->count++] = *region;
    ranked_lock_release(&late_lock);
}

/* Without pages in it, a mapping is undone in a moment. */
static void drop_pages(const struct late_region *region)
{
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

static void close_file(const struct late_close *list,
                       const struct late_region *region)
{
    /* The program may have closed it, and have another file by the number. */
    if (region->fd < 0 || !descriptor_is_of(region->fd, &region->identity))
        return;
    if (list->is_stuck && region->may_empty)
        (void)file_space_resize(region->fd, 0);
    sys.close(region->fd);
}

static void finish(struct late_close *list)
{
    pthread_barrier_destroy(&list->all);
    pthread_cond_destroy(&list->begins);
    ranked_lock_take(&late_lock);
    struct late_close **link = &lists;
    while (*link != list)
        link = &(*link)->next;
    *link = list->next;
    sys.munmap(list, list->size);
    ranked_lock_release(&late_lock);
    late_space_end();
}

/* What each of the threads does. Others may wait for the space with any lock
 * held, even one of the program's malloc(): so this takes none but late_lock,
 * and allocates nothing. */
static void do_share(struct late_close *list)
{
    unsigned i;
    late_space_is_from_here(true);
    while ((i = atomic_fetch_add(&list->dropped, 1)) < list->count)
        drop_pages(&list->list[i]);
    /* In one of them the result is PTHREAD_BARRIER_SERIAL_THREAD. */
    if (pthread_barrier_wait(&list->all) != 0)
        for (i = 0; i < list->count; i++)
            undo_mapping(list, &list->list[i]);
    pthread_barrier_wait(&list->all);
    while ((i = atomic_fetch_add(&list->closed, 1)) < list->count)
        close_file(list, &list->list[i]);
    late_space_is_from_here(false);
    if (atomic_fetch_sub(&list->threads, 1) == 1)
        finish(list);
}

static void *do_in_thread(void *argument)
{
    struct late_close *list = argument;
    ranked_lock_take(&late_lock);
    while (!list->has_begun)
        ranked_lock_wait(&late_lock, &list->begins);
    ranked_lock_release(&late_lock);
    do_share(list);
    return NULL;
}

/* A signal handler in this thread does not wait for it either. */
static void begin_in_turn(void)
{
    for (;;) {
        late_space_is_from_here(true);
        if (late_space_begin())
            return;
        late_space_is_from_here(false);
        (void)late_space_wait();
    }
}

/* To make a thread takes memory of the program's malloc(): nothing waits for
 * this list's space yet. */
void late_close_start(struct late_close *list)
{
    const unsigned made = parallel_start(list->count, do_in_thread, list);
    begin_in_turn();
    ranked_lock_take(&late_lock);
    atomic_store(&list->threads, made != 0 ? made : 1);
    pthread_barrier_init(&list->all, NULL, made != 0 ? made : 1);
    list->has_begun = true;
    pthread_cond_broadcast(&list->begins);
    ranked_lock_release(&late_lock);
    if (made == 0)
        do_share(list);
    else
        late_space_is_from_here(false);
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

static void drop_in_child(struct late_close *list)
{
    for (unsigned i = 0; i < list->count; i++) {
        const struct late_region *region = &list->list[i];
        if (region->mapping.base != NULL)
            sys.munmap(region->mapping.base,
                       region->mapping.size + region->mapping.room);
        if (region->fd >= 0 && descriptor_is_of(region->fd, &region->identity))
            sys.close(region->fd);
    }
    sys.munmap(list, list->size);
}

void late_close_child(void)
{
    ranked_lock_assert_held(&late_lock);
    late_space_end();
    while (lists != NULL) {
        struct late_close *list = lists;
        lists = list->next;
        drop_in_child(list);
    }
}
