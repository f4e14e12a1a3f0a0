/* SPDX-License-Identifier: BSD-2-Clause */
#include "bench_heap.h"

#include <dlfcn.h>
#include <stdio.h>

void bench_no_memory(size_t size)
{
    fprintf(stderr, "no memory for an object of %zu bytes\n", size);
    _Exit(4);
}

void bench_bad_object(const void *ptr, const char *what)
{
    fprintf(stderr, "object at %p: %s\n", ptr, what);
    abort();
}

/* A function that this heap may lack, by its name. */
static bool find_function(void *function, size_t size, const char *name)
{
    void *symbol = dlsym(RTLD_DEFAULT, name);
    memcpy(function, &symbol, size);
    return symbol != NULL;
}

const char *heap_library(void)
{
#ifdef BENCH_MEMKIND
    void *(*function)(memkind_t, size_t) = memkind_malloc;
#else
    void *(*function)(size_t) = malloc;
#endif
    void *address;
    Dl_info info;
    memcpy(&address, &function, sizeof address);
    return dladdr(address, &info) != 0 ? info.dli_fname : "";
}

int heap_create(struct heap *heap, const char *dir, bool free_null)
{
    return heap_create_limited(heap, dir, 0, free_null);
}

#ifdef BENCH_MEMKIND
int heap_create_limited(struct heap *heap, const char *dir, size_t limit,
                        bool free_null)
{
    int err = memkind_create_pmem(dir, limit, &heap->kind);
    heap->free_kind = free_null ? NULL : heap->kind;
    return err;
}

int heap_destroy(struct heap *heap)
{
    return memkind_destroy_kind(heap->kind);
}

void *heap_defrag(struct heap heap, void *ptr)
{
    void *moved = memkind_defrag_reallocate(heap.kind, ptr);
    return moved != NULL ? moved : ptr;
}

bool heap_trim(struct heap heap)
{
    int (*purge)(memkind_t);
    return find_function(&purge, sizeof purge, "memkind_purge_kind") &&
           purge(heap.kind) == MEMKIND_SUCCESS;
}

size_t heap_active(struct heap heap)
{
    size_t active = 0;
    if (memkind_update_cached_stats() != MEMKIND_SUCCESS ||
        memkind_get_stat(heap.kind, MEMKIND_STAT_TYPE_ACTIVE, &active) !=
            MEMKIND_SUCCESS)
        return 0;
    return active;
}

bool heap_is_kind(void)
{
    return true;
}

size_t heap_limit_min(void)
{
    return MEMKIND_PMEM_MIN_SIZE;
}
#else
int heap_create_limited(struct heap *heap, const char *dir, size_t limit,
                        bool free_null)
{
    (void)dir;
    (void)limit;
    (void)free_null;
    heap->unused = 0;
    return 0;
}

int heap_destroy(struct heap *heap)
{
    (void)heap;
    return 0;
}

void *heap_defrag(struct heap heap, void *ptr)
{
    (void)heap;
    return ptr;
}

bool heap_trim(struct heap heap)
{
    int (*mallctl)(const char *, void *, size_t *, void *, size_t);
    void (*mi_collect)(bool);
    void (*release)(void);
    int (*malloc_trim)(size_t);
    (void)heap;
    /* glibc's is there below each of the others: it comes last. */
    if (find_function(&mallctl, sizeof mallctl, "mallctl")) {
        mallctl("thread.tcache.flush", NULL, NULL, NULL, 0);
        /* 4096 stands for all arenas */
        return mallctl("arena.4096.purge", NULL, NULL, NULL, 0) == 0;
    }
    if (find_function(&mi_collect, sizeof mi_collect, "mi_collect")) {
        mi_collect(true);
        return true;
    }
    if (find_function(&release, sizeof release,
                      "MallocExtension_ReleaseFreeMemory")) {
        release();
        return true;
    }
    if (find_function(&malloc_trim, sizeof malloc_trim, "malloc_trim")) {
        malloc_trim(0);
        return true;
    }
    return false;
}

size_t heap_active(struct heap heap)
{
    (void)heap;
    return 0;
}

bool heap_is_kind(void)
{
    return false;
}

size_t heap_limit_min(void)
{
    return 0;
}
#endif

#ifdef BENCH_CHECK
/*
 * An object's first word has its size and a seed, the second is left alone, and
 * each word that follows depends on the seed and its place. Of large objects
 * the ends and a word of every page are enough.
 */
enum { SIZE_BITS = 40, WHOLE_BYTES = 8192 };

static uint64_t expected_word(uint64_t header, size_t word)
{
    return (header + word) * 0x9e3779b97f4a7c15u;
}

static size_t next_word(size_t word, size_t words)
{
    size_t page = OBJECT_PAGE / sizeof(uint64_t);
    if (words * sizeof(uint64_t) <= WHOLE_BYTES || word + 1 < page ||
        word + page >= words)
        return word + 1;
    return word + page;
}

void object_mark(void *ptr, size_t size)
{
    static _Thread_local uint64_t seed;
    uint64_t *object = ptr;
    uint64_t header = (++seed << SIZE_BITS) | size;
    size_t words = size / sizeof *object;
    if (size < OBJECT_MIN)
        bench_bad_object(ptr, "is smaller than patterns may ask for");
    object[0] = header;
    for (size_t i = 2; i < words; i = next_word(i, words))
        object[i] = expected_word(header, i);
    for (size_t i = words * sizeof *object; i < size; i++)
        ((unsigned char *)ptr)[i] = (unsigned char)(header + i);
}

void object_check(const void *ptr)
{
    const uint64_t *object = ptr;
    uint64_t header = object[0];
    size_t size = header & (((uint64_t)1 << SIZE_BITS) - 1);
    size_t words = size / sizeof *object;
    for (size_t i = 2; i < words; i = next_word(i, words))
        if (object[i] != expected_word(header, i))
            bench_bad_object(ptr, "its contents have changed");
    for (size_t i = words * sizeof *object; i < size; i++)
        if (((const unsigned char *)ptr)[i] != (unsigned char)(header + i))
            bench_bad_object(ptr, "its last bytes have changed");
}

void object_check_zero(const void *ptr, size_t size)
{
    const unsigned char *bytes = ptr;
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != 0)
            bench_bad_object(ptr, "is not cleared");
}

void object_check_aligned(const void *ptr, size_t alignment)
{
    if ((uintptr_t)ptr % alignment != 0)
        bench_bad_object(ptr, "is not aligned");
}
#endif
