/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the CUnit programs share: one program for each suite, with a directory
 * of its own under $MEMKIND_TEST_DIR (default /dev/shm) that is there while
 * the tests run and has to be empty after them.
 */
#ifndef TEST_SUPPORT_H
#define TEST_SUPPORT_H

#include <CUnit/Basic.h>
#include <stdbool.h>
#include <stddef.h>

/* CTest takes this exit status for "skipped". */
#define TEST_SKIPPED 77

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
 * without test_main() names one that is there. */
const char *test_dir(void);
void test_use_dir(const char *path);
const char *test_path(const char *name);

/* What the process holds: to be the same before and after. */
struct test_resources {
    size_t fds;
    size_t maps;       /* lines of /proc/self/maps */
    size_t mapped_kib; /* VmSize */
    size_t file_space; /* test_file_space() */
};
void test_resources_take(struct test_resources *resources);

/* Bytes of file space that the process holds by files of test_dir(): those that
 * are open, and, where it may look (root), those that are only mapped. (What
 * has a name is found when the directory is removed.) Not from two threads at
 * once. */
size_t test_file_space(void);

/* How many mappings jemalloc's own data may be cut into beyond what it was:
 * where vm.overcommit_memory is 2 jemalloc takes access away from its free
 * pages, and each such range is a mapping of its own. It comes and goes, and
 * adds no byte to mapped_kib. 0 elsewhere. */
size_t test_metadata_splits(void);

/* The unit in which the kinds of test_dir() take file space: a page, or 2 MiB
 * where MEMKIND_TEST_MEMORY says that the memory is DAX. */
size_t test_space_unit(void);

/* Whether kinds are hardened: objects take more space than their usable size,
 * and freed ones keep it for a while. Suites that count space say so then. */
bool test_is_hardened(void);

/* The size that an object may have so that it takes `size` bytes, a size class:
 * that size, or less where something lies around it. */
size_t test_fitting(size_t size);

/* How much of a space objects of a size have to be able to fill: nine tenths,
 * or less where something lies around them. */
size_t test_least_filled(size_t space, size_t size);

/* Bytes of free space on test_dir()'s file system. */
size_t test_free_space(void);

/* A 64-bit pseudo-random number; *state is the seed, not 0. */
unsigned long long test_random(unsigned long long *state);

/* Fills an object with a pattern of its seed, and checks it. */
void test_fill(void *object, size_t size, unsigned seed);
bool test_check(const void *object, size_t size, unsigned seed);

#endif
