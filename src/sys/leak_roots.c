/* SPDX-License-Identifier: BSD-2-Clause */
#include "leak_roots.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include "sys_calls.h"

/* NOLINTBEGIN(bugprone-reserved-identifier): LeakSanitizer's names */
extern void __lsan_register_root_region(const void *addr, size_t size)
    __attribute__((weak));
extern void __lsan_unregister_root_region(const void *addr, size_t size)
    __attribute__((weak));
/* NOLINTEND(bugprone-reserved-identifier) */

/* What is registered: ranges in ascending order that do not touch. A root has
 * to be taken back as it was registered. */
struct root {
    uintptr_t base, end;
};

#define CAPACITY_FIRST ((size_t)4096)

static pthread_mutex_t roots_lock = PTHREAD_MUTEX_INITIALIZER;
static struct root *roots;
static size_t count, capacity;

static bool are_wanted(void)
{
    return __lsan_register_root_region != NULL &&
           __lsan_unregister_root_region != NULL;
}

static bool make_room(void)
{
    if (count < capacity)
        return true;
    size_t more = capacity == 0 ? CAPACITY_FIRST : capacity * 2;
    struct root *grown =
        sys.mmap(NULL, more * sizeof *grown, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (grown == MAP_FAILED)
        return false;
    if (capacity != 0) {
        memcpy(grown, roots, count * sizeof *grown);
        sys.munmap(roots, capacity * sizeof *roots);
    }
    roots = grown;
    capacity = more;
    return true;
}

/* The first root that ends at or after an address. */
static size_t first_from(uintptr_t base)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (roots[middle].end < base)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void put(size_t place, uintptr_t base, uintptr_t end)
{
    memmove(&roots[place + 1], &roots[place],
            (count - place) * sizeof roots[0]);
    roots[place] = (struct root){base, end};
    count++;
    __lsan_register_root_region((const void *)base, end - base);
}

static void take(size_t place)
{
    __lsan_unregister_root_region((const void *)roots[place].base,
                                  roots[place].end - roots[place].base);
    count--;
    memmove(&roots[place], &roots[place + 1],
            (count - place) * sizeof roots[0]);
}

void leak_roots_add(const void *addr, size_t size)
{
    uintptr_t base = (uintptr_t)addr, end = base + size;
    if (!are_wanted() || size == 0)
        return;
    pthread_mutex_lock(&roots_lock);
    size_t place = first_from(base);
    /* Without memory for it, more may count as leaked. */
    if (make_room()) {
        while (place < count && roots[place].base <= end) {
            base = roots[place].base < base ? roots[place].base : base;
            end = roots[place].end > end ? roots[place].end : end;
            take(place);
        }
        put(place, base, end);
    }
    pthread_mutex_unlock(&roots_lock);
}

void leak_roots_remove(const void *addr, size_t size)
{
    uintptr_t base = (uintptr_t)addr, end = base + size;
    if (!are_wanted() || size == 0)
        return;
    pthread_mutex_lock(&roots_lock);
    size_t place = first_from(base + 1);
    while (place < count && roots[place].base < end) {
        const struct root root = roots[place];
        take(place);
        if (root.base < base)
            put(place++, root.base, base);
        /* Without memory for it, more may count as leaked. */
        if (root.end > end && make_room())
            put(place, end, root.end);
        if (root.end >= end)
            break;
    }
    pthread_mutex_unlock(&roots_lock);
}
