/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A forked child's private mapping of a file that its parent has closed: by
 * destroying the pool, and before that by losing the descriptor.
 */
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "layer_test.h"
#include "region_pool.h"

#define PAGE region_page_size()

static int owner;
static struct memkind_region_pool pool;

/* Waits until the parent has closed the pool. */
static int child(int pipe_end, const char *block)
{
    char byte;
    if (read(pipe_end, &byte, 1) != 1)
        return 2;
    return test_check(block, MIB, 3) ? 0 : 1;
}

static void run(void (*lose)(int fd))
{
    bool commit = true, zeroed = false;
    int ends[2], status = -1;
    REQUIRE_EQ(pipe(ends), 0);
    REQUIRE_EQ(region_pool_open_files(&pool, test_dir(), 16 * MIB, &owner), 0);
    char *block = region_pool_alloc(&pool, MIB, PAGE, &commit, &zeroed);
    REQUIRE_NOT_NULL(block);
    test_fill(block, MIB, 3);
    pid_t pid = fork();
    if (pid == 0)
        _exit(child(ends[0], block));
    const int fd = pool.regions[0].fd;
    if (lose != NULL)
        lose(fd);
    region_pool_close(&pool);
    CHECK_EQ(write(ends[1], "", 1), 1);
    CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
    CHECK_EQ(status, 0);
    if (lose != NULL)
        close(fd); /* fails if the number is free */
    close(ends[0]);
    close(ends[1]);
}

static void test_closed(void)
{
    run(NULL);
}

static void close_it(int fd)
{
    CHECK_EQ(close(fd), 0);
}

static void test_lost(void)
{
    run(close_it);
}

static void replace_it(int fd)
{
    int other = open("/dev/null", O_RDWR | O_CLOEXEC);
    CHECK_EQ(dup2(other, fd), fd);
    close(other);
}

static void test_replaced(void)
{
    run(replace_it);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        {"a pool that is closed", test_closed},
        {"a descriptor that was closed", test_lost},
        {"a descriptor that is another file's", test_replaced},
        {NULL, NULL},
    };
    return test_main("region_outlived", tests, argc, argv);
}
