/* SPDX-License-Identifier: BSD-2-Clause */
#include "depot.h"

#include <assert.h>
#include <string.h>

#include "jemalloc_private.h"

#define CHUNKS 1024U /* most chunks of a heap */
#define CHUNK_BYTES 98304U
#define CHUNK_SHARE 32 /* of the limit */

/*
 * A stack of chunks by their numbers, from 1 on, in the lower half of the word.
 * The upper half counts changes, so that a thread which has read the number of
 * the chunk below the top does not put it in place after others have been here.
 */
typedef _Atomic uint64_t chunk_stack;

struct class_stacks {
    _Alignas(64) chunk_stack young;
    chunk_stack old;
};

struct depot_store {
    struct class_stacks classes[SIZE_CLASS_COUNT];
    _Alignas(64) chunk_stack empty; /* these may have no DRAM */
    atomic_uint made;               /* numbers that were ever in use */
    atomic_uint below[CHUNKS];      /* of each chunk, in its stack */
    /* Read and written by the thread that has taken the chunk. */
    struct depot_chunk *chunks[CHUNKS];
};

/* ---- stacks -------------------------------------------------------------- */

static uint64_t with_top(uint64_t stack, uint32_t number)
{
    return ((stack >> 32) + 1) << 32 | number;
}

static void push(struct depot_store *store, chunk_stack *stack, uint32_t number)
{
    uint64_t seen = atomic_load_explicit(stack, memory_order_relaxed);
    do
        atomic_store_explicit(&store->below[number - 1], (uint32_t)seen,
                              memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(
        stack, &seen, with_top(seen, number), memory_order_acq_rel,
        memory_order_relaxed));
}

/* 0 if there is none. */
static uint32_t pop(struct depot_store *store, chunk_stack *stack)
{
    uint64_t seen = atomic_load_explicit(stack, memory_order_acquire);
    uint32_t number, below;
    do {
        number = (uint32_t)seen;
        if (number == 0)
            return 0;
        below = atomic_load_explicit(&store->below[number - 1],
                                     memory_order_relaxed);
    } while (!atomic_compare_exchange_weak_explicit(
        stack, &seen, with_top(seen, below), memory_order_acq_rel,
        memory_order_acquire));
    return number;
}

/* Moves all chunks to an empty stack on which no other thread pushes. */
static void move_all(chunk_stack *from, chunk_stack *to)
{
    uint64_t seen = atomic_load_explicit(from, memory_order_acquire);
    do
        if ((uint32_t)seen == 0)
            return;
    while (!atomic_compare_exchange_weak_explicit(
        from, &seen, with_top(seen, 0), memory_order_acq_rel,
        memory_order_acquire));
    const uint64_t before = atomic_load_explicit(to, memory_order_relaxed);
    assert((uint32_t)before == 0);
    atomic_store_explicit(to, with_top(before, (uint32_t)seen),
                          memory_order_release);
}

/* ---- DRAM ---------------------------------------------------------------- */

/* NULL if there is none, and it cannot be made. */
static struct depot_store *get_store(struct depot *depot)
{
    struct depot_store *store = atomic_load(&depot->store);
    if (store != NULL)
        return store;
    struct depot_store *made =
        JE_NAME(mallocx)(sizeof *made, JE_ZERO | JE_LG_ALIGN(6));
    if (made == NULL)
        return NULL;
    if (atomic_compare_exchange_strong(&depot->store, &store, made))
        return made;
    JE_NAME(dallocx)(made, 0);
    return store;
}

static uint32_t new_number(struct depot_store *store)
{
    unsigned made = atomic_load_explicit(&store->made, memory_order_relaxed);
    do
        if (made == CHUNKS)
            return 0;
    while (!atomic_compare_exchange_weak_explicit(&store->made, &made, made + 1,
                                                  memory_order_relaxed,
                                                  memory_order_relaxed));
    return made + 1;
}

/* NULL if there are too many chunks, or no DRAM. */
static struct depot_chunk *get_empty(struct depot_store *store)
{
    uint32_t number = pop(store, &store->empty);
    if (number == 0)
        number = new_number(store);
    if (number == 0)
        return NULL;
    struct depot_chunk *chunk = store->chunks[number - 1];
    if (chunk == NULL) {
        chunk = JE_NAME(mallocx)(sizeof *chunk, 0);
        if (chunk == NULL) {
            push(store, &store->empty, number);
            return NULL;
        }
        chunk->number = number;
        store->chunks[number - 1] = chunk;
    }
    return chunk;
}

static void free_empty_chunks(struct depot_store *store)
{
    uint32_t first = 0, number;
    while ((number = pop(store, &store->empty)) != 0) {
        if (store->chunks[number - 1] != NULL)
            JE_NAME(dallocx)(store->chunks[number - 1], 0);
        store->chunks[number - 1] = NULL;
        atomic_store_explicit(&store->below[number - 1], first,
                              memory_order_relaxed);
        first = number;
    }
    for (; first != 0; first = number) {
        number = atomic_load_explicit(&store->below[first - 1],
                                      memory_order_relaxed);
        push(store, &store->empty, first);
    }
}

