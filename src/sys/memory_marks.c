/* SPDX-License-Identifier: BSD-2-Clause */
#include "memory_marks.h"

#include <stdint.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MARKS_FOR_ASAN
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define MARKS_FOR_ASAN
#endif

#ifdef MARKS_FOR_ASAN
#include <sanitizer/asan_interface.h>
#define ASAN_CLOSE(ptr, size) __asan_poison_memory_region(ptr, size)
#define ASAN_OPEN(ptr, size) __asan_unpoison_memory_region(ptr, size)
#else
#define ASAN_CLOSE(ptr, size) ((void)(ptr), (void)(size))
#define ASAN_OPEN(ptr, size) ((void)(ptr), (void)(size))
#endif

#ifdef MEMKIND_HAVE_VALGRIND
#include <valgrind/memcheck.h>
#define VALGRIND_CLOSE(ptr, size) (void)VALGRIND_MAKE_MEM_NOACCESS(ptr, size)
#define VALGRIND_OPEN(ptr, size) (void)VALGRIND_MAKE_MEM_DEFINED(ptr, size)
#else
#define VALGRIND_CLOSE(ptr, size) ((void)(ptr), (void)(size))
#define VALGRIND_OPEN(ptr, size) ((void)(ptr), (void)(size))
#define VALGRIND_MALLOCLIKE_BLOCK(ptr, size, zone, zero) ((void)(zero))
#define VALGRIND_FREELIKE_BLOCK(ptr, zone) ((void)(ptr))
#define RUNNING_ON_VALGRIND 0
#endif

static void close_range(const char *ptr, size_t size)
{
    ASAN_CLOSE(ptr, size);
    VALGRIND_CLOSE(ptr, size);
}

static void open_range(const char *ptr, size_t size)
{
    ASAN_OPEN(ptr, size);
    VALGRIND_OPEN(ptr, size);
}

static void close_edges(const struct marked_memory *memory)
{
    close_range(memory->ptr - memory->before, memory->before);
    close_range(memory->ptr + memory->size, memory->behind);
}

bool memory_marks_are_wanted(void)
{
#ifdef MARKS_FOR_ASAN
    return true;
#else
    return RUNNING_ON_VALGRIND != 0;
#endif
}

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define MARKS_FOR_TSAN
#endif
#endif
#ifdef __SANITIZE_THREAD__
#define MARKS_FOR_TSAN
#endif

#ifdef MARKS_FOR_TSAN
bool memory_marks_need_locks(void)
{
    return false;
}
#else
/* NOLINTNEXTLINE(bugprone-reserved-identifier): ThreadSanitizer's name */
extern void __tsan_init(void) __attribute__((weak));

bool memory_marks_need_locks(void)
{
    return __tsan_init != NULL;
}
#endif

void memory_mark_object(const struct marked_memory *memory, bool is_defined)
{
    ASAN_OPEN(memory->ptr, memory->size);
    VALGRIND_MALLOCLIKE_BLOCK(memory->ptr, memory->size, memory->before,
                              is_defined);
    close_edges(memory);
}

void memory_mark_freed(const struct marked_memory *memory)
{
    ASAN_CLOSE(memory->ptr, memory->size);
    VALGRIND_FREELIKE_BLOCK(memory->ptr, memory->before);
    close_edges(memory);
}

void memory_mark_gone(const struct marked_memory *memory)
{
    VALGRIND_FREELIKE_BLOCK(memory->ptr, memory->before);
    memory_mark_open(memory);
}

void memory_mark_edges_open(const struct marked_memory *memory)
{
    open_range(memory->ptr - memory->before, memory->before);
    open_range(memory->ptr + memory->size, memory->behind);
}

void memory_mark_open(const struct marked_memory *memory)
{
    open_range(memory->ptr - memory->before,
               memory->before + memory->size + memory->behind);
}

void memory_mark_usable(const void *ptr, size_t size)
{
    VALGRIND_OPEN(ptr, size);
}

void memory_mark_unusable(const void *ptr, size_t size)
{
    VALGRIND_CLOSE(ptr, size);
}

void memory_mark_wrong_free(const void *ptr, bool is_ours)
{
#ifdef MARKS_FOR_ASAN
    char here;
    if (is_ours && __asan_address_is_poisoned(ptr))
        __asan_report_error(__builtin_return_address(0),
                            __builtin_frame_address(0), &here,
                            (void *)(uintptr_t)ptr, 1, 1);
#else
    (void)is_ours;
    VALGRIND_FREELIKE_BLOCK(ptr, 0);
#endif
}
