/* SPDX-License-Identifier: BSD-2-Clause */
/* Patterns in which each thread works for itself. */
#include "bench.h"

/* ---- pair ---------------------------------------------------------------- */

enum { PAIR_SIZE = 64, PAIRS = 8192 };

static size_t pair_unit(struct lane *lane)
{
    struct heap heap = lane->bench->heap;
    for (size_t i = 0; i < PAIRS; i++) {
        void *object = heap_malloc(heap, PAIR_SIZE);
        object_touch(object, PAIR_SIZE);
        object_check(object);
        heap_free(heap, object);
    }
    return PAIRS;
}

/* ---- batch --------------------------------------------------------------- */

enum { TABLE = 10000, TABLE_LOW = 16, TABLE_HIGH = 1024 };

struct batch {
    void *objects[TABLE];
    uint32_t sizes[TABLE];
    uint32_t order[TABLE];
};

static void batch_start(struct lane *lane)
{
    struct batch *batch = lane->state = bench_pages(sizeof *batch);
    for (uint32_t i = 0; i < TABLE; i++) {
        batch->sizes[i] =
            (uint32_t)random_between(&lane->random, TABLE_LOW, TABLE_HIGH);
        batch->order[i] = i;
    }
    for (size_t i = TABLE - 1; i > 0; i--) {
        size_t j = random_between(&lane->random, 0, i);
        uint32_t held = batch->order[i];
        batch->order[i] = batch->order[j];
        batch->order[j] = held;
    }
}

static size_t batch_unit(struct lane *lane)
{
    struct heap heap = lane->bench->heap;
    struct batch *batch = lane->state;
    for (size_t i = 0; i < TABLE; i++) {
        batch->objects[i] = heap_malloc(heap, batch->sizes[i]);
        object_fill(batch->objects[i], batch->sizes[i]);
    }
    for (size_t i = 0; i < TABLE; i++) {
        void *object = batch->objects[batch->order[i]];
        object_check(object);
        heap_free(heap, object);
    }
    return TABLE;
}

static void batch_stop(struct lane *lane)
{
    bench_release(lane->state, sizeof(struct batch));
}

/* ---- churn, big, bigger, align, calloc: tables with random replacement --- */

struct table {
    size_t slots;
    void *objects[TABLE];
    /* In patterns with few, big objects, replacements repeat: all peers do the
     * same ones, no matter how many. */
    size_t steps;
    struct step {
        uint32_t slot, size;
    } step[256];
};

static struct table *table_make(struct lane *lane, size_t slots)
{
    struct table *table = lane->state = bench_pages(sizeof *table);
    table->slots = slots;
    return table;
}

static void table_stop(struct lane *lane)
{
    struct heap heap = lane->bench->heap;
    struct table *table = lane->state;
    for (size_t i = 0; i < table->slots; i++)
        if (table->objects[i] != NULL) {
            object_check(table->objects[i]);
            heap_free(heap, table->objects[i]);
        }
    bench_release(table, sizeof *table);
}

static void churn_start(struct lane *lane)
{
    struct heap heap = lane->bench->heap;
    struct table *table = table_make(lane, TABLE);
    for (size_t i = 0; i < TABLE; i++) {
        size_t size = random_between(&lane->random, TABLE_LOW, TABLE_HIGH);
        table->objects[i] = heap_malloc(heap, size);
        object_touch(table->objects[i], size);
    }
}

static size_t churn_unit(struct lane *lane)
{
    enum { REPLACED = 4096 };
    struct heap heap = lane->bench->heap;
    struct table *table = lane->state;
    uint64_t random = lane->random;
    for (size_t i = 0; i < REPLACED; i++) {
        uint64_t bits = random_next(&random);
        void **slot = &table->objects[random_scale(bits, TABLE)];
        size_t size =
            TABLE_LOW + random_scale(bits >> 32, TABLE_HIGH - TABLE_LOW + 1);
        object_check(*slot);
        heap_free(heap, *slot);
        *slot = heap_malloc(heap, size);
        object_touch(*slot, size);
    }
    lane->random = random;
    return REPLACED;
}

