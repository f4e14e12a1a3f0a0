/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Regions and the numbers of their files and directories: what happens once the
 * program has closed those, or has others at these numbers; how a pool grows
 * without its directory; and which numbers pools share.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "address_table.h"
#include "layer_test.h"
#include "region_pool.h"
#include "sys_calls.h"
#include "test_child.h"

#define PAGE region_page_size()
#define NOBODY 65534

static int owner;
static struct memkind_region_pool pool, second;

static void open_dir(struct memkind_region_pool *which, size_t limit)
{
    REQUIRE_EQ(region_pool_open_files(which, test_dir(), limit, &owner), 0);
}

static char *take(struct memkind_region_pool *which, size_t size,
                  bool committed)
{
    bool commit = committed, zeroed = false;
    return region_pool_alloc(which, size, PAGE, &commit, &zeroed);
}

/* Takes what the first region has left, and then a block. */
static char *grow(struct memkind_region_pool *which)
{
    unsigned count = atomic_load(&which->count);
    const struct region *last = &which->regions[count - 1];
    if (take(which, last->size - last->used, false) == NULL)
        return NULL;
    char *block = take(which, MIB, true);
    return atomic_load(&which->count) == count + 1 ? block : NULL;
}

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

/* ---- growth in one file ------------------------------------------------ */

static bool regions_follow_one_another(const struct memkind_region_pool *which)
{
    for (unsigned i = 1; i < atomic_load(&which->count); i++) {
        const struct region *last = &which->regions[i - 1];
        const struct region *region = &which->regions[i];
        if (region->fd != last->fd || region->owns_file ||
            region->file_offset != last->file_offset + last->size)
            return false;
    }
    return true;
}

static void test_regions_lie_in_one_file(void)
{
    struct test_resources before;
    layer_resources_take(&before);
    open_dir(&pool, 16 * MIB);
    char *blocks[4];
    for (unsigned i = 0; i < 4; i++) {
        blocks[i] = grow(&pool);
        REQUIRE_NOT_NULL(blocks[i]);
        CHECK(is_zero(blocks[i], MIB));
        test_fill(blocks[i], MIB, i);
    }
    CHECK(regions_follow_one_another(&pool));
    CHECK_EQ(file_bytes(pool.regions[0].fd), 4 * MIB);
    /* Each block lies at its place in the file. */
    CHECK_EQ(region_pool_decommit(&pool, blocks[1], MIB), 0);
    CHECK_EQ(file_bytes(pool.regions[0].fd), 3 * MIB);
    CHECK_EQ(region_pool_commit(&pool, blocks[1], MIB), 0);
    CHECK(is_zero(blocks[1], MIB));
    test_fill(blocks[1], MIB, 1);
    for (unsigned i = 0; i < 4; i++)
        CHECK(test_check(blocks[i], MIB, i));
    CHECK_EQ(region_pool_persist(&pool, blocks[3], MIB), 0);
    region_pool_close(&pool);
    CHECK(nothing_leaked(&before));
}

static size_t largest_file;

static int ftruncate_small(int fd, off_t length)
{
    if ((size_t)length <= largest_file)
        return ftruncate(fd, length);
    errno = EFBIG;
    return -1;
}

static void grow_in_small_files(void)
{
    const struct sys_calls real = sys;
    sys.ftruncate = ftruncate_small;
    largest_file = 192 * MIB;
    open_dir(&pool, 64 * MIB);
    char *blocks[5];
    for (unsigned i = 0; i < 5; i++) {
        blocks[i] = grow(&pool);
        REQUIRE_NOT_NULL(blocks[i]);
        test_fill(blocks[i], MIB, i);
    }
    unsigned files = 0;
    for (unsigned i = 0; i < atomic_load(&pool.count); i++)
        files += pool.regions[i].owns_file;
    CHECK_GT(files, 2);
    /* No region is so small that their number is used up. */
    for (unsigned i = 0; i < atomic_load(&pool.count); i++)
        CHECK_GE(pool.regions[i].size, 32 * MIB);
    for (unsigned i = 0; i < 5; i++)
        CHECK(test_check(blocks[i], MIB, i));
    region_pool_close(&pool);
    sys = real;
}

