/* SPDX-License-Identifier: BSD-2-Clause */
#include "object_records.h"

#include <stdatomic.h>

#include "jemalloc_private.h"
#include "ranked_lock.h"
#include "spread.h"

#define SHARDS 8U
#define CAPACITY_FIRST 64U

/* A table with open addressing. The records of free places are all zero. */
struct shard {
    struct ranked_lock lock;
    struct object_record *table;
    size_t capacity; /* 0, or a power of two */
    size_t count;
    uintptr_t hidden_first, hidden_last; /* of the queue, or 0 */
};

struct object_records {
    size_t limit;
    _Atomic size_t quarantined; /* bytes */
    _Atomic size_t live, raw;
    atomic_uint turn; /* whose first is taken next */
    struct shard shards[SHARDS];
};

static uint64_t hash_of(uintptr_t hidden)
{
    return spread(hidden >> 3); /* without the bits of the alignment */
}

static struct shard *shard_of(struct object_records *records, uintptr_t hidden)
{
    return &records->shards[hash_of(hidden) >> 32 & (SHARDS - 1)];
}

static size_t home_of(const struct shard *shard, uintptr_t hidden)
{
    return hash_of(hidden) >> 35 & (shard->capacity - 1);
}

struct object_records *object_records_create(size_t limit)
{
    struct object_records *records = JE_NAME(mallocx)(sizeof *records, JE_ZERO);
    if (records == NULL)
        return NULL;
    records->limit = limit;
    for (unsigned i = 0; i < SHARDS; i++)
        ranked_lock_init(&records->shards[i].lock, RANK_RECORDS);
    return records;
}

void object_records_destroy(struct object_records *records)
{
    for (unsigned i = 0; i < SHARDS; i++) {
        struct shard *shard = &records->shards[i];
        if (shard->table != NULL)
            JE_NAME(dallocx)(shard->table, 0);
        ranked_lock_destroy(&shard->lock);
    }
    JE_NAME(dallocx)(records, 0);
}

/* ---- tables ------------------------------------------------------------- */

/* The place of an address's record, or the place for it; the table is never
 * full. */
static struct object_record *record_at(const struct shard *shard,
                                       uintptr_t hidden)
{
    size_t i = home_of(shard, hidden);
    while (shard->table[i].state != OBJECT_NONE &&
           shard->table[i].hidden != hidden)
        i = (i + 1) & (shard->capacity - 1);
    return &shard->table[i];
}

static struct object_record *find(const struct shard *shard, uintptr_t hidden)
{
    if (shard->capacity == 0)
        return NULL;
    struct object_record *record = record_at(shard, hidden);
    return record->state != OBJECT_NONE ? record : NULL;
}

static bool enlarge(struct shard *shard)
{
    struct shard larger = *shard;
    larger.capacity =
        shard->capacity != 0 ? shard->capacity * 2 : CAPACITY_FIRST;
    larger.table =
        JE_NAME(mallocx)(larger.capacity * sizeof larger.table[0], JE_ZERO);
    if (larger.table == NULL)
        return false;
    for (size_t i = 0; i < shard->capacity; i++)
        if (shard->table[i].state != OBJECT_NONE)
            *record_at(&larger, shard->table[i].hidden) = shard->table[i];
    if (shard->table != NULL)
        JE_NAME(dallocx)(shard->table, 0);
    shard->table = larger.table;
    shard->capacity = larger.capacity;
    return true;
}

/* Whether there is room for one more record. If there is no DRAM for a larger
 * table, the last quarter of this one is used. */
static bool has_place_left(struct shard *shard)
{
    if (shard->count < shard->capacity / 4 * 3 || enlarge(shard))
        return true;
    return shard->capacity != 0 && shard->count < shard->capacity - 1;
}

/* Moves those that follow up, so that none is cut off from its home. */
static void remove_at(struct shard *shard, struct object_record *record)
{
    const size_t mask = shard->capacity - 1;
    size_t hole = (size_t)(record - shard->table);
    for (size_t i = (hole + 1) & mask; shard->table[i].state != OBJECT_NONE;
         i = (i + 1) & mask) {
        size_t home = home_of(shard, shard->table[i].hidden);
        if (((i - home) & mask) < ((i - hole) & mask))
            continue;
        shard->table[hole] = shard->table[i];
        hole = i;
    }
    shard->table[hole] = (struct object_record){0};
    shard->count--;
}

/* ---- records ------------------------------------------------------------ */

bool object_records_add(struct object_records *records,
                        const struct object_record *record)
{
    struct shard *shard = shard_of(records, record->hidden);
    ranked_lock_take(&shard->lock);
    bool room = has_place_left(shard);
    if (room) {
        *record_at(shard, record->hidden) = *record;
        shard->count++;
    }
    ranked_lock_release(&shard->lock);
    if (room) {
        atomic_fetch_add(&records->live, record->size);
        atomic_fetch_add(&records->raw, record->raw_size);
    }
    return room;
}

enum object_state object_records_find(struct object_records *records,
                                      const void *ptr,
                                      struct object_record *record)
{
    enum object_state state = OBJECT_NONE;
    struct shard *shard = shard_of(records, ~(uintptr_t)ptr);
    ranked_lock_take(&shard->lock);
    const struct object_record *found = find(shard, ~(uintptr_t)ptr);
    if (found != NULL) {
        *record = *found;
        state = found->state;
    }
    ranked_lock_release(&shard->lock);
    return state;
}

