/* SPDX-License-Identifier: BSD-2-Clause */
#include "leak_roots.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include "ranked_lock.h"
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

static struct ranked_lock roots_lock = RANKED_LOCK_INITIALIZER(RANK_LEAK_ROOTS);
static struct root *roots;
static size_t root_count, root_capacity;

static bool are_wanted(void)
{
    return __lsan_register_root_region != NULL &&
           __lsan_unregister_root_region != NULL;
}

static bool make_room_for_root(void)
{
    if (root_count < root_capacity)
        return true;
    size_t more = root_capacity == 0 ? CAPACITY_FIRST : root_capacity * 2;
    struct root *grown =
        sys.mmap(NULL, more * sizeof *grown, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (grown == MAP_FAILED)
        return false;
    if (root_capacity != 0) {
        memcpy(grown, roots, root_count * sizeof *grown);
        sys.munmap(roots, root_capacity * sizeof *roots);
    }
    roots = grown;
    root_capacity = more;
    return true;
}

/* The first root that ends at or after an address. */
static size_t first_from(uintptr_t base)
{
    size_t low = 0, high = root_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (roots[middle].end < base)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void add_root(size_t place, uintptr_t base, uintptr_t end)
{
    memmove(&roots[place + 1], &roots[place],
            (root_count - place) * sizeof roots[0]);
    roots[place] = (struct root){base, end};
    root_count++;
    /* NOLINTNEXTLINE(performance-no-int-to-ptr): roots are kept as numbers */
    __lsan_register_root_region((const void *)base, end - base);
}

static void remove_root(size_t place)
{
    const struct root root = roots[place];
    /* NOLINTNEXTLINE(performance-no-int-to-ptr): roots are kept as numbers */
    __lsan_unregister_root_region((const void *)root.base,
                                  root.end - root.base);
    root_count--;
    memmove(&roots[place], &roots[place + 1],
            (root_count - place) * sizeof roots[0]);
}

void leak_roots_add(const void *addr, size_t size)
{
    uintptr_t base = (uintptr_t)addr, end = base + size;
    if (!are_wanted() || size == 0)
        return;
    ranked_lock_take(&roots_lock);
    size_t place = first_from(base);
    /* Without memory for it, more may count as leaked. */
    if (make_room_for_root()) {
        while (place < root_count && roots[place].base <= end) {
            base = roots[place].base < base ? roots[place].base : base;
            end = roots[place].end > end ? roots[place].end : end;
            remove_root(place);
        }
        add_root(place, base, end);
    }
    ranked_lock_release(&roots_lock);
}

void leak_roots_remove(const void *addr, size_t size)
{
    uintptr_t base = (uintptr_t)addr, end = base + size;
    if (!are_wanted() || size == 0)
        return;
    ranked_lock_take(&roots_lock);
    size_t place = first_from(base + 1);
    while (place < root_count && roots[place].base < end) {
        const struct root root = roots[place];
        remove_root(place);
        if (root.base < base)
            add_root(place++, root.base, base);
        /* Without memory for it, more may count as leaked. */
        if (root.end > end && make_room_for_root())
            add_root(place, end, root.end);
        if (root.end >= end)
            break;
    }
    ranked_lock_release(&roots_lock);
}