/* A file that can get no larger is followed by another one. */
static void test_full_files_are_followed_by_others(void)
{
    struct test_resources before;
    grow_in_small_files(); /* the table of addresses keeps its nodes */
    layer_resources_take(&before);
    grow_in_small_files();
    CHECK(nothing_leaked(&before));
}

/* ---- growth without a directory ---------------------------------------- */

static bool is_root(const char *what)
{
    if (geteuid() == 0)
        return true;
    printf("skipped: %s needs root ", what);
    return false;
}

static int after_setuid(void)
{
    NEED(region_pool_open_files(&second, test_dir(), 64 * MIB, &owner) == 0);
    NEED(setgid(NOBODY) == 0 && setuid(NOBODY) == 0);
    NEED(access(test_dir(), W_OK) != 0);
    char *block = grow(&second);
    NEED(block != NULL);
    memset(block, 1, MIB);
    NEED(grow(&second) != NULL && regions_follow_one_another(&second));
    region_pool_close(&second);
    return 0;
}

static int after_chroot(void)
{
    char jail[4200];
    NEED(region_pool_open_files(&second, test_dir(), 64 * MIB, &owner) == 0);
    snprintf(jail, sizeof jail, "%s", test_path("jail"));
    NEED(mkdir(jail, 0755) == 0 && chroot(jail) == 0 && chdir("/") == 0);
    NEED(access(test_dir(), F_OK) != 0);
    NEED(grow(&second) != NULL && regions_follow_one_another(&second));
    /* The directory is used as well. */
    const struct sys_calls real = sys;
    sys.ftruncate = ftruncate_small;
    largest_file = 64 * MIB;
    NEED(grow(&second) != NULL && second.regions[2].owns_file);
    sys = real;
    region_pool_close(&second);
    return 0;
}

static int after_rmdir(void)
{
    char dir[4200];
    snprintf(dir, sizeof dir, "%s", test_path("gone"));
    NEED(mkdir(dir, 0755) == 0);
    NEED(region_pool_open_files(&second, dir, 64 * MIB, &owner) == 0);
    NEED(rmdir(dir) == 0);
    NEED(grow(&second) != NULL && grow(&second) != NULL);
    NEED(regions_follow_one_another(&second));
    region_pool_close(&second);
    return 0;
}

static void test_growth_after_setuid(void)
{
    if (is_root("setuid"))
        CHECK_EQ(child_run(after_setuid), 0);
}

static void test_growth_after_chroot(void)
{
    if (is_root("chroot"))
        CHECK_EQ(child_run(after_chroot), 0);
    rmdir(test_path("jail"));
}

static void test_growth_after_rmdir(void)
{
    CHECK_EQ(child_run(after_rmdir), 0);
}

/* ---- growth in forked children ----------------------------------------- */

static size_t file_size(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 ? (size_t)st.st_size : 0;
}

static int parents_file; /* another descriptor of it */
static enum region_fork_policy policy;

static int child_grows(void)
{
    size_t size = file_size(parents_file), bytes = file_bytes(parents_file);
    struct region *first = &pool.regions[0];
    char *block = grow(&pool);
    NEED(block != NULL && is_zero(block, MIB));
    memset(block, 0xee, MIB);
    NEED(atomic_load(&pool.count) == 2);
    if (policy == REGION_FORK_SHARED) {
        NEED(pool.regions[1].owns_file && pool.regions[1].fd != first->fd);
        /* It goes on growing in a file of its own. */
        NEED(grow(&pool) != NULL && pool.regions[2].fd == pool.regions[1].fd);
    } else { /* as what it has already: memory */
        NEED(pool.regions[1].is_private && pool.regions[1].fd < 0);
        NEED(region_pool_decommit(&pool, block, MIB) == 0);
        NEED(region_pool_commit(&pool, block, MIB) == 0 && is_zero(block, MIB));
    }
    NEED(file_size(parents_file) == size && file_bytes(parents_file) == bytes);
    region_pool_close(&pool);
    NEED(file_size(parents_file) == size && file_bytes(parents_file) == bytes);
    return 0;
}

