/* SPDX-License-Identifier: BSD-2-Clause */
/* Mappings that are kept for fork(): as many as are said, and what is left if
 * calls fail. */
#include "mapping_reserve.h"

#include <errno.h>
#include <sys/mman.h>

#include "layer_test.h"
#include "sys_calls.h"

enum { FEW = 8 }; /* at least, for the first pool */

static struct sys_calls real;
static unsigned protects; /* mprotect() calls that may succeed yet */

static void *no_mmap(void *addr, size_t len, int prot, int flags, int fd,
                     off_t offset)
{
    (void)addr, (void)len, (void)prot, (void)flags, (void)fd, (void)offset;
    errno = ENOMEM;
    return MAP_FAILED;
}

static int no_munmap(void *addr, size_t len)
{
    (void)addr, (void)len;
    errno = ENOMEM;
    return -1;
}

static int few_mprotects(void *addr, size_t len, int prot)
{
    if (protects == 0) {
        errno = ENOMEM;
        return -1;
    }
    protects--;
    return real.mprotect(addr, len, prot);
}

/* How many mappings there are more than before; 0 if they do not count here. */
static size_t more_than(size_t before)
{
    return COUNT_MAPPINGS ? test_mappings() - before : 0;
}

static size_t least(size_t mappings)
{
    return COUNT_MAPPINGS ? mappings : 0;
}

static void test_it_is_as_large_as_is_needed(void)
{
    const size_t before = test_mappings();
    mapping_reserve_renew(); /* nothing is wanted */
    CHECK_EQ(more_than(before), 0);
    mapping_reserve_fit(1);
    const size_t one = more_than(before);
    CHECK_GE(one, least(FEW + 1));
    mapping_reserve_fit(2);
    CHECK_EQ(more_than(before), one);
    mapping_reserve_fit(500);
    CHECK_GE(more_than(before), least(500));
    CHECK_LE(more_than(before), 1000);
    mapping_reserve_fit(1000000);
    CHECK_LE(more_than(before), 2100);
    mapping_reserve_fit(0);
    CHECK_EQ(more_than(before), 0);
}

/* Programs that have one kind after the other do not make it each time. */
static void test_a_small_one_stays(void)
{
    const size_t before = test_mappings();
    mapping_reserve_fit(1);
    const size_t one = more_than(before);
    real = sys;
    sys.mmap = no_mmap;
    sys.munmap = no_munmap;
    mapping_reserve_fit(0);
    mapping_reserve_fit(1);
    mapping_reserve_fit(0);
    sys = real;
    CHECK_EQ(more_than(before), one);
    /* Up to the next fork. */
    mapping_reserve_release();
    CHECK_EQ(more_than(before), 0);
    mapping_reserve_renew();
    CHECK_EQ(more_than(before), 0);
    mapping_reserve_fit(1);
    CHECK_EQ(more_than(before), one);
    mapping_reserve_fit(0);
    mapping_reserve_release();
    mapping_reserve_fit(0);
    CHECK_EQ(more_than(before), 0);
}

static void test_around_fork(void)
{
    const size_t before = test_mappings();
    mapping_reserve_fit(3);
    const size_t made = more_than(before);
    mapping_reserve_release();
    CHECK_EQ(more_than(before), 0);
    mapping_reserve_release();
    errno = 77;
    mapping_reserve_renew();
    CHECK_EQ(errno, 77);
    CHECK_EQ(more_than(before), made);
    mapping_reserve_renew();
    CHECK_EQ(more_than(before), made);
    /* In a child, which makes a pool. */
    mapping_reserve_release();
    mapping_reserve_fit(1);
    CHECK_GE(more_than(before), least(FEW + 1));
    mapping_reserve_fit(0);
    mapping_reserve_release();
    CHECK_EQ(more_than(before), 0);
}

static void test_calls_fail(void)
{
    size_t before = test_mappings();
    real = sys;
    sys.mmap = no_mmap;
    errno = 77;
    mapping_reserve_fit(1);
    CHECK_EQ(errno, 77);
    CHECK_EQ(more_than(before), 0);
    mapping_reserve_release();
    sys = real;
    mapping_reserve_renew();
    CHECK_GE(more_than(before), least(FEW));
    /* One that cannot be unmapped stays, and is not touched again: there is no
     * other one for each fork(). */
    sys.munmap = no_munmap;
    mapping_reserve_release();
    sys = real;
    before = test_mappings();
    mapping_reserve_release();
    mapping_reserve_renew();
    CHECK_EQ(more_than(before), 0);
    mapping_reserve_fit(1);
    CHECK_GE(more_than(before), least(FEW));
    mapping_reserve_fit(0);
    mapping_reserve_release();
    CHECK_EQ(more_than(before), 0);
    /* There is less then, and that does not stay. */
    sys.mprotect = few_mprotects;
    protects = 2;
    mapping_reserve_fit(1);
    CHECK_LE(more_than(before), 5);
    sys = real;
    mapping_reserve_fit(0);
    CHECK_EQ(more_than(before), 0);
}

static const struct test_case tests[] = {
    {"it is as large as is needed", test_it_is_as_large_as_is_needed},
    {"a small one stays", test_a_small_one_stays},
    {"around fork", test_around_fork},
    {"calls fail", test_calls_fail},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("mappings in reserve", tests, argc, argv);
}