enum { BIG_SLOTS = 16, BIGGER_SLOTS = 4 };

static void steps_make(struct lane *lane, size_t slots, size_t steps,
                       size_t low, size_t high)
{
    struct table *table = table_make(lane, slots);
    table->steps = steps;
    for (size_t i = 0; i < steps; i++)
        table->step[i] = (struct step){
            .slot = (uint32_t)random_between(&lane->random, 0, slots - 1),
            .size = (uint32_t)random_log(&lane->random, low, high),
        };
}

static void big_start(struct lane *lane)
{
    steps_make(lane, BIG_SLOTS, 256, 64 * KIB, MIB);
}

static void bigger_start(struct lane *lane)
{
    size_t most = lane->bench->size < 64 * MIB ? lane->bench->size : 64 * MIB;
    steps_make(lane, BIGGER_SLOTS, 32, MIB, most);
}

static size_t big_unit(struct lane *lane)
{
    struct heap heap = lane->bench->heap;
    struct table *table = lane->state;
    for (size_t i = 0; i < table->steps; i++) {
        void **slot = &table->objects[table->step[i].slot];
        size_t size = table->step[i].size;
        if (*slot != NULL) {
            object_check(*slot);
            heap_free(heap, *slot);
        }
        *slot = heap_malloc(heap, size);
        object_touch_pages(*slot, size);
    }
    return table->steps;
}

static void calloc_big_start(struct lane *lane)
{
    steps_make(lane, BIGGER_SLOTS, 32, 256 * KIB, 4 * MIB);
}

static size_t calloc_big_unit(struct lane *lane)
{
    struct heap heap = lane->bench->heap;
    struct table *table = lane->state;
    for (size_t i = 0; i < table->steps; i++) {
        void **slot = &table->objects[table->step[i].slot];
        size_t size = table->step[i].size;
        if (*slot != NULL) {
            object_check(*slot);
            heap_free(heap, *slot);
        }
        *slot = heap_calloc(heap, size);
        object_check_zero(*slot, size);
        object_touch_pages(*slot, size);
    }
    return table->steps;
}

enum { ALIGN_SLOTS = 1000, ALIGN_LOW_LOG = 5, ALIGN_LOGS = 8 };

static void align_start(struct lane *lane)
{
    table_make(lane, ALIGN_SLOTS);
}

static size_t align_unit(struct lane *lane)
{
    enum { REPLACED = 2048 };
    struct heap heap = lane->bench->heap;
    struct table *table = lane->state;
    uint64_t random = lane->random;
    for (size_t i = 0; i < REPLACED; i++) {
        uint64_t bits = random_next(&random);
        void **slot = &table->objects[random_scale(bits, ALIGN_SLOTS)];
        size_t alignment = (size_t)1
                           << (ALIGN_LOW_LOG + (bits >> 32) % ALIGN_LOGS);
        size_t size = TABLE_LOW + random_scale(bits >> 24, 2 * alignment);
        if (*slot != NULL) {
            object_check(*slot);
            heap_free(heap, *slot);
        }
        *slot = heap_memalign(heap, alignment, size);
        object_check_aligned(*slot, alignment);
        object_touch(*slot, size);
    }
    lane->random = random;
    return REPLACED;
}

static size_t calloc_unit(struct lane *lane)
{
    enum { REPLACED = 4096 };
    struct heap heap = lane->bench->heap;
    struct table *table = lane->state;
    uint64_t random = lane->random;
    for (size_t i = 0; i < REPLACED; i++) {
        uint64_t bits = random_next(&random);
        void **slot = &table->objects[random_scale(bits, ALIGN_SLOTS)];
        size_t size =
            TABLE_LOW + random_scale(bits >> 32, TABLE_HIGH - TABLE_LOW + 1);
        if (*slot != NULL) {
            object_check(*slot);
            heap_free(heap, *slot);
        }
        *slot = heap_calloc(heap, size);
        object_check_zero(*slot, size);
        object_touch(*slot, size);
    }
    lane->random = random;
    return REPLACED;
}

