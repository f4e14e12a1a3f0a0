/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * File systems without fallocate(2), on which space is taken by writing, in a
 * process that lowers its limit of file sizes once the file is there.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "layer_test.h"
#include "region_pool.h"
#include "sys_calls.h"

#define PAGE region_page_size()
#define LIMIT (8 * MIB)

static int owner;
static struct memkind_region_pool pool;
static volatile sig_atomic_t signals;

static void note_signal(int number)
{
    (void)number;
    signals = signals + 1;
}

static int no_fallocate(int fd, int mode, off_t offset, off_t size)
{
    if (mode != 0)
        return fallocate(fd, mode, offset, size);
    errno = EOPNOTSUPP;
    return -1;
}

static void lower_the_limit(rlim_t bytes, struct rlimit *before)
{
    REQUIRE_EQ(getrlimit(RLIMIT_FSIZE, before), 0);
    const struct rlimit limit = {bytes, before->rlim_max};
    REQUIRE_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* Space can be taken through the mapping, without a limit, since Linux 5.14. */
static bool can_populate(void *page)
{
    enum { POPULATE_WRITE = 23 };
    return madvise(page, PAGE, POPULATE_WRITE) == 0;
}

static void take_blocks(void)
{
    bool commit = true, zeroed = false;
    struct rlimit before;
    char *first = region_pool_alloc(&pool, MIB, PAGE, &commit, &zeroed);
    REQUIRE_NOT_NULL(first);
    test_fill(first, MIB, 1);
    lower_the_limit(MIB / 2, &before);
    bool can = can_populate(first);
    char *second = region_pool_alloc(&pool, MIB, PAGE, &commit, &zeroed);
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
    CHECK_EQ(signals, 0);
    CHECK_EQ(can, (second != NULL));
    size_t held = second != NULL ? 2 * MIB : MIB;
    CHECK(second == NULL || is_zero(second, MIB));
    CHECK_EQ(region_pool_charged(&pool), held);
    CHECK_EQ(file_bytes(pool.regions[0].fd), held);
    CHECK(test_check(first, MIB, 1));
}

static void test_a_lowered_limit(void)
{
    const struct sys_calls real = sys;
    struct sigaction action = {.sa_handler = note_signal}, before;
    REQUIRE_EQ(sigaction(SIGXFSZ, &action, &before), 0);
    sys.fallocate = no_fallocate;
    REQUIRE_EQ(region_pool_open_files(&pool, test_dir(), LIMIT, &owner), 0);
    take_blocks();
    region_pool_close(&pool);
    sys = real;
    CHECK_EQ(sigaction(SIGXFSZ, &before, NULL), 0);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        {"a lowered limit", test_a_lowered_limit},
        {NULL, NULL},
    };
    return test_main("region_write", tests, argc, argv);
}
