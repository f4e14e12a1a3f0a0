/* SPDX-License-Identifier: BSD-2-Clause */
/* What can be behind a pool: a directory, a file, a device, memory, a buffer.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>

#include "address_table.h"
#include "pool_test.h"

/* ---- opening and closing ----------------------------------------------- */

static void check_open_pool(enum region_backing backing)
{
    CHECK_EQ(pool.backing, backing);
    REQUIRE_EQ(atomic_load(&pool.count), 1);
    const struct region *region = &pool.regions[0];
    char *last = region->base + region->size - 1;
    CHECK_EQ(address_table_find(region->base), &owner);
    CHECK_EQ(address_table_find(last), &owner);
    CHECK_NULL(address_table_find(last + 1));
    CHECK_NULL(address_table_find(region->base - 1));
    CHECK_EQ(region_pool_find(&pool, region->base), region);
    CHECK_EQ(region_pool_find(&pool, last), region);
    CHECK_NULL(region_pool_find(&pool, last + 1));
    CHECK_NULL(region_pool_find(&pool, NULL));
    CHECK_EQ(region_pool_charged(&pool), 0);
    CHECK(!region_pool_is_pmem(&pool));
    char *base = region->base;
    region_pool_close(&pool);
    CHECK_NULL(address_table_find(base));
}

static void open_and_close_each(void)
{
    CHECK_EQ(region_pool_open_files(&pool, test_dir(), 32 * MIB, &owner), 0);
    CHECK_EQ(region_pool_capacity(&pool), 32 * MIB);
    check_open_pool(REGION_FILES);

    CHECK_EQ(region_pool_open_files(&pool, test_dir(), 0, &owner), 0);
    CHECK_GT(region_pool_capacity(&pool), 0);
    check_open_pool(REGION_FILES);

    int fd = make_empty_file();
    CHECK_EQ(region_pool_open_file(&pool, fd, 32 * MIB, &owner), 0);
    CHECK_EQ(region_pool_capacity(&pool), 32 * MIB);
    check_open_pool(REGION_FILE);
    close(fd);

    char *buffer = make_buffer(MIB);
    CHECK_EQ(region_pool_open_buffer(&pool, buffer, MIB, &owner), 0);
    CHECK_EQ(region_pool_capacity(&pool), MIB);
    check_open_pool(REGION_BUFFER);
    munmap(buffer, MIB);

    CHECK_EQ(region_pool_open_memory(&pool, &owner), 0);
    CHECK_GT(region_pool_capacity(&pool), MIB);
    check_open_pool(REGION_MEMORY);
}

static void test_every_backing_opens_and_closes(void)
{
    struct test_resources before;
    open_and_close_each(); /* what is made once, and kept */
    layer_resources_take(&before);
    for (int i = 0; i < 20; i++)
        open_and_close_each();
    CHECK(nothing_leaked(&before));
}

static void test_bad_directories_leave_nothing(void)
{
    struct test_resources before;
    layer_resources_take(&before);
    CHECK_EQ(region_pool_open_files(&pool, test_path("missing"), 0, &owner),
             -ENOENT);
    CHECK_EQ(region_pool_open_files(&pool, "", 0, &owner), -ENOENT);
    CHECK_EQ(region_pool_open_files(&pool, "/dev/null", 0, &owner), -ENOTDIR);
    CHECK(nothing_leaked(&before));
}

/* Further regions come from the same directory after the process has changed
 * its own. */
static void test_relative_directory(void)
{
    int here = open(".", O_DIRECTORY | O_CLOEXEC);
    REQUIRE_EQ(chdir(test_dir()), 0);
    CHECK_EQ(region_pool_open_files(&pool, ".", 16 * MIB, &owner), 0);
    REQUIRE_EQ(chdir("/proc"), 0);
    CHECK_NOT_NULL(alloc_block(4 * GIB, page(), false));
    CHECK_EQ(atomic_load(&pool.count), 2);
    region_pool_close(&pool);
    REQUIRE_EQ(fchdir(here), 0);
    close(here);
}

/* ---- buffers ----------------------------------------------------------- */

