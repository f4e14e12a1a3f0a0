/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The quarantine of a checked heap: freed objects, whose memory is not used
 * again for a while, so that a program that still writes to them is found out.
 */
#ifndef QUARANTINE_H
#define QUARANTINE_H

#include "heap_struct.h"
#include "object_records.h"

/* Puts a freed object in, which may push others out. Inside the allocator. */
void quarantine_put(struct memkind_heap *heap,
                    const struct object_record *record);

/* Takes out all objects, and returns whether there were any. */
bool quarantine_release_all(struct memkind_heap *heap);

/* Takes out the oldest objects, until no more bytes than `keep` are left.
 * Returns whether there were any. Inside the allocator. */
bool quarantine_release_down_to(struct memkind_heap *heap, size_t keep);

/* Checks all objects of a heap that goes, live ones too, and frees its
 * records. */
void quarantine_finish(struct memkind_heap *heap);

#endif