void depot_init(struct depot *depot, size_t limit)
{
    memset(depot, 0, sizeof *depot);
    depot->limit = limit;
}

void depot_forget(struct depot *depot)
{
    struct depot_store *store = atomic_exchange(&depot->store, NULL);
    atomic_store(&depot->bytes, 0);
    if (store == NULL)
        return;
    for (unsigned i = 0; i < CHUNKS; i++)
        if (store->chunks[i] != NULL)
            JE_NAME(dallocx)(store->chunks[i], 0);
    JE_NAME(dallocx)(store, 0);
}

/* ---- in and out ---------------------------------------------------------- */

uint32_t depot_chunk_count(const struct depot *depot, unsigned size_class)
{
    size_t bytes = depot->limit / CHUNK_SHARE;
    if (bytes > CHUNK_BYTES)
        bytes = CHUNK_BYTES;
    const size_t count = bytes / size_class_sizes[size_class];
    return count == 0 ? 1 : count < DEPOT_CHUNK ? (uint32_t)count : DEPOT_CHUNK;
}

bool depot_push(struct depot *depot, unsigned size_class, void *const *objects,
                uint32_t count)
{
    const size_t bytes = (size_t)count * size_class_sizes[size_class];
    assert(count <= DEPOT_CHUNK && size_class < size_class_first_large);
    struct depot_chunk *chunk = NULL;
    struct depot_store *store = NULL;
    if (atomic_fetch_add(&depot->bytes, bytes) + bytes <= depot->limit &&
        (store = get_store(depot)) != NULL)
        chunk = get_empty(store);
    if (chunk == NULL) {
        atomic_fetch_sub(&depot->bytes, bytes);
        return false;
    }
    chunk->count = count;
    memcpy(chunk->objects, objects, count * sizeof objects[0]);
    push(store, &store->classes[size_class].young, chunk->number);
    return true;
}

static struct depot_chunk *pop_chunk(struct depot_store *store,
                                     chunk_stack *stack)
{
    const uint32_t number = pop(store, stack);
    return number != 0 ? store->chunks[number - 1] : NULL;
}

static struct depot_chunk *pop_class(struct depot_store *store,
                                     unsigned size_class)
{
    struct class_stacks *stacks = &store->classes[size_class];
    struct depot_chunk *chunk = pop_chunk(store, &stacks->young);
    return chunk != NULL ? chunk : pop_chunk(store, &stacks->old);
}

/* Threads read this for each chunk, and should find it unchanged. */
static void note_wanted(struct depot *depot, unsigned size_class,
                        const void *cache, bool was_found)
{
    const void *_Atomic *place = &depot->wanted_by[size_class];
    const void *by = atomic_load_explicit(place, memory_order_relaxed);
    if (was_found ? by == NULL : by != cache)
        atomic_store_explicit(place, cache, memory_order_relaxed);
}

struct depot_chunk *depot_pop(struct depot *depot, unsigned size_class,
                              const void *cache)
{
    struct depot_store *store = atomic_load(&depot->store);
    struct depot_chunk *chunk =
        store != NULL ? pop_class(store, size_class) : NULL;
    note_wanted(depot, size_class, cache, chunk != NULL);
    return chunk;
}

struct depot_chunk *depot_pop_any(struct depot *depot, unsigned *size_class)
{
    struct depot_store *store = atomic_load(&depot->store);
    struct depot_chunk *chunk = NULL;
    if (store == NULL || depot_bytes(depot) == 0)
        return NULL;
    for (*size_class = SIZE_CLASS_FIRST; *size_class < size_class_first_large;
         ++*size_class)
        if ((chunk = pop_class(store, *size_class)) != NULL)
            break;
    return chunk;
}

void depot_release(struct depot *depot, unsigned size_class,
                   struct depot_chunk *chunk)
{
    struct depot_store *store = atomic_load(&depot->store);
    const size_t bytes = (size_t)chunk->count * size_class_sizes[size_class];
    push(store, &store->empty, chunk->number);
    atomic_fetch_sub(&depot->bytes, bytes);
}

/* ---- ageing -------------------------------------------------------------- */

struct depot_chunk *depot_pop_old(struct depot *depot, unsigned *size_class)
{
    struct depot_store *store = atomic_load(&depot->store);
    struct depot_chunk *chunk = NULL;
    if (store == NULL)
        return NULL;
    for (*size_class = SIZE_CLASS_FIRST; *size_class < size_class_first_large;
         ++*size_class)
        if ((chunk = pop_chunk(store, &store->classes[*size_class].old)) !=
            NULL)
            break;
    return chunk;
}

void depot_end_step(struct depot *depot)
{
    struct depot_store *store = atomic_load(&depot->store);
    for (unsigned i = 0; i < SIZE_CLASS_COUNT; i++)
        atomic_store_explicit(&depot->wanted_by[i], NULL, memory_order_relaxed);
    if (store == NULL)
        return;
    for (unsigned i = 0; i < SIZE_CLASS_COUNT; i++)
        move_all(&store->classes[i].young, &store->classes[i].old);
    free_empty_chunks(store);
}
