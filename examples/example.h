/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the example programs share: which directory to use, how to report an
 * error, and a pattern of bytes to fill objects with and to recognise later.
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

/* Reports a memkind status code; gives the exit status. */
static inline int example_fail(const char *what, int err)
{
    char text[MEMKIND_ERROR_MESSAGE_SIZE];
    memkind_error_message(err, text, sizeof(text));
    (void)fprintf(stderr, "%s: %s (code %d)\n", what, text, err);
    return EXIT_FAILURE;
}

/* Reports errno, for calls that give a pointer; gives the exit status. */
static inline int example_fail_errno(const char *what)
{
    (void)fprintf(stderr, "%s: %s\n", what, strerror(errno));
    return EXIT_FAILURE;
}

/* Reports something that is not as it has to be; gives the exit status. */
static inline int example_fail_check(const char *what)
{
    (void)fprintf(stderr, "check failed: %s\n", what);
    return EXIT_FAILURE;
}

/* Destroys the kind; gives `status`, or failure where that did not work. */
static inline int example_destroy(memkind_t kind, int status)
{
    int err = memkind_destroy_kind(kind);
    return err == MEMKIND_SUCCESS ? status
                                  : example_fail("memkind_destroy_kind", err);
}

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
