/* SPDX-License-Identifier: BSD-2-Clause */
#include "heap_checked.h"

#include <errno.h>
#include <string.h>

#include "heap_plain.h"
#include "magazine.h"
#include "memory_marks.h"
#include "object_records.h"

#define ZONE_LEAST ((size_t)16)
#define ZONE_MOST ((size_t)128) /* of the bytes that are looked at */
#define FRONT_MOST ((size_t)4096)

/* Of a freed object this much is filled: a large one is written to where it
 * begins, or in so much of it that one byte of many is enough. */
#define FILLED_MOST ((size_t)64 << 10)

enum { ZONE_BYTE = 0xa5, FREED_BYTE = 0xdb };

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* ---- what lies around an object ----------------------------------------- */

static char *raw_of(const struct object_record *record)
{
    return object_of_record(record) - record->front;
}

static struct marked_memory memory_of(const struct object_record *record)
{
    size_t behind = record->raw_size - record->front - record->size;
    return (struct marked_memory){
        .ptr = object_of_record(record),
        .size = record->size,
        .before = least(record->front, ZONE_MOST),
        .behind = least(behind, ZONE_MOST),
    };
}

static void draw_zones(const struct marked_memory *memory)
{
    memset((char *)memory->ptr - memory->before, ZONE_BYTE, memory->before);
    memset((char *)memory->ptr + memory->size, ZONE_BYTE, memory->behind);
}

static bool is_filled(const char *bytes, size_t size, int byte)
{
    return size == 0 || ((unsigned char)bytes[0] == byte &&
                         memcmp(bytes, bytes + 1, size - 1) == 0);
}

static bool zones_are_whole(const struct marked_memory *memory)
{
    return is_filled(memory->ptr - memory->before, memory->before, ZONE_BYTE) &&
           is_filled(memory->ptr + memory->size, memory->behind, ZONE_BYTE);
}

static bool shows_parent(const struct memkind_heap *heap)
{
    return heap->extents.pool != NULL &&
           region_pool_shows_parent(heap->extents.pool);
}

/* Of what a forked child has from its parent, it may see bytes that the parent
 * has stored since: there is nothing wrong with those. */
static bool is_known(const struct memkind_heap *heap,
                     const struct object_record *record)
{
    return record->is_childs || !shows_parent(heap);
}

/* With the edges open. What was told once is not told again. */
static void check_zones(struct memkind_heap *heap,
                        const struct object_record *record)
{
    struct marked_memory memory = memory_of(record);
    if (!is_known(heap, record) || zones_are_whole(&memory))
        return;
    heap_report(HEAP_OVERRUN, heap->extents.address_owner, memory.ptr);
    draw_zones(&memory);
}

/* With all of it open. */
static void check_freed(struct memkind_heap *heap,
                        const struct object_record *record)
{
    struct marked_memory memory = memory_of(record);
    if (!is_known(heap, record))
        return;
    if (!zones_are_whole(&memory) ||
        !is_filled(memory.ptr, least(memory.size, FILLED_MOST), FREED_BYTE))
        heap_report(HEAP_AFTER_FREE, heap->extents.address_owner, memory.ptr);
}

/* A forked child may have lost the memory, and has only what is known of it. */
static bool is_accessible(const struct memkind_heap *heap)
{
    const struct memkind_region_pool *pool = heap->extents.pool;
    return pool == NULL || !region_pool_is_lost(pool);
}

/* ---- the wait of freed objects ------------------------------------------ */

/* Gives an object back that is in no table any more. What is said of it is said
 * when the thread has come out. */
static void release(struct memkind_heap *heap,
                    const struct object_record *record)
{
    struct marked_memory memory = memory_of(record);
    memory_mark_open(&memory);
    check_freed(heap, record);
    char *raw = raw_of(record);
    magazine_return(heap, size_class_of(record->raw_size), raw);
}

bool heap_checked_release_down_to(struct memkind_heap *heap, size_t keep)
{
    struct object_record record;
    bool any = false;
    if (!is_accessible(heap))
        return false;
    while (object_records_waiting(heap->records) > keep &&
           object_records_next(heap->records, &record)) {
        release(heap, &record);
        any = true;
    }
    return any;
}

bool heap_checked_release_all(struct memkind_heap *heap)
{
    bool any = false;
    if (allocator_enter()) {
        any = heap_checked_release_down_to(heap, 0);
        allocator_leave();
    }
    return any;
}

static void have_wait(struct memkind_heap *heap,
                      const struct object_record *record)
{
    struct object_record next;
    if (object_records_may_wait(heap->records, record)) {
        object_records_wait(heap->records, record);
    } else {
        object_records_drop(heap->records, record);
        release(heap, record);
    }
    while (object_records_next_too_many(heap->records, record, &next))
        release(heap, &next);
}

/* ---- malloc and free ---------------------------------------------------- */

