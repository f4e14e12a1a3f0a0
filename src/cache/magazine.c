/* SPDX-License-Identifier: BSD-2-Clause */
#include "magazine.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "arena_exchange.h"
#include "heap_report.h"
#include "jemalloc_batch.h"
#include "object_tag.h"
#include "spread.h"

#define CAPACITY_MAX 8192U /* objects in a magazine */
#define CAPACITY_FIRST_BYTES 2048U
#define CAPACITY_FIRST_MAX 32U
#define REFILL_BYTES 32768U /* most that are fetched at once */

/* A magazine for more bytes than that, and for more than one object, must have
 * been missed; see make_place(). */
#define UNMISSED_BYTES 32768U

/* magazine_has_lately() looks at this many objects. */
#define LATELY 32U

/* Objects that are larger share no cache line with many others. */
#define STRANGER_BYTES 128U

static uint32_t count_of(const struct magazines *magazines, unsigned size_class)
{
    return (uint32_t)(magazines->tops[size_class] -
                      magazines->bases[size_class]);
}

/* The words below the first place: the place behind the last one, and the
 * NULL. */
#define WORDS_BELOW 2

static uint32_t capacity_of(const struct magazines *magazines,
                            unsigned size_class)
{
    void **base = magazines->bases[size_class], **end = base[-WORDS_BELOW];
    return (uint32_t)(end - base);
}

/*
 * The objects that were returned last, hashed by address. An arena does not
 * survive an object that is returned twice. To make sure that all objects which
 * are returned together differ would be too slow; a look at the last ones is
 * cheap.
 */
#define RETURNED_LOG 8

struct returned {
    void *objects[1 << RETURNED_LOG];
};

static bool was_returned(const struct heap_arenas *arenas,
                         const struct returned *returned, unsigned place,
                         void *ptr)
{
    if (__builtin_expect(returned->objects[place] != ptr, 1))
        return false;
    heap_report(HEAP_DOUBLE_FREE, arenas->extents.address_owner, ptr);
    return true;
}

static unsigned hash_place(const void *ptr)
{
    return (unsigned)(spread((uintptr_t)ptr >> 3) >> (64 - RETURNED_LOG));
}

/* Objects that are given back together. */
#define GIVEN_MOST 32U

/* The arenas' place is that of most of the objects' arena. */
static void return_objects(struct heap_arenas *arenas, unsigned tally,
                           int arena_flags, unsigned size_class,
                           void *const *objects, uint32_t count,
                           struct returned *returned)
{
    void *given[GIVEN_MOST];
    uint32_t not_counted = 0, giving = 0;
    for (uint32_t i = 0; i < count; i++) {
        unsigned place = hash_place(objects[i]);
        if (was_returned(arenas, returned, place, objects[i]))
            continue;
        returned->objects[place] = objects[i];
        given[giving++] = objects[i];
        if (giving < GIVEN_MOST)
            continue;
        not_counted += arena_exchange_give_some(arenas, tally, size_class,
                                                arena_flags, given, giving);
        giving = 0;
    }
    if (giving != 0)
        not_counted += arena_exchange_give_some(arenas, tally, size_class,
                                                arena_flags, given, giving);
    if (not_counted != 0)
        arena_returns_note(&arenas->returns, size_class,
                           (size_t)not_counted * size_class_pages[size_class]);
}

/* Moves the objects of a magazine that are at `from` and above down to `to`.
 * Those in between have been returned, and may be among those above as well:
 * these must not stay. */
static void close_gap(struct magazines *magazines, unsigned size_class,
                      uint32_t to, uint32_t from,
                      const struct returned *returned)
{
    struct heap_arenas *arenas = magazines->arenas;
    void **objects = magazines->bases[size_class];
    const uint32_t all = count_of(magazines, size_class);
    const uint32_t near = from + (1 << RETURNED_LOG);
    for (; from < all && from < near; from++)
        if (!was_returned(arenas, returned, hash_place(objects[from]),
                          objects[from]))
            objects[to++] = objects[from];
    memmove(objects + to, objects + from, (all - from) * sizeof objects[0]);
    magazines->tops[size_class] = objects + to + (all - from);
}

/* Notes objects that came in, or went (less than 0). */
static void note_objects(struct magazines *magazines, unsigned size_class,
                         int64_t objects)
{
    magazine_note_held(magazines, objects * size_class_sizes[size_class]);
}

