/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the CUnit programs share: one program for each suite, with a directory
 * of its own under $MEMKIND_TEST_DIR (default /dev/shm) that exists while the
 * tests run and has to be empty after them.
 */
#ifndef TEST_SUPPORT_H
#define TEST_SUPPORT_H

#include <CUnit/Basic.h>
#include <stdbool.h>
#include <stddef.h>

#include "test_check.h"

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#define GIB ((size_t)1 << 30)
#define TIB ((size_t)1 << 40)

/* CTest takes this exit status for "skipped". */
#define TEST_SKIPPED 77

/* Whether a sanitizer needs address space and memory for itself. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED true
#endif
#endif
#ifndef SANITIZED
#define SANITIZED false
#endif

struct test_case {
    const char *name;
    void (*run)(void);
};

/*
 * Runs the tests, which end with {NULL, NULL}, and prints CUnit's summary.
 * Returns the exit status for main(). With arguments, only tests whose names
 * contain one of them are run; an argument that starts with '-' leaves tests
 * out instead.
 */
int test_main(const char *suite, const struct test_case *tests, int argc,
              char **argv);

/* The suite's directory, and a path in it (in a static buffer). A program
 * without test_main() names one that exists. */
const char *test_dir(void);
void test_use_dir(const char *path);
const char *test_path(const char *name);

/* What the process holds: compared before and after a test. */
struct test_resources {
    size_t fds;
    size_t maps;       /* lines of /proc/self/maps */
    size_t mapped_kib; /* VmSize */
    size_t file_space; /* test_file_space() */
};
void test_resources_take(struct test_resources *resources);

/* Single numbers: mappings, and the KiB in a line of /proc/self/status
 * ("VmRSS:"). Ends the process if there is no such line. */
size_t test_mappings(void);
size_t test_status_kib(const char *name);

/* Bytes of file space that the process holds by files of test_dir(): those that
 * are open, and, if it may look (root), those that are only mapped. (A file
 * with a name is found when the directory is removed.) One thread at a time may
 * call this. */
size_t test_file_space(void);

/* How many more mappings jemalloc's own data may be cut into: if
 * vm.overcommit_memory is 2, jemalloc takes access away from its free pages,
 * and each such range is a mapping of its own. They come and go, and add no
 * byte to mapped_kib. 0 in other modes. */
size_t test_metadata_splits(void);

/* The unit in which the kinds of test_dir() take file space: a page, or 2 MiB
 * if MEMKIND_TEST_MEMORY says that the memory is DAX. */
size_t test_space_unit(void);

/* Whether kinds are hardened: objects take more space than their usable size,
 * and freed ones keep it for a while. Suites that count space say so then. */
bool test_is_hardened(void);

/* The size that an object may have so that it takes `size` bytes, a size class:
 * that size, or less if red zones lie around it. */
size_t test_fitting(size_t size);

/* How much of a space objects of a size have to be able to fill: nine tenths,
 * or less if red zones lie around them. */
size_t test_least_filled(size_t space, size_t size);

/* Bytes of free space on test_dir()'s file system. */
size_t test_free_space(void);

/*
 * Whether so much space is free in test_dir(), or in a directory; on tmpfs,
 * which is made of memory, so much memory has to be available, too. If not,
 * prints "skipped: needs N MiB free in DIR, has M", and the test, which then
 * ends at once, counts as skipped.
 */
bool test_has_space(size_t bytes);
bool test_has_space_in(const char *dir, size_t bytes);

/* Whether so much memory is available, as the kernel counts it (MemAvailable).
 */
bool test_has_memory(size_t bytes);

/* The running test counts as skipped. If all tests of a program are, it ends
 * with TEST_SKIPPED. */
void test_is_skipped(void);

/* Reads a file's text, at most size - 1 bytes of it, and removes the file. Ends
 * the test if it cannot be read. */
void test_read_and_remove(const char *path, char *text, size_t size);

/* A 64-bit pseudo-random number; *state is the seed, not 0. */
unsigned long long test_random(unsigned long long *state);

/* Fills an object with a pattern of its seed, and checks it. */
void test_fill(void *object, size_t size, unsigned seed);
bool test_check(const void *object, size_t size, unsigned seed);

#endif
