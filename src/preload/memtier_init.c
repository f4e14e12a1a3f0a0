/* SPDX-License-Identifier: BSD-2-Clause */
/* libmemtier.so: a program's malloc is a tiered memory. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "libc_malloc.h"
#include "memtier_heap.h"
#include "memtier_settings.h"
#include "preload_descriptors.h"

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
    preload_descriptors_find();
    if (getauxval(AT_SECURE) != 0)
        return;
    memtier_heap_prepare();
    libc_malloc_find();
    preload_descriptors_set_apart();
    const char *tiers = getenv(SETTINGS_TIERS);
    if (tiers == NULL)
        end_process(SETTINGS_TIERS " is not set: see libmemtier(7)");
    struct memtier_memory *memory =
        settings_make(tiers, getenv(SETTINGS_THRESHOLDS), problem);
    if (memory == NULL)
        end_process(problem);
    if (!memtier_heap_start(memory))
        end_process("no memory for a start");
    errno = saved_errno;
}
