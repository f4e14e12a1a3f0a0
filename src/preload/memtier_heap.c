/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two heaps are in the process: the tiers, and that of the C library. An object
 * stays with the heap that it came from; whether it is the tiers', its address
 * says.
 *
 * The C library's heap serves what the tiers cannot: calls before they are
 * there (in the dynamic linker, in constructors of other libraries), calls out
 * of the library (by libpmem, say), which the program may have called itself,
 * calls of other handlers while fork() runs, and those of a thread whose part
 * of the library has ended. A variable of each thread says so.
 */
#include "memtier_heap.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>

#include "libc_malloc.h"
#include "loaded_symbol.h"
#include "preload_allocator.h"

static struct memtier_memory *tiers;

/* ---- which heap --------------------------------------------------------- */

enum thread_state {
    THREAD_IS_NEW, /* or the tiers are not there yet */
    THREAD_IS_OUT, /* the tiers serve it */
    THREAD_IS_IN,  /* it is in the library */
    THREAD_ENDS,   /* its part of the library has gone */
};

static __thread enum thread_state state
    __attribute__((tls_model("initial-exec")));
static bool is_started;
static pthread_key_t ends_key;

void memtier_heap_prepare(void)
{
    state = THREAD_IS_IN;
}

/* The library's key is older, so its destructor is called before this one. */
static void note_thread_end(void *value)
{
    (void)value;
    state = THREAD_ENDS;
}

static void go_in(void)
{
    if (state == THREAD_IS_OUT)
        state = THREAD_IS_IN;
}

static void go_out(void)
{
    if (state == THREAD_IS_IN)
        state = THREAD_IS_OUT;
}

/* The library that has the tiers. */
static struct loaded_range library;
static pthread_once_t library_once = PTHREAD_ONCE_INIT;

static void find_tiers_library(void)
{
    library = loaded_range_of(__extension__(void *) memkind_is_inside);
}

bool preload_is_allocator(const void *dso_handle)
{
    const uintptr_t handle = (uintptr_t)dso_handle;
    pthread_once(&library_once, find_tiers_library);
    return handle >= library.start && handle < library.end;
}

bool memtier_heap_start(struct memtier_memory *memory)
{
    /* Handlers that come later prepare earlier: those of the library run in
     * between. */
    if (pthread_key_create(&ends_key, note_thread_end) != 0 ||
        pthread_atfork(go_in, go_out, go_out) != 0 ||
        pthread_setspecific(ends_key, &ends_key) != 0)
        return false;
    tiers = memory;
    state = THREAD_IS_OUT;
    __atomic_store_n(&is_started, true, __ATOMIC_RELEASE);
    return true;
}

/* A thread comes for the first time. */
static __attribute__((noinline)) bool may_enter_slowly(void)
{
    if (state != THREAD_IS_NEW ||
        !__atomic_load_n(&is_started, __ATOMIC_ACQUIRE))
        return false;
    state = THREAD_IS_IN;
    const bool is_known = pthread_setspecific(ends_key, &ends_key) == 0;
    state = is_known ? THREAD_IS_OUT : THREAD_ENDS;
    return is_known;
}

/* The program may have called a function of the library, which calls libpmem.
 */
static inline bool may_enter(void)
{
    return (__builtin_expect(state == THREAD_IS_OUT, 1) ||
            may_enter_slowly()) &&
           !memkind_is_inside();
}

static void *checked(void *ptr)
{
    if (ptr == NULL)
        errno = ENOMEM;
    return ptr;
}

/* ---- malloc and its family ---------------------------------------------- */

/* An allocation of no bytes is an object. */
static size_t at_least_one(size_t size)
{
    return size != 0 ? size : 1;
}

void *preload_malloc(size_t size)
{
    if (!may_enter())
        return __libc_malloc(size);
    state = THREAD_IS_IN;
    void *ptr = memtier_malloc(tiers, at_least_one(size));
    state = THREAD_IS_OUT;
    return checked(ptr);
}

void *preload_calloc(size_t size)
{
    if (!may_enter())
        return __libc_calloc(1, size);
    state = THREAD_IS_IN;
    void *ptr = memtier_calloc(tiers, 1, at_least_one(size));
    state = THREAD_IS_OUT;
    return checked(ptr);
}

void *preload_memalign(size_t alignment, size_t size)
{
    void *ptr = NULL;
    if (!may_enter())
        return __libc_memalign(alignment, size);
    if (alignment < sizeof(void *))
        alignment = sizeof(void *);
    state = THREAD_IS_IN;
    const int error =
        memtier_posix_memalign(tiers, &ptr, alignment, at_least_one(size));
    state = THREAD_IS_OUT;
    return checked(error == 0 ? ptr : NULL);
}

/* ---- objects that are there --------------------------------------------- */

static bool is_of_tiers(void *ptr)
{
    return memkind_detect_kind(ptr) != NULL;
}

static void free_in_tiers(void *ptr)
{
    const enum thread_state before = state;
    const int saved_errno = errno;
    state = THREAD_IS_IN;
    memtier_free(ptr);
    state = before;
    errno = saved_errno;
}

void preload_free(void *ptr)
{
    if (ptr == NULL)
        return;
    if (is_of_tiers(ptr))
        free_in_tiers(ptr);
    else
        __libc_free(ptr);
}

size_t preload_usable_size(void *ptr)
{
    if (ptr == NULL)
        return 0;
    return is_of_tiers(ptr) ? memtier_usable_size(ptr) : libc_usable_size(ptr);
}

/* For a thread that the tiers do not serve. */
static void *move_to_libc(void *ptr, size_t size)
{
    const size_t held = memtier_usable_size(ptr);
    void *moved = __libc_malloc(size);
    if (moved == NULL)
        return NULL;
    memcpy(moved, ptr, held < size ? held : size);
    free_in_tiers(ptr);
    return moved;
}

void *preload_realloc(void *ptr, size_t size)
{
    if (ptr == NULL)
        return preload_malloc(size);
    if (!is_of_tiers(ptr))
        return __libc_realloc(ptr, size);
    if (size == 0) {
        free_in_tiers(ptr);
        return NULL;
    }
    if (!may_enter())
        return move_to_libc(ptr, size);
    state = THREAD_IS_IN;
    void *resized = memtier_realloc(tiers, ptr, size);
    state = THREAD_IS_OUT;
    return checked(resized);
}
