/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a checked heap (heap_checked.h) knows of its objects: a record of each
 * in DRAM, out of the way of what a program may overwrite. Freed objects keep
 * their records while they are in quarantine, which is a queue, oldest first.
 *
 * Records are spread over some tables by the objects' addresses, each with a
 * lock (RANK_RECORDS) and a queue of its own. The functions are called inside
 * the allocator.
 */
#ifndef OBJECT_RECORDS_H
#define OBJECT_RECORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct object_records;

enum object_state {
    OBJECT_NONE = 0,
    OBJECT_LIVE,
    OBJECT_FREED,
};

struct object_record {
    /* Complements of addresses, so that a tool which looks for pointers to
     * objects that were not freed does not find these. */
    uintptr_t hidden, hidden_next; /* of the next in the queue, or 0 */
    size_t size;                   /* that was asked for */
    size_t raw_size;
    uint32_t front; /* bytes before it */
    uint16_t state;
    uint16_t is_childs; /* entered while the pool showed a parent's memory */
};

/* NULL if there is no DRAM. limit: of bytes in quarantine. */
struct object_records *object_records_create(size_t limit);
void object_records_destroy(struct object_records *records);

/* Enters a live object. Returns false if there is no DRAM for a larger table,
 * and the last places of this one are used up. */
bool object_records_add(struct object_records *records,
                        const struct object_record *record);

/* What is known of an address; OBJECT_NONE if nothing is. */
enum object_state object_records_find(struct object_records *records,
                                      const void *ptr,
                                      struct object_record *record);

/* Makes a live object a freed one, or takes it out. Returns what it was. */
enum object_state object_records_free(struct object_records *records,
                                      const void *ptr,
                                      struct object_record *record);
enum object_state object_records_take(struct object_records *records,
                                      const void *ptr,
                                      struct object_record *record);

/* Takes out a freed object that is not in quarantine. */
void object_records_drop(struct object_records *records,
                         const struct object_record *record);

/* Whether a freed object is small enough to be put in quarantine. */
bool object_records_may_quarantine(const struct object_records *records,
                                   const struct object_record *record);

/* Puts a freed object in quarantine. */
void object_records_quarantine(struct object_records *records,
                               const struct object_record *record);

/* Takes out one of the oldest objects in quarantine: if there is more than the
 * limit, and then not the latest one; or in any case. Returns false if there is
 * none. */
bool object_records_next_beyond_limit(struct object_records *records,
                                      const struct object_record *latest,
                                      struct object_record *record);
bool object_records_next(struct object_records *records,
                         struct object_record *record);

/* Takes out all objects of a heap that goes, live ones too, one by one in no
 * order. No other function is called from the first of these calls on. */
bool object_records_next_of_all(struct object_records *records,
                                struct object_record *record);

/* Bytes of live objects, of those in quarantine, and of the raw objects of
 * both. */
size_t object_records_live(const struct object_records *records);
size_t object_records_quarantined(const struct object_records *records);
size_t object_records_raw(const struct object_records *records);

/* Bracket fork(2). */
void object_records_lock(struct object_records *records);
void object_records_unlock(struct object_records *records);

static inline char *object_of_record(const struct object_record *record)
{
    return (char *)~record->hidden; /* NOLINT(performance-no-int-to-ptr) */
}

#endif
