/* SPDX-License-Identifier: BSD-2-Clause */
/* What a checked heap knows of its objects: records by address, and queues of
 * freed objects that wait. The addresses are made up; nothing is there. */
#include <pthread.h>
#include <string.h>

#include "object_records.h"
#include "ranked_lock.h"
#include "test_support.h"

#define LIMIT (64 * KIB)
#define FIRST ((uintptr_t)0x7000000)

static struct object_records *records;

static void begin(size_t limit)
{
    records = object_records_create(limit);
    REQUIRE_NOT_NULL(records);
    CHECK_EQ(object_records_live(records), 0);
    CHECK_EQ(object_records_quarantined(records), 0);
    CHECK_EQ(object_records_raw(records), 0);
}

static void end(void)
{
    object_records_destroy(records);
    records = NULL;
}

static void *object_at(size_t i)
{
    return (void *)(FIRST + i * 16); /* NOLINT(performance-no-int-to-ptr) */
}

static struct object_record record_of(size_t i, size_t size)
{
    return (struct object_record){.hidden = ~(uintptr_t)object_at(i),
                                  .size = size,
                                  .raw_size = size + 32,
                                  .front = 16,
                                  .state = OBJECT_LIVE};
}

static void add(size_t i, size_t size)
{
    const struct object_record record = record_of(i, size);
    REQUIRE(object_records_add(records, &record));
}

/* Frees an object and has it wait. */
static struct object_record wait_with(size_t i)
{
    struct object_record record = {0};
    CHECK_EQ(object_records_free(records, object_at(i), &record), OBJECT_LIVE);
    object_records_quarantine(records, &record);
    return record;
}

static size_t index_of(const struct object_record *record)
{
    return ((uintptr_t)object_of_record(record) - FIRST) / 16;
}

/* ---- records ----------------------------------------------------------- */

static void test_one_object(void)
{
    struct object_record record;
    begin(LIMIT);
    CHECK_EQ(object_records_find(records, object_at(1), &record), OBJECT_NONE);
    add(1, 100);
    CHECK_EQ(object_records_find(records, object_at(1), &record), OBJECT_LIVE);
    CHECK_EQ(record.size, 100);
    CHECK_EQ(record.raw_size, 132);
    CHECK_EQ(record.front, 16);
    CHECK_EQ(object_of_record(&record), object_at(1));
    CHECK_EQ(object_records_live(records), 100);
    CHECK_EQ(object_records_raw(records), 132);
    /* Its neighbours are unknown, and so are addresses inside. */
    CHECK_EQ(object_records_find(records, object_at(0), &record), OBJECT_NONE);
    CHECK_EQ(object_records_find(records, (char *)object_at(1) + 1, &record),
             OBJECT_NONE);
    end();
}

static void test_an_address_says_nothing(void)
{
    const struct object_record record = record_of(7, 10);
    /* A tool that looks for the address in memory does not find it. */
    CHECK_NE(record.hidden, (uintptr_t)object_at(7));
    CHECK_EQ(object_of_record(&record), object_at(7));
}

static void test_freed_once(void)
{
    struct object_record record;
    begin(LIMIT);
    add(3, 50);
    CHECK_EQ(object_records_free(records, object_at(3), &record), OBJECT_LIVE);
    CHECK_EQ(record.size, 50);
    CHECK_EQ(object_records_live(records), 0);
    CHECK_EQ(object_records_raw(records), 82);
    /* A second time changes nothing. */
    CHECK_EQ(object_records_free(records, object_at(3), &record), OBJECT_FREED);
    CHECK_EQ(object_records_take(records, object_at(3), &record), OBJECT_FREED);
    CHECK_EQ(object_records_find(records, object_at(3), &record), OBJECT_FREED);
    CHECK_EQ(object_records_raw(records), 82);
    object_records_drop(records, &record);
    CHECK_EQ(object_records_find(records, object_at(3), &record), OBJECT_NONE);
    CHECK_EQ(object_records_raw(records), 0);
    /* The next object there is a new one. */
    add(3, 60);
    CHECK_EQ(object_records_find(records, object_at(3), &record), OBJECT_LIVE);
    CHECK_EQ(record.size, 60);
    end();
}

