/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two heaps are in the process: the allocator's, and that of the C library,
 * whose functions can be called by other names. An object stays with the heap
 * that it came from; whether it is the allocator's, its address says.
 *
 * The C library's heap serves what the allocator cannot: calls before it is
 * there (in the dynamic linker, in constructors of other libraries), calls out
 * of the allocator (by libpmem, say), calls of other handlers while fork()
 * runs, and those of a thread whose part of the allocator has ended. A variable
 * of each thread says so.
 */
#include "preload_interpose.h"

#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "preload_allocator.h"

#define EXPORTED __attribute__((visibility("default")))

/* ---- the C library's heap ----------------------------------------------- */

/* NOLINTBEGIN(bugprone-reserved-identifier): glibc's names */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t num, size_t size);
void *__libc_realloc(void *ptr, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *ptr);
/* NOLINTEND(bugprone-reserved-identifier) */

typedef size_t usable_size_fn(void *ptr);

static size_t libc_usable_size(void *ptr)
{
    static usable_size_fn *_Atomic known;
    usable_size_fn *function = known;
    if (function == NULL) {
        /* (A cast from an object's pointer is what POSIX has for this.) */
        *(void **)&function = dlsym(RTLD_NEXT, "malloc_usable_size");
        known = function;
    }
    return function != NULL ? function(ptr) : 0;
}

/* ---- which heap --------------------------------------------------------- */

enum thread_state {
    THREAD_IS_NEW, /* or the allocator is not there yet */
    THREAD_IS_OUT, /* the allocator serves it */
    THREAD_IS_IN,  /* it is in the allocator */
    THREAD_ENDS,   /* its part of the allocator has gone */
};

static __thread enum thread_state state
    __attribute__((tls_model("initial-exec")));
static bool is_started;
static pthread_key_t ends_key;

void preload_prepare(void)
{
    state = THREAD_IS_IN;
}

/* The allocator's key is older, so its destructor is called before this one. */
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

bool preload_start(void)
{
    /* Handlers that come later prepare earlier: those of the allocator run in
     * between. */
    if (pthread_key_create(&ends_key, note_thread_end) != 0 ||
        pthread_atfork(go_in, go_out, go_out) != 0 ||
        pthread_setspecific(ends_key, &ends_key) != 0)
        return false;
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

static inline bool may_enter(void)
{
    return __builtin_expect(state == THREAD_IS_OUT, 1) || may_enter_slowly();
}

static void *checked(void *ptr)
{
    if (ptr == NULL)
        errno = ENOMEM;
    return ptr;
}

/* ---- malloc and its family ---------------------------------------------- */

EXPORTED void *malloc(size_t size)
{
    if (!may_enter())
        return __libc_malloc(size);
    state = THREAD_IS_IN;
    void *ptr = preload_own_malloc(size != 0 ? size : 1);
    state = THREAD_IS_OUT;
    return checked(ptr);
}

EXPORTED void *calloc(size_t num, size_t size)
{
    if (!may_enter())
        return __libc_calloc(num, size);
    const bool is_empty = num == 0 || size == 0;
    state = THREAD_IS_IN;
    void *ptr = preload_own_calloc(is_empty ? 1 : num, is_empty ? 1 : size);
    state = THREAD_IS_OUT;
    return checked(ptr);
}

static void free_own(void *ptr)
{
    const enum thread_state before = state;
    const int saved_errno = errno;
    state = THREAD_IS_IN;
    preload_own_free(ptr);
    state = before;
    errno = saved_errno;
}

EXPORTED void free(void *ptr)
{
    if (ptr == NULL)
        return;
    if (preload_owns(ptr))
        free_own(ptr);
    else
        __libc_free(ptr);
}

/* For a thread that the allocator does not serve. */
static void *move_to_libc(void *ptr, size_t size)
{
    const size_t held = preload_own_usable_size(ptr);
    void *moved = __libc_malloc(size);
    if (moved == NULL)
        return NULL;
    memcpy(moved, ptr, held < size ? held : size);
    free_own(ptr);
    return moved;
}

EXPORTED void *realloc(void *ptr, size_t size)
{
    if (ptr == NULL)
        return malloc(size);
    if (!preload_owns(ptr))
        return __libc_realloc(ptr, size);
    if (size == 0) {
        free_own(ptr);
        return NULL;
    }
    if (!may_enter())
        return move_to_libc(ptr, size);
    state = THREAD_IS_IN;
    void *resized = preload_own_realloc(ptr, size);
    state = THREAD_IS_OUT;
    return checked(resized);
}

EXPORTED void *reallocarray(void *ptr, size_t num, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(num, size, &total))
        return checked(NULL);
    return realloc(ptr, total);
}

static bool is_power_of_two(size_t number)
{
    return number != 0 && (number & (number - 1)) == 0;
}

static void *allocate_aligned(size_t alignment, size_t size)
{
    if (!may_enter())
        return __libc_memalign(alignment, size);
    if (alignment < sizeof(void *))
        alignment = sizeof(void *);
    state = THREAD_IS_IN;
    void *ptr = preload_own_memalign(alignment, size != 0 ? size : 1);
    state = THREAD_IS_OUT;
    return checked(ptr);
}

EXPORTED int posix_memalign(void **memptr, size_t alignment, size_t size)
{
    const int saved_errno = errno;
    if (!is_power_of_two(alignment) || alignment % sizeof(void *) != 0)
        return EINVAL;
    void *ptr = allocate_aligned(alignment, size);
    errno = saved_errno;
    if (ptr == NULL)
        return ENOMEM;
    *memptr = ptr;
    return 0;
}

/* As glibc has it, what is no power of two is rounded up to one. */
EXPORTED void *memalign(size_t alignment, size_t size)
{
    size_t power = sizeof(void *);
    while (power < alignment && power <= SIZE_MAX / 4)
        power *= 2;
    if (power < alignment) {
        errno = EINVAL;
        return NULL;
    }
    return allocate_aligned(power, size);
}

EXPORTED void *aligned_alloc(size_t alignment, size_t size)
{
    return memalign(alignment, size);
}

EXPORTED void *valloc(size_t size)
{
    return allocate_aligned((size_t)sysconf(_SC_PAGESIZE), size);
}

EXPORTED void *pvalloc(size_t size)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (size > SIZE_MAX - page)
        return checked(NULL);
    size = size == 0 ? page : (size + page - 1) & ~(page - 1);
    return allocate_aligned(page, size);
}

EXPORTED size_t malloc_usable_size(void *ptr)
{
    if (ptr == NULL)
        return 0;
    return preload_owns(ptr) ? preload_own_usable_size(ptr)
                             : libc_usable_size(ptr);
}

/* In C23, and not yet in all headers. */
EXPORTED void free_sized(void *ptr, size_t size);
EXPORTED void free_aligned_sized(void *ptr, size_t alignment, size_t size);

EXPORTED void free_sized(void *ptr, size_t size)
{
    (void)size;
    free(ptr);
}

EXPORTED void free_aligned_sized(void *ptr, size_t alignment, size_t size)
{
    (void)alignment, (void)size;
    free(ptr);
}
