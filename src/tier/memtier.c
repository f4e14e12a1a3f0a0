/* SPDX-License-Identifier: BSD-2-Clause */
/* The functions of memkind_memtier.h that allocate and free. They are those of
 * memkind.h, with a count of each kind's bytes. */
#include <memkind_memtier.h>

#include <errno.h>

#include "heap.h"
#include "kind_address.h"
#include "kind_shortage.h"
#include "kind_tally.h"
#include "tier_policy.h"

/* ---- counting ----------------------------------------------------------- */

/* An object, and the heap that it is counted for. */
struct counted {
    struct memkind_heap *heap; /* NULL: it is not */
    size_t size;
};

static struct counted look_up(memkind_t kind, void *ptr)
{
    const struct memkind *owner = kind_of_address(kind, ptr);
    struct memkind_heap *heap = owner != NULL ? kind_heap_of(owner) : NULL;
    return (struct counted){heap,
                            heap != NULL ? heap_usable_size(heap, ptr) : 0};
}

/* Adds an object that has been allocated, if it has been. */
static void *count(memkind_t kind, void *ptr)
{
    if (__builtin_expect(ptr == NULL, 0))
        return NULL;
    const struct counted object = look_up(kind, ptr);
    if (object.heap != NULL)
        kind_tally_add(heap_slot(object.heap), (int64_t)object.size);
    return ptr;
}

/* ---- kinds -------------------------------------------------------------- */

void *memtier_kind_malloc(memkind_t kind, size_t size)
{
    return count(kind, memkind_malloc(kind, size));
}

void *memtier_kind_calloc(memkind_t kind, size_t num, size_t size)
{
    return count(kind, memkind_calloc(kind, num, size));
}

int memtier_kind_posix_memalign(memkind_t kind, void **memptr, size_t alignment,
                                size_t size)
{
    int err = memkind_posix_memalign(kind, memptr, alignment, size);
    if (err == 0)
        (void)count(kind, *memptr);
    return err;
}

void *memtier_kind_realloc(memkind_t kind, void *ptr, size_t size)
{
    if (ptr == NULL && kind != NULL)
        return memtier_kind_malloc(kind, size);
    if (size == 0 && ptr != NULL) {
        memtier_kind_free(kind, ptr);
        return NULL;
    }
    const struct counted before = look_up(kind, ptr);
    void *resized = memkind_realloc(kind, ptr, size);
    if (resized != NULL && before.heap != NULL)
        kind_tally_add(heap_slot(before.heap),
                       (int64_t)heap_usable_size(before.heap, resized) -
                           (int64_t)before.size);
    return resized;
}

void memtier_kind_free(memkind_t kind, void *ptr)
{
    if (ptr == NULL)
        return;
    struct memkind *owner = kind_of_address(kind, ptr);
    struct memkind_heap *heap = owner != NULL ? kind_heap_of(owner) : NULL;
    if (heap != NULL)
        kind_tally_add(heap_slot(heap), -(int64_t)heap_usable_size(heap, ptr));
    memkind_free(kind != NULL ? kind : owner, ptr);
}

size_t memtier_usable_size(void *ptr)
{
    return memkind_malloc_usable_size(NULL, ptr);
}

size_t memtier_kind_allocated_size(memkind_t kind)
{
    const struct memkind_heap *heap = kind != NULL ? kind_heap_of(kind) : NULL;
    return heap != NULL ? kind_tally_sum(heap_slot(heap)) : 0;
}

/* ---- tiered memories ---------------------------------------------------- */

static void *refuse_memory(const char *function)
{
    errno = EINVAL;
    return kind_shortage_refuse(function, "there is no tiered memory");
}

void *memtier_malloc(struct memtier_memory *memory, size_t size)
{
    if (memory == NULL)
        return refuse_memory(__func__);
    return memtier_kind_malloc(tier_choose(memory, size), size);
}

void *memtier_calloc(struct memtier_memory *memory, size_t num, size_t size)
{
    size_t total;
    if (memory == NULL)
        return refuse_memory(__func__);
    /* That there are no such sizes, memkind_calloc() says. */
    if (__builtin_mul_overflow(num, size, &total))
        total = SIZE_MAX;
    return memtier_kind_calloc(tier_choose(memory, total), num, size);
}

void *memtier_realloc(struct memtier_memory *memory, void *ptr, size_t size)
{
    if (memory == NULL)
        return refuse_memory(__func__);
    if (ptr == NULL)
        return memtier_kind_malloc(tier_choose(memory, size), size);
    if (size != 0)
        tier_note_resize(memory);
    return memtier_kind_realloc(NULL, ptr, size);
}

int memtier_posix_memalign(struct memtier_memory *memory, void **memptr,
                           size_t alignment, size_t size)
{
    if (memory == NULL) {
        (void)kind_shortage_refuse(__func__, "there is no tiered memory");
        return kind_refuse_memalign(memptr, EINVAL);
    }
    return memtier_kind_posix_memalign(tier_choose(memory, size), memptr,
                                       alignment, size);
}
