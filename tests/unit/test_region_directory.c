/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The number of a pool's directory, once it is that of a descriptor which the
 * program itself has of the same directory.
 */
#include <fcntl.h>
#include <unistd.h>

#include "descriptor.h"
#include "layer_test.h"
#include "region_pool.h"
#include "sys_calls.h"

static int owner;
static struct memkind_region_pool pool, second;

static void open_pool(struct memkind_region_pool *which)
{
    REQUIRE_EQ(region_pool_open_files(which, test_dir(), 16 * MIB, &owner), 0);
}

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

static void replace(int number)
{
    int own = open(test_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    REQUIRE_GE(own, 0);
    REQUIRE_EQ(dup2(own, number), number);
    close(own);
}

static void test_closing(void)
{
    open_pool(&pool);
    int number = pool.place.directory;
    replace(number);
    region_pool_close(&pool);
    CHECK(is_open(number));
    close(number);
}

static void test_sharing(void)
{
    open_pool(&pool);
    int number = pool.place.directory;
    replace(number);
    open_pool(&second);
    CHECK_NE(second.place.directory, number);
    region_pool_close(&second);
    region_pool_close(&pool);
    CHECK(is_open(number));
    close(number);
}

/* The pool's own number is as before. */
static void test_its_own(void)
{
    open_pool(&pool);
    open_pool(&second);
    int number = pool.place.directory;
    CHECK_EQ(second.place.directory, number);
    region_pool_close(&pool);
    CHECK(is_open(number));
    region_pool_close(&second);
    CHECK(!is_open(number));
}

static int (*real_close)(int fd);
static int later;

/* Called when a pool closes its file: what other threads may do by then. One
 * closes the other pool, and one begins to open a further pool. */
static int close_meanwhile(int fd)
{
    sys.close = real_close;
    region_pool_close(&second);
    later = descriptor_open_directory(test_dir());
    return sys.close(fd);
}

static void test_of_a_later_pool(void)
{
    open_pool(&pool);
    open_pool(&second);
    CHECK_EQ(pool.place.directory, second.place.directory);
    const int number = pool.place.directory;
    real_close = sys.close;
    sys.close = close_meanwhile;
    region_pool_close(&pool);
    CHECK(sys.close == real_close);
    CHECK_EQ(later, number);
    CHECK(is_open(later));
    close(later);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        {"the program's descriptor is not closed", test_closing},
        {"nor used by further pools", test_sharing},
        {"a pool's own is", test_its_own},
        {"that of a later pool is not closed", test_of_a_later_pool},
        {NULL, NULL},
    };
    return test_main("region_directory", tests, argc, argv);
}
