/* SPDX-License-Identifier: BSD-2-Clause */
#include <memkind/internal/memkind_default.h>

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

#include <memkind/internal/memkind_arena.h>

#include "allocator_gate.h"
#include "default_heap.h"
#include "heap.h"
#include "kind_regions.h"
#include "region_pool.h"
#include "sys_calls.h"

static bool operations_are_complete(const struct memkind_ops *ops)
{
    return ops->create != NULL && ops->destroy != NULL && ops->malloc != NULL &&
           ops->calloc != NULL && ops->posix_memalign != NULL &&
           ops->realloc != NULL && ops->free != NULL && ops->init_once == NULL;
}

int memkind_default_create(struct memkind *kind, struct memkind_ops *ops,
                           const char *name)
{
    if (kind == NULL || ops == NULL || name == NULL)
        return MEMKIND_ERROR_INVALID;
    size_t length = strnlen(name, MEMKIND_NAME_LENGTH_PRIV);
    if (length == 0 || length == MEMKIND_NAME_LENGTH_PRIV)
        return MEMKIND_ERROR_INVALID;
    if (!operations_are_complete(ops))
        return MEMKIND_ERROR_BADOPS;
    kind->ops = ops;
    memcpy(kind->name, name, length + 1);
    return MEMKIND_SUCCESS;
}

int memkind_default_destroy(struct memkind *kind)
{
    if (kind == NULL)
        return MEMKIND_ERROR_INVALID;
    kind->ops = NULL;
    kind->priv = NULL;
    return MEMKIND_SUCCESS;
}

/* ---- the DRAM kinds' heap, made at the first call
 * ------------------------------ */

static pthread_mutex_t heap_lock = PTHREAD_MUTEX_INITIALIZER;

/* A signal handler that needs a heap here has interrupted its maker. */
static __thread bool uses_heap_lock;

void default_heap_lock(void)
{
    uses_heap_lock = true;
    pthread_mutex_lock(&heap_lock);
}

void default_heap_unlock(void)
{
    pthread_mutex_unlock(&heap_lock);
    uses_heap_lock = false;
}

static bool make_heap(struct memkind *kind)
{
    if (uses_heap_lock || allocator_is_inside())
        return false;
    default_heap_lock();
    int err = MEMKIND_SUCCESS;
    if (kind->heap == NULL)
        err = memkind_arena_create_map(kind, NULL, false);
    default_heap_unlock();
    return err == MEMKIND_SUCCESS;
}

static inline bool has_heap(struct memkind *kind)
{
    if (__builtin_expect(kind_heap_of(kind) != NULL, 1))
        return true;
    int saved_errno = errno;
    if (make_heap(kind)) {
        errno = saved_errno;
        return true;
    }
    errno = ENOMEM;
    return false;
}

void *memkind_default_malloc(struct memkind *kind, size_t size)
{
    return has_heap(kind) ? memkind_arena_malloc(kind, size) : NULL;
}

void *memkind_default_calloc(struct memkind *kind, size_t num, size_t size)
{
    return has_heap(kind) ? memkind_arena_calloc(kind, num, size) : NULL;
}

int memkind_default_posix_memalign(struct memkind *kind, void **memptr,
                                   size_t alignment, size_t size)
{
    int saved_errno = errno;
    if (!has_heap(kind)) {
        errno = saved_errno;
        return ENOMEM;
    }
    return memkind_arena_posix_memalign(kind, memptr, alignment, size);
}

void *memkind_default_realloc(struct memkind *kind, void *ptr, size_t size)
{
    return has_heap(kind) ? memkind_arena_realloc(kind, ptr, size) : NULL;
}

void memkind_default_free(struct memkind *kind, void *ptr)
{
    memkind_arena_free(kind, ptr);
}

size_t memkind_default_malloc_usable_size(struct memkind *kind, void *ptr)
{
    (void)kind;
    const struct memkind *owner = memkind_arena_detect_kind(ptr);
    if (owner == NULL)
        return 0;
    /* A forked child may have no use of the arenas, but it has the tags. */
    struct memkind_heap *heap = kind_heap_of(owner);
    return heap_usable_size(heap != NULL ? heap : owner->lost_heap, ptr);
}

/* ---- mapping
 * -------------------------------------------------------------------- */

int memkind_default_get_mmap_flags(struct memkind *kind, int *flags)
{
    (void)kind;
    if (flags == NULL)
        return MEMKIND_ERROR_INVALID;
    *flags = MAP_PRIVATE | MAP_ANONYMOUS;
    return MEMKIND_SUCCESS;
}

void *memkind_default_mmap(struct memkind *kind, void *addr, size_t size)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS;
    if (kind->ops->get_mmap_flags != NULL &&
        kind->ops->get_mmap_flags(kind, &flags) != 0) {
        errno = EINVAL;
        return MAP_FAILED;
    }
    void *block = sys.mmap(addr, size, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (block == MAP_FAILED)
        return MAP_FAILED;
    if ((kind->ops->mbind != NULL &&
         kind->ops->mbind(kind, block, size) != 0) ||
        (kind->ops->madvise != NULL &&
         kind->ops->madvise(kind, block, size) != 0)) {
        sys.munmap(block, size);
        errno = ENOMEM;
        return MAP_FAILED;
    }
    return block;
}

int memkind_nohugepage_madvise(struct memkind *kind, void *addr, size_t size)
{
    (void)kind;
    return sys.madvise(addr, size, MADV_NOHUGEPAGE) == 0
               ? MEMKIND_SUCCESS
               : MEMKIND_ERROR_OPERATION_FAILED;
}

int memkind_posix_check_alignment(struct memkind *kind, size_t alignment)
{
    (void)kind;
    bool valid =
        alignment >= sizeof(void *) && (alignment & (alignment - 1)) == 0;
    return valid ? 0 : EINVAL;
}
