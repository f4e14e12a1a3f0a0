/* SPDX-License-Identifier: BSD-2-Clause */
/* malloc() and its family, for kinds that have a heap. */
#include <memkind/internal/memkind_arena.h>

#include <errno.h>

#include <memkind/internal/memkind_default.h>

#include "address_table.h"
#include "heap.h"
#include "kind_address.h"
#include "kind_error.h"
#include "kind_heap.h"
#include "kind_shortage.h"
#include "last_error.h"
#include "misuse.h"
#include "region_pool.h"

/* ---- which kind -------------------------------------------------------- */

struct memkind *memkind_arena_detect_kind(void *ptr)
{
    return address_table_find(ptr);
}

/* The heap that an address belongs to: most often that of the kind named. */
static inline struct memkind_heap *heap_of_address(struct memkind *kind,
                                                   const void *ptr)
{
    const struct memkind *owner = kind_of_address(kind, ptr);
    if (owner == NULL) {
        misuse_report(MEMKIND_MISUSE_FOREIGN, kind, ptr);
        return NULL;
    }
    if (kind != NULL && owner != kind)
        misuse_report(MEMKIND_MISUSE_WRONG_KIND, kind, ptr);
    return kind_heap_of(owner);
}

/* ---- operations of a named kind ---------------------------------------- */

/* An allocation of 0 bytes gives NULL, and this false, unless the kind allows
 * it. */
static inline bool has_size_to_allocate(const struct memkind *kind,
                                        size_t *size)
{
    if (__builtin_expect(*size != 0, 1))
        return true;
    *size = 1;
    return kind->allow_zero_allocs;
}

/* The error of a call on a kind without a heap, which a forked child may have
 * lost. */
static int error_without_heap(const struct memkind *kind)
{
    return kind != NULL && kind->lost_heap != NULL ? ENOMEM : EINVAL;
}

static const char *reason_without_heap(const struct memkind *kind)
{
    if (kind == NULL)
        return "the address is no kind's";
    return kind->lost_heap != NULL ? REASON_LOST_KIND : REASON_DEAD_KIND;
}

static void *refuse_without_heap(struct memkind *kind, const char *function)
{
    if (kind != NULL && kind->lost_heap == NULL)
        misuse_report(MEMKIND_MISUSE_DEAD_KIND, kind, NULL);
    errno = error_without_heap(kind);
    return kind_shortage_refuse(function, reason_without_heap(kind));
}

static inline void *allocate(struct memkind *kind, size_t size,
                             const char *function)
{
    if (__builtin_expect(kind->heap == NULL, 0))
        return refuse_without_heap(kind, function);
    void *ptr = heap_malloc_fast(heap_cache_known(kind->heap), size);
    if (__builtin_expect(ptr != NULL, 1))
        return ptr;
    if (!has_size_to_allocate(kind, &size))
        return NULL;
    ptr = heap_malloc(kind->heap, size, 0);
    return ptr != NULL ? ptr : kind_shortage_note(kind, function, size, 1);
}

void *memkind_arena_malloc(struct memkind *kind, size_t size)
{
    return allocate(kind, size, "memkind_malloc");
}

void *memkind_arena_calloc(struct memkind *kind, size_t num, size_t size)
{
    size_t total;
    if (kind->heap == NULL)
        return refuse_without_heap(kind, "memkind_calloc");
    if (__builtin_mul_overflow(num, size, &total)) {
        last_error_of_shortage("memkind_calloc", SHORTAGE_SIZE_OVERFLOW, size,
                               num, 0);
        errno = ENOMEM;
        return NULL;
    }
    if (!has_size_to_allocate(kind, &total))
        return NULL;
    void *ptr = heap_calloc(kind->heap, total);
    return ptr != NULL ? ptr
                       : kind_shortage_note(kind, "memkind_calloc", total, 1);
}

