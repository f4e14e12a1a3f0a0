/* SPDX-License-Identifier: BSD-2-Clause */
#include "quarantine.h"

#include <assert.h>

#include "allocator_gate.h"
#include "arena_exchange.h"
#include "memory_marks.h"
#include "red_zone.h"
#include "size_class.h"

/* A forked child may have lost the memory, and has only the records. */
static bool is_accessible(const struct memkind_heap *heap)
{
    return heap_pool(heap) == NULL || !region_pool_is_lost(heap_pool(heap));
}

/* Gives an object back that has no record any more. */
static void let_go(struct memkind_heap *heap,
                   const struct object_record *record)
{
    struct marked_memory memory = red_zone_memory(record);
    memory_mark_open(&memory);
    red_zone_check_freed(heap, record);
    arena_exchange_return(&heap->arenas, 0, size_class_of(record->raw_size),
                          red_zone_raw(record));
}

bool quarantine_release_down_to(struct memkind_heap *heap, size_t keep)
{
    struct object_record record;
    bool any = false;
    assert(allocator_is_inside());
    if (!is_accessible(heap))
        return false;
    while (object_records_quarantined(heap->records) > keep &&
           object_records_next(heap->records, &record)) {
        let_go(heap, &record);
        any = true;
    }
    return any;
}

bool quarantine_release_all(struct memkind_heap *heap)
{
    bool any = false;
    if (allocator_enter()) {
        any = quarantine_release_down_to(heap, 0);
        allocator_leave();
    }
    return any;
}

void quarantine_put(struct memkind_heap *heap,
                    const struct object_record *record)
{
    struct object_record next;
    assert(allocator_is_inside());
    if (object_records_may_quarantine(heap->records, record)) {
        object_records_quarantine(heap->records, record);
    } else {
        object_records_drop(heap->records, record);
        let_go(heap, record);
    }
    while (object_records_next_beyond_limit(heap->records, record, &next))
        let_go(heap, &next);
}

void quarantine_finish(struct memkind_heap *heap)
{
    struct object_record record;
    while (object_records_next_of_all(heap->records, &record)) {
        struct marked_memory memory = red_zone_memory(&record);
        if (record.state == OBJECT_LIVE)
            memory_mark_gone(&memory);
        else
            memory_mark_open(&memory);
        if (!is_accessible(heap))
            continue;
        if (record.state == OBJECT_LIVE)
            red_zone_check(heap, &record);
        else
            red_zone_check_freed(heap, &record);
    }
    object_records_destroy(heap->records);
    heap->records = NULL;
}