static enum object_state end_life(struct object_records *records,
                                  const void *ptr, bool take,
                                  struct object_record *record)
{
    enum object_state state = OBJECT_NONE;
    struct shard *shard = shard_of(records, ~(uintptr_t)ptr);
    ranked_lock_take(&shard->lock);
    struct object_record *found = find(shard, ~(uintptr_t)ptr);
    if (found != NULL) {
        state = found->state;
        *record = *found;
    }
    if (state == OBJECT_LIVE && take)
        remove_at(shard, found);
    else if (state == OBJECT_LIVE)
        found->state = OBJECT_FREED;
    ranked_lock_release(&shard->lock);
    if (state == OBJECT_LIVE)
        atomic_fetch_sub(&records->live, record->size);
    if (state == OBJECT_LIVE && take)
        atomic_fetch_sub(&records->raw, record->raw_size);
    return state;
}

enum object_state object_records_free(struct object_records *records,
                                      const void *ptr,
                                      struct object_record *record)
{
    return end_life(records, ptr, false, record);
}

enum object_state object_records_take(struct object_records *records,
                                      const void *ptr,
                                      struct object_record *record)
{
    return end_life(records, ptr, true, record);
}

void object_records_drop(struct object_records *records,
                         const struct object_record *record)
{
    struct shard *shard = shard_of(records, record->hidden);
    ranked_lock_take(&shard->lock);
    remove_at(shard, record_at(shard, record->hidden));
    ranked_lock_release(&shard->lock);
    atomic_fetch_sub(&records->raw, record->raw_size);
}

/* ---- the queues --------------------------------------------------------- */

bool object_records_may_quarantine(const struct object_records *records,
                                   const struct object_record *record)
{
    return record->raw_size <= records->limit / 2;
}

void object_records_quarantine(struct object_records *records,
                               const struct object_record *record)
{
    struct shard *shard = shard_of(records, record->hidden);
    ranked_lock_take(&shard->lock);
    if (shard->hidden_last != 0)
        record_at(shard, shard->hidden_last)->hidden_next = record->hidden;
    else
        shard->hidden_first = record->hidden;
    shard->hidden_last = record->hidden;
    ranked_lock_release(&shard->lock);
    atomic_fetch_add(&records->quarantined, record->raw_size);
}

/* Takes out the first object of a queue, unless it is that one. */
static bool take_first(struct object_records *records, struct shard *shard,
                       uintptr_t hidden_but, struct object_record *record)
{
    ranked_lock_take(&shard->lock);
    bool found = shard->hidden_first != 0 && shard->hidden_first != hidden_but;
    if (found) {
        struct object_record *first = record_at(shard, shard->hidden_first);
        *record = *first;
        remove_at(shard, first);
        shard->hidden_first = record->hidden_next;
        if (shard->hidden_first == 0)
            shard->hidden_last = 0;
    }
    ranked_lock_release(&shard->lock);
    if (found) {
        atomic_fetch_sub(&records->quarantined, record->raw_size);
        atomic_fetch_sub(&records->raw, record->raw_size);
    }
    return found;
}

static bool take_any(struct object_records *records, uintptr_t hidden_but,
                     struct object_record *record)
{
    unsigned turn = atomic_fetch_add(&records->turn, 1);
    for (unsigned i = 0; i < SHARDS; i++)
        if (take_first(records, &records->shards[(turn + i) % SHARDS],
                       hidden_but, record))
            return true;
    return false;
}

bool object_records_next_beyond_limit(struct object_records *records,
                                      const struct object_record *latest,
                                      struct object_record *record)
{
    return atomic_load(&records->quarantined) > records->limit &&
           take_any(records, latest->hidden, record);
}

bool object_records_next(struct object_records *records,
                         struct object_record *record)
{
    return take_any(records, 0, record);
}

bool object_records_next_of_all(struct object_records *records,
                                struct object_record *record)
{
    for (unsigned i = 0; i < SHARDS; i++) {
        struct shard *shard = &records->shards[i];
        shard->hidden_first = shard->hidden_last = 0;
        while (shard->capacity > 0) {
            struct object_record *last = &shard->table[shard->capacity - 1];
            shard->capacity--;
            if (last->state == OBJECT_NONE)
                continue;
            *record = *last;
            return true;
        }
    }
    return false;
}

/* ---- all of them -------------------------------------------------------- */

size_t object_records_live(const struct object_records *records)
{
    return atomic_load(&records->live);
}

size_t object_records_quarantined(const struct object_records *records)
{
    return atomic_load(&records->quarantined);
}

size_t object_records_raw(const struct object_records *records)
{
    return atomic_load(&records->raw);
}

void object_records_lock(struct object_records *records)
{
    for (unsigned i = 0; i < SHARDS; i++)
        ranked_lock_take(&records->shards[i].lock);
}

void object_records_unlock(struct object_records *records)
{
    for (unsigned i = 0; i < SHARDS; i++)
        ranked_lock_release(&records->shards[i].lock);
}
