/* SPDX-License-Identifier: BSD-2-Clause */
/* libmemtier.so: a program's malloc is a tiered memory. */
#include <memkind_memtier.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "memtier_settings.h"
#include "preload_allocator.h"
#include "preload_interpose.h"

static struct memtier_memory *memory;

void *preload_own_malloc(size_t size)
{
    return memtier_malloc(memory, size);
}

void *preload_own_calloc(size_t num, size_t size)
{
    return memtier_calloc(memory, num, size);
}

void *preload_own_memalign(size_t alignment, size_t size)
{
    void *ptr = NULL;
    return memtier_posix_memalign(memory, &ptr, alignment, size) == 0 ? ptr
                                                                      : NULL;
}

bool preload_owns(void *ptr)
{
    return memkind_detect_kind(ptr) != NULL;
}

void *preload_own_realloc(void *ptr, size_t size)
{
    return memtier_realloc(memory, ptr, size);
}

void preload_own_free(void *ptr)
{
    memtier_free(ptr);
}

size_t preload_own_usable_size(void *ptr)
{
    return memtier_usable_size(ptr);
}

/* ---- the start ---------------------------------------------------------- */

/* Without the C library's streams, which the program may not have set up. */
static _Noreturn void end_process(const char *problem)
{
    char text[SETTINGS_PROBLEM_SIZE + 32];
    snprintf(text, sizeof text, "libmemtier: %s\n", problem);
    if (write(STDERR_FILENO, text, strlen(text)) < 0)
        _exit(2);
    _exit(1);
}

/* A program with more privileges than its caller takes no settings from it. */
__attribute__((constructor)) static void start(void)
{
    const int saved_errno = errno;
    char problem[SETTINGS_PROBLEM_SIZE];
    if (getauxval(AT_SECURE) != 0)
        return;
    preload_prepare();
    const char *tiers = getenv(SETTINGS_TIERS);
    if (tiers == NULL)
        end_process(SETTINGS_TIERS " is not set: see libmemtier(7)");
    memory = settings_make(tiers, getenv(SETTINGS_THRESHOLDS), problem);
    if (memory == NULL)
        end_process(problem);
    if (!preload_start())
        end_process("no memory for a start");
    errno = saved_errno;
}
