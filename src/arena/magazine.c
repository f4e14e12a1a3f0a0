/* SPDX-License-Identifier: BSD-2-Clause */
#include "magazine.h"

#include <string.h>

#include "heap_report.h"
#include "object_tag.h"

/* A magazine holds this many objects at most, and fetches so many bytes at
 * once at most. */
#define CAPACITY_MAX 8192U
#define CAPACITY_FIRST_BYTES 2048U
#define CAPACITY_FIRST_MAX 32U
#define REFILL_BYTES 32768U

/* How many of the objects that were put in last are compared with the next. */
#define LATELY 32U

void magazine_return(struct memkind_heap *heap, unsigned size_class, void *ptr)
{
    /* Of a slab other objects may have the tag. */
    if (size_class >= size_class_first_large)
        object_tag_clear_large(heap, ptr);
    heap_arenas_return(heap, ptr);
}

static uint32_t count_of(const struct thread_cache *cache, unsigned size_class)
{
    return (uint32_t)(cache->tops[size_class] - cache->bases[size_class]);
}

static uint32_t capacity_of(const struct thread_cache *cache,
                            unsigned size_class)
{
    return (uint32_t)(cache->ends[size_class] - cache->bases[size_class]);
}

/*
 * Objects that were returned a short while ago. An arena does not survive one
 * that is returned twice; that all of those that are returned together differ
 * is too dear to be made sure of, a look at the last ones is not.
 */
#define RETURNED_LOG 8

struct returned {
    void *objects[1 << RETURNED_LOG];
};

static bool was_returned(struct thread_cache *cache,
                         const struct returned *returned, unsigned place,
                         void *ptr)
{
    if (__builtin_expect(returned->objects[place] != ptr, 1))
        return false;
    heap_report(HEAP_DOUBLE_FREE, cache->heap->extents.address_owner, ptr);
    return true;
}

static unsigned place_of(const void *ptr)
{
    /* Fibonacci hashing */
    return (unsigned)(((uintptr_t)ptr >> 3) * 0x9e3779b97f4a7c15 >>
                      (64 - RETURNED_LOG));
}

/* Returns the objects that have been in longest. */
static void flush(struct thread_cache *cache, unsigned size_class,
                  uint32_t count)
{
    struct returned returned = {0};
    void **objects = cache->bases[size_class];
    uint32_t all = count_of(cache, size_class), kept = 0;
    if (count == 0)
        return;
    for (uint32_t i = 0; i < count; i++) {
        unsigned place = place_of(objects[i]);
        if (was_returned(cache, &returned, place, objects[i]))
            continue;
        returned.objects[place] = objects[i];
        magazine_return(cache->heap, size_class, objects[i]);
    }
    /* Nor are the next ones to stay in, if they are gone. */
    uint32_t near = count + (1 << RETURNED_LOG);
    for (uint32_t i = count; i < all && i < near; i++)
        if (!was_returned(cache, &returned, place_of(objects[i]), objects[i]))
            objects[kept++] = objects[i];
    if (near < all) {
        memmove(objects + kept, objects + near,
                (all - near) * sizeof objects[0]);
        kept += all - near;
    }
    cache->tops[size_class] = objects + kept;
}

/* ---- capacity ----------------------------------------------------------- */

/* What stands below the first place of magazines that have no place. */
static void *nothing[1];

static void set_places(struct thread_cache *cache, unsigned size_class,
                       void **base, uint32_t count, uint32_t capacity)
{
    cache->bases[size_class] = base;
    cache->tops[size_class] = base + count;
    cache->ends[size_class] = base + capacity;
}

void magazine_init_all(struct thread_cache *cache)
{
    for (unsigned i = 0; i < SIZE_CLASS_COUNT; i++)
        set_places(cache, i, nothing + 1, 0, 0);
}

static void release(struct thread_cache *cache, unsigned size_class)
{
    uint32_t capacity = capacity_of(cache, size_class);
    if (capacity == 0)
        return;
    JE_NAME(dallocx)(cache->bases[size_class] - 1, 0);
    cache->reserved -= (size_t)capacity * size_class_sizes[size_class];
    set_places(cache, size_class, nothing + 1, 0, 0);
}

static size_t reserve_of(const struct thread_cache *cache, unsigned size_class)
{
    return (size_t)capacity_of(cache, size_class) *
           size_class_sizes[size_class];
}

/* False where there is no DRAM for it. */
static bool set_capacity(struct thread_cache *cache, unsigned size_class,
                         uint32_t capacity)
{
    uint32_t before = capacity_of(cache, size_class);
    void **objects = JE_NAME(mallocx)((capacity + 1) * sizeof objects[0], 0);
    if (objects == NULL)
        return false;
    *objects++ = NULL;
    if (count_of(cache, size_class) > capacity)
        flush(cache, size_class, count_of(cache, size_class) - capacity);
    uint32_t count = count_of(cache, size_class);
    memcpy(objects, cache->bases[size_class], count * sizeof objects[0]);
    cache->reserved -= reserve_of(cache, size_class);
    if (before != 0)
        JE_NAME(dallocx)(cache->bases[size_class] - 1, 0);
    set_places(cache, size_class, objects, count, capacity);
    cache->reserved += reserve_of(cache, size_class);
    return true;
}

/* Where the limit is reached, the class that may keep most makes room for one
 * that may keep less than half of that. */
