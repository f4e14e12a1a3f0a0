/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What depends on the memory that a kind lies in. MEMKIND_TEST_MEMORY says
 * what there is to be found:
 *
 *   plain   (default) a directory on a file system without DAX
 *   dax     a directory on a DAX file system with room for 2 MiB mappings
 *   device  MEMKIND_TEST_DEVICE is a device DAX
 *   no-holes, no-fallocate   a directory on a file system that lacks those
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <memkind.h>
#include <memkind/internal/memkind_pmem.h>

#include "test_support.h"

#define MIB ((size_t)1 << 20)
#define PAGE ((size_t)4096)

static const char *memory(void)
{
    const char *value = getenv("MEMKIND_TEST_MEMORY");
    return value != NULL ? value : "plain";
}

static bool memory_is(const char *name)
{
    return strcmp(memory(), name) == 0;
}

/* The place of the kinds: the suite's directory, or the device. */
static const char *place(void)
{
    return memory_is("device") ? getenv("MEMKIND_TEST_DEVICE") : test_dir();
}

static bool expect_pmem(void)
{
    return memory_is("dax") || memory_is("device");
}

/* An ordinary directory may be on a file system that others use meanwhile, so
 * that its free space says nothing. (test_full_file_system mounts its own.) */
static bool has_own_file_system(void)
{
    return !memory_is("plain") && !memory_is("device");
}

/* xfs gives the space of a file that is gone back a moment later: free space
 * once it has stopped changing. */
static size_t settled_free_space(void)
{
    size_t before, now = test_free_space();
    int quiet = 0;
    for (int i = 0; i < 100 && quiet < 3; i++) {
        before = now;
        usleep(100000);
        now = test_free_space();
        quiet = now == before ? quiet + 1 : 0;
    }
    return now;
}

/* Whether so much is free again, within a minute. */
static bool space_comes_back(size_t least)
{
    for (int i = 0; i < 600 && test_free_space() < least; i++)
        usleep(100000);
    return test_free_space() >= least;
}

static memkind_t make_kind(size_t max_size)
{
    memkind_t kind = NULL;
    CU_ASSERT_EQUAL_FATAL(memkind_create_pmem(place(), max_size, &kind),
                          MEMKIND_SUCCESS);
    return kind;
}

/* ---- what the library says about the memory ---- */

