/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Processes that are not like others: that lock their memory, give address
 * space away, close descriptors, have lost their main thread, or may not go
 * where a kind was made. Each scenario is a process of its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <memkind.h>
#include <memkind/internal/memkind_pmem.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "test_child.h"
#include "test_support.h"

#define NOBODY 65534

/* Messages go to the first stderr: scenarios close descriptors below. */
#define REPORT_FD 200

static char place[4200];  /* the suite's directory */
static char tmpfs[4300];  /* one of 256 MiB, if it can be mounted */
static char beside[4300]; /* a file of the program's own */

/* ---- helpers ----------------------------------------------------------- */

static bool have_tmpfs(void)
{
    return mounts_become_own() && mount_tmpfs(tmpfs, "size=256m");
}

static size_t free_space(const char *path)
{
    struct statvfs st;
    return statvfs(path, &st) == 0 ? st.f_bfree * st.f_frsize : 0;
}

#define OBJECTS_MAX 4096
static char *objects[OBJECTS_MAX];

static int fill(memkind_t kind, size_t count, size_t size)
{
    for (size_t i = 0; i < count; i++) {
        objects[i] = memkind_malloc(kind, size);
        NEED(objects[i] != NULL);
        test_fill(objects[i], size, (unsigned)i);
    }
    return 0;
}

static bool objects_are_right(size_t count, size_t size)
{
    for (size_t i = 0; i < count; i++)
        if (!test_check(objects[i], size, (unsigned)i))
            return false;
    return true;
}

static void empty(memkind_t kind, size_t count)
{
    for (size_t i = 0; i < count; i++)
        memkind_free(kind, objects[i]);
}

static int work(memkind_t kind)
{
    for (int round = 0; round < 3; round++) {
        NEED(fill(kind, 500, 20000) == 0);
        NEED(objects_are_right(500, 20000));
        empty(kind, 500);
        NEED(memkind_purge_kind(kind) == MEMKIND_SUCCESS);
    }
    return 0;
}

/* ---- memory that is locked --------------------------------------------- */

static int lock_memory(int flags, bool before)
{
    memkind_t kind;
    if (SANITIZED || !have_tmpfs())
        return TEST_SKIPPED;
    const size_t at_first = free_space(tmpfs),
                 resident_at_first = test_status_kib("VmRSS:") * KIB;
    if (before && mlockall(flags) != 0)
        return TEST_SKIPPED;
    NEED(memkind_create_pmem(tmpfs, 0, &kind) == MEMKIND_SUCCESS);
    char *object = memkind_malloc(kind, MIB);
    NEED(object != NULL);
    if (!before && mlockall(flags) != 0)
        return TEST_SKIPPED;
    memset(object, 1, MIB);
    NEED(at_first - free_space(tmpfs) <= 16 * MIB);
    NEED(test_status_kib("VmRSS:") * KIB - resident_at_first <= 100 * MIB);
    /* The kind still works, and freed memory goes back although it is locked.
     */
    NEED(work(kind) == 0);
    NEED(at_first - free_space(tmpfs) <= 32 * MIB);
    /* Addresses of the kind that no object has. */
    char *wild = (char *)((uintptr_t)object & ~(GIB - 1)) + 700 * MIB;
    if (memkind_detect_kind(wild) == kind) {
        errno = 0;
        NEED(memkind_realloc(kind, wild, 100) == NULL && errno == EINVAL);
        memkind_free(kind, wild);
        NEED(memkind_malloc_usable_size(kind, wild) == 0);
    }
    NEED(memkind_destroy_kind(kind) == MEMKIND_SUCCESS);
    NEED(free_space(tmpfs) == at_first);
    return 0;
}

static int locked_future(void)
{
    return lock_memory(MCL_FUTURE, true);
}

static int locked_current(void)
{
    return lock_memory(MCL_CURRENT, false);
}

static int locked_on_fault(void)
{
    return lock_memory(MCL_FUTURE | MCL_CURRENT | MCL_ONFAULT, true);
}

static int locked_dram(void)
{
    if (SANITIZED || mlockall(MCL_FUTURE) != 0)
        return TEST_SKIPPED;
    const size_t at_first = test_status_kib("VmRSS:") * KIB;
    NEED(fill(MEMKIND_DEFAULT, 1, MIB) == 0);
    NEED(test_status_kib("VmRSS:") * KIB - at_first <= 100 * MIB);
    NEED(fill(MEMKIND_DEFAULT, 2000, 100000) == 0);
    const size_t full = test_status_kib("VmRSS:") * KIB;
    NEED(full - at_first >= 190 * MIB && full - at_first <= 500 * MIB);
    empty(MEMKIND_DEFAULT, 2000);
    NEED(memkind_purge_kind(MEMKIND_DEFAULT) == MEMKIND_SUCCESS);
    NEED(test_status_kib("VmRSS:") * KIB <= full - 150 * MIB);
    return 0;
}