/* Returns the `count` objects that have been in longest. */
static void flush(struct magazines *magazines, unsigned size_class,
                  uint32_t count)
{
    if (count == 0)
        return;
    struct returned returned = {0};
    return_objects(magazines->arenas, magazines->tally, magazines->arena_flags,
                   size_class, magazines->bases[size_class], count, &returned);
    note_objects(magazines, size_class, -(int64_t)count);
    close_gap(magazines, size_class, 0, count, &returned);
}

/* Holds between all calls. */
static void assert_stack(const struct magazines *magazines, unsigned size_class)
{
    assert(size_class < SIZE_CLASS_COUNT);
    assert(magazines->bases[size_class] <= magazines->tops[size_class]);
    assert(count_of(magazines, size_class) <=
           capacity_of(magazines, size_class));
    assert(magazines->bases[size_class][-1] == NULL);
    assert(magazines->ends[size_class] == magazines->bases[size_class] ||
           (magazines->ends[size_class] >= magazines->tops[size_class] &&
            magazines->ends[size_class] <=
                magazines->bases[size_class] +
                    capacity_of(magazines, size_class)));
    (void)magazines, (void)size_class;
}

/* ---- open magazines ----------------------------------------------------- */

#define WORDS (sizeof((struct magazines *)NULL)->open / sizeof(uint64_t))

static uint64_t bit_of(unsigned size_class)
{
    return (uint64_t)1 << size_class % 64;
}

static void set_open(struct magazines *magazines, unsigned size_class,
                     bool is_open)
{
    uint64_t *word = &magazines->open[size_class / 64];
    const uint64_t bit = bit_of(size_class);
    *word = is_open ? *word | bit : *word & ~bit;
}

/* The first open one from a class on; SIZE_CLASS_COUNT if there is none. */
static unsigned next_open(const struct magazines *magazines,
                          unsigned size_class)
{
    for (unsigned i = size_class / 64; i < WORDS; i++) {
        uint64_t word = magazines->open[i];
        if (i == size_class / 64)
            word &= UINT64_MAX << size_class % 64;
        if (word != 0)
            return i * 64 + (unsigned)__builtin_ctzll(word);
    }
    return SIZE_CLASS_COUNT;
}

/* ---- capacity ----------------------------------------------------------- */

/* What lies below the first place of all magazines without capacity. */
static void *no_places[WORDS_BELOW] = {no_places + WORDS_BELOW, NULL};

static void set_stack(struct magazines *magazines, unsigned size_class,
                      void **base, uint32_t count)
{
    magazines->bases[size_class] = base;
    magazines->tops[size_class] = base + count;
    magazines->ends[size_class] = base + capacity_of(magazines, size_class);
    set_open(magazines, size_class, capacity_of(magazines, size_class) != 0);
}

void magazine_init_all(struct magazines *magazines)
{
    for (unsigned i = 0; i < SIZE_CLASS_COUNT; i++)
        set_stack(magazines, i, no_places + WORDS_BELOW, 0);
}

void magazine_change_thread(struct magazines *magazines)
{
    memset(magazines->taken, 0, sizeof magazines->taken);
    atomic_store(&magazines->holds, (int64_t)magazine_bytes(magazines));
}

static void release_capacity(struct magazines *magazines, unsigned size_class)
{
    uint32_t capacity = capacity_of(magazines, size_class);
    if (capacity == 0)
        return;
    JE_NAME(dallocx)(magazines->bases[size_class] - WORDS_BELOW, 0);
    magazines->reserved -= (size_t)capacity * size_class_sizes[size_class];
    set_stack(magazines, size_class, no_places + WORDS_BELOW, 0);
}

static size_t reserve_of(const struct magazines *magazines, unsigned size_class)
{
    return (size_t)capacity_of(magazines, size_class) *
           size_class_sizes[size_class];
}

