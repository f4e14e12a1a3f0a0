/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The program replaces a kind's descriptor while space is being taken by it, in
 * several steps: the other file gets no more than one of them, and the kind all
 * of its space.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "layer_test.h"
#include "region_pool.h"
#include "sys_calls.h"

#define PAGE region_page_size()
#define STEP_MOST (64 * MIB)
#define SIZE (160 * MIB)

static int owner, other, calls;
static struct memkind_region_pool pool;
static struct sys_calls real;

/* Before the second step. */
static void replace(int fd)
{
    if (++calls == 2)
        CHECK_EQ(dup2(other, fd), fd);
}

static int fallocate_replaced(int fd, int mode, off_t offset, off_t size)
{
    if (mode == 0)
        replace(fd);
    return real.fallocate(fd, mode, offset, size);
}

static int no_fallocate(int fd, int mode, off_t offset, off_t size)
{
    if (mode != 0)
        return real.fallocate(fd, mode, offset, size);
    errno = EOPNOTSUPP;
    return -1;
}

static ssize_t pwrite_replaced(int fd, const void *from, size_t size,
                               off_t offset)
{
    replace(fd);
    return real.pwrite(fd, from, size, offset);
}

/* Space can be taken through the mapping since Linux 5.14. */
static bool can_populate(void)
{
    enum { POPULATE_WRITE = 23 };
    void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    bool can = madvise(page, PAGE, POPULATE_WRITE) == 0;
    munmap(page, PAGE);
    return can;
}

static void take_all(int file, size_t most)
{
    bool commit = true, zeroed = false;
    char *block = region_pool_alloc(&pool, SIZE, PAGE, &commit, &zeroed);
    CHECK_EQ(can_populate(), (block != NULL));
    CHECK_EQ(calls, 2);
    CHECK_LE(file_bytes(other), most);
    CHECK_EQ(region_pool_charged(&pool), (block != NULL ? SIZE : 0));
    CHECK(block == NULL || file_bytes(file) == SIZE);
}

static void run(size_t most)
{
    const int directory = open(test_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    calls = 0;
    other = openat(directory, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    REQUIRE_GE(other, 0);
    REQUIRE_EQ(region_pool_open_files(&pool, test_dir(), 0, &owner), 0);
    const int number = pool.regions[0].fd;
    const int file = fcntl(number, F_DUPFD_CLOEXEC, 0);
    take_all(file, most);
    region_pool_close(&pool);
    sys = real;
    CHECK_EQ(close(number), 0);
    CHECK_EQ(close(file), 0);
    CHECK_EQ(close(other), 0);
    CHECK_EQ(close(directory), 0);
}

static void test_fallocate(void)
{
    real = sys;
    sys.fallocate = fallocate_replaced;
    run(STEP_MOST);
}

static void test_writing(void)
{
    real = sys;
    sys.fallocate = no_fallocate;
    sys.pwrite = pwrite_replaced;
    run(64 * KIB);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        {"by fallocate()", test_fallocate},
        {"by writing", test_writing},
        {NULL, NULL},
    };
    return test_main("region_replaced", tests, argc, argv);
}
