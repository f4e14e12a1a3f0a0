/* SPDX-License-Identifier: BSD-2-Clause */
#include "red_zone.h"

#include <string.h>

#include "heap_report.h"

#define ZONE_MOST ((size_t)128) /* of the bytes that are checked */
#define FRONT_MOST ((size_t)4096)

/* This much of a freed object is filled: a large one is most often written to
 * at its start, or in so much of it that one byte of many is enough. */
#define FILLED_MOST ((size_t)64 << 10)

enum { ZONE_BYTE = 0xa5, FREED_BYTE = 0xdb };

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t red_zone_front(int flags)
{
    size_t alignment = (size_t)1 << (flags & JE_LG_ALIGN_MASK);
    if (alignment > FRONT_MOST)
        return 0;
    return alignment > RED_ZONE_LEAST ? alignment : RED_ZONE_LEAST;
}

char *red_zone_raw(const struct object_record *record)
{
    return object_of_record(record) - record->front;
}

struct marked_memory red_zone_memory(const struct object_record *record)
{
    size_t behind = record->raw_size - record->front - record->size;
    return (struct marked_memory){
        .ptr = object_of_record(record),
        .size = record->size,
        .before = least(record->front, ZONE_MOST),
        .behind = least(behind, ZONE_MOST),
    };
}

void red_zone_draw(const struct marked_memory *memory)
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

bool red_zone_shows_parent(const struct memkind_heap *heap)
{
    return heap_pool(heap) != NULL && region_pool_shows_parent(heap_pool(heap));
}

/* A forked child may see bytes that its parent has stored since, in an object
 * that it has from the parent. There is nothing wrong with those. */
static bool bytes_are_known(const struct memkind_heap *heap,
                            const struct object_record *record)
{
    return record->is_childs || !red_zone_shows_parent(heap);
}

void red_zone_check(struct memkind_heap *heap,
                    const struct object_record *record)
{
    struct marked_memory memory = red_zone_memory(record);
    if (!bytes_are_known(heap, record) || zones_are_whole(&memory))
        return;
    heap_report(HEAP_OVERRUN, heap_owner(heap), memory.ptr);
    red_zone_draw(&memory);
}

void red_zone_fill_freed(const struct object_record *record)
{
    memset(object_of_record(record), FREED_BYTE,
           least(record->size, FILLED_MOST));
}

void red_zone_check_freed(struct memkind_heap *heap,
                          const struct object_record *record)
{
    struct marked_memory memory = red_zone_memory(record);
    if (!bytes_are_known(heap, record))
        return;
    if (!zones_are_whole(&memory) ||
        !is_filled(memory.ptr, least(memory.size, FILLED_MOST), FREED_BYTE))
        heap_report(HEAP_AFTER_FREE, heap_owner(heap), memory.ptr);
}