/* Returns false if there is no DRAM for it. */
static bool set_capacity(struct magazines *magazines, unsigned size_class,
                         uint32_t capacity)
{
    uint32_t before = capacity_of(magazines, size_class);
    void **objects =
        JE_NAME(mallocx)((capacity + WORDS_BELOW) * sizeof objects[0], 0);
    if (objects == NULL)
        return false;
    objects += WORDS_BELOW;
    objects[-2] = objects + capacity;
    objects[-1] = NULL;
    if (count_of(magazines, size_class) > capacity)
        flush(magazines, size_class,
              count_of(magazines, size_class) - capacity);
    uint32_t count = count_of(magazines, size_class);
    memcpy(objects, magazines->bases[size_class], count * sizeof objects[0]);
    magazines->reserved -= reserve_of(magazines, size_class);
    if (before != 0)
        JE_NAME(dallocx)(magazines->bases[size_class] - WORDS_BELOW, 0);
    set_stack(magazines, size_class, objects, count);
    magazines->reserved += reserve_of(magazines, size_class);
    return true;
}

/* Makes room for `more` bytes of a class that may keep `wanted` bytes then. If
 * the limit is reached, the class that may keep most gives half of its capacity
 * to a class that may keep less than half of that. */
static bool make_room(struct magazines *magazines, size_t wanted, size_t more)
{
    while (more > magazines->limit - magazines->reserved) {
        unsigned largest = SIZE_CLASS_FIRST;
        for (unsigned i = SIZE_CLASS_FIRST; i <= SIZE_CLASS_LAST; i++)
            if (reserve_of(magazines, i) > reserve_of(magazines, largest))
                largest = i;
        uint32_t capacity = capacity_of(magazines, largest);
        if (wanted > reserve_of(magazines, largest) / 2)
            return false;
        if (capacity == 1) {
            flush(magazines, largest, count_of(magazines, largest));
            release_capacity(magazines, largest);
        } else if (!set_capacity(magazines, largest, capacity / 2)) {
            return false;
        }
    }
    return true;
}

static void unseal(struct magazines *magazines, unsigned size_class)
{
    magazines->ends[size_class] =
        magazines->bases[size_class] + capacity_of(magazines, size_class);
    set_open(magazines, size_class, capacity_of(magazines, size_class) != 0);
}

static bool grow_magazine(struct magazines *magazines, unsigned size_class)
{
    const uint32_t size = size_class_sizes[size_class];
    uint32_t before = capacity_of(magazines, size_class), capacity = before * 2;
    if (size_class >= size_class_first_large &&
        !heap_arenas_keep_pages(magazines->arenas))
        return false;
    if (before == 0) {
        capacity = CAPACITY_FIRST_BYTES / size;
        if (capacity > CAPACITY_FIRST_MAX)
            capacity = CAPACITY_FIRST_MAX;
        if (capacity == 0)
            capacity = 1;
    }
    return capacity <= CAPACITY_MAX &&
           make_room(magazines, (size_t)capacity * size,
                     (size_t)(capacity - before) * size) &&
           set_capacity(magazines, size_class, capacity);
}

/* ---- the depot ---------------------------------------------------------- */

/* Objects with pages of their own are worth a call of jemalloc each. */
static bool may_travel(const struct magazines *magazines, unsigned size_class)
{
    return magazines->depot != NULL && size_class < size_class_first_large;
}

static bool is_wanted(const struct magazines *magazines, unsigned size_class)
{
    return may_travel(magazines, size_class) &&
           depot_is_wanted(magazines->depot, size_class, magazines);
}

/* Whether the thread has not needed more objects of the class for a while than
 * it has freed, and has enough of them for a chunk. So there is no point in
 * keeping more. */
static bool only_frees(const struct magazines *magazines, unsigned size_class)
{
    const uint32_t chunk = depot_chunk_count(magazines->depot, size_class);
    return magazines->refill_log[size_class] == 0 &&
           count_of(magazines, size_class) >=
               chunk + (chunk < LATELY ? chunk : LATELY);
}

/* Leaves out objects that are there twice. Returns how many are left. */
static uint32_t leave_out_second(struct heap_arenas *arenas, void **objects,
                                 uint32_t count, struct returned *returned)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        void *ptr = objects[i];
        const unsigned place = hash_place(ptr);
        if (was_returned(arenas, returned, place, ptr))
            continue;
        returned->objects[place] = ptr;
        objects[kept++] = ptr;
    }
    return kept;
}

/* Hands the `count` objects that have been in longest over, or as many as the
 * depot takes. Returns false if the magazine is full still. */
