/* SPDX-License-Identifier: BSD-2-Clause */
/* What the suites of the inner layers share. */
#ifndef LAYER_TEST_H
#define LAYER_TEST_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mapping_reserve.h"
#include "pool_list.h"
#include "test_support.h"

/* Sanitizers map memory of their own at any time, and so does an emulator that
 * runs this program (tests/cross/run.sh sets MEMKIND_TEST_EMULATED). */
#define COUNT_MAPPINGS (!SANITIZED && getenv("MEMKIND_TEST_EMULATED") == NULL)

/* Bytes of file space behind a descriptor. */
static inline size_t file_bytes(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 ? (size_t)st.st_blocks * 512 : (size_t)-1;
}

static inline bool is_zero(const void *object, size_t size)
{
    const unsigned char *bytes = object;
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != 0)
            return false;
    return true;
}

/* Returns what the function does, which another thread runs. */
static inline void *run_in_thread(void *(*run)(void *), void *argument)
{
    pthread_t thread;
    void *result = NULL;
    REQUIRE_EQ(pthread_create(&thread, NULL, run, argument), 0);
    REQUIRE_EQ(pthread_join(thread, &result), 0);
    return result;
}

/* Without the reserve of mappings, which stays after the last pool. */
static inline void layer_resources_take(struct test_resources *resources)
{
    pool_list_lock();
    mapping_reserve_release();
    pool_list_unlock();
    test_resources_take(resources);
}

/* Whether the process holds what it held before. */
static inline bool nothing_leaked(const struct test_resources *before)
{
    struct test_resources now;
    layer_resources_take(&now);
    bool same = now.fds == before->fds;
    if (COUNT_MAPPINGS)
        same = same && now.maps == before->maps &&
               now.mapped_kib == before->mapped_kib;
    if (!same)
        fprintf(stderr, "%zu fds, %zu maps, %zu KiB; before %zu, %zu, %zu\n",
                now.fds, now.maps, now.mapped_kib, before->fds, before->maps,
                before->mapped_kib);
    return same;
}

/* Whether the process holds what it held before, apart from what jemalloc and
 * the tables of addresses keep for the next kinds: descriptors and file space
 * are exact, mappings are bounded. */
static inline bool
nothing_leaked_but_metadata(const struct test_resources *before)
{
    struct test_resources now;
    layer_resources_take(&now);
    bool same = now.fds == before->fds && now.file_space <= before->file_space;
    if (COUNT_MAPPINGS)
        same = same && now.maps <= before->maps + 64;
    if (!same)
        fprintf(stderr,
                "%zu fds, %zu maps, %zu B in files; before %zu, %zu, %zu\n",
                now.fds, now.maps, now.file_space, before->fds, before->maps,
                before->file_space);
    return same;
}

/* The seed of a random test: printed, and taken from TEST_SEED for a replay. */
static inline unsigned long long test_seed(unsigned long long fallback)
{
    const char *text = getenv("TEST_SEED");
    unsigned long long seed = text != NULL ? strtoull(text, NULL, 0) : fallback;
    if (seed == 0)
        seed = 1;
    printf("TEST_SEED=%llu ", seed);
    return seed;
}

#endif
