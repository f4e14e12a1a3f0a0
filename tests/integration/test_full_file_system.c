/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Unlimited kinds on a file system that gets full. Argument: "tmpfs" or
 * "ext4". The file system is made and mounted for each test, in a child with a
 * mount namespace of its own, which runs this program once more; where that is
 * not allowed, the test is skipped.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <memkind.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test_support.h"

#define MIB ((size_t)1 << 20)

static const char *file_system;
static char mount_point[4096];
static char image[4096];

/* ---- mounting
 * ------------------------------------------------------------------ */

static bool run_command(const char *format, const char *a, const char *b)
{
    char command[10000];
    snprintf(command, sizeof command, format, a, b);
    return system(command) == 0;
}

static bool mount_it(void)
{
    if (unshare(CLONE_NEWNS) != 0 ||
        mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        return false;
    if (strcmp(file_system, "tmpfs") == 0)
        return mount("none", mount_point, "tmpfs", 0, "size=64m") == 0;
    return run_command("mkfs.ext4 -q -m 0 %s >/dev/null 2>&1", image, "") &&
           run_command("mount -o loop %s %s >/dev/null 2>&1", image,
                       mount_point);
}

#define NOT_MOUNTED 90
#define KILLED 1000

/* Runs a scenario on the file system. Its answer: 0, 1 where something went
 * wrong, or KILLED + the signal. */
static int run_there(const char *scenario)
{
    snprintf(mount_point, sizeof mount_point, "%s", test_path("mounted"));
    snprintf(image, sizeof image, "%s", test_path("image"));
    if (mkdir(mount_point, 0700) != 0)
        return NOT_MOUNTED;
    int fd = open(image, O_CREAT | O_RDWR, 0600);
    if (fd < 0 || ftruncate(fd, (off_t)(96 * MIB)) != 0)
        return NOT_MOUNTED;
    close(fd);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        if (!mount_it())
            _exit(NOT_MOUNTED);
        execl("/proc/self/exe", "scenario", scenario, mount_point, NULL);
        _exit(1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    unlink(image);
    rmdir(mount_point);
    if (WIFSIGNALED(status))
        fprintf(stderr, "\nkilled by signal %d\n", WTERMSIG(status));
    return WIFEXITED(status) ? WEXITSTATUS(status) : KILLED + WTERMSIG(status);
}

/* In a scenario: what must be so. */
#define NEED(condition)                                                        \
    do                                                                         \
        if (!(condition))                                                      \
            return __LINE__;                                                   \
    while (0)

static size_t used_space(void)
{
    struct statvfs st;
    if (statvfs(mount_point, &st) != 0)
        return 0;
    return (st.f_blocks - st.f_bfree) * st.f_frsize;
}

static size_t free_space(void)
{
    struct statvfs st;
    if (statvfs(mount_point, &st) != 0)
        return 0;
    return st.f_bfree * st.f_frsize;
}

/* ---- scenarios
 * --------------------------------------------------------------------- */

struct object {
    struct object *next;
    size_t size;
};

static size_t fill_kind(memkind_t kind, struct object **list, size_t least,
                        size_t most)
{
    unsigned long long random = 5;
    size_t total = 0;
    for (;;) {
        size_t size = least + test_random(&random) % (most - least + 1);
        struct object *object = memkind_malloc(kind, size);
        if (object == NULL)
            return total;
        object->size = memkind_malloc_usable_size(kind, object);
        /* SIGBUS, were there no space behind it. */
        memset(object + 1, 0x77, object->size - sizeof *object);
        object->next = *list;
        *list = object;
        total += object->size;
    }
}

static bool empty_kind(memkind_t kind, struct object **list)
{
    bool intact = true;
    while (*list != NULL) {
        struct object *object = *list;
        const char *bytes = (const char *)object;
        intact = intact && bytes[sizeof *object] == 0x77 &&
                 bytes[object->size - 1] == 0x77;
        *list = object->next;
        memkind_free(kind, object);
    }
    return intact;
}

static int fill_empty_refill(size_t least, size_t most)
{
    memkind_t kind;
    struct object *list = NULL;
    const size_t used = used_space(), room = free_space();
    NEED(room >= 48 * MIB);
    NEED(memkind_create_pmem(mount_point, 0, &kind) == MEMKIND_SUCCESS);
    for (int i = 0; i < 3; i++) {
        errno = 0;
        size_t total = fill_kind(kind, &list, least, most);
        NEED(errno == ENOMEM);
        fprintf(stderr, "%.1f %% ", 100. * (double)total / (double)room);
        NEED(total >= test_least_filled(room, (least + most) / 2));
        NEED(total <= room);
        NEED(memkind_malloc(kind, 8 * MIB) == NULL);
        NEED(empty_kind(kind, &list));
        char *half = memkind_malloc(kind, room / 2);
        NEED(half != NULL);
        memset(half, 1, room / 2);
        memkind_free(kind, half);
    }
    NEED(memkind_destroy_kind(kind) == MEMKIND_SUCCESS);
    NEED(used_space() <= used + 64 * 1024);
    return 0;
}

static int small_objects(void)
{
    return fill_empty_refill(64, 64);
}

static int mixed_objects(void)
{
    return fill_empty_refill(32, 8000);
}

static int large_objects(void)
{
    return fill_empty_refill(MIB, MIB);
}

/* What is freed under the conservative policy is the file system's again. */
static int give_back(void)
{
    memkind_t kind;
    struct object *list = NULL;
    const size_t used = used_space();
    struct memkind_config *config = memkind_config_new();
    memkind_config_set_path(config, mount_point);
    memkind_config_set_memory_usage_policy(
        config, MEMKIND_MEM_USAGE_POLICY_CONSERVATIVE);
    NEED(memkind_create_pmem_with_config(config, &kind) == MEMKIND_SUCCESS);
    memkind_config_delete(config);
    size_t total = fill_kind(kind, &list, 100000, 900000);
    NEED(used_space() >= used + total);
    NEED(empty_kind(kind, &list));
    NEED(memkind_update_cached_stats() == MEMKIND_SUCCESS);
    NEED(used_space() <= used + MIB);
    NEED(memkind_destroy_kind(kind) == MEMKIND_SUCCESS);
    NEED(used_space() <= used + 64 * 1024);
    return 0;
}

/* Files of others take the space, and give it back. */
static int others_fill_the_file_system(void)
{
    static const char zeroes[1 << 16];
    char path[5000];
    memkind_t kind;
    NEED(memkind_create_pmem(mount_point, 0, &kind) == MEMKIND_SUCCESS);
    char *kept = memkind_malloc(kind, 3 * MIB);
    NEED(kept != NULL);
    test_fill(kept, 3 * MIB, 1);
    snprintf(path, sizeof path, "%s/other", mount_point);
    int fd = open(path, O_CREAT | O_RDWR, 0600);
    NEED(fd >= 0);
    while (write(fd, zeroes, sizeof zeroes) > 0)
        ;
    errno = 0;
    NEED(memkind_malloc(kind, 8 * MIB) == NULL);
    NEED(errno == ENOMEM);
    NEED(memkind_calloc(kind, 8, MIB) == NULL);
    NEED(memkind_realloc(kind, kept, 12 * MIB) == NULL);
    NEED(test_check(kept, 3 * MIB, 1));
    /* A second kind cannot have anything either, but can be made. */
    memkind_t other;
    NEED(memkind_create_pmem(mount_point, 0, &other) == MEMKIND_SUCCESS);
    NEED(memkind_malloc(other, MIB) == NULL);
    NEED(memkind_destroy_kind(other) == MEMKIND_SUCCESS);
    close(fd);
    NEED(unlink(path) == 0);
    char *more = memkind_malloc(kind, 8 * MIB);
    NEED(more != NULL);
    test_fill(more, 8 * MIB, 2);
    NEED(test_check(more, 8 * MIB, 2) && test_check(kept, 3 * MIB, 1));
    NEED(memkind_destroy_kind(kind) == MEMKIND_SUCCESS);
    return 0;
}

/* What could never fit is refused, however absurd, and takes nothing. */
static int absurd_sizes(void)
{
    memkind_t kind;
    const size_t room = free_space();
    struct object *list = NULL;
    NEED(memkind_create_pmem(mount_point, 0, &kind) == MEMKIND_SUCCESS);
    for (int i = 27; i < 64; i++) {
        void *object = NULL;
        errno = 0;
        NEED(memkind_malloc(kind, (size_t)1 << i) == NULL);
        NEED(errno == ENOMEM);
        NEED(memkind_posix_memalign(kind, &object, 64, (size_t)1 << i) ==
             ENOMEM);
    }
    NEED(free_space() >= room - MIB);
    NEED(fill_kind(kind, &list, MIB, MIB) >= test_least_filled(room, MIB));
    NEED(memkind_destroy_kind(kind) == MEMKIND_SUCCESS);
    return 0;
}

/* Four threads meet the end of the file system together. */
static memkind_t shared_kind;

static void *fill_and_empty(void *total)
{
    struct object *list = NULL;
    *(size_t *)total = fill_kind(shared_kind, &list, 32, 30000);
    return empty_kind(shared_kind, &list) ? NULL : total;
}

static int threads_on_a_full_file_system(void)
{
    enum { THREADS = 4, ROUNDS = 3 };
    const size_t used = used_space();
    NEED(memkind_create_pmem(mount_point, 0, &shared_kind) == MEMKIND_SUCCESS);
    for (int round = 0; round < ROUNDS; round++) {
        pthread_t threads[THREADS];
        size_t totals[THREADS] = {0};
        for (int i = 0; i < THREADS; i++)
            NEED(pthread_create(&threads[i], NULL, fill_and_empty,
                                &totals[i]) == 0);
        for (int i = 0; i < THREADS; i++) {
            void *broken;
            NEED(pthread_join(threads[i], &broken) == 0);
            NEED(broken == NULL);
        }
    }
    NEED(memkind_destroy_kind(shared_kind) == MEMKIND_SUCCESS);
    NEED(used_space() <= used + 64 * 1024);
    return 0;
}

/* What one kind has freed, and keeps for its next objects, another one gets:
 * where a quota or a full disk is the limit, not the kind's own size. */
static int kinds_share_the_file_system(void)
{
    memkind_t first, second;
    struct object *list = NULL;
    NEED(memkind_create_pmem(mount_point, 0, &first) == MEMKIND_SUCCESS);
    NEED(memkind_create_pmem(mount_point, 0, &second) == MEMKIND_SUCCESS);
    for (int i = 0; i < 3; i++) {
        const size_t room = fill_kind(first, &list, 1000, 20000);
        NEED(room >= 40 * MIB);
        NEED(memkind_malloc(second, MIB) == NULL);
        NEED(empty_kind(first, &list));
        NEED(fill_kind(second, &list, 1000, 20000) >= room / 10 * 9);
        NEED(empty_kind(second, &list));
    }
    NEED(memkind_destroy_kind(first) == MEMKIND_SUCCESS);
    NEED(memkind_destroy_kind(second) == MEMKIND_SUCCESS);
    return 0;
}

/* ---- children
 */

/* A child's answer: 0, a line, or KILLED + the signal. */
static int end_of(pid_t child)
{
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child)
        return __LINE__;
    return WIFEXITED(status) ? WEXITSTATUS(status) : KILLED + WTERMSIG(status);
}

/* Whatever a child does takes no space, and works without. */
static int child_on_a_full_file_system(void)
{
    memkind_t kind;
    struct object *list = NULL;
    const size_t used = used_space();
    NEED(memkind_create_pmem(mount_point, 0, &kind) == MEMKIND_SUCCESS);
    NEED(fill_kind(kind, &list, 64, 100000) >= 40 * MIB);
    const size_t when_full = used_space();
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        int status = 0;
        for (struct object *object = list; object != NULL;
             object = object->next)
            memset(object + 1, 0x77, object->size - sizeof *object);
        char *more = memkind_calloc(kind, 1, MIB);
        if (more != NULL)
            memset(more, 1, MIB);
        status |= !empty_kind(kind, &list);
        more = memkind_malloc(kind, 8 * MIB);
        status |= more == NULL ? 2 : 0;
        if (more != NULL)
            memset(more, 2, 8 * MIB);
        status |= memkind_destroy_kind(kind) != MEMKIND_SUCCESS ? 4 : 0;
        status |= used_space() > when_full + 64 * 1024 ? 8 : 0;
        _exit(status);
    }
    NEED(end_of(child) == 0);
    NEED(used_space() <= when_full + 64 * 1024);
    NEED(used_space() + 64 * 1024 >= when_full);
    NEED(empty_kind(kind, &list));
    NEED(memkind_destroy_kind(kind) == MEMKIND_SUCCESS);
    NEED(used_space() <= used + 64 * 1024);
    return 0;
}