static bool hand_over(struct magazines *magazines, unsigned size_class,
                      uint32_t count)
{
    struct returned returned = {0};
    struct depot *depot = magazines->depot;
    void **objects = magazines->bases[size_class];
    const uint32_t most = depot_chunk_count(depot, size_class);
    if (depot_is_full(depot))
        return false;
    const uint32_t kept =
        leave_out_second(magazines->arenas, objects, count, &returned);
    uint32_t given = 0, step;
    for (; given < kept; given += step) {
        step = kept - given < most ? kept - given : most;
        if (!depot_push(depot, size_class, objects + given, step))
            break;
    }
    note_objects(magazines, size_class, -(int64_t)given);
    memmove(objects, objects + given, (kept - given) * sizeof objects[0]);
    close_gap(magazines, size_class, kept - given, count, &returned);
    return count_of(magazines, size_class) < capacity_of(magazines, size_class);
}

/* Makes a place in a magazine by way of the depot. A thread that only frees
 * keeps what magazine_has_lately() looks at. */
static bool hand_over_most(struct magazines *magazines, unsigned size_class)
{
    const uint32_t count = count_of(magazines, size_class);
    return only_frees(magazines, size_class) &&
           hand_over(magazines, size_class,
                     count - (count / 2 < LATELY ? count / 2 : LATELY));
}

/* Takes a chunk into an empty magazine. Returns false if there is none. */
static bool refill_from_depot(struct magazines *magazines, unsigned size_class)
{
    struct depot *depot = magazines->depot;
    if (!may_travel(magazines, size_class) ||
        (capacity_of(magazines, size_class) == 0 &&
         !grow_magazine(magazines, size_class)))
        return false;
    struct depot_chunk *chunk = depot_pop(depot, size_class, magazines);
    if (chunk == NULL)
        return false;
    while (capacity_of(magazines, size_class) < chunk->count)
        if (!grow_magazine(magazines, size_class))
            break;
    uint32_t count = capacity_of(magazines, size_class), surplus = 0;
    if (chunk->count > count)
        surplus = chunk->count - count;
    else
        count = chunk->count;
    if (surplus != 0) {
        struct returned returned = {0};
        return_objects(magazines->arenas, magazines->tally,
                       magazines->arena_flags, size_class, chunk->objects,
                       surplus, &returned);
    }
    unseal(magazines, size_class);
    memcpy(magazines->bases[size_class], chunk->objects + surplus,
           count * sizeof chunk->objects[0]);
    magazines->tops[size_class] = magazines->bases[size_class] + count;
    note_objects(magazines, size_class, count);
    if (magazines->refill_log[size_class] == 0)
        magazines->refill_log[size_class] = 1;
    depot_release(depot, size_class, chunk);
    return true;
}

/* Returns how many bytes that were. */
static size_t return_chunk(struct heap_arenas *arenas, struct depot *depot,
                           unsigned size_class, struct depot_chunk *chunk)
{
    struct returned returned = {0};
    const size_t bytes = (size_t)chunk->count * size_class_sizes[size_class];
    return_objects(arenas, 0, heap_arenas_flags(arenas, 0), size_class,
                   chunk->objects, chunk->count, &returned);
    depot_release(depot, size_class, chunk);
    return bytes;
}

void magazine_drain_depot(struct heap_arenas *arenas, struct depot *depot)
{
    struct depot_chunk *chunk;
    unsigned size_class;
    size_t left = depot_bytes(depot);
    while (left != 0 && (chunk = depot_pop_any(depot, &size_class)) != NULL) {
        const size_t bytes = return_chunk(arenas, depot, size_class, chunk);
        left -= bytes < left ? bytes : left;
    }
}

bool magazine_age_depot(struct heap_arenas *arenas, struct depot *depot)
{
    enum { AGED_MOST = 8 }; /* chunks, at some microseconds each */
    struct depot_chunk *chunk;
    unsigned size_class;
    for (int i = 0; i < AGED_MOST; i++) {
        chunk = depot_pop_old(depot, &size_class);
        if (chunk == NULL) {
            depot_end_step(depot);
            return false;
        }
        (void)return_chunk(arenas, depot, size_class, chunk);
    }
    return true;
}

/* ---- taking and putting ------------------------------------------------- */