static void test_dax_is_told_apart(void)
{
    CU_ASSERT_EQUAL(memkind_check_dax_path(place()),
                    expect_pmem() ? MEMKIND_SUCCESS : MEMKIND_ERROR_MMAP);
    CU_ASSERT_EQUAL(memkind_check_dax_path("/dev/shm"), MEMKIND_ERROR_MMAP);
    CU_ASSERT_EQUAL(memkind_check_dax_path("/dev/null"), MEMKIND_ERROR_RUNTIME);
    CU_ASSERT_EQUAL(memkind_check_dax_path("/proc/self/exe"),
                    MEMKIND_ERROR_RUNTIME);
    CU_ASSERT_EQUAL(memkind_check_dax_path("/no/such/place"),
                    MEMKIND_ERROR_RUNTIME);
    CU_ASSERT_EQUAL(memkind_check_dax_path(NULL), MEMKIND_ERROR_INVALID);

    memkind_t kind = make_kind(0);
    CU_ASSERT_EQUAL(memkind_pmem_is_pmem(kind), expect_pmem());
    char *text = memkind_malloc(kind, 100);
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    strcpy(text, "durable");
    CU_ASSERT_EQUAL(memkind_pmem_persist(kind, text, 100), MEMKIND_SUCCESS);
    CU_ASSERT_EQUAL(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
}

/* libpmem's variable decides, whatever the file system is. */
static void test_libpmem_can_be_told(void)
{
    for (int forced = 0; forced <= 1; forced++) {
        fflush(NULL);
        pid_t child = fork();
        CU_ASSERT_FATAL(child >= 0);
        if (child == 0) {
            setenv("PMEM_IS_PMEM_FORCE", forced ? "1" : "0", 1);
            execl("/proc/self/exe", "test_pmem", "--is-pmem", place(),
                  (char *)NULL);
            _exit(98);
        }
        int status = 0;
        CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
        CU_ASSERT(WIFEXITED(status));
        CU_ASSERT_EQUAL(WEXITSTATUS(status), forced);
    }
}

static int print_is_pmem(const char *dir)
{
    memkind_t kind;
    if (memkind_create_pmem(dir, 0, &kind) != MEMKIND_SUCCESS)
        return 97;
    return memkind_pmem_is_pmem(kind) ? 1 : 0;
}

/* ---- page faults ---- */

static long faults(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_minflt + usage.ru_majflt;
}

static long faults_of_touching(char *object, size_t size)
{
    long before = faults();
    for (size_t i = 0; i < size; i += PAGE)
        object[i] = 1;
    return faults() - before;
}

/* 64 MiB are 32 pages of 2 MiB, or 16,384 of 4 KiB. */
static void test_dax_is_mapped_by_large_pages(void)
{
    const size_t size = 64 * MIB;
    memkind_t kind = make_kind(0);
    char *object = memkind_malloc(kind, size);
    CU_ASSERT_PTR_NOT_NULL_FATAL(object);
    long large = faults_of_touching(object, size);
    memkind_free(kind, object);
    CU_ASSERT_EQUAL(memkind_destroy_kind(kind), MEMKIND_SUCCESS);

    /* Page faults in objects of a few pages, from many slabs and extents. */
    enum { COUNT = 1024 };
    static char *objects[COUNT];
    kind = make_kind(0);
    long small = 0;
    for (int i = 0; i < COUNT; i++) {
        objects[i] = memkind_malloc(kind, size / COUNT);
        CU_ASSERT_PTR_NOT_NULL_FATAL(objects[i]);
        small += faults_of_touching(objects[i], size / COUNT);
    }
    CU_ASSERT_EQUAL(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
    printf("[%ld and %ld faults] ", large, small);
    if (expect_pmem()) {
        CU_ASSERT(large <= 100);
        CU_ASSERT(small <= 100);
    }
}

/* ---- file space ---- */

static memkind_t make_conservative_kind(void)
{
    memkind_t kind = NULL;
    struct memkind_config *config = memkind_config_new();
    memkind_config_set_path(config, test_dir());
    memkind_config_set_memory_usage_policy(
        config, MEMKIND_MEM_USAGE_POLICY_CONSERVATIVE);
    CU_ASSERT_EQUAL_FATAL(memkind_create_pmem_with_config(config, &kind),
                          MEMKIND_SUCCESS);
    memkind_config_delete(config);
    return kind;
}

/* File systems keep some space for their own tables of a file. */
#define TABLES (2 * MIB)

static void test_space_goes_back(void)
{
    if (!has_own_file_system())
        return;
    enum { COUNT = 64 };
    char *objects[COUNT];
    size_t at_first = settled_free_space();
    memkind_t kind = make_conservative_kind();
    for (int i = 0; i < COUNT; i++) {
        objects[i] = memkind_malloc(kind, MIB);
        CU_ASSERT_PTR_NOT_NULL_FATAL(objects[i]);
        memset(objects[i], 1, MIB);
    }
    size_t when_full = settled_free_space();
    CU_ASSERT(when_full <= at_first - COUNT * MIB);
    for (int i = 0; i < COUNT; i++)
        memkind_free(kind, objects[i]);
    if (memory_is("no-holes"))
        CU_ASSERT(settled_free_space() <= when_full + TABLES)
    else
        CU_ASSERT(space_comes_back(at_first - TABLES - 4 * MIB))
    CU_ASSERT_EQUAL(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
    CU_ASSERT(space_comes_back(at_first - TABLES));
}

/* How many objects there is room for, all of them written to. */
static size_t fill(memkind_t kind, void ***list, size_t size)
{
    size_t count = 0;
    for (char *object; (object = memkind_malloc(kind, size)) != NULL; count++) {
        memset(object, (int)count, size);
        *(void ***)object = *list;
        *list = (void **)object;
    }
    CU_ASSERT_EQUAL(errno, ENOMEM);
    return count;
}

static void empty(memkind_t kind, void ***list)
{
    while (*list != NULL) {
        void **next = **list;
        memkind_free(kind, *list);
        *list = next;
    }
}

static void test_a_full_place_gives_null(void)
{
    void **list = NULL;
    size_t at_first = settled_free_space();
    /* A file system too large to be filled is as good as its limit; one that
     * keeps no holes writes a file's zeroes twice and takes minutes. */
    size_t limit = at_first > 2048 * MIB ? 512 * MIB : 0;
    memkind_t kind = make_kind(memory_is("no-holes") ? 64 * MIB : limit);
    const size_t size = 100000;
    size_t once = fill(kind, &list, size);
    size_t held = once * size;
    printf("[%zu MiB", held / MIB);
    CU_ASSERT(once > 0);
    empty(kind, &list);
    size_t twice = fill(kind, &list, size);
    printf(", then %zu] ", twice * size / MIB);
    CU_ASSERT(twice * 10 >= once * 9);
    empty(kind, &list);
    CU_ASSERT_EQUAL(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
    if (has_own_file_system())
        CU_ASSERT(space_comes_back(at_first - TABLES));
}

static void test_a_killed_process_leaves_nothing(void)
{
    if (!has_own_file_system())
        return;
    size_t at_first = settled_free_space();
    int ready[2];
    CU_ASSERT_EQUAL_FATAL(pipe(ready), 0);
    fflush(NULL);
    pid_t child = fork();
    CU_ASSERT_FATAL(child >= 0);
    if (child == 0) {
        memkind_t kind;
        char *object = NULL;
        if (memkind_create_pmem(test_dir(), 0, &kind) == MEMKIND_SUCCESS)
            object = memkind_malloc(kind, 32 * MIB);
        if (object == NULL)
            _exit(1);
        memset(object, 1, 32 * MIB);
        ssize_t ignored = write(ready[1], "x", 1);
        (void)ignored;
        pause();
        _exit(1);
    }
    char byte;
    CU_ASSERT_EQUAL(read(ready[0], &byte, 1), 1);
    CU_ASSERT(settled_free_space() <= at_first - 32 * MIB);
    kill(child, SIGKILL);
    CU_ASSERT_EQUAL(waitpid(child, NULL, 0), child);
    close(ready[0]);
    close(ready[1]);
    CU_ASSERT(space_comes_back(at_first - TABLES));
}

/* ---- device DAX ---- */

static void test_a_device_has_one_kind(void)
{
    if (!memory_is("device"))
        return;
    memkind_t kind = make_kind(0);
    memkind_t second = NULL;
    errno = 0;
    CU_ASSERT_EQUAL(memkind_create_pmem(place(), 0, &second),
                    MEMKIND_ERROR_UNAVAILABLE);
    CU_ASSERT_EQUAL(errno, EBUSY);
    CU_ASSERT_EQUAL(memkind_check_dax_path(place()), MEMKIND_SUCCESS);
    CU_ASSERT_EQUAL(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
    CU_ASSERT_EQUAL(
        memkind_create_pmem(place(), MEMKIND_PMEM_MIN_SIZE - 1, &kind),
        MEMKIND_ERROR_INVALID);
    kind = make_kind(MEMKIND_PMEM_MIN_SIZE);
    CU_ASSERT_EQUAL(memkind_get_capacity(kind), MEMKIND_PMEM_MIN_SIZE);
    CU_ASSERT_PTR_NULL(memkind_malloc(kind, MEMKIND_PMEM_MIN_SIZE + 1));
    CU_ASSERT_PTR_NOT_NULL(memkind_malloc(kind, MEMKIND_PMEM_MIN_SIZE / 2));
    CU_ASSERT_EQUAL(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
}

/* ---- forked children ---- */

static memkind_t forked_kind;
static char *forked_object;

/* A device cannot be mapped privately: a child can read it, and no more. */
static int child_of_device(void)
{
    void *aligned;
    if (!test_check(forked_object, MIB, 4))
        return 1;
    if (memkind_malloc(forked_kind, 10) != NULL || errno != ENOMEM)
        return 2;
    if (memkind_posix_memalign(forked_kind, &aligned, 64, 10) != ENOMEM)
        return 3;
    if (memkind_realloc(forked_kind, forked_object, 10) != NULL)
        return 4;
    memkind_free(forked_kind, forked_object);
    if (memkind_pmem_is_pmem(forked_kind))
        return 5;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        signal(SIGSEGV, SIG_DFL);
        *(volatile char *)forked_object = 1;
        _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSEGV)
        return 6;
    return memkind_destroy_kind(forked_kind) == MEMKIND_SUCCESS ? 0 : 7;
}

static int child_of_files(void)
{
    if (!test_check(forked_object, MIB, 4))
        return 1;
    test_fill(forked_object, MIB, 5);
    size_t total = 0;
    for (int i = 0; i < 200; i++) {
        char *object = memkind_calloc(forked_kind, 1, 50000);
        if (object == NULL)
            break;
        for (size_t at = 0; at < 50000; at++)
            if (object[at] != 0)
                return 2;
        memset(object, 6, 50000);
        total += 50000;
    }
    if (total < 4 * MIB || !test_check(forked_object, MIB, 5))
        return 3;
    memkind_free(forked_kind, forked_object);
    return memkind_destroy_kind(forked_kind) == MEMKIND_SUCCESS ? 0 : 4;
}

static int forked(int (*run)(void))
{
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        alarm(300);
        _exit(run());
    }
    int status = -1;
    CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static void test_a_child_leaves_the_memory_alone(void)
{
    static const memkind_fork_policy policies[] = {
        MEMKIND_FORK_PRIVATE, MEMKIND_FORK_COPY, MEMKIND_FORK_SNAPSHOT};
    for (int i = 0; i < 3; i++) {
        struct memkind_config *config = memkind_config_new();
        CU_ASSERT_PTR_NOT_NULL_FATAL(config);
        memkind_config_set_path(config, place());
        memkind_config_set_size(config, memory_is("device") ? 0 : 64 * MIB);
        memkind_config_set_fork_policy(config, policies[i]);
        if (memory_is("device") && policies[i] == MEMKIND_FORK_SNAPSHOT) {
            CU_ASSERT_EQUAL(
                memkind_create_pmem_with_config(config, &forked_kind),
                MEMKIND_ERROR_INVALID);
            CU_ASSERT_PTR_NOT_NULL(
                strstr(memkind_last_error(), "MEMKIND_FORK_SNAPSHOT"));
            memkind_config_delete(config);
            break;
        }
        CU_ASSERT_EQUAL_FATAL(
            memkind_create_pmem_with_config(config, &forked_kind),
            MEMKIND_SUCCESS);
        memkind_config_delete(config);
        void *freed = memkind_malloc(forked_kind, MIB);
        forked_object = memkind_malloc(forked_kind, MIB);
        CU_ASSERT_FATAL(freed != NULL && forked_object != NULL);
        memset(freed, 9, MIB);
        test_fill(forked_object, MIB, 4);
        memkind_free(forked_kind, freed);
        CU_ASSERT_EQUAL(
            forked(memory_is("device") ? child_of_device : child_of_files), 0);
        CU_ASSERT(test_check(forked_object, MIB, 4));
        void *more = memkind_malloc(forked_kind, MIB);
        CU_ASSERT_PTR_NOT_NULL_FATAL(more);
        memset(more, 3, MIB);
        CU_ASSERT(test_check(forked_object, MIB, 4));
        CU_ASSERT_EQUAL(memkind_destroy_kind(forked_kind), MEMKIND_SUCCESS);
        if (memory_is("device")) /* the child has not kept it */
            CU_ASSERT_EQUAL(memkind_destroy_kind(make_kind(0)),
                            MEMKIND_SUCCESS);
    }
}

static bool is_clear(const char *object, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (object[i] != 0)
            return false;
    return true;
}

static void test_a_device_shows_no_old_data(void)
{
    if (!memory_is("device"))
        return;
    const size_t size = 8 * MIB;
    for (int round = 0; round < 3; round++) {
        memkind_t kind = make_kind(0);
        char *fresh = memkind_malloc(kind, size);
        char *cleared = memkind_calloc(kind, 1, size);
        CU_ASSERT_PTR_NOT_NULL_FATAL(fresh);
        CU_ASSERT_PTR_NOT_NULL_FATAL(cleared);
        CU_ASSERT(is_clear(fresh, size));
        CU_ASSERT(is_clear(cleared, size));
        memset(fresh, 0x5a, size);
        memset(cleared, 0x5a, size);
        memkind_free(kind, cleared);
        cleared = memkind_calloc(kind, 1, size);
        CU_ASSERT_PTR_NOT_NULL_FATAL(cleared);
        CU_ASSERT(is_clear(cleared, size));
        memset(cleared, 0x5a, size);
        CU_ASSERT_EQUAL(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
    }
}

struct filling {
    memkind_t kind;
    void **list;
    size_t count;
};

static void *fill_in_thread(void *context)
{
    struct filling *filling = context;
    filling->count = fill(filling->kind, &filling->list, 50000);
    return NULL;
}

static void fill_by_two_threads(struct filling fillings[2])
{
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        CU_ASSERT_EQUAL_FATAL(
            pthread_create(&threads[i], NULL, fill_in_thread, &fillings[i]), 0);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
}

/* What two threads have filled and freed, a third one gets: an object of a
 * quarter of the place (there is no spare address space for more). */
static void test_freed_memory_is_for_all_threads(void)
{
    /* On DAX, space is taken in units of 2 MiB: for each arena, some of a unit
     * stays unused. */
    size_t size = memory_is("dax") ? 256 * MIB : 64 * MIB;
    memkind_t kind = make_kind(size);
    struct filling fillings[2] = {{kind, NULL, 0}, {kind, NULL, 0}};
    fill_by_two_threads(fillings);
    size_t once = fillings[0].count + fillings[1].count;
    empty(kind, &fillings[0].list);
    empty(kind, &fillings[1].list);
    void **list = NULL;
    size_t alone = fill(kind, &list, 50000);
    printf("[%zu by two, %zu by one] ", once, alone);
    CU_ASSERT(alone * 10 >= once * 9);
    empty(kind, &list);
    void *quarter = memkind_malloc(kind, 16 * MIB);
    if (!memory_is("no-holes"))
        CU_ASSERT_PTR_NOT_NULL(quarter);
    memkind_free(kind, quarter);
    CU_ASSERT_EQUAL(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
}

static void test_alignment(void)
{
    memkind_t kind = make_kind(0);
    for (size_t alignment = sizeof(void *); alignment <= 64 * MIB;
         alignment *= 2) {
        void *object = NULL;
        CU_ASSERT_EQUAL(memkind_posix_memalign(kind, &object, alignment, 100),
                        0);
        CU_ASSERT_EQUAL((size_t)object % alignment, 0);
        if (object != NULL)
            memset(object, 1, 100);
        memkind_free(kind, object);
    }
    CU_ASSERT_EQUAL(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
}

static const struct test_case tests[] = {
    {"DAX is told apart", test_dax_is_told_apart},
    {"libpmem can be told", test_libpmem_can_be_told},
    {"DAX is mapped by large pages", test_dax_is_mapped_by_large_pages},
    {"space goes back", test_space_goes_back},
    {"a full place gives NULL", test_a_full_place_gives_null},
    {"a killed process leaves nothing", test_a_killed_process_leaves_nothing},
    {"a device has one kind", test_a_device_has_one_kind},
    {"a device shows no old data", test_a_device_shows_no_old_data},
    {"freed memory is for all threads", test_freed_memory_is_for_all_threads},
    {"alignment", test_alignment},
    {"a child leaves the memory alone", test_a_child_leaves_the_memory_alone},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--is-pmem") == 0)
        return print_is_pmem(argv[2]);
    return test_main(memory(), tests, argc, argv);
}
