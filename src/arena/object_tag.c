/* SPDX-License-Identifier: BSD-2-Clause */
#include "object_tag.h"

#include <errno.h>
#include <sys/mman.h>

#include "jemalloc_batch.h"
#include "jemalloc_private.h"
#include "size_class.h"
#include "sys_calls.h"
#include "tls_model.h"

/* From here on a system call costs less than stores: the tags of 32 MiB. */
#define TAG_BYTES_DROPPED ((size_t)16 << 10)

/* The place of an object's tag; NULL if the object is in no region. */
static _Atomic uint16_t *tag_place(struct memkind_region_pool *pool,
                                   const void *ptr)
{
    const struct region *region = NULL;
    if (pool != NULL && region_range_contains(pool, ptr)) {
        size_t at = (size_t)((const char *)ptr - pool->range.base);
        return &pool->range.tags[at >> REGION_TAG_SHIFT];
    }
    if (pool != NULL)
        region = region_pool_find(pool, ptr);
    if (region == NULL)
        return NULL;
    size_t offset = (size_t)((const char *)ptr - region->base);
    return &region->tags[offset >> REGION_TAG_SHIFT];
}

/* Other threads read the tags of the page's other objects. */
static void store_if_other(_Atomic uint16_t *tag, unsigned value)
{
    if (atomic_load_explicit(tag, memory_order_relaxed) != value)
        atomic_store_explicit(tag, (uint16_t)value, memory_order_relaxed);
}

/* Tags what an object has of further pages. The next object of its slab starts
 * at `end`, unless the slab ends there. */
static void write_further_tags(_Atomic uint16_t *tag, size_t count,
                               unsigned size_class, uintptr_t end)
{
    for (; count > 1; count--)
        store_if_other(++tag, SIZE_CLASS_NONE);
    if (end % REGION_TAG_UNIT != 0)
        store_if_other(++tag, tag_of(size_class, end));
}

void object_tag_write(struct memkind_region_pool *pool, void *ptr,
                      unsigned size_class)
{
    const size_t size = size_class_sizes[size_class];
    if (size_class >= size_class_first_large) {
        object_tag_write_large(pool, ptr, size);
        return;
    }
    _Atomic uint16_t *tag = tag_place(pool, ptr);
    if (tag == NULL)
        return;
    const uintptr_t end = (uintptr_t)ptr + size;
    const size_t further =
        (end >> REGION_TAG_SHIFT) - ((uintptr_t)ptr >> REGION_TAG_SHIFT);
    store_if_other(tag, tag_of(size_class, (uintptr_t)ptr));
    if (__builtin_expect(further != 0, 0))
        write_further_tags(tag, further, size_class, end);
}

static void store_none(_Atomic uint16_t *tag, _Atomic uint16_t *end)
{
    for (; tag < end; tag++)
        atomic_store_explicit(tag, SIZE_CLASS_NONE, memory_order_relaxed);
}

/*
 * Clears the tags of a range that is one object's. Writing all tags of a very
 * large object would take a second, and 512 MiB of DRAM, for each TiB. Whole
 * pages of tags are given back to the kernel instead; most of them have never
 * been touched.
 */
static void clear_tags(_Atomic uint16_t *tag, _Atomic uint16_t *end)
{
    const uintptr_t mask = region_page_size() - 1;
    size_t before = -(uintptr_t)tag & mask;
    size_t bytes = (uintptr_t)end - (uintptr_t)tag;
    if (bytes < before + TAG_BYTES_DROPPED + mask) {
        store_none(tag, end);
        return;
    }
    char *page = (char *)tag + before;
    bytes = (bytes - before) & ~mask;
    int saved_errno = errno;
    /* Fails if the pages are locked in memory. */
    if (sys.madvise(page, bytes, MADV_DONTNEED) == 0) {
        store_none(tag, (_Atomic uint16_t *)(void *)page);
        tag = (_Atomic uint16_t *)(void *)(page + bytes);
    }
    errno = saved_errno;
    store_none(tag, end);
}

void object_tag_write_large(struct memkind_region_pool *pool, void *ptr,
                            size_t size)
{
    _Atomic uint16_t *tag = tag_place(pool, ptr);
    if (tag == NULL)
        return;
    atomic_store_explicit(tag, (uint16_t)size_class_of(size),
                          memory_order_relaxed);
    clear_tags(tag + 1, tag + (size >> REGION_TAG_SHIFT));
}

void object_tag_clear_large(struct memkind_region_pool *pool, void *ptr)
{
    _Atomic uint16_t *tag = tag_place(pool, ptr);
    if (tag != NULL)
        atomic_store_explicit(tag, SIZE_CLASS_NONE, memory_order_relaxed);
}

/* ---- slabs that go ------------------------------------------------------ */

static __thread struct memkind_region_pool *giving_pool TLS_MODEL;

static void forget_slab(void *start, size_t size)
{
    if (giving_pool == NULL)
        return;
    _Atomic uint16_t *tag = tag_place(giving_pool, start);
    if (tag == NULL)
        return;
    const _Atomic uint16_t *end = tag + (size >> REGION_TAG_SHIFT);
    for (; tag < end; tag++) {
        const unsigned value = atomic_load_explicit(tag, memory_order_relaxed);
        if (value != SIZE_CLASS_NONE && tag_class(value) != TAG_OF_GONE)
            atomic_store_explicit(tag, (uint16_t)tag_when_gone(value),
                                  memory_order_relaxed);
    }
}

void object_tag_watch_slabs(void)
{
    (void)je_batch_watch_releases(forget_slab);
}

void object_tag_begin_giving(struct memkind_region_pool *pool)
{
    giving_pool = pool;
}

void object_tag_end_giving(void)
{
    giving_pool = NULL;
}

bool object_tag_has_gone(struct memkind_region_pool *pool, const void *ptr)
{
    const _Atomic uint16_t *place = tag_place(pool, ptr);
    if (place == NULL)
        return false;
    const unsigned size_class =
        tag_gone_class(atomic_load_explicit(place, memory_order_relaxed));
    return size_class != SIZE_CLASS_NONE &&
           tag_of(size_class, (uintptr_t)ptr) != SIZE_CLASS_NONE;
}

/* ---- classes ------------------------------------------------------------ */

unsigned object_tag_class(struct memkind_region_pool *pool, const void *ptr)
{
    const _Atomic uint16_t *place = tag_place(pool, ptr);
    if (place == NULL)
        return size_class_of(JE_NAME(sallocx)(ptr, 0));
    unsigned tag = atomic_load_explicit(place, memory_order_relaxed);
    return tag_fits(tag, (uintptr_t)ptr) ? tag_class(tag) : SIZE_CLASS_NONE;
}
