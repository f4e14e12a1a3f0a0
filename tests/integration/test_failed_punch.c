/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Holes that could not be punched when objects were freed, by an error that
 * passes: the space still goes back, a little later.
 */
#include <errno.h>
#include <fcntl.h>
#include <memkind.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#include "sys_calls.h"
#include "test_support.h"

#define LIMIT (64 * MIB)
#define SIZE ((size_t)100000)
#define COUNT ((size_t)480) /* of the limit, most */

static struct sys_calls real;
static atomic_int failure;
static memkind_t kind;
static char *objects[COUNT];

static bool fails(void)
{
    int error = atomic_load(&failure);
    if (error != 0)
        errno = error;
    return error != 0;
}

static int failing_madvise(void *addr, size_t size, int advice)
{
    if (advice == MADV_REMOVE && fails())
        return -1;
    return real.madvise(addr, size, advice);
}

static int failing_fallocate(int fd, int mode, off_t offset, off_t len)
{
    if ((mode & FALLOC_FL_PUNCH_HOLE) != 0 && fails())
        return -1;
    return real.fallocate(fd, mode, offset, len);
}

static void fill(void)
{
    for (size_t i = 0; i < COUNT; i++) {
        objects[i] = memkind_malloc(kind, SIZE);
        REQUIRE_NOT_NULL(objects[i]);
        test_fill(objects[i], SIZE, (unsigned)i);
    }
}

static void check_and_empty(void)
{
    for (size_t i = 0; i < COUNT; i++) {
        CHECK(test_check(objects[i], SIZE, (unsigned)i));
        memkind_free(kind, objects[i]);
    }
}

/* A kind, all of whose objects were freed in vain. */
static void begin(int error)
{
    REQUIRE_EQ(memkind_create_pmem(test_dir(), LIMIT, &kind), MEMKIND_SUCCESS);
    real = sys;
    sys.madvise = failing_madvise;
    sys.fallocate = failing_fallocate;
    fill();
    atomic_store(&failure, error);
    check_and_empty();
    CHECK_EQ(memkind_purge_kind(kind), MEMKIND_SUCCESS);
    CHECK_GE(test_file_space(), COUNT * SIZE / 2);
}

static void end(void)
{
    atomic_store(&failure, 0);
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
    sys = real;
    CHECK_EQ(test_file_space(), 0);
}

static const int errors[] = {EIO, ENOSPC, EPERM, EBUSY, ENOMEM};
#define ERRORS (sizeof errors / sizeof errors[0])

static void test_a_purge_gives_it_back(void)
{
    for (size_t i = 0; i < ERRORS; i++) {
        begin(errors[i]);
        atomic_store(&failure, 0);
        CHECK_EQ(memkind_purge_kind(kind), MEMKIND_SUCCESS);
        CHECK_LE(test_file_space(), 4 * MIB);
        end();
    }
}

static void test_a_large_object_gets_it(void)
{
    begin(EIO);
    atomic_store(&failure, 0);
    size_t size = test_fitting(56 * MIB);
    char *large = memkind_malloc(kind, size);
    REQUIRE_NOT_NULL(large);
    memset(large, 1, size);
    memkind_free(kind, large);
    end();
}

/* While it fails, the kind itself uses the space again, cleared. */
static void test_the_kind_goes_on_with_it(void)
{
    begin(EIO);
    for (int round = 0; round < 3; round++) {
        fill();
        check_and_empty();
        char *zero = memkind_calloc(kind, 1, MIB);
        REQUIRE_NOT_NULL(zero);
        for (size_t at = 0; at < MIB; at++)
            if (zero[at] != 0) {
                CU_FAIL("calloc() is not zero");
                break;
            }
        memset(zero, 1, MIB);
        memkind_free(kind, zero);
        CHECK_EQ(memkind_purge_kind(kind), MEMKIND_SUCCESS);
    }
    CHECK_LE(test_file_space(), LIMIT + MIB);
    end();
}

/* Freeing does not report it. */
static void test_errno_stays(void)
{
    begin(EIO);
    fill();
    errno = 12345;
    check_and_empty();
    CHECK_EQ(errno, 12345);
    end();
}

static const struct test_case tests[] = {
    {"a purge gives it back", test_a_purge_gives_it_back},
    {"a large object gets it", test_a_large_object_gets_it},
    {"the kind goes on with it", test_the_kind_goes_on_with_it},
    {"errno stays", test_errno_stays},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("failed punches", tests, argc, argv);
}