static void *fetch(struct magazines *magazines, unsigned size_class, int flags)
{
    size_t size = size_class_sizes[size_class];
    struct heap_arenas *arenas = magazines->arenas;
    const struct arena_fetch begun = arena_exchange_begin_fetch(
        arenas, magazines->tally, magazines->arena_place, size_class);
    void *ptr = JE_NAME(mallocx)(size, magazines->arena_flags | flags);
    if (ptr == NULL)
        return NULL;
    /* What the program stores there first is what the next atomic operation
     * waits for. */
    __builtin_prefetch(ptr, 1);
    arena_exchange_end_fetch(arenas, &begun, ptr);
    note_objects(magazines, size_class, 1);
    object_tag_write(arenas->extents.pool, ptr, size_class);
    return ptr;
}

/* Fetches objects for the places that are missing, the first one for the last
 * place, as long as the arena has several at a time. Returns false if it has no
 * more. */
static bool fetch_more(struct magazines *magazines, unsigned size_class,
                       void **objects, uint32_t *missing)
{
    struct heap_arenas *arenas = magazines->arenas;
    while (*missing > 0) {
        const uint32_t wanted =
            *missing < JE_BATCH_MOST ? *missing : JE_BATCH_MOST;
        void **places = objects + (*missing - wanted);
        const uint32_t fetched = arena_exchange_fetch_some(
            arenas, magazines->tally, magazines->arena_place, size_class,
            places, wanted);
        places += wanted - fetched;
        for (uint32_t i = 0; i < fetched; i++)
            object_tag_write(arenas->extents.pool, places[i], size_class);
        for (uint32_t i = 0; i < fetched / 2; i++) {
            void *ptr = places[i];
            places[i] = places[fetched - 1 - i];
            places[fetched - 1 - i] = ptr;
        }
        *missing -= fetched;
        note_objects(magazines, size_class, fetched);
        /* If it gives none, they are to be fetched one by one. */
        /* cppcheck-suppress knownConditionTrueFalse; it may give fewer */
        if (fetched < wanted)
            return fetched == 0;
    }
    return true;
}

/* How many objects to fetch: twice as many each time, within limits. */
static uint32_t refill_count(struct magazines *magazines, unsigned size_class)
{
    uint32_t count = 1U << magazines->refill_log[size_class];
    if (count * size_class_sizes[size_class] <= REFILL_BYTES / 2)
        magazines->refill_log[size_class]++;
    while (count > capacity_of(magazines, size_class))
        if (!grow_magazine(magazines, size_class))
            return capacity_of(magazines, size_class);
    return count;
}

/* Fetches objects into an empty magazine, in such an order that they come out
 * as the arena gave them. Returns false if the arena has none. */
static bool refill_from_arena(struct magazines *magazines, unsigned size_class)
{
    uint32_t wanted = refill_count(magazines, size_class), missing = wanted;
    void **objects = magazines->bases[size_class];
    bool has_more = true;
    while (missing > 0 && has_more) {
        void *ptr = fetch(magazines, size_class, 0);
        if (ptr == NULL)
            break;
        objects[--missing] = ptr;
        has_more = fetch_more(magazines, size_class, objects, &missing);
    }
    uint32_t count = wanted - missing;
    unseal(magazines, size_class);
    if (missing > 0)
        memmove(objects, objects + missing, count * sizeof objects[0]);
    magazines->tops[size_class] = objects + count;
    return count != 0 || wanted == 0;
}

static bool refill(struct magazines *magazines, unsigned size_class)
{
    return refill_from_depot(magazines, size_class) ||
           refill_from_arena(magazines, size_class);
}

void *magazine_fetch(struct magazines *magazines, unsigned size_class,
                     bool zero)
{
    magazines->taken[size_class / 64] |= bit_of(size_class);
    return fetch(magazines, size_class, zero ? JE_ZERO : 0);
}

/* Called when a magazine is empty. */
static void note_need(struct magazines *magazines, unsigned size_class)
{
    uint64_t *overflowed = &magazines->overflowed[size_class / 64];
    magazines->missed[size_class / 64] |= *overflowed & bit_of(size_class);
    *overflowed &= ~bit_of(size_class);
}