static void test_taken_out(void)
{
    struct object_record record;
    begin(LIMIT);
    CHECK_EQ(object_records_take(records, object_at(1), &record), OBJECT_NONE);
    CHECK_EQ(object_records_free(records, object_at(1), &record), OBJECT_NONE);
    add(1, 10);
    CHECK_EQ(object_records_take(records, object_at(1), &record), OBJECT_LIVE);
    CHECK_EQ(record.size, 10);
    CHECK_EQ(object_records_take(records, object_at(1), &record), OBJECT_NONE);
    CHECK_EQ(object_records_live(records), 0);
    CHECK_EQ(object_records_raw(records), 0);
    end();
}

/* Tables grow, and records that follow a removed one are still found. */
static void test_a_random_walk(void)
{
    enum { OBJECTS = 5000, STEPS = 100000 };
    static size_t sizes[OBJECTS]; /* 0: not there */
    unsigned long long random = 12;
    struct object_record record;
    size_t live = 0, wrong = 0, count = 0;
    begin(LIMIT);
    memset(sizes, 0, sizeof sizes);
    for (int step = 0; step < STEPS; step++) {
        const size_t i = test_random(&random) % OBJECTS;
        if (sizes[i] == 0) {
            sizes[i] = 1 + test_random(&random) % 1000;
            add(i, sizes[i]);
            live += sizes[i];
            count++;
        } else if (test_random(&random) % 2 == 0) {
            wrong += object_records_take(records, object_at(i), &record) !=
                         OBJECT_LIVE ||
                     record.size != sizes[i];
            live -= sizes[i];
            sizes[i] = 0;
            count--;
        }
        wrong += object_records_live(records) != live;
    }
    for (size_t i = 0; i < OBJECTS; i++) {
        const bool found =
            object_records_find(records, object_at(i), &record) == OBJECT_LIVE;
        wrong += found != (sizes[i] != 0) ||
                 (found && (record.size != sizes[i] || index_of(&record) != i));
    }
    CHECK_EQ(wrong, 0);
    CHECK_GT(count, OBJECTS / 4);
    CHECK_EQ(object_records_raw(records), live + 32 * count);
    end();
}

/* ---- objects that wait ------------------------------------------------- */

static void test_what_may_wait(void)
{
    begin(LIMIT);
    struct object_record record = record_of(1, 100);
    CHECK(object_records_may_quarantine(records, &record));
    record.raw_size = LIMIT / 2;
    CHECK(object_records_may_quarantine(records, &record));
    record.raw_size = LIMIT / 2 + 1;
    CHECK(!object_records_may_quarantine(records, &record));
    end();
}

static void test_each_waits_once(void)
{
    enum { OBJECTS = 1000 };
    static bool seen[OBJECTS];
    struct object_record record;
    size_t twice = 0, count = 0, last_at = 0;
    begin(LIMIT);
    memset(seen, 0, sizeof seen);
    for (size_t i = 0; i < OBJECTS; i++)
        add(i, 100);
    for (size_t i = 0; i < OBJECTS; i++)
        (void)wait_with(i);
    CHECK_EQ(object_records_live(records), 0);
    CHECK_EQ(object_records_quarantined(records), OBJECTS * 132);
    while (object_records_next(records, &record)) {
        const size_t i = index_of(&record);
        REQUIRE_LT(i, OBJECTS);
        twice += seen[i];
        seen[i] = true;
        if (i == OBJECTS - 1)
            last_at = count;
        count++;
        CHECK_EQ(record.state, OBJECT_FREED);
        CHECK_EQ(object_records_quarantined(records), (OBJECTS - count) * 132);
    }
    CHECK_EQ(count, OBJECTS);
    CHECK_EQ(twice, 0);
    /* The latest one has waited longer than most. */
    CHECK_GT(last_at, OBJECTS / 2);
    CHECK_EQ(object_records_raw(records), 0);
    CHECK_EQ(object_records_find(records, object_at(0), &record), OBJECT_NONE);
    end();
}

static void test_too_many_wait(void)
{
    struct object_record latest = {0}, record;
    size_t taken = 0;
    begin(10 * 132);
    for (size_t i = 0; i < 10; i++) {
        add(i, 100);
        latest = wait_with(i);
        CHECK(!object_records_next_beyond_limit(records, &latest, &record));
    }
    for (size_t i = 10; i < 20; i++) {
        add(i, 100);
        latest = wait_with(i);
    }
    while (object_records_next_beyond_limit(records, &latest, &record)) {
        CHECK_NE(object_of_record(&record), object_of_record(&latest));
        taken++;
    }
    CHECK_EQ(taken, 10);
    CHECK_EQ(object_records_quarantined(records), 10 * 132);
    CHECK_EQ(object_records_find(records, object_at(19), &record),
             OBJECT_FREED);
    end();
}