static void test_a_childs_growth_is_its_own(void)
{
    static const enum region_fork_policy policies[] = {
        REGION_FORK_PRIVATE, REGION_FORK_COPY, REGION_FORK_SHARED};
    for (size_t i = 0; i < 3; i++) {
        policy = policies[i];
        open_dir(&pool, 64 * MIB);
        region_pool_set_fork_policy(&pool, policy);
        char *block = take(&pool, MIB, true);
        REQUIRE_NOT_NULL(block);
        test_fill(block, MIB, 3);
        parents_file = fcntl(pool.regions[0].fd, F_DUPFD_CLOEXEC, 3);
        CHECK_EQ(child_run(child_grows), 0);
        CHECK(test_check(block, MIB, 3));
        /* The parent's file is the parent's to make larger. */
        CHECK_NOT_NULL(grow(&pool));
        CHECK(regions_follow_one_another(&pool));
        CHECK(test_check(block, MIB, 3));
        close(parents_file);
        region_pool_close(&pool);
    }
}

static char *in_second_region;

static int child_sees_both_regions(void)
{
    NEED(!region_pool_is_lost(&pool));
    NEED(test_check(in_second_region, MIB, 7));
    memset(in_second_region, 0, MIB);
    region_pool_close(&pool);
    return 0;
}

static void test_children_of_a_pool_that_has_grown(void)
{
    static const enum region_fork_policy policies[] = {REGION_FORK_PRIVATE,
                                                       REGION_FORK_COPY};
    for (size_t i = 0; i < 2; i++) {
        open_dir(&pool, 64 * MIB);
        region_pool_set_fork_policy(&pool, policies[i]);
        in_second_region = grow(&pool);
        REQUIRE_NOT_NULL(in_second_region);
        test_fill(in_second_region, MIB, 7);
        CHECK_EQ(child_run(child_sees_both_regions), 0);
        CHECK(test_check(in_second_region, MIB, 7));
        region_pool_close(&pool);
    }
}

/* ---- numbers that are gone --------------------------------------------- */

/* The program's own file, at each number that the pool had. */
static char program_file[4200];