/* ---- address space ----------------------------------------------------- */

static void *in_thread(void *kind)
{
    char *object = memkind_malloc((memkind_t)kind, 100000);
    if (object != NULL)
        memset(object, 1, 100000);
    memkind_free((memkind_t)kind, object);
    return object;
}

/* Given away after the kind was made: it has no more than its file system can
 * hold. */
static int less_address_space(void)
{
    memkind_t kind;
    if (SANITIZED || !have_tmpfs())
        return TEST_SKIPPED;
    NEED(memkind_create_pmem(tmpfs, 0, &kind) == MEMKIND_SUCCESS);
    const struct rlimit limit = {2 * GIB, 2 * GIB};
    NEED(setrlimit(RLIMIT_AS, &limit) == 0);
    pthread_t thread;
    void *result = NULL;
    NEED(pthread_create(&thread, NULL, in_thread, kind) == 0);
    NEED(pthread_join(thread, &result) == 0 && result != NULL);
    NEED(fill(kind, 2000, 80000) == 0);
    NEED(objects_are_right(2000, 80000));
    NEED(memkind_destroy_kind(kind) == MEMKIND_SUCCESS);
    return 0;
}

/* ---- descriptors ------------------------------------------------------- */

/* A program that closes what it does not know, and opens its own data. */
static int use_after_closing(memkind_t kind, size_t growth)
{
    static char block[MIB], again[MIB];
    NEED(fill(kind, 1000, 20000) == 0);
    for (int fd = STDERR_FILENO + 1; fd < REPORT_FD; fd++)
        close(fd);
    int data[8];
    memset(block, 0x5a, sizeof block);
    for (int i = 0; i < 8; i++) { /* at every number that we had */
        data[i] = open(beside, O_CREAT | O_RDWR, 0600);
        NEED(data[i] >= 0);
    }
    for (int i = 0; i < 64; i++)
        NEED(pwrite(data[0], block, MIB, (off_t)i * (off_t)MIB) ==
             (ssize_t)MIB);
    NEED(objects_are_right(1000, 20000));
    empty(kind, 1000);
    NEED(memkind_purge_kind(kind) == MEMKIND_SUCCESS);
    NEED(work(kind) == 0);
    if (growth != 0)
        NEED(fill(kind, growth / MIB, MIB) == 0 &&
             objects_are_right(growth / MIB, MIB));
    NEED(memkind_destroy_kind(kind) == MEMKIND_SUCCESS);
    for (int i = 0; i < 8; i++)
        NEED(fcntl(data[i], F_GETFD) >= 0);
    for (int i = 0; i < 64; i++) {
        NEED(pread(data[0], again, MIB, (off_t)i * (off_t)MIB) == (ssize_t)MIB);
        NEED(memcmp(block, again, MIB) == 0);
    }
    return 0;
}

static int closed_descriptors(void)
{
    memkind_t kind;
    NEED(memkind_create_pmem(place, 0, &kind) == MEMKIND_SUCCESS);
    return use_after_closing(kind, 0);
}

static int closed_descriptors_of_a_limited_kind(void)
{
    memkind_t kind;
    NEED(memkind_create_pmem(place, 64 * MIB, &kind) == MEMKIND_SUCCESS);
    return use_after_closing(kind, 0);
}

static bool limit_files(size_t size)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_FSIZE, &limit) != 0)
        return false;
    limit.rlim_cur = size < limit.rlim_max ? size : limit.rlim_max;
    return setrlimit(RLIMIT_FSIZE, &limit) == 0;
}

/* A kind whose first region is soon full. */
static int make_small_kind(memkind_t *kind)
{
    NEED(limit_files(32 * MIB));
    NEED(memkind_create_pmem(place, 0, kind) == MEMKIND_SUCCESS);
    NEED(limit_files(SIZE_MAX));
    return 0;
}

static int growth_after_closing(void)
{
    memkind_t kind;
    if (!test_has_space_in(place, 288 * MIB))
        return TEST_SKIPPED;
    NEED(make_small_kind(&kind) == 0);
    return use_after_closing(kind, 200 * MIB);
}