static bool make_room(struct thread_cache *cache, size_t wanted, size_t more)
{
    while (more > cache->limit - cache->reserved) {
        unsigned largest = SIZE_CLASS_FIRST;
        for (unsigned i = SIZE_CLASS_FIRST; i <= SIZE_CLASS_LAST; i++)
            if (reserve_of(cache, i) > reserve_of(cache, largest))
                largest = i;
        uint32_t capacity = capacity_of(cache, largest);
        if (wanted > reserve_of(cache, largest) / 2)
            return false;
        if (capacity == 1) {
            flush(cache, largest, count_of(cache, largest));
            release(cache, largest);
        } else if (!set_capacity(cache, largest, capacity / 2)) {
            return false;
        }
    }
    return true;
}

static bool grow(struct thread_cache *cache, unsigned size_class)
{
    const uint32_t size = size_class_sizes[size_class];
    uint32_t before = capacity_of(cache, size_class), capacity = before * 2;
    if (size_class >= size_class_first_large &&
        !atomic_load_explicit(&cache->heap->caches_large, memory_order_relaxed))
        return false;
    if (before == 0) {
        capacity = CAPACITY_FIRST_BYTES / size;
        if (capacity > CAPACITY_FIRST_MAX)
            capacity = CAPACITY_FIRST_MAX;
        if (capacity == 0)
            capacity = 1;
    }
    return capacity <= CAPACITY_MAX &&
           make_room(cache, (size_t)capacity * size,
                     (size_t)(capacity - before) * size) &&
           set_capacity(cache, size_class, capacity);
}

/* ---- taking and putting ------------------------------------------------- */

static void *fetch(struct thread_cache *cache, unsigned size_class, int flags)
{
    size_t size = size_class_sizes[size_class];
    void *ptr = JE_NAME(mallocx)(size, cache->arena_flags | flags);
    if (ptr != NULL)
        object_tag_set(cache->heap, ptr, size_class);
    return ptr;
}

/* How many objects to fetch: twice as many each time, within limits. */
static uint32_t refill_count(struct thread_cache *cache, unsigned size_class)
{
    uint32_t count = 1U << cache->refill_log[size_class];
    if (count * size_class_sizes[size_class] <= REFILL_BYTES / 2)
        cache->refill_log[size_class]++;
    while (count > capacity_of(cache, size_class))
        if (!grow(cache, size_class))
            return capacity_of(cache, size_class);
    return count;
}

/* In such an order that they come out as the arena gave them. */
static void refill(struct thread_cache *cache, unsigned size_class)
{
    uint32_t wanted = refill_count(cache, size_class), missing = wanted;
    void **objects = cache->bases[size_class];
    while (missing > 0) {
        void *ptr = fetch(cache, size_class, 0);
        if (ptr == NULL)
            break;
        objects[--missing] = ptr;
    }
    uint32_t count = wanted - missing;
    if (missing > 0)
        memmove(objects, objects + missing, count * sizeof objects[0]);
    cache->tops[size_class] = objects + count;
}

void *magazine_take(struct thread_cache *cache, unsigned size_class, bool zero,
                    bool *fresh)
{
    *fresh = false;
    if (count_of(cache, size_class) == 0 && size_class < size_class_first_large)
        refill(cache, size_class);
    if (count_of(cache, size_class) != 0)
        return *--cache->tops[size_class];
    *fresh = true;
    return fetch(cache, size_class, zero ? JE_ZERO : 0);
}

bool magazine_has_lately(const struct thread_cache *cache, unsigned size_class,
                         const void *ptr)
{
    void *const *top = cache->tops[size_class];
    uint32_t count = count_of(cache, size_class);
    for (uint32_t i = 1; i <= count && i <= LATELY; i++)
        if (top[-(ptrdiff_t)i] == ptr)
            return true;
    return false;
}

void magazine_put(struct thread_cache *cache, unsigned size_class, void *ptr)
{
    uint32_t count = count_of(cache, size_class);
    if (count == capacity_of(cache, size_class) && !grow(cache, size_class)) {
        if (count == 0) {
            magazine_return(cache->heap, size_class, ptr);
            return;
        }
        flush(cache, size_class, (count + 1) / 2);
    }
    *cache->tops[size_class]++ = ptr;
}

void magazine_drain(struct thread_cache *cache, unsigned size_class)
{
    flush(cache, size_class, count_of(cache, size_class));
}

/* ---- all magazines of a cache ------------------------------------------- */

void magazine_drain_all(struct thread_cache *cache)
{
    for (unsigned i = SIZE_CLASS_FIRST; i <= SIZE_CLASS_LAST; i++)
        magazine_drain(cache, i);
}

void magazine_forget_all(struct thread_cache *cache)
{
    for (unsigned i = SIZE_CLASS_FIRST; i <= SIZE_CLASS_LAST; i++)
        release(cache, i);
}

void magazine_drop_all(struct thread_cache *cache)
{
    magazine_drain_all(cache);
    magazine_forget_all(cache);
}

void magazine_age_all(struct thread_cache *cache)
{
    for (unsigned i = SIZE_CLASS_FIRST; i <= SIZE_CLASS_LAST; i++) {
        uint32_t count = count_of(cache, i);
        if (cache->refill_log[i] > 0)
            cache->refill_log[i]--;
        if (count == 0 && cache->refill_log[i] == 0)
            release(cache, i);
        else
            flush(cache, i, (count + 1) / 2);
    }
}

size_t magazine_bytes(const struct thread_cache *cache)
{
    size_t bytes = 0;
    for (unsigned i = SIZE_CLASS_FIRST; i <= SIZE_CLASS_LAST; i++)
        bytes += (size_t)count_of(cache, i) * size_class_sizes[i];
    return bytes;
}