static void test_whole_pages_of_a_buffer(void)
{
    const size_t size = 64 * page();
    char *buffer = make_buffer(size);
    test_fill(buffer, size, 7);
    REQUIRE_EQ(region_pool_open_buffer(&pool, buffer + 1, size - 2, &owner), 0);
    CHECK(region_pool_is_fixed(&pool));
    CHECK_EQ(pool.regions[0].base, buffer + page());
    CHECK_EQ(pool.regions[0].size, size - 2 * page());
    CHECK_EQ(region_pool_capacity(&pool), size - 2 * page());
    CHECK_NULL(address_table_find(buffer + page() - 1));
    CHECK_NULL(address_table_find(buffer + size - page()));

    bool commit = false, zeroed = true;
    char *block =
        region_pool_alloc(&pool, 2 * page(), page(), &commit, &zeroed);
    CHECK_EQ(block, buffer + page());
    CHECK(commit);
    CHECK(!zeroed);
    CHECK_EQ(region_pool_charged(&pool), 2 * page());
    /* The block is always committed, and its space cannot be given back. */
    CHECK_EQ(region_pool_commit(&pool, block, page()), 0);
    CHECK_NE(region_pool_decommit(&pool, block, page()), 0);
    CHECK_EQ(region_pool_charged(&pool), 2 * page());

    CHECK_NULL(alloc_block(size, page(), false));
    CHECK_NOT_NULL(alloc_block(60 * page(), page(), true));
    CHECK_NULL(alloc_block(page(), page(), true));
    CHECK_EQ(errno, ENOMEM);
    region_pool_close(&pool);
    /* The buffer is still the caller's, and as it was. */
    CHECK(test_check(buffer, size, 7));
    munmap(buffer, size);
}

static void test_bad_buffers(void)
{
    const size_t size = 64 * page();
    static struct memkind_region_pool other;
    struct test_resources before;
    char *buffer = make_buffer(size);
    layer_resources_take(&before);
    CHECK_EQ(region_pool_open_buffer(&pool, NULL, size, &owner), -EINVAL);
    CHECK_EQ(region_pool_open_buffer(&pool, buffer, 0, &owner), -EINVAL);
    CHECK_EQ(region_pool_open_buffer(&pool, buffer, page() - 1, &owner),
             -EINVAL);
    /* Two parts of pages. */
    CHECK_EQ(region_pool_open_buffer(&pool, buffer + 1, 2 * page() - 2, &owner),
             -EINVAL);
    CHECK_EQ(region_pool_open_buffer(&pool, buffer, SIZE_MAX - 1, &owner),
             -EINVAL);
    CHECK_EQ(
        region_pool_open_buffer(&pool, (void *)UINTPTR_MAX, page(), &owner),
        -EINVAL);
    CHECK_EQ(
        region_pool_open_buffer(&pool, (void *)(UINTPTR_MAX - 5), 3, &owner),
        -EINVAL);

    REQUIRE_EQ(region_pool_open_buffer(&other, buffer + 8 * page(), 16 * page(),
                                       &owner),
               0);
    CHECK_EQ(region_pool_open_buffer(&pool, buffer, size, &owner), -EEXIST);
    CHECK_EQ(region_pool_open_buffer(&pool, buffer + 10 * page(), 2 * page(),
                                     &owner),
             -EEXIST);
    CHECK_EQ(
        region_pool_open_buffer(&pool, buffer, 8 * page() + page(), &owner),
        -EEXIST);
    /* Neighbours do not matter. */
    CHECK_EQ(region_pool_open_buffer(&pool, buffer, 8 * page(), &owner), 0);
    region_pool_close(&pool);
    region_pool_close(&other);
    CHECK_EQ(region_pool_open_buffer(&pool, buffer, size, &owner), 0);
    region_pool_close(&pool);
    CHECK(nothing_leaked(&before));
    munmap(buffer, size);
}

/* ---- files of the caller's --------------------------------------------- */

static void test_files_that_are_refused(void)
{
    struct test_resources before;
    struct stat st;
    int ends[2];
    layer_resources_take(&before);
    CHECK_EQ(region_pool_open_file(&pool, -1, 0, &owner), -EBADF);

    int fd = make_empty_file();
    CHECK_EQ(pwrite(fd, "full", 4, 0), 4);
    CHECK_EQ(region_pool_open_file(&pool, fd, 0, &owner), -EINVAL);
    CHECK_EQ(fstat(fd, &st), 0);
    CHECK_EQ(st.st_size, 4);
    close(fd);

    fd = open(test_dir(), O_RDONLY | O_DIRECTORY);
    CHECK_EQ(region_pool_open_file(&pool, fd, 0, &owner), -EINVAL);
    close(fd);
    fd = open("/dev/null", O_RDWR);
    CHECK_EQ(region_pool_open_file(&pool, fd, 0, &owner), -EINVAL);
    close(fd);
    REQUIRE_EQ(pipe(ends), 0);
    CHECK_EQ(region_pool_open_file(&pool, ends[1], 0, &owner), -EINVAL);
    close(ends[0]);
    close(ends[1]);
    CHECK(nothing_leaked(&before));
}

