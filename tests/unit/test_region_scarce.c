/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * If a process may have little more address space (RLIMIT_AS), or may lock
 * little more memory (RLIMIT_MEMLOCK, after mlockall(MCL_FUTURE), which counts
 * what cannot be touched, too), a pool leaves half of what there is to others.
 */
#include <errno.h>
#include <sys/mman.h>

#include "layer_test.h"
#include "region_pool.h"
#include "sys_calls.h"

#define THERE_IS (600 * MIB)

static int owner;
static struct memkind_region_pool pool;
static int error;

static void *mmap_within(void *addr, size_t size, int prot, int flags, int fd,
                         off_t offset)
{
    if (size <= THERE_IS)
        return mmap(addr, size, prot, flags, fd, offset);
    errno = error;
    return MAP_FAILED;
}

static void open_with(int failure)
{
    const struct sys_calls real = sys;
    sys.mmap = mmap_within;
    error = failure;
    REQUIRE_EQ(region_pool_open_files(&pool, test_dir(), 0, &owner), 0);
    CHECK_LE(pool.regions[0].size, THERE_IS / 2);
    CHECK_GE(pool.regions[0].size, THERE_IS / 4);
    region_pool_close(&pool);
    sys = real;
}

static void test_address_space(void)
{
    open_with(ENOMEM);
}

static void test_locked_memory(void)
{
    open_with(EAGAIN);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        {"address space", test_address_space},
        {"locked memory", test_locked_memory},
        {NULL, NULL},
    };
    return test_main("region_scarce", tests, argc, argv);
}