void *magazine_take(struct magazines *magazines, unsigned size_class, bool zero,
                    bool *fresh)
{
    assert_stack(magazines, size_class);
    magazines->taken[size_class / 64] |= bit_of(size_class);
    *fresh = false;
    if (count_of(magazines, size_class) == 0) {
        note_need(magazines, size_class);
        if (!magazines->is_bypassed && size_class < size_class_first_large &&
            !refill(magazines, size_class))
            return NULL;
    }
    if (count_of(magazines, size_class) != 0)
        return *--magazines->tops[size_class];
    *fresh = true;
    return magazine_fetch(magazines, size_class, zero);
}

/* ---- objects that are not kept ------------------------------------------ */

/* All are looked at, so that the compiler compares several at once. */
static bool is_noted(const struct returned_lately *lately, const void *ptr)
{
    bool is_noted = false;
    for (unsigned i = 0; i < RETURNED_LATELY; i++)
        is_noted |= lately->objects[i] == ptr;
    return is_noted;
}

bool magazine_returned_lately(const struct magazines *magazines,
                              unsigned size_class, const void *ptr)
{
    const struct arena_returns *returns = &magazines->arenas->returns;
    const struct returned_lately *lately = &magazines->returned;
    const unsigned epoch = atomic_load(&returns->epoch);
    if (epoch % 2 == 0)
        return false;
    if (lately->epoch == epoch && is_noted(lately, ptr)) {
        const uint64_t lives = arena_returns_lives(returns, size_class, ptr);
        for (unsigned i = 0; i < RETURNED_LATELY; i++)
            if (lately->objects[i] == ptr && lately->lives[i] == lives &&
                lately->classes[i] == size_class)
                return true;
    }
    return arena_exchange_is_parked(magazines->arenas, size_class, ptr);
}

/* Notes an object that is free from now on. */
static void note_lately(struct magazines *magazines, unsigned size_class,
                        void *ptr)
{
    const struct arena_returns *returns = &magazines->arenas->returns;
    struct returned_lately *lately = &magazines->returned;
    const unsigned epoch = atomic_load(&returns->epoch);
    if (lately->epoch != epoch)
        *lately = (struct returned_lately){.epoch = epoch};
    const unsigned place = lately->next++ % RETURNED_LATELY;
    lately->objects[place] = NULL;
    if (epoch % 2 == 0)
        return;
    lately->objects[place] = ptr;
    lately->classes[place] = (uint8_t)size_class;
    lately->lives[place] = arena_returns_lives(returns, size_class, ptr);
}

void magazine_return(struct magazines *magazines, unsigned size_class,
                     void *ptr)
{
    struct heap_arenas *arenas = magazines->arenas;
    const unsigned tally = magazines->tally;
    note_lately(magazines, size_class, ptr);
    note_objects(magazines, size_class, -1);
    if (arena_exchange_park(arenas, tally, size_class, ptr))
        return;
    arena_exchange_return(arenas, tally, size_class, ptr);
}

/* ---- in and out --------------------------------------------------------- */

bool magazine_has_lately(const struct magazines *magazines, unsigned size_class,
                         const void *ptr)
{
    void *const *top = magazines->tops[size_class];
    uint32_t count = count_of(magazines, size_class);
    for (uint32_t i = 1; i <= count && i <= LATELY; i++)
        if (top[-(ptrdiff_t)i] == ptr)
            return true;
    return magazine_returned_lately(magazines, size_class, ptr);
}

static void note_overflow(struct magazines *magazines, unsigned size_class)
{
    magazines->overflowed[size_class / 64] |= bit_of(size_class);
    magazines->missed[size_class / 64] &= ~bit_of(size_class);
}

static bool may_grow(const struct magazines *magazines, unsigned size_class)
{
    return reserve_of(magazines, size_class) <= UNMISSED_BYTES / 2 ||
           (magazines->missed[size_class / 64] & bit_of(size_class)) != 0;
}

/* Makes a place in a full magazine. Returns false if it has no capacity.
 *
 * It may grow as long as it is small. After that it gives objects back until it
 * was found empty: from then on, and until it ages, it grows. What a thread
 * frees for good, as one whose arrays grow does, would lie in it otherwise. */