/* The parent frees all, and others take the space, before the child reads. */
static int read_after_free(memkind_fork_policy policy, int *answer)
{
    static const char zeroes[1 << 16];
    char path[5000];
    int turn[2];
    memkind_t kind;
    struct object *list = NULL;
    struct memkind_config *config = memkind_config_new();
    memkind_config_set_path(config, mount_point);
    memkind_config_set_memory_usage_policy(
        config, MEMKIND_MEM_USAGE_POLICY_CONSERVATIVE);
    memkind_config_set_fork_policy(config, policy);
    NEED(memkind_create_pmem_with_config(config, &kind) == MEMKIND_SUCCESS);
    memkind_config_delete(config);
    NEED(fill_kind(kind, &list, 100000, 200000) >= 40 * MIB);
    NEED(pipe(turn) == 0);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        char byte;
        close(turn[1]);
        signal(SIGBUS, SIG_DFL);
        if (read(turn[0], &byte, 1) != 1)
            _exit(2);
        int status = 0;
        for (struct object *object = list; object != NULL;
             object = object->next) {
            status |= ((char *)object)[object->size / 2] != 0x77;
            if (status != 0)
                break;
        }
        _exit(status);
    }
    NEED(empty_kind(kind, &list));
    NEED(memkind_update_cached_stats() == MEMKIND_SUCCESS);
    snprintf(path, sizeof path, "%s/other", mount_point);
    int fd = open(path, O_CREAT | O_RDWR, 0600);
    NEED(fd >= 0);
    while (write(fd, zeroes, sizeof zeroes) > 0)
        ;
    NEED(write(turn[1], "", 1) == 1);
    *answer = end_of(child);
    close(fd);
    close(turn[0]);
    close(turn[1]);
    NEED(unlink(path) == 0);
    NEED(memkind_destroy_kind(kind) == MEMKIND_SUCCESS);
    return 0;
}

