/* SPDX-License-Identifier: BSD-2-Clause */
/* Figures of both heaps of a process, and giving back what both have free, by
 * the names of the C library. */
#include <malloc.h>

#include "libc_malloc.h"
#include "preload_heap.h"
#include "preload_names.h"

PRELOAD_EXPORT int malloc_trim(size_t pad)
{
    const int trimmed = libc_trim(pad);
    if (preload_heap.kind == NULL)
        return trimmed;
    const size_t before = preload_heap_file_space();
    memkind_purge_kind(preload_heap.kind);
    return trimmed != 0 || preload_heap_file_space() < before;
}

/* The C library's figures and the kind's, added up. What has no counterpart in
 * a kind is the C library's alone. */
PRELOAD_EXPORT struct mallinfo2 mallinfo2(void)
{
    struct mallinfo2 info = libc_mallinfo();
    if (preload_heap.kind == NULL)
        return info;
    const size_t held = preload_heap_file_space();
    const size_t allocated = preload_heap_allocated();
    info.arena += held;
    info.uordblks += allocated;
    info.fordblks += held > allocated ? held - allocated : 0;
    return info;
}

/* Has no room for large numbers; they are cut off as glibc's are. */
PRELOAD_EXPORT struct mallinfo mallinfo(void)
{
    const struct mallinfo2 info = mallinfo2();
    return (struct mallinfo){
        .arena = (int)info.arena,
        .ordblks = (int)info.ordblks,
        .smblks = (int)info.smblks,
        .hblks = (int)info.hblks,
        .hblkhd = (int)info.hblkhd,
        .usmblks = (int)info.usmblks,
        .fsmblks = (int)info.fsmblks,
        .uordblks = (int)info.uordblks,
        .fordblks = (int)info.fordblks,
        .keepcost = (int)info.keepcost,
    };
}