/* A file has to be open for reading and writing; others stay as they were. */
static void test_read_only_and_write_only_files(void)
{
    static const int modes[] = {O_RDONLY, O_WRONLY};
    struct test_resources before;
    char path[64];
    layer_resources_take(&before);
    int writer = make_empty_file();
    snprintf(path, sizeof path, "/proc/self/fd/%d", writer);
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        int fd = open(path, modes[i] | O_CLOEXEC);
        REQUIRE_GE(fd, 0);
        CHECK_EQ(region_pool_open_file(&pool, fd, 16 * MIB, &owner), -EINVAL);
        close(fd);
    }
    close(writer);
    CHECK(nothing_leaked(&before));
}

static void test_callers_file_survives_and_is_empty(void)
{
    struct test_resources before;
    struct stat st;
    layer_resources_take(&before);
    int fd = make_empty_file();
    REQUIRE_EQ(region_pool_open_file(&pool, fd, 32 * MIB, &owner), 0);
    CHECK_NE(pool.regions[0].fd, fd);
    CHECK_EQ(fcntl(pool.regions[0].fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    char *block = alloc_block(8 * MIB, page(), true);
    REQUIRE_NOT_NULL(block);
    test_fill(block, 8 * MIB, 9);
    CHECK_GE(file_bytes(fd), 8 * MIB);
    region_pool_close(&pool);
    CHECK_EQ(fstat(fd, &st), 0);
    CHECK_EQ(st.st_size, 0);
    CHECK_LE(file_bytes(fd), 64 * KIB);
    /* The file can be used once more. */
    REQUIRE_EQ(region_pool_open_file(&pool, fd, 32 * MIB, &owner), 0);
    /* The pool does not need the caller's descriptor. */
    close(fd);
    check_usable(reserve(page()), 1);
    region_pool_close(&pool);
    CHECK(nothing_leaked(&before));
}

/* ---- devices ----------------------------------------------------------- */

static void test_paths_that_are_no_device(void)
{
    struct test_resources before;
    layer_resources_take(&before);
    CHECK_EQ(region_pool_open_device(&pool, test_path("missing"), 0, &owner),
             -ENOENT);
    CHECK_EQ(region_pool_open_device(&pool, test_dir(), 0, &owner), -ENOTDIR);
    CHECK_EQ(region_pool_open_device(&pool, "/dev/null", 0, &owner), -ENOTDIR);
    CHECK(nothing_leaked(&before));
}

/* ---- arenas ------------------------------------------------------------ */

static void test_number_of_arenas(void)
{
    const unsigned cpus = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
    REQUIRE_EQ(region_pool_open_memory(&pool, &owner), 0);
    CHECK_EQ(region_pool_arenas(&pool, 4, page()), 4 * cpus);
    CHECK_EQ(region_pool_arenas(&pool, 1, page()), cpus);
    CHECK_EQ(region_pool_arenas(&pool, 0, page()), 1);
    region_pool_close(&pool);

    REQUIRE_EQ(region_pool_open_files(&pool, test_dir(), 16 * MIB, &owner), 0);
    unsigned few = region_pool_arenas(&pool, 1000, page());
    region_pool_close(&pool);
    REQUIRE_EQ(region_pool_open_files(&pool, test_dir(), 1024 * MIB, &owner),
               0);
    unsigned more = region_pool_arenas(&pool, 1000, page());
    region_pool_close(&pool);
    CHECK_GE(few, 1);
    CHECK_LT(few, more);
    CHECK_LE(more, 1000 * cpus);

    char *buffer = make_buffer(16 * MIB);
    REQUIRE_EQ(region_pool_open_buffer(&pool, buffer, 16 * MIB, &owner), 0);
    CHECK_EQ(region_pool_arenas(&pool, 4, page()), 1);
    region_pool_close(&pool);
    munmap(buffer, 16 * MIB);
}

static const struct test_case tests[] = {
    {"every backing opens and closes", test_every_backing_opens_and_closes},
    {"bad directories leave nothing", test_bad_directories_leave_nothing},
    {"relative directory", test_relative_directory},
    {"whole pages of a buffer", test_whole_pages_of_a_buffer},
    {"bad buffers", test_bad_buffers},
    {"files that are refused", test_files_that_are_refused},
    {"read-only and write-only files", test_read_only_and_write_only_files},
    {"caller's file survives and is empty",
     test_callers_file_survives_and_is_empty},
    {"paths that are no device", test_paths_that_are_no_device},
    {"number of arenas", test_number_of_arenas},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("pool stores", tests, argc, argv);
}