static int a_copy_outlives_the_parents_objects(void)
{
    int answer = -1;
    NEED(read_after_free(MEMKIND_FORK_COPY, &answer) == 0);
    NEED(answer == 0);
    return 0;
}

/* What the manual says of private kinds: zeroes, but on tmpfs, where reading a
 * hole takes space, SIGBUS. */
static int a_private_kind_loses_what_the_parent_frees(void)
{
    int answer = -1;
    struct statfs fs;
    NEED(statfs(mount_point, &fs) == 0);
    NEED(read_after_free(MEMKIND_FORK_PRIVATE, &answer) == 0);
    NEED(answer == 1 ||
         (fs.f_type == TMPFS_MAGIC && answer == KILLED + SIGBUS));
    return 0;
}

static int do_nothing(void)
{
    return 0;
}

static const struct {
    const char *name;
    int (*run)(void);
} scenarios[] = {
    {"nothing", do_nothing},
    {"small objects", small_objects},
    {"mixed objects", mixed_objects},
    {"large objects", large_objects},
    {"give back", give_back},
    {"others fill the file system", others_fill_the_file_system},
    {"absurd sizes", absurd_sizes},
    {"threads on a full file system", threads_on_a_full_file_system},
    {"kinds share the file system", kinds_share_the_file_system},
    {"child on a full file system", child_on_a_full_file_system},
    {"copy", a_copy_outlives_the_parents_objects},
    {"private", a_private_kind_loses_what_the_parent_frees},
};

