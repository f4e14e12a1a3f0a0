/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bytes around and in the objects of a checked heap.
 *
 *     raw object:  | red zone | object | red zone |
 *
 * Red zones hold a pattern, and so does a freed object in quarantine. An object
 * that is aligned to more than a page has no red zone before it, which would
 * take as much space as the alignment. Damage is reported, once.
 */
#ifndef RED_ZONE_H
#define RED_ZONE_H

#include "heap_struct.h"
#include "memory_marks.h"
#include "object_records.h"

/* Bytes of the red zones before and behind an object, at least. */
#define RED_ZONE_LEAST ((size_t)16)

/* Bytes of the red zone before an object. flags: JE_LG_ALIGN() */
size_t red_zone_front(int flags);

/* The start of the raw object of a record. */
char *red_zone_raw(const struct object_record *record);

/* The object of a record, with as much of its red zones as is checked. */
struct marked_memory red_zone_memory(const struct object_record *record);

void red_zone_draw(const struct marked_memory *memory);

/* Reports the object if its red zones are damaged, and draws them again. The
 * red zones are accessible to tools (memory_marks.h). */
void red_zone_check(struct memkind_heap *heap,
                    const struct object_record *record);

/* Fills a freed object with the pattern. */
void red_zone_fill_freed(const struct object_record *record);

/* Reports the freed object if it, or its red zones, were written to. All of it
 * is accessible to tools. */
void red_zone_check_freed(struct memkind_heap *heap,
                          const struct object_record *record);

/* Whether the heap shows a forked child what its parent stores. The bytes of an
 * object that the child has from its parent say nothing then. */
bool red_zone_shows_parent(const struct memkind_heap *heap);

#endif