/* Other code prints to the standard descriptors although they are closed. */
static int standard_descriptors(void)
{
    memkind_t kind, dram = MEMKIND_DEFAULT;
    static char text[10000];
    for (int fd = 0; fd <= STDERR_FILENO; fd++)
        close(fd);
    memset(text, 'p', sizeof text);
    for (int round = 0; round < 2; round++) {
        NEED(memkind_create_pmem(place, 0, &kind) == MEMKIND_SUCCESS);
        NEED(memkind_check_dax_path(place) != MEMKIND_ERROR_INVALID);
        NEED(memkind_malloc(dram, 100) != NULL);
        NEED(fill(kind, 100, 20000) == 0);
        for (int fd = 0; fd <= STDERR_FILENO; fd++) {
            errno = 0;
            NEED(write(fd, text, sizeof text) < 0 && errno == EBADF);
        }
        NEED(objects_are_right(100, 20000));
        NEED(memkind_destroy_kind(kind) == MEMKIND_SUCCESS);
    }
    return 0;
}

/* ---- directories ------------------------------------------------------- */

static int directory_by_number(void)
{
    memkind_t kind;
    char name[64];
    int fd = open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    NEED(memkind_create_pmem(name, 0, &kind) == MEMKIND_SUCCESS);
    NEED(work(kind) == 0);
    NEED(memkind_destroy_kind(kind) == MEMKIND_SUCCESS);
    NEED(fcntl(fd, F_GETFD) == FD_CLOEXEC);
    if (geteuid() != 0)
        return 0;
    /* In a jail the directory's path means nothing, but its number does if
     * there is /proc. */
    char proc[4400];
    NEED(mkdir(beside, 0755) == 0);
    snprintf(proc, sizeof proc, "%s/proc", beside);
    NEED(mkdir(proc, 0755) == 0);
    if (!mounts_become_own() || mount("none", proc, "proc", 0, NULL) != 0)
        return TEST_SKIPPED;
    NEED(chroot(beside) == 0 && chdir("/") == 0);
    NEED(memkind_create_pmem(place, 0, &kind) != MEMKIND_SUCCESS);
    NEED(memkind_create_pmem(name, 0, &kind) == MEMKIND_SUCCESS);
    NEED(work(kind) == 0);
    NEED(memkind_destroy_kind(kind) == MEMKIND_SUCCESS);
    return 0;
}

static int directory_without_a_path(void)
{
    enum { DEPTH = 25 };
    static char name[201];
    memkind_t kind;
    memset(name, 'd', sizeof name - 1);
    NEED(chdir(place) == 0);
    for (int i = 0; i < DEPTH; i++)
        NEED(mkdir(name, 0700) == 0 && chdir(name) == 0);
    NEED(memkind_create_pmem(".", 0, &kind) == MEMKIND_SUCCESS);
    for (int i = 0; i < DEPTH; i++)
        NEED(chdir("..") == 0 && rmdir(name) == 0);
    NEED(work(kind) == 0);
    NEED(memkind_destroy_kind(kind) == MEMKIND_SUCCESS);
    return 0;
}

#define GROWTH (224 * MIB)
static int grow_and_finish(memkind_t kind)
{
    NEED(fill(kind, 200, MIB) == 0);
    NEED(objects_are_right(200, MIB));
    empty(kind, 200);
    NEED(fill(kind, 2000, 50000) == 0);
    NEED(objects_are_right(2000, 50000));
    NEED(memkind_destroy_kind(kind) == MEMKIND_SUCCESS);
    return 0;
}

static int growth_after_setuid(void)
{
    memkind_t kind;
    if (geteuid() != 0 || !test_has_space_in(place, GROWTH))
        return TEST_SKIPPED;
    NEED(make_small_kind(&kind) == 0);
    NEED(setgid(NOBODY) == 0 && setuid(NOBODY) == 0);
    NEED(access(place, W_OK) != 0);
    return grow_and_finish(kind);
}

static int growth_after_chroot(void)
{
    memkind_t kind;
    if (geteuid() != 0 || !test_has_space_in(place, GROWTH))
        return TEST_SKIPPED;
    NEED(make_small_kind(&kind) == 0);
    NEED(mkdir(beside, 0755) == 0 && chroot(beside) == 0 && chdir("/") == 0);
    NEED(access(place, F_OK) != 0);
    return grow_and_finish(kind);
}

static int growth_after_setns(void)
{
    memkind_t kind;
    int outside = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
    /* By number: in a chroot, joining a namespace leads to another root. */
    int parent = open(place, O_PATH | O_DIRECTORY | O_CLOEXEC);
    NEED(parent >= 0);
    if (!test_has_memory(GROWTH) || !have_tmpfs())
        return TEST_SKIPPED;
    NEED(limit_files(32 * MIB));
    NEED(memkind_create_pmem(tmpfs, 0, &kind) == MEMKIND_SUCCESS);
    NEED(limit_files(SIZE_MAX));
    if (outside < 0 || setns(outside, CLONE_NEWNS) != 0)
        return TEST_SKIPPED;
    /* Its path would lead here. */
    NEED(unlinkat(parent, "tmpfs", AT_REMOVEDIR) == 0);
    return grow_and_finish(kind);
}