static int run_scenario(const char *name, const char *directory)
{
    int line = __LINE__;
    snprintf(mount_point, sizeof mount_point, "%s", directory);
    for (size_t i = 0; i < sizeof scenarios / sizeof scenarios[0]; i++)
        if (strcmp(scenarios[i].name, name) == 0)
            line = scenarios[i].run();
    if (line != 0)
        fprintf(stderr, "\n%s:%d: failed\n", __FILE__, line);
    return line == 0 ? 0 : 1;
}

/* ---- tests
 * ----------------------------------------------------------------------------
 */

static void test_small_objects(void)
{
    CU_ASSERT_EQUAL(run_there("small objects"), 0);
}

static void test_mixed_objects(void)
{
    CU_ASSERT_EQUAL(run_there("mixed objects"), 0);
}

static void test_large_objects(void)
{
    CU_ASSERT_EQUAL(run_there("large objects"), 0);
}

static void test_give_back(void)
{
    CU_ASSERT_EQUAL(run_there("give back"), 0);
}

static void test_others(void)
{
    CU_ASSERT_EQUAL(run_there("others fill the file system"), 0);
}

static void test_absurd_sizes(void)
{
    CU_ASSERT_EQUAL(run_there("absurd sizes"), 0);
}

static void test_threads(void)
{
    CU_ASSERT_EQUAL(run_there("threads on a full file system"), 0);
}