int memkind_arena_posix_memalign(struct memkind *kind, void **memptr,
                                 size_t alignment, size_t size)
{
    static const char name[] = "memkind_posix_memalign";
    if (memptr == NULL || memkind_posix_check_alignment(kind, alignment) != 0) {
        kind_shortage_refuse(name, kind_error_text(EINVAL));
        return kind_refuse_memalign(memptr, EINVAL);
    }
    if (kind->heap == NULL) {
        kind_shortage_refuse(name, reason_without_heap(kind));
        return kind_refuse_memalign(memptr, error_without_heap(kind));
    }
    if (!has_size_to_allocate(kind, &size)) {
        *memptr = NULL;
        return 0;
    }
    void *ptr = NULL;
    if (alignment <= REGION_TAG_UNIT && size <= SIZE_CLASS_TABLE_MAX &&
        size_class_of_aligned(size, alignment) != SIZE_CLASS_NONE)
        ptr = heap_malloc_fast(heap_cache_known(kind->heap),
                               (size + alignment - 1) & ~(alignment - 1));
    int saved_errno = errno;
    if (ptr == NULL)
        ptr = heap_malloc(kind->heap, size,
                          JE_LG_ALIGN(__builtin_ctzl(alignment)));
    errno = saved_errno;
    if (ptr == NULL) {
        kind_shortage_note(kind, name, size, alignment);
        return kind_refuse_memalign(memptr, ENOMEM);
    }
    *memptr = ptr;
    return 0;
}

void *memkind_arena_realloc(struct memkind *kind, void *ptr, size_t size)
{
    static const char name[] = "memkind_realloc";
    if (ptr == NULL && kind != NULL)
        return allocate(kind, size, name);
    if (ptr == NULL) {
        errno = EINVAL;
        return kind_shortage_refuse(name, "neither a kind nor an object");
    }
    if (size == 0) {
        memkind_arena_free(kind, ptr);
        return NULL;
    }
    struct memkind_heap *heap = heap_of_address(kind, ptr);
    if (heap == NULL)
        return refuse_without_heap(address_table_find(ptr), name);
    int saved_errno = errno;
    void *resized = heap_realloc(heap, ptr, size);
    if (resized != NULL) {
        errno = saved_errno;
        return resized;
    }
    return errno == ENOMEM
               ? kind_shortage_note(heap_owner(heap), name, size, 1)
               : kind_shortage_refuse(name, "no object starts there");
}

void memkind_arena_free(struct memkind *kind, void *ptr)
{
    if (ptr == NULL)
        return;
    int saved_errno = errno;
    struct memkind_heap *heap = heap_of_address(kind, ptr);
    if (heap != NULL && !heap_free_fast(heap_cache_known(heap), ptr)) {
        enum heap_error error = heap_free(heap, ptr);
        if (error != HEAP_OK)
            heap_report(error, heap_owner(heap), ptr);
    }
    errno = saved_errno;
}

void *memkind_arena_defrag_reallocate(struct memkind *kind, void *ptr)
{
    struct memkind_heap *heap = ptr != NULL ? heap_of_address(kind, ptr) : NULL;
    int saved_errno = errno;
    void *moved = heap != NULL ? heap_defragment(heap, ptr) : NULL;
    errno = saved_errno; /* an object that stays in place is no failure */
    return moved;
}

size_t memkind_default_malloc_usable_size(struct memkind *kind, void *ptr)
{
    (void)kind;
    const struct memkind *owner = address_table_find(ptr);
    if (owner == NULL)
        return 0;
    /* A forked child that has lost the heap still has the tags. */
    struct memkind_heap *heap = kind_heap_of(owner);
    return heap_usable_size(heap != NULL ? heap : owner->lost_heap, ptr);
}

/* ---- operations that find the kind ------------------------------------- */

void *memkind_arena_realloc_with_kind_detect(void *ptr, size_t size)
{
    return memkind_arena_realloc(NULL, ptr, size);
}

void memkind_arena_free_with_kind_detect(void *ptr)
{
    memkind_arena_free(NULL, ptr);
}

void *memkind_arena_defrag_reallocate_with_kind_detect(void *ptr)
{
    return memkind_arena_defrag_reallocate(NULL, ptr);
}