static bool make_place(struct magazines *magazines, unsigned size_class)
{
    const bool wanted = is_wanted(magazines, size_class);
    const uint32_t count = count_of(magazines, size_class);
    if ((wanted && hand_over_most(magazines, size_class)) ||
        ((wanted || may_grow(magazines, size_class)) &&
         grow_magazine(magazines, size_class)))
        return true;
    note_overflow(magazines, size_class);
    if (!wanted || !hand_over(magazines, size_class, (count + 1) / 2))
        flush(magazines, size_class, (count + 1) / 2);
    return count != 0;
}

/* The first object of its class that a thread frees without having taken one is
 * another thread's, and may lie among objects that other threads use: if it
 * were the next to be taken, each store would wait for the cache line. So
 * another one is put above it: one that lies there since an earlier thread, or
 * one of the thread's arena. The magazine gets no more room, so that the next
 * object is compared with both. */
static void cover_first(struct magazines *magazines, unsigned size_class)
{
    uint64_t *taken = &magazines->taken[size_class / 64];
    void **top = magazines->tops[size_class];
    if ((*taken & bit_of(size_class)) != 0 ||
        size_class_sizes[size_class] >= STRANGER_BYTES)
        return;
    *taken |= bit_of(size_class);
    if (count_of(magazines, size_class) > 1) {
        void *first = top[-1];
        top[-1] = top[-2];
        top[-2] = first;
    } else if (count_of(magazines, size_class) <
               capacity_of(magazines, size_class)) {
        const int saved_errno = errno;
        void *ptr = fetch(magazines, size_class, 0);
        errno = saved_errno;
        if (ptr == NULL)
            return;
        *top = ptr;
        magazines->tops[size_class] = top + 1;
    }
    magazines->ends[size_class] = magazines->tops[size_class];
}

void magazine_put(struct magazines *magazines, unsigned size_class, void *ptr)
{
    assert_stack(magazines, size_class);
    if (magazines->is_bypassed) {
        magazine_return(magazines, size_class, ptr);
        return;
    }
    unseal(magazines, size_class);
    if (count_of(magazines, size_class) == capacity_of(magazines, size_class) &&
        !make_place(magazines, size_class)) {
        arena_exchange_return(magazines->arenas, magazines->tally, size_class,
                              ptr);
        note_objects(magazines, size_class, -1);
        return;
    }
    *magazines->tops[size_class]++ = ptr;
    cover_first(magazines, size_class);
}

void magazine_drain(struct magazines *magazines, unsigned size_class)
{
    assert_stack(magazines, size_class);
    flush(magazines, size_class, count_of(magazines, size_class));
}

/* ---- all magazines of a cache ------------------------------------------- */

void magazine_drain_all(struct magazines *magazines)
{
    for (unsigned i = next_open(magazines, 0); i < SIZE_CLASS_COUNT;
         i = next_open(magazines, i + 1))
        magazine_drain(magazines, i);
}

void magazine_seal_all(struct magazines *magazines)
{
    for (unsigned i = next_open(magazines, 0); i < SIZE_CLASS_COUNT;
         i = next_open(magazines, i + 1)) {
        magazine_drain(magazines, i);
        magazines->ends[i] = magazines->bases[i];
        set_open(magazines, i, false);
    }
}

void magazine_forget_all(struct magazines *magazines)
{
    for (unsigned i = SIZE_CLASS_FIRST; i <= SIZE_CLASS_LAST; i++)
        release_capacity(magazines, i);
}

void magazine_drop_all(struct magazines *magazines)
{
    magazine_drain_all(magazines);
    magazine_forget_all(magazines);
}

void magazine_age_all(struct magazines *magazines)
{
    memset(magazines->overflowed, 0, sizeof magazines->overflowed);
    memset(magazines->missed, 0, sizeof magazines->missed);
    for (unsigned i = SIZE_CLASS_FIRST; i <= SIZE_CLASS_LAST; i++) {
        uint32_t count = count_of(magazines, i);
        if (magazines->refill_log[i] > 0)
            magazines->refill_log[i]--;
        if (count == 0 && magazines->refill_log[i] == 0)
            release_capacity(magazines, i);
        else
            flush(magazines, i, (count + 1) / 2);
    }
}

size_t magazine_bytes(const struct magazines *magazines)
{
    size_t bytes = 0;
    for (unsigned i = next_open(magazines, 0); i < SIZE_CLASS_COUNT;
         i = next_open(magazines, i + 1))
        bytes += (size_t)count_of(magazines, i) * size_class_sizes[i];
    return bytes;
}