/* The latest one stays even if it alone is too much. */
static void test_the_latest_stays(void)
{
    struct object_record record;
    begin(100);
    add(1, 200);
    const struct object_record latest = wait_with(1);
    CHECK_GT(object_records_quarantined(records), 100);
    CHECK(!object_records_next_beyond_limit(records, &latest, &record));
    CHECK(object_records_next(records, &record));
    CHECK_EQ(object_of_record(&record), object_at(1));
    CHECK(!object_records_next(records, &record));
    end();
}

/* ---- all of them ------------------------------------------------------- */

static void test_a_heap_goes(void)
{
    enum { OBJECTS = 300 };
    static bool seen[OBJECTS];
    struct object_record record;
    size_t twice = 0, live = 0, freed = 0;
    begin(LIMIT);
    memset(seen, 0, sizeof seen);
    for (size_t i = 0; i < OBJECTS; i++)
        add(i, 10);
    for (size_t i = 0; i < OBJECTS; i += 3)
        (void)wait_with(i);
    while (object_records_next_of_all(records, &record)) {
        const size_t i = index_of(&record);
        REQUIRE_LT(i, OBJECTS);
        twice += seen[i];
        seen[i] = true;
        live += record.state == OBJECT_LIVE;
        freed += record.state == OBJECT_FREED;
    }
    CHECK_EQ(twice, 0);
    CHECK_EQ(live, OBJECTS / 3 * 2);
    CHECK_EQ(freed, OBJECTS / 3);
    end();
}

enum { THREADS = 4, OBJECTS_EACH = 2000 };

static void *work(void *number)
{
    const size_t first = (size_t)(uintptr_t)number * OBJECTS_EACH;
    size_t wrong = 0;
    struct object_record record;
    for (size_t i = first; i < first + OBJECTS_EACH; i++) {
        record = record_of(i, 10);
        wrong += !object_records_add(records, &record);
    }
    for (size_t i = first; i < first + OBJECTS_EACH; i++) {
        wrong +=
            object_records_free(records, object_at(i), &record) != OBJECT_LIVE;
        object_records_quarantine(records, &record);
        if (i % 2 == 0)
            wrong += !object_records_next(records, &record);
    }
    return (void *)wrong; /* NOLINT(performance-no-int-to-ptr) */
}

static void test_threads(void)
{
    pthread_t threads[THREADS];
    struct object_record record;
    size_t left = 0;
    begin(LIMIT);
    for (uintptr_t i = 0; i < THREADS; i++)
        REQUIRE_EQ(
            pthread_create(&threads[i], NULL, work, (void *)i /* NOLINT */), 0);
    for (int i = 0; i < THREADS; i++) {
        void *wrong = NULL;
        pthread_join(threads[i], &wrong);
        CHECK_NULL(wrong);
    }
    CHECK_EQ(object_records_live(records), 0);
    while (object_records_next(records, &record))
        left++;
    CHECK_EQ(left, THREADS * OBJECTS_EACH / 2);
    CHECK_EQ(object_records_quarantined(records), 0);
    CHECK_EQ(object_records_raw(records), 0);
    end();
}

static void test_around_a_fork(void)
{
    struct object_record record;
    begin(LIMIT);
    add(1, 10);
    for (int i = 0; i < 2; i++) {
        lock_rank_allow_equal(true);
        object_records_lock(records);
        object_records_unlock(records);
        lock_rank_allow_equal(false);
        CHECK_EQ(object_records_find(records, object_at(1), &record),
                 OBJECT_LIVE);
    }
    end();
}

static const struct test_case tests[] = {
    {"one object", test_one_object},
    {"an address says nothing", test_an_address_says_nothing},
    {"freed once", test_freed_once},
    {"taken out", test_taken_out},
    {"a random walk", test_a_random_walk},
    {"what may wait", test_what_may_wait},
    {"each waits once", test_each_waits_once},
    {"too many wait", test_too_many_wait},
    {"the latest stays", test_the_latest_stays},
    {"a heap goes", test_a_heap_goes},
    {"threads", test_threads},
    {"around a fork", test_around_a_fork},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("object records", tests, argc, argv);
}
