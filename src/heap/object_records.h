/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a checked set (heap_checked.h) knows of each of its objects: a record in
 * DRAM, out of the way of what a program may overwrite. Freed objects keep
 * theirs while they wait in a queue, oldest first.
 *
 * Records are spread over some tables by the objects' addresses, each with a
 * lock and a queue of its own. The locks come after a set's own and before
 * jemalloc's (heap_create.h); functions are called between allocator_enter()
 * and _end().
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
    /* Complements of addresses: a tool that looks for pointers to objects that
     * nobody has freed is not to find these. */
    uintptr_t hidden, hidden_next; /* of the next in the queue, or 0 */
    size_t size;                   /* that was asked for */
    size_t raw_size;
    uint32_t front; /* bytes before it */
    uint16_t state;
    uint16_t is_childs; /* entered where the pool showed a parent's memory */
};

/* NULL where there is no DRAM. limit: of bytes that wait. */
struct object_records *object_records_create(size_t limit);
void object_records_destroy(struct object_records *records);

/* Enters a live object. False where there is no DRAM, and what there is for
 * such times is used up, too. */
bool object_records_add(struct object_records *records,
                        const struct object_record *record);

/* What is known of an address; OBJECT_NONE: nothing. */
enum object_state object_records_find(struct object_records *records,
                                      const void *ptr,
                                      struct object_record *record);

/* Makes a live object a freed one, or takes it out; tells what it was. */
enum object_state object_records_free(struct object_records *records,
                                      const void *ptr,
                                      struct object_record *record);
enum object_state object_records_take(struct object_records *records,
                                      const void *ptr,
                                      struct object_record *record);

/* Takes out a freed object that does not wait. */
void object_records_drop(struct object_records *records,
                         const struct object_record *record);

/* Whether a freed object is to wait at all. */
bool object_records_may_wait(const struct object_records *records,
                             const struct object_record *record);

/* Has a freed object wait. */
void object_records_wait(struct object_records *records,
                         const struct object_record *record);

/* Takes out an object that has waited long enough, where too much waits, but
 * not the latest; or any that waits. False where there is none. */
bool object_records_next_too_many(struct object_records *records,
                                  const struct object_record *latest,
                                  struct object_record *record);
bool object_records_next(struct object_records *records,
                         struct object_record *record);

/* Takes all out, one by one, in no order, live ones too: for a set that goes.
 * No other call is made from the first of these on. */
bool object_records_next_of_all(struct object_records *records,
                                struct object_record *record);

/* Bytes of live objects, of those that wait, and of what the records' objects
 * take in all. */
size_t object_records_live(const struct object_records *records);
size_t object_records_waiting(const struct object_records *records);
size_t object_records_raw(const struct object_records *records);

/* Around fork(2). */
void object_records_lock(struct object_records *records);
void object_records_unlock(struct object_records *records);

static inline char *object_of_record(const struct object_record *record)
{
    return (char *)~record->hidden; /* NOLINT(performance-no-int-to-ptr) */
}

#endif