static void test_two_kinds(void)
{
    CU_ASSERT_EQUAL(run_there("kinds share the file system"), 0);
}

static void test_child(void)
{
    CU_ASSERT_EQUAL(run_there("child on a full file system"), 0);
}

static void test_copy(void)
{
    CU_ASSERT_EQUAL(run_there("copy"), 0);
}

static void test_private(void)
{
    CU_ASSERT_EQUAL(run_there("private"), 0);
}

static const struct test_case tests[] = {
    {"refill with small objects", test_small_objects},
    {"refill with mixed objects", test_mixed_objects},
    {"refill with large objects", test_large_objects},
    {"freed space is the file system's", test_give_back},
    {"others fill the file system", test_others},
    {"absurd sizes", test_absurd_sizes},
    {"threads", test_threads},
    {"two kinds", test_two_kinds},
    {"a child on a full file system", test_child},
    {"a copy outlives the parent's objects", test_copy},
    {"a private kind loses what the parent frees", test_private},
    {NULL, NULL},
};

/* ---- can it be done here?
 * ---------------------------------------------------------------- */

static bool mounted;

static void try_to_mount(void)
{
    mounted = run_there("nothing") != NOT_MOUNTED;
}

static const struct test_case trial[] = {
    {"mounting", try_to_mount},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[0], "scenario") == 0)
        return run_scenario(argv[1], argv[2]);
    file_system = argc > 1 ? argv[1] : "tmpfs";
    if (test_main("trial", trial, 1, argv) != EXIT_SUCCESS)
        return EXIT_FAILURE;
    if (!mounted) {
        printf("skipped: no %s can be mounted here\n", file_system);
        return TEST_SKIPPED;
    }
    return test_main("full file system", tests, argc > 1 ? argc - 1 : argc,
                     argc > 1 ? argv + 1 : argv);
}