static int put_program_file_at(const struct memkind_region_pool *which)
{
    int number = which->regions[0].fd, directory = which->place.directory;
    int fd = open(program_file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    static char text[8 * MIB];
    memset(text, 0x5a, sizeof text);
    NEED(fd >= 0 && write(fd, text, sizeof text) == (ssize_t)sizeof text);
    NEED(dup2(fd, number) == number);
    if (directory >= 0)
        NEED(dup2(fd, directory) == directory);
    close(fd);
    return 0;
}

static bool program_file_is_whole(void)
{
    static char text[8 * MIB + 1];
    int fd = open(program_file, O_RDONLY | O_CLOEXEC);
    ssize_t got = read(fd, text, sizeof text);
    close(fd);
    bool whole = got == (ssize_t)(8 * MIB);
    for (size_t i = 0; i < 8 * MIB && whole; i++)
        whole = text[i] == 0x5a;
    return whole;
}

static int use_blocks(struct memkind_region_pool *which, size_t limit)
{
    char *block = take(which, limit, false);
    NEED(block != NULL);
    for (int round = 0; round < 3; round++) {
        size_t held = region_pool_charged(which);
        for (size_t at = 0; at < limit / 2; at += MIB) {
            NEED(region_pool_commit(which, block + at, MIB) == 0);
            NEED(is_zero(block + at, MIB));
            test_fill(block + at, MIB, (unsigned)(at / MIB));
        }
        NEED(region_pool_charged(which) == held + limit / 2);
        NEED(region_pool_commit(which, block, limit) == -ENOMEM);
        for (size_t at = 0; at < limit / 2; at += MIB)
            NEED(test_check(block + at, MIB, (unsigned)(at / MIB)));
        NEED(region_pool_decommit(which, block, limit / 2) == 0);
        NEED(region_pool_charged(which) == held);
    }
    return 0;
}

/* Space is the file's, by the mapping alone. */
static int numbers_of_a_directory_are_taken(void)
{
    NEED(region_pool_open_files(&second, test_dir(), 16 * MIB, &owner) == 0);
    char *block = take(&second, MIB, true);
    NEED(block != NULL);
    test_fill(block, MIB, 2);
    int mine = dup(second.regions[0].fd);
    NEED(put_program_file_at(&second) == 0);
    NEED(!region_has_descriptor(&second.regions[0]));
    NEED(use_blocks(&second, 16 * MIB) == 0);
    NEED(test_check(block, MIB, 2));
    NEED(file_bytes(mine) >= MIB && file_bytes(mine) <= 2 * MIB);
    NEED(region_pool_capacity(&second) == 16 * MIB);
    NEED(region_pool_persist(&second, block, MIB) == 0);
    /* The path leads to the directory still. */
    char *more = grow(&second);
    NEED(more != NULL && second.regions[1].owns_file);
    memset(more, 1, MIB);
    int number = second.regions[0].fd, directory = second.place.directory;
    region_pool_close(&second);
    NEED(is_open(number) && is_open(directory));
    NEED(program_file_is_whole());
    return 0;
}

static int numbers_of_a_caller_are_taken(void)
{
    int mine = open(test_dir(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    NEED(region_pool_open_file(&second, mine, 16 * MIB, &owner) == 0);
    char *block = take(&second, MIB, true);
    NEED(block != NULL);
    test_fill(block, MIB, 2);
    NEED(put_program_file_at(&second) == 0);
    NEED(use_blocks(&second, 16 * MIB) == 0);
    NEED(test_check(block, MIB, 2));
    /* There is no other file to grow in. */
    NEED(grow(&second) == NULL && errno == EBADF);
    NEED(test_check(block, MIB, 2));
    int number = second.regions[0].fd;
    region_pool_close(&second);
    NEED(is_open(number));
    NEED(file_bytes(mine) == 0); /* what it can do by the mapping */
    NEED(program_file_is_whole());
    return 0;
}

static int all_are_closed(void)
{
    NEED(region_pool_open_files(&second, test_dir(), 16 * MIB, &owner) == 0);
    closefrom(3);
    NEED(use_blocks(&second, 16 * MIB) == 0);
    NEED(grow(&second) != NULL);
    region_pool_close(&second);
    return 0;
}

/* The directory is another one as well. */
static int all_are_closed_and_moved(void)
{
    char dir[4200];
    snprintf(dir, sizeof dir, "%s", test_path("moved"));
    NEED(mkdir(dir, 0755) == 0);
    NEED(region_pool_open_files(&second, dir, 16 * MIB, &owner) == 0);
    closefrom(3);
    NEED(rmdir(dir) == 0);
    NEED(grow(&second) == NULL && errno == ENOENT);
    NEED(mkdir(dir, 0755) == 0);
    NEED(grow(&second) == NULL && errno == EBADF);
    NEED(atomic_load(&second.count) == 1);
    region_pool_close(&second);
    NEED(rmdir(dir) == 0);
    return 0;
}

/* Linux before 5.14. */
static int no_populate(void *addr, size_t size, int advice)
{
    if (advice != MADV_POPULATE_WRITE)
        return madvise(addr, size, advice);
    errno = EINVAL;
    return -1;
}

static int an_old_kernel(void)
{
    NEED(region_pool_open_files(&second, test_dir(), 16 * MIB, &owner) == 0);
    char *block = take(&second, 2 * MIB, true);
    NEED(block != NULL);
    test_fill(block, 2 * MIB, 2);
    NEED(put_program_file_at(&second) == 0);
    sys.madvise = no_populate;
    char *more = take(&second, MIB, false);
    NEED(more != NULL);
    NEED(region_pool_commit(&second, more, MIB) == -ENOMEM);
    NEED(region_pool_charged(&second) == 2 * MIB);
    NEED(region_pool_decommit(&second, block, MIB) == 0);
    NEED(region_pool_charged(&second) == MIB);
    region_pool_close(&second);
    NEED(program_file_is_whole());
    return 0;
}

static int grandchild(void)
{
    /* No private mapping can be made of a file without a descriptor. */
    NEED(region_pool_is_lost(&second));
    NEED(take(&second, MIB, true) == NULL);
    region_pool_close(&second);
    NEED(program_file_is_whole());
    return 0;
}

static int fork_without_the_numbers(void)
{
    static const enum region_fork_policy policies[] = {
        REGION_FORK_PRIVATE, REGION_FORK_COPY, REGION_FORK_UNAVAILABLE};
    for (int i = 0; i < 3; i++) {
        NEED(region_pool_open_files(&second, test_dir(), 16 * MIB, &owner) ==
             0);
        region_pool_set_fork_policy(&second, policies[i]);
        char *block = take(&second, MIB, true);
        NEED(block != NULL);
        test_fill(block, MIB, 2);
        NEED(put_program_file_at(&second) == 0);
        NEED(child_run(grandchild) == 0);
        NEED(test_check(block, MIB, 2));
        int number = second.regions[0].fd, directory = second.place.directory;
        region_pool_close(&second);
        NEED(program_file_is_whole());
        close(number);
        close(directory);
        unlink(program_file);
    }
    return 0;
}

static void in_child(int (*run)(void))
{
    snprintf(program_file, sizeof program_file, "%s", test_path("program"));
    CHECK_EQ(child_run(run), 0);
    unlink(program_file);
}

static void test_numbers_of_a_directory(void)
{
    in_child(numbers_of_a_directory_are_taken);
}

static void test_numbers_of_a_caller(void)
{
    in_child(numbers_of_a_caller_are_taken);
}

static void test_all_are_closed(void)
{
    in_child(all_are_closed);
    in_child(all_are_closed_and_moved);
}

static void test_an_old_kernel(void)
{
    in_child(an_old_kernel);
}

static void test_fork_without_the_numbers(void)
{
    in_child(fork_without_the_numbers);
}

/* ---- pools of one directory -------------------------------------------- */

static void test_pools_share_a_directory(void)
{
    struct test_resources before;
    layer_resources_take(&before);
    open_dir(&pool, 16 * MIB);
    open_dir(&second, 16 * MIB);
    int directory = pool.place.directory;
    CHECK_EQ(second.place.directory, directory);
    region_pool_close(&pool);
    CHECK(is_open(directory));
    CHECK_NOT_NULL(grow(&second));
    open_dir(&pool, 16 * MIB);
    CHECK_EQ(pool.place.directory, directory);
    region_pool_close(&second);
    CHECK(is_open(directory));
    region_pool_close(&pool);
    CHECK(!is_open(directory));
    CHECK(nothing_leaked(&before));
}

/* A number that one pool has lost and another one has got. */
static void test_a_number_of_two_directories(void)
{
    struct test_resources before;
    char dir[4200];
    snprintf(dir, sizeof dir, "%s", test_path("other"));
    REQUIRE_EQ(mkdir(dir, 0700), 0);
    layer_resources_take(&before);
    for (int first = 0; first < 2; first++) {
        open_dir(&pool, 16 * MIB);
        int directory = pool.place.directory;
        close(directory);
        REQUIRE_EQ(region_pool_open_files(&second, dir, 16 * MIB, &owner), 0);
        CHECK_EQ(second.place.directory, directory);
        region_pool_close(first == 0 ? &pool : &second);
        CHECK_EQ(is_open(directory), first == 0);
        region_pool_close(first == 0 ? &second : &pool);
        CHECK(!is_open(directory));
    }
    CHECK(nothing_leaked(&before));
    rmdir(dir);
}

static const struct test_case tests[] = {
    {"regions lie in one file", test_regions_lie_in_one_file},
    {"full files are followed by others",
     test_full_files_are_followed_by_others},
    {"growth after setuid", test_growth_after_setuid},
    {"growth after chroot", test_growth_after_chroot},
    {"growth after rmdir", test_growth_after_rmdir},
    {"a child's growth is its own", test_a_childs_growth_is_its_own},
    {"children of a pool that has grown",
     test_children_of_a_pool_that_has_grown},
    {"numbers of a directory", test_numbers_of_a_directory},
    {"numbers of a caller", test_numbers_of_a_caller},
    {"all are closed", test_all_are_closed},
    {"an old kernel", test_an_old_kernel},
    {"fork without the numbers", test_fork_without_the_numbers},
    {"pools share a directory", test_pools_share_a_directory},
    {"a number of two directories", test_a_number_of_two_directories},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("region descriptors", tests, argc, argv);
}