/* ---- realloc ------------------------------------------------------------- */

enum { VECTORS = 16, VECTOR_FIRST = 16, VECTOR_LAST = 32 * KIB };

/* Vectors that grow in turn: each is in the way of the others. */
static size_t realloc_unit(struct lane *lane)
{
    struct heap heap = lane->bench->heap;
    void *vectors[VECTORS];
    size_t size = VECTOR_FIRST, calls = 0;
    for (size_t i = 0; i < VECTORS; i++) {
        vectors[i] = heap_malloc(heap, size);
        object_touch(vectors[i], size);
    }
    while (size < VECTOR_LAST) {
        size_t grown = size + size / 2;
        for (size_t i = 0; i < VECTORS; i++) {
            vectors[i] = heap_realloc(heap, vectors[i], grown);
            object_touch_tail(vectors[i], size, grown);
        }
        calls += VECTORS;
        size = grown;
    }
    for (size_t i = 0; i < VECTORS; i++) {
        object_check(vectors[i]);
        heap_free(heap, vectors[i]);
    }
    return calls;
}

/* A vector that grows alone, as far as there is free space behind it. */
static size_t vector_unit(struct lane *lane)
{
    enum { STEPS = 128 };
    struct heap heap = lane->bench->heap;
    size_t size = 64 * KIB;
    void *vector = heap_malloc(heap, size);
    object_touch_pages(vector, size);
    for (size_t i = 1; i < STEPS; i++) {
        size_t grown = size + 64 * KIB;
        vector = heap_realloc(heap, vector, grown);
        object_touch_tail(vector, size, grown);
        size = grown;
    }
    object_check(vector);
    heap_free(heap, vector);
    return STEPS;
}

const struct pattern basic_patterns[] = {
    {
        .name = "pair",
        .about = "64 bytes, at once freed",
        .unit = pair_unit,
    },
    {
        .name = "batch",
        .about = "10,000 objects of 16-1024 bytes, written to, then all freed "
                 "in random order",
        .start = batch_start,
        .unit = batch_unit,
        .stop = batch_stop,
    },
    {
        .name = "churn",
        .about = "random replacement in a table of 10,000 objects of 16-1024 "
                 "bytes",
        .start = churn_start,
        .unit = churn_unit,
        .stop = table_stop,
    },
    {
        .name = "big",
        .about = "random replacement of 16 objects of 64 KiB-1 MiB, a byte of "
                 "each page written",
        .start = big_start,
        .unit = big_unit,
        .stop = table_stop,
    },
    {
        .name = "bigger",
        .about = "random replacement of 4 objects of 1-64 MiB, a byte of each "
                 "page written",
        .start = bigger_start,
        .unit = big_unit,
        .stop = table_stop,
    },
    {
        .name = "realloc",
        .about = "16 vectors that grow by turns from 16 bytes to 32 KiB, for "
                 "each realloc",
        .unit = realloc_unit,
    },
    {
        .name = "vector",
        .about = "one vector that grows by 64 KiB to 8 MiB, for each realloc",
        .unit = vector_unit,
    },
    {
        .name = "calloc",
        .about = "random replacement of 1,000 cleared objects of 16-1024 bytes",
        .start = align_start,
        .unit = calloc_unit,
        .stop = table_stop,
    },
    {
        .name = "calloc_big",
        .about = "random replacement of 4 cleared objects of 256 KiB-4 MiB",
        .start = calloc_big_start,
        .unit = calloc_big_unit,
        .stop = table_stop,
    },
    {
        .name = "align",
        .about = "random replacement of 1,000 objects of 16 bytes-8 KiB at "
                 "multiples of 32-4096",
        .start = align_start,
        .unit = align_unit,
        .stop = table_stop,
    },
    {.name = NULL},
};