static size_t front_for(int flags)
{
    size_t alignment = (size_t)1 << (flags & JE_LG_ALIGN_MASK);
    if (alignment > FRONT_MOST)
        return 0;
    return alignment > ZONE_LEAST ? alignment : ZONE_LEAST;
}

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
    size_t front = front_for(flags);
    if (size > SIZE_MAX - front - ZONE_LEAST) {
        errno = ENOMEM;
        return NULL;
    }
    int saved_errno = errno;
    char *raw = heap_plain_malloc(heap, front + size + ZONE_LEAST, flags);
    if (raw == NULL && heap_checked_release_all(heap))
        raw = heap_plain_malloc(heap, front + size + ZONE_LEAST, flags);
    if (raw == NULL)
        return NULL;
    const struct object_record record = {
        .hidden = ~(uintptr_t)(raw + front),
        .size = size,
        .raw_size = heap_plain_usable_size(heap, raw),
        .front = (uint32_t)front,
        .state = OBJECT_LIVE,
        .is_childs = shows_parent(heap),
    };
    struct marked_memory memory = memory_of(&record);
    draw_zones(&memory);
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
    /* Up to the end, so that no fork() comes in between, and the child's record
     * says what is there. */
    enum object_state state = object_records_free(heap->records, ptr, &record);
    if (state == OBJECT_LIVE) {
        struct marked_memory memory = memory_of(&record);
        memory_mark_edges_open(&memory);
        check_zones(heap, &record);
        memset(ptr, FREED_BYTE, least(record.size, FILLED_MOST));
        memory_mark_freed(&memory);
        have_wait(heap, &record);
    }
    allocator_leave();
    return error_of(state);
}

/* What is known of an object that is handed in; a report where it is none. */
static enum heap_error find(struct memkind_heap *heap, const void *ptr,
                            struct object_record *record)
{
    enum heap_error error = HEAP_REENTERED;
    if (allocator_enter()) {
        error = error_of(object_records_find(heap->records, ptr, record));
        allocator_leave();
    }
    if (error != HEAP_OK)
        heap_report(error, heap->extents.address_owner, ptr);
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

/* Takes an object out of the records, so that it can be entered anew, with its
 * memory open. False where somebody else has been faster. */
static bool take(struct memkind_heap *heap, const void *ptr,
                 struct object_record *record, struct marked_memory *memory)
{
    bool taken = false;
    if (allocator_enter()) {
        taken = object_records_take(heap->records, ptr, record) == OBJECT_LIVE;
        allocator_leave();
    }
    if (taken) {
        *memory = memory_of(record);
        memory_mark_gone(memory);
        check_zones(heap, record);
    }
    return taken;
}

static void enter(struct memkind_heap *heap, struct object_record *record)
{
    struct marked_memory memory = memory_of(record);
    draw_zones(&memory);
    record->is_childs = shows_parent(heap);
    (void)add_record(heap, record); /* into the place that was left */
    memory_mark_object(&memory, true);
}

/* An object that shrinks has room. */
static void *shrink(struct memkind_heap *heap, void *ptr, size_t size)
{
    struct object_record record;
    struct marked_memory memory;
    if (!take(heap, ptr, &record, &memory))
        return NULL;
    record.size = size;
    enter(heap, &record);
    return ptr;
}

/* Always moved, where there is space: who still has the old address is found
 * out. */
void *heap_checked_realloc(struct memkind_heap *heap, void *ptr, size_t size)
{
    struct object_record record;
    if (find(heap, ptr, &record) != HEAP_OK) {
        errno = EINVAL;
        return NULL;
    }
    if (size == record.size)
        return ptr;
    int saved_errno = errno;
    void *moved = heap_checked_malloc(heap, size, 0);
    if (moved == NULL && size < record.size) {
        errno = saved_errno;
        return shrink(heap, ptr, size);
    }
    if (moved == NULL)
        return NULL;
    region_pool_copy(heap->extents.pool, moved, ptr, least(size, record.size));
    (void)heap_checked_free(heap, ptr);
    return moved;
}

void *heap_checked_defragment(struct memkind_heap *heap, void *ptr)
{
    struct object_record record;
    struct marked_memory memory;
    if (find(heap, ptr, &record) != HEAP_OK ||
        !take(heap, ptr, &record, &memory))
        return NULL;
    /* What waits would keep slabs from becoming empty. */
    (void)heap_checked_release_all(heap);
    char *raw = heap_plain_defragment(heap, raw_of(&record));
    if (raw != NULL) {
        record.hidden = ~(uintptr_t)(raw + record.front);
        record.raw_size = heap_plain_usable_size(heap, raw);
    }
    enter(heap, &record);
    return raw != NULL ? raw + record.front : NULL;
}

/* ---- the end of a set --------------------------------------------------- */

void heap_checked_finish(struct memkind_heap *heap)
{
    struct object_record record;
    while (object_records_next_of_all(heap->records, &record)) {
        struct marked_memory memory = memory_of(&record);
        if (record.state == OBJECT_LIVE)
            memory_mark_gone(&memory);
        else
            memory_mark_open(&memory);
        if (!is_accessible(heap))
            continue;
        if (record.state == OBJECT_LIVE)
            check_zones(heap, &record);
        else
            check_freed(heap, &record);
    }
    object_records_destroy(heap->records);
    heap->records = NULL;
}