static int growth_after_rmdir(void)
{
    memkind_t kind;
    if (!test_has_space_in(place, GROWTH))
        return TEST_SKIPPED;
    NEED(mkdir(beside, 0755) == 0);
    NEED(limit_files(32 * MIB));
    NEED(memkind_create_pmem(beside, 0, &kind) == MEMKIND_SUCCESS);
    NEED(limit_files(SIZE_MAX));
    NEED(rmdir(beside) == 0);
    return grow_and_finish(kind);
}

/* ---- the main thread has ended ----------------------------------------- */

static pthread_t main_thread;

static int without_main_thread(void)
{
    memkind_t kind;
    NEED(pthread_join(main_thread, NULL) == 0);
    usleep(50000); /* it is no more in /proc a moment later */
    /* The answer that libpmem was set to give shows that it was reached. */
    NEED(memkind_check_dax_path(place) == MEMKIND_SUCCESS);
    NEED(memkind_create_pmem(place, 0, &kind) == MEMKIND_SUCCESS);
    NEED(memkind_pmem_is_pmem(kind));
    NEED(work(kind) == 0);
    NEED(memkind_destroy_kind(kind) == MEMKIND_SUCCESS);
    return 0;
}

static void *run_without_main_thread(void *unused)
{
    (void)unused;
    _exit(without_main_thread());
}

static int main_thread_ends(void)
{
    pthread_t thread;
    main_thread = pthread_self();
    NEED(pthread_create(&thread, NULL, run_without_main_thread, NULL) == 0);
    pthread_exit(NULL);
}

/* ---- around them ------------------------------------------------------- */

static const struct scenario scenarios[] = {
    {"mlockall: future", locked_future, NULL},
    {"mlockall: current", locked_current, NULL},
    {"mlockall: on fault", locked_on_fault, NULL},
    {"mlockall: DRAM", locked_dram, NULL},
    {"less address space", less_address_space, NULL},
    {"closed descriptors", closed_descriptors, NULL},
    {"closed descriptors of a limited kind",
     closed_descriptors_of_a_limited_kind, NULL},
    {"growth after closing", growth_after_closing, NULL},
    {"standard descriptors", standard_descriptors, NULL},
    {"directory by number", directory_by_number, NULL},
    {"directory without a path", directory_without_a_path, NULL},
    {"growth after setuid", growth_after_setuid, NULL},
    {"growth after chroot", growth_after_chroot, NULL},
    {"growth after setns", growth_after_setns, NULL},
    {"growth after rmdir", growth_after_rmdir, NULL},
    {"main thread ends", main_thread_ends, NULL},
};
#define SCENARIOS (sizeof scenarios / sizeof scenarios[0])

static int set_memory(const char *name)
{
    const bool main_ends = strcmp(name, "main thread ends") == 0;
    return setenv("PMEM_IS_PMEM_FORCE", main_ends ? "1" : "0", 1);
}

static void run(const char *name)
{
    REQUIRE_EQ(mkdir(test_path("tmpfs"), 0755), 0);
    (void)scenario_check(name, scenario_run(name, test_dir(), set_memory));
    rmdir(test_path("tmpfs"));
    rmdir(test_path("beside/proc"));
    rmdir(test_path("beside"));
    unlink(test_path("beside"));
}

static int run_scenario(const char *name, const char *directory)
{
    snprintf(place, sizeof place, "%s", directory);
    snprintf(tmpfs, sizeof tmpfs, "%s/tmpfs", directory);
    snprintf(beside, sizeof beside, "%s/beside", directory);
    child_report_to(
        fdopen(fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, REPORT_FD), "w"));
    alarm(300);
    return scenario_main(scenarios, SCENARIOS, name);
}

/* CUnit gives a test no argument: each call takes the next one. */
static const char **chosen;
static size_t next_chosen;

static void run_next(void)
{
    run(chosen[next_chosen++]);
}

static bool is_chosen(const char *name, int argc, char **argv)
{
    bool any = argc == 1;
    for (int i = 1; i < argc; i++)
        any = any || strstr(name, argv[i]) != NULL;
    return any;
}

int main(int argc, char **argv)
{
    static const char *names[SCENARIOS];
    struct test_case tests[SCENARIOS + 1] = {{NULL, NULL}};
    size_t count = 0;
    if (scenario_is_asked_for(argc, argv))
        return run_scenario(argv[1], argv[2]);
    for (size_t i = 0; i < SCENARIOS; i++)
        if (is_chosen(scenarios[i].name, argc, argv)) {
            names[count] = scenarios[i].name;
            tests[count++] = (struct test_case){scenarios[i].name, run_next};
        }
    chosen = names;
    return test_main("odd processes", tests, 1, argv);
}
