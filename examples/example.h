/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the example programs share: the directory to use, what ends a program
 * that has met an error, and a pattern of bytes to fill objects with and to
 * recognise later. Nothing in here allocates from a kind.
 */
#ifndef EXAMPLE_H
#define EXAMPLE_H

#include <errno.h>
#include <memkind.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define EXAMPLE_KIB ((size_t)1 << 10)
#define EXAMPLE_MIB ((size_t)1 << 20)

/* The first argument, else $PMEM_DIR, else /dev/shm. */
static inline const char *example_dir(int argc, char *argv[])
{
    if (argc > 1) {
        return argv[1];
    }
    const char *dir = getenv("PMEM_DIR");
    return (dir != NULL && dir[0] != '\0') ? dir : "/dev/shm";
}

/* ---- errors: each of these ends the program with a message ---- */

/* For the library's calls that give a status code. */
static inline void example_expect_success(int err)
{
    if (err != MEMKIND_SUCCESS) {
        (void)fprintf(stderr, "%s (code %d)\n", memkind_last_error(), err);
        exit(EXIT_FAILURE);
    }
}

/* For calls that say by errno why they have failed. */
static inline void example_expect(bool succeeded, const char *what)
{
    if (!succeeded) {
        (void)fprintf(stderr, "%s: %s\n", what, strerror(errno));
        exit(EXIT_FAILURE);
    }
}

/* For what has to be so after the calls. */
static inline void example_check(bool holds, const char *what)
{
    if (!holds) {
        (void)fflush(stdout);
        (void)fprintf(stderr, "check failed: %s\n", what);
        exit(EXIT_FAILURE);
    }
}

/* ---- time and statistics ---- */

/* Seconds, from the clock of the time of day. */
static inline double example_seconds(void)
{
    struct timespec now;
    (void)timespec_get(&now, TIME_UTC);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* The number of bytes at this moment; examples/pmem_statistics.c has more. */
static inline size_t example_stat(memkind_t kind, memkind_stat_type type)
{
    size_t bytes = 0;
    example_expect_success(memkind_update_cached_stats());
    example_expect_success(memkind_get_stat(kind, type, &bytes));
    return bytes;
}

/* ---- contents ---- */

/* Byte number i of pattern number `seed`. */
static inline unsigned char example_byte(size_t seed, size_t i)
{
    return (unsigned char)((seed * 131 + i * 7 + 1) & 0xff);
}

static inline void example_fill(void *object, size_t size, size_t seed)
{
    unsigned char *bytes = (unsigned char *)object;
    for (size_t i = 0; i < size; i++) {
        bytes[i] = example_byte(seed, i);
    }
}

static inline bool example_verify(const void *object, size_t size, size_t seed)
{
    const unsigned char *bytes = (const unsigned char *)object;
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != example_byte(seed, i)) {
            return false;
        }
    }
    return true;
}

#endif /* EXAMPLE_H */
