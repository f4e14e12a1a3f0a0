/* SPDX-License-Identifier: BSD-2-Clause */
#include "heap_checked.h"

#include <errno.h>

#include "allocator_gate.h"
#include "heap_plain.h"
#include "memory_marks.h"
#include "object_records.h"
#include "quarantine.h"
#include "red_zone.h"

/* ---- malloc and free ---------------------------------------------------- */

static bool add_record(struct memkind_heap *heap,
                       const struct object_record *record)
{
    bool added = false;
    if (allocator_enter()) {
        added = object_records_add(heap->records, record);
        allocator_leave();
    }
    return added;
}

void *heap_checked_malloc(struct memkind_heap *heap, size_t size, int flags)
{
    size_t front = red_zone_front(flags);
    if (size > SIZE_MAX - front - RED_ZONE_LEAST) {
        errno = ENOMEM;
        return NULL;
    }
    int saved_errno = errno;
    char *raw = heap_plain_malloc(heap, front + size + RED_ZONE_LEAST, flags);
    if (raw == NULL && quarantine_release_all(heap))
        raw = heap_plain_malloc(heap, front + size + RED_ZONE_LEAST, flags);
    if (raw == NULL)
        return NULL;
    const struct object_record record = {
        .hidden = ~(uintptr_t)(raw + front),
        .size = size,
        .raw_size = heap_plain_usable_size(heap, raw),
        .front = (uint32_t)front,
        .state = OBJECT_LIVE,
        .is_childs = red_zone_shows_parent(heap),
    };
    struct marked_memory memory = red_zone_memory(&record);
    red_zone_draw(&memory);
    if (!add_record(heap, &record)) {
        (void)heap_plain_free(heap, raw);
        errno = ENOMEM;
        return NULL;
    }
    errno = saved_errno;
    memory_mark_object(&memory, (flags & JE_ZERO) != 0);
    return raw + front;
}

static enum heap_error error_of(enum object_state state)
{
    if (state == OBJECT_LIVE)
        return HEAP_OK;
    return state == OBJECT_FREED ? HEAP_DOUBLE_FREE : HEAP_NO_OBJECT;
}

enum heap_error heap_checked_free(struct memkind_heap *heap, void *ptr)
{
    struct object_record record;
    if (!allocator_enter())
        return HEAP_REENTERED;
    /* The thread stays inside up to the end, so that no fork() comes in between
     * and a child's record says what is there. */
    enum object_state state = object_records_free(heap->records, ptr, &record);
    if (state == OBJECT_LIVE) {
        struct marked_memory memory = red_zone_memory(&record);
        memory_mark_edges_open(&memory);
        red_zone_check(heap, &record);
        red_zone_fill_freed(&record);
        memory_mark_freed(&memory);
        quarantine_put(heap, &record);
    }
    allocator_leave();
    return error_of(state);
}

/* Finds the record of an object that the program has passed; reports the
 * address if there is no such object. */
static enum heap_error find_record(struct memkind_heap *heap, const void *ptr,
                                   struct object_record *record)
{
    enum heap_error error = HEAP_REENTERED;
    if (allocator_enter()) {
        error = error_of(object_records_find(heap->records, ptr, record));
        allocator_leave();
    }
    if (error != HEAP_OK)
        heap_report(error, heap_owner(heap), ptr);
    return error;
}

size_t heap_checked_usable_size(struct memkind_heap *heap, const void *ptr)
{
    struct object_record record;
    size_t size = 0;
    if (!allocator_enter())
        return 0;
    if (object_records_find(heap->records, ptr, &record) == OBJECT_LIVE)
        size = record.size;
    allocator_leave();
    return size;
}

/* ---- realloc and defragmentation ---------------------------------------- */

/* Takes an object out of the records, so that it can be entered anew, and makes
 * its memory accessible. Returns false if another thread has been faster. */
static bool take_record(struct memkind_heap *heap, const void *ptr,
                        struct object_record *record,
                        struct marked_memory *memory)
{
    bool taken = false;
    if (allocator_enter()) {
        taken = object_records_take(heap->records, ptr, record) == OBJECT_LIVE;
        allocator_leave();
    }
    if (taken) {
        *memory = red_zone_memory(record);
        memory_mark_gone(memory);
        red_zone_check(heap, record);
    }
    return taken;
}

static void enter_record(struct memkind_heap *heap,
                         struct object_record *record)
{
    struct marked_memory memory = red_zone_memory(record);
    red_zone_draw(&memory);
    record->is_childs = red_zone_shows_parent(heap);
    (void)add_record(heap, record); /* the old record has left a place */
    memory_mark_object(&memory, true);
}

/* Shrinks an object in its place. */
static void *shrink_in_place(struct memkind_heap *heap, void *ptr, size_t size)
{
    struct object_record record;
    struct marked_memory memory;
    if (!take_record(heap, ptr, &record, &memory))
        return NULL;
    record.size = size;
    enter_record(heap, &record);
    return ptr;
}

/* The object is always moved if there is space, so that a use of the old
 * address is found out. */
void *heap_checked_realloc(struct memkind_heap *heap, void *ptr, size_t size)
{
    struct object_record record;
    if (find_record(heap, ptr, &record) != HEAP_OK) {
        errno = EINVAL;
        return NULL;
    }
    if (size == record.size)
        return ptr;
    int saved_errno = errno;
    void *moved = heap_checked_malloc(heap, size, 0);
    if (moved == NULL && size < record.size) {
        errno = saved_errno;
        return shrink_in_place(heap, ptr, size);
    }
    if (moved == NULL)
        return NULL;
    region_pool_copy(heap_pool(heap), moved, ptr,
                     size < record.size ? size : record.size);
    (void)heap_checked_free(heap, ptr);
    return moved;
}

void *heap_checked_defragment(struct memkind_heap *heap, void *ptr)
{
    struct object_record record;
    struct marked_memory memory;
    if (find_record(heap, ptr, &record) != HEAP_OK ||
        !take_record(heap, ptr, &record, &memory))
        return NULL;
    /* Objects in quarantine would keep slabs from becoming empty. */
    (void)quarantine_release_all(heap);
    char *raw = heap_plain_defragment(heap, red_zone_raw(&record));
    if (raw != NULL) {
        record.hidden = ~(uintptr_t)(raw + record.front);
        record.raw_size = heap_plain_usable_size(heap, raw);
    }
    enter_record(heap, &record);
    return raw != NULL ? raw + record.front : NULL;
}
