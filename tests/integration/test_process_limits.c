/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the system grants a process, or a user: address space, file sizes,
 * descriptors, mappings, quota; and file systems that are small, that allow
 * small files only, or that shrink. Each scenario runs in a process of its own,
 * whose messages (MEMKIND_DEBUG) are looked at.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <memkind.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/quota.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "test_child.h"
#include "test_support.h"

/* ---- in a scenario ----------------------------------------------------- */

static const char *place; /* the suite's directory */

static bool limit_to(int resource, size_t value)
{
    struct rlimit limit = {value, value};
    return setrlimit((__rlimit_resource_t)resource, &limit) == 0;
}

/* Allocates and fills objects until there are no more, or `most` bytes; they
 * are linked through their first words. */
static size_t fill(memkind_t kind, size_t size, size_t most, void ***list)
{
    size_t total = 0;
    while (total < most) {
        void **object = memkind_malloc(kind, size);
        if (object == NULL)
            break;
        memset(object, 0x5a, size);
        *object = *list;
        *list = object;
        total += size;
    }
    return total;
}

static void empty(memkind_t kind, void ***list)
{
    while (*list != NULL) {
        void **object = *list;
        *list = *object;
        memkind_free(kind, object);
    }
}

/* Kinds on a new file system, which goes with the process, and of which `used`
 * bytes are used at a time. */
static const char *new_file_system(const char *make, const char *options,
                                   size_t size, size_t used)
{
    static char mounted[4200];
    char image[4200];
    snprintf(mounted, sizeof mounted, "%s/mounted", place);
    snprintf(image, sizeof image, "%s/image", place);
    return test_has_space_in(place, used) && mounts_become_own() &&
                   mount_image(make, image, size, options, mounted)
               ? mounted
               : NULL;
}

static size_t free_space(const char *dir)
{
    struct statvfs st;
    return statvfs(dir, &st) == 0 ? st.f_bavail * st.f_frsize : 0;
}

/* ---- scenarios --------------------------------------------------------- */

static int address_space(void)
{
    if (SANITIZED)
        return TEST_SKIPPED;
    /* Less is left each time, and at last less than any kind needs. */
    static const size_t rooms[] = {8 * GIB, GIB, 256 * MIB, 80 * MIB, 4 * MIB};
    const size_t in_use = test_status_kib("VmSize:") * KIB;
    NEED(in_use != 0);
    for (size_t i = 0; i < sizeof rooms / sizeof rooms[0]; i++) {
        NEED(limit_to(RLIMIT_AS, in_use + rooms[i]));
        memkind_t limited = NULL, unlimited = NULL;
        void **list = NULL;
        int err = memkind_create_pmem(place, 0, &unlimited);
        if (rooms[i] < 16 * MIB) {
            NEED(err == MEMKIND_ERROR_MMAP || err == MEMKIND_ERROR_MALLOC ||
                 err == MEMKIND_ERROR_ARENAS_CREATE);
            NEED(unlimited == NULL);
            break;
        }
        NEED(err == MEMKIND_SUCCESS);
        size_t wanted = rooms[i] >= 256 * MIB ? 64 * MIB : 8 * MIB;
        NEED(fill(unlimited, 4000, wanted, &list) >= wanted);
        empty(unlimited, &list);
        /* There is room for another one beside it. */
        NEED(memkind_create_pmem(place, 16 * MIB, &limited) == MEMKIND_SUCCESS);
        NEED(fill(limited, 100 * KIB, 8 * MIB, &list) >= 8 * MIB);
        NEED(memkind_destroy_kind(limited) == MEMKIND_SUCCESS);
        /* Until the address space is full: NULL, and no signal. */
        list = NULL;
        (void)fill(unlimited, 8 * MIB, 512 * MIB, &list);
        errno = 0;
        NEED(memkind_malloc(unlimited, rooms[i]) == NULL && errno == ENOMEM);
        empty(unlimited, &list);
        NEED(memkind_destroy_kind(unlimited) == MEMKIND_SUCCESS);
    }
    return 0;
}

/* SIGXFSZ would end the process. */
static int file_size(void)
{
    NEED(limit_to(RLIMIT_FSIZE, 32 * MIB));
    memkind_t kind = NULL;
    void **list = NULL;
    NEED(memkind_create_pmem(place, 0, &kind) == MEMKIND_SUCCESS);
    NEED(fill(kind, 4000, 100 * MIB, &list) >= 100 * MIB);
    errno = 0;
    NEED(memkind_malloc(kind, 40 * MIB) == NULL && errno == ENOMEM);
    NEED(memkind_destroy_kind(kind) == MEMKIND_SUCCESS);
    list = NULL;
    NEED(memkind_create_pmem(place, 64 * MIB, &kind) == MEMKIND_SUCCESS);
    NEED(fill(kind, 4000, 128 * MIB, &list) >= 60 * MIB);
    empty(kind, &list);
    NEED(fill(kind, MIB, 128 * MIB, &list) >= 50 * MIB);
    NEED(memkind_destroy_kind(kind) == MEMKIND_SUCCESS);
    kind = NULL;
    NEED(limit_to(RLIMIT_FSIZE, 4 * MIB));
    NEED(memkind_create_pmem(place, 0, &kind) == MEMKIND_ERROR_MMAP);
    NEED(errno == EFBIG && kind == NULL);
    return 0;
}

static int descriptors(void)
{
    enum { KINDS = 100 };
    memkind_t kinds[KINDS];
    int count = 0;
    NEED(limit_to(RLIMIT_NOFILE, 40));
    int err = MEMKIND_SUCCESS;
    while (count < KINDS && err == MEMKIND_SUCCESS) {
        kinds[count] = NULL;
        err = memkind_create_pmem(place, 16 * MIB, &kinds[count]);
        count += err == MEMKIND_SUCCESS;
    }
    NEED(count >= 30 && count < 40);
    NEED(err == MEMKIND_ERROR_INVALID && errno == EMFILE);
    /* Those that are there need no descriptor more. */
    for (int i = 0; i < count; i++) {
        void **list = NULL;
        NEED(fill(kinds[i], 10000, 6 * MIB, &list) >= 6 * MIB);
        empty(kinds[i], &list);
    }
    /* More than the first region holds cannot be had; that is all. */
    errno = 0;
    NEED(memkind_malloc(kinds[0], 2 * GIB) == NULL && errno == ENOMEM);
    for (int i = 0; i < count; i++)
        NEED(memkind_destroy_kind(kinds[i]) == MEMKIND_SUCCESS);
    NEED(memkind_create_pmem(place, 0, &kinds[0]) == MEMKIND_SUCCESS);
    NEED(memkind_destroy_kind(kinds[0]) == MEMKIND_SUCCESS);
    return 0;
}

static bool counts_all_memory(void)
{
    int mode = 0;
    FILE *file = fopen("/proc/sys/vm/overcommit_memory", "r");
    if (file != NULL && fscanf(file, "%d", &mode) != 1)
        mode = 0;
    if (file != NULL)
        fclose(file);
    return mode == 2;
}

/* vm.max_map_count is 65,530 for a process: mappings go by kinds and regions,
 * not by objects. */
static int mappings(void)
{
    enum { KINDS_MAX = 100, OBJECTS = 2000 };
    static void *objects[KINDS_MAX][OBJECTS];
    memkind_t kinds[KINDS_MAX];
    /* If memory is counted when it is mapped, each kind has some megabytes. */
    const int count = counts_all_memory() ? 30 : KINDS_MAX;
    unsigned long long random = 17;
    /* A kind's 2,000 objects take 21.3 MiB. */
    if (!test_has_space_in(place, (size_t)count * 43 * MIB / 2))
        return TEST_SKIPPED;
    const size_t before = test_mappings();
    for (int i = 0; i < count; i++)
        NEED(memkind_create_pmem(place, 0, &kinds[i]) == MEMKIND_SUCCESS);
    const size_t with_kinds = test_mappings();
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < count; i++)
            for (int j = 0; j < OBJECTS; j++) {
                if (objects[i][j] != NULL) {
                    memkind_free(NULL, objects[i][j]);
                    objects[i][j] = NULL;
                    continue;
                }
                size_t size = 1 + test_random(&random) % 20000;
                objects[i][j] = memkind_malloc(kinds[i], size);
                NEED(objects[i][j] != NULL);
            }
    const size_t with_objects = test_mappings();
    printf("%zu mappings, %zu with %d kinds, %zu with their objects\n", before,
           with_kinds, count, with_objects);
    /* Guard pages are two of these. */
    NEED(SANITIZED || with_kinds <= before + 8 * (size_t)count);
    /* What can be touched is one more: of a region, of its tags, and on file
     * systems with grains of six tables, too. A debug jemalloc has another
     * block of its own data, in two parts. */
    const size_t more = getenv("MEMKIND_TEST_MEMORY") != NULL ? 11 : 5;
    NEED(SANITIZED || with_objects <= with_kinds + more * (size_t)count);
    for (int i = 0; i < count; i++)
        NEED(memkind_destroy_kind(kinds[i]) == MEMKIND_SUCCESS);
    NEED(SANITIZED || test_mappings() <= before + 50);
    return 0;
}

/* A full kind says so as often as it is asked, and takes nothing for it: no
 * address space, no file, no DRAM. */
static int refusals(void)
{
    enum { REFUSALS = 4000 };
    static const size_t sizes[] = {100, 20000, MIB, 100};
    memkind_t kind;
    NEED(memkind_create_pmem(place, 16 * MIB, &kind) == MEMKIND_SUCCESS);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        void **list = NULL;
        NEED(fill(kind, sizes[i], 32 * MIB, &list) >=
             test_least_filled(14 * MIB, sizes[i]));
        const size_t before = test_status_kib("VmSize:") * KIB;
        const size_t mappings_before = test_mappings();
        for (int j = 0; j < REFUSALS; j++) {
            NEED(memkind_malloc(kind, sizes[i]) == NULL && errno == ENOMEM);
            NEED(memkind_malloc(kind, 3 * MIB) == NULL && errno == ENOMEM);
        }
        NEED(SANITIZED || test_status_kib("VmSize:") * KIB <= before + 8 * MIB);
        NEED(SANITIZED || test_mappings() <= mappings_before + 4);
        empty(kind, &list);
        void *half = memkind_malloc(kind, 8 * MIB);
        NEED(half != NULL);
        memkind_free(kind, half);
    }
    NEED(memkind_destroy_kind(kind) == MEMKIND_SUCCESS);
    return 0;
}

/* DRAM kinds must leave memory to the rest of the process if the system counts
 * what is mapped: vm.overcommit_memory=2, or RLIMIT_AS. */
static int ordinary_memory(void)
{
    if (SANITIZED)
        return TEST_SKIPPED;
    NEED(limit_to(RLIMIT_AS, test_status_kib("VmSize:") * KIB + 4 * GIB));
    memkind_t kind = NULL;
    void **list = NULL;
    NEED(memkind_create_kind(MEMKIND_MEMTYPE_DEFAULT,
                             MEMKIND_POLICY_PREFERRED_LOCAL, (memkind_bits_t)0,
                             &kind) == MEMKIND_SUCCESS);
    NEED(memkind_malloc(MEMKIND_DEFAULT, 100) != NULL);
    NEED(test_status_kib("VmSize:") * KIB <= GIB);
    NEED(fill(kind, 4000, 200 * MIB, &list) >= 200 * MIB);
    NEED(memkind_malloc(kind, 300 * MIB) != NULL);
    NEED(memkind_destroy_kind(kind) == MEMKIND_SUCCESS);
    return 0;
}

static int shrinking_tmpfs(void)
{
    char mounted[4200];
    memkind_t kind = NULL;
    void **list = NULL;
    snprintf(mounted, sizeof mounted, "%s/mounted", place);
    if (unshare(CLONE_NEWNS) != 0 ||
        mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("none", mounted, "tmpfs", 0, "size=64m") != 0)
        return TEST_SKIPPED;
    NEED(memkind_create_pmem(mounted, 0, &kind) == MEMKIND_SUCCESS);
    char *kept = memkind_malloc(kind, 30 * MIB);
    NEED(kept != NULL);
    test_fill(kept, 30 * MIB, 3);
    NEED(mount("none", mounted, "tmpfs", MS_REMOUNT, "size=36m") == 0);
    errno = 0;
    NEED(memkind_malloc(kind, 16 * MIB) == NULL && errno == ENOMEM);
    size_t rest = fill(kind, 5000, 64 * MIB, &list);
    NEED(rest >= 3 * MIB && rest <= 6 * MIB);
    NEED(test_check(kept, 30 * MIB, 3));
    empty(kind, &list);
    NEED(mount("none", mounted, "tmpfs", MS_REMOUNT, "size=64m") == 0);
    NEED(fill(kind, 5000, 25 * MIB, &list) >= 25 * MIB);
    NEED(test_check(kept, 30 * MIB, 3));
    NEED(memkind_destroy_kind(kind) == MEMKIND_SUCCESS);
    NEED(free_space(mounted) >= 63 * MIB);
    return 0;
}

static int use_small_files(const char *mounted)
{
    memkind_t kind = NULL;
    void **list = NULL;
    NEED(free_space(mounted) >= 80 * MIB);
    NEED(memkind_create_pmem(mounted, 0, &kind) == MEMKIND_SUCCESS);
    NEED(fill(kind, 5000, 64 * MIB, &list) >= 64 * MIB);
    empty(kind, &list);
    NEED(fill(kind, MIB, 40 * MIB, &list) >= 40 * MIB);
    NEED(memkind_destroy_kind(kind) == MEMKIND_SUCCESS);
    list = NULL;
    NEED(memkind_create_pmem(mounted, 32 * MIB, &kind) == MEMKIND_SUCCESS);
    NEED(fill(kind, 5000, 64 * MIB, &list) >= 28 * MIB);
    NEED(memkind_destroy_kind(kind) == MEMKIND_SUCCESS);
    return 0;
}

/* No file is larger than 16 GiB there. */
static int small_files_ext2(void)
{
    const char *mounted = new_file_system("mkfs.ext2 -q -F -b 1024 -m 0", "",
                                          160 * MIB, 96 * MIB);
    return mounted != NULL ? use_small_files(mounted) : TEST_SKIPPED;
}

static int small_files_vfat(void)
{
    const char *mounted = new_file_system("mkfs.vfat", "", 320 * MIB, 96 * MIB);
    return mounted != NULL ? use_small_files(mounted) : TEST_SKIPPED;
}

#define NOBODY 65534

static int user_quota(void)
{
    const char *mounted = new_file_system("mkfs.ext4 -q -F -m 0 -O quota",
                                          ",usrquota", 128 * MIB, 64 * MIB);
    if (mounted == NULL)
        return TEST_SKIPPED;
    char image[4200], device[64] = "";
    snprintf(image, sizeof image, "%s/image", place);
    FILE *mounts = fopen("/proc/mounts", "r");
    char from[1000], to[1000];
    while (mounts != NULL &&
           fscanf(mounts, "%999s %999s %*[^\n]", from, to) == 2)
        if (strcmp(to, mounted) == 0)
            snprintf(device, sizeof device, "%.63s", from);
    if (mounts != NULL)
        fclose(mounts);
    struct dqblk quota = {.dqb_bhardlimit = 24 * MIB / 1024,
                          .dqb_bsoftlimit = 24 * MIB / 1024,
                          .dqb_valid = QIF_BLIMITS};
    if (quotactl(QCMD(Q_SETQUOTA, USRQUOTA), device, NOBODY, (char *)&quota) !=
        0)
        return TEST_SKIPPED;
    NEED(chmod(mounted, 01777) == 0 && chmod(place, 0755) == 0);
    NEED(setuid(NOBODY) == 0);
    memkind_t kind = NULL;
    void **list = NULL;
    NEED(memkind_create_pmem(mounted, 0, &kind) == MEMKIND_SUCCESS);
    for (int i = 0; i < 2; i++) {
        size_t total = fill(kind, 5000, 128 * MIB, &list);
        NEED(total >= 20 * MIB && total <= 24 * MIB && errno == ENOMEM);
        empty(kind, &list);
    }
    char *half = memkind_malloc(kind, 12 * MIB);
    NEED(half != NULL);
    memset(half, 1, 12 * MIB);
    NEED(memkind_destroy_kind(kind) == MEMKIND_SUCCESS);
    return 0;
}

static const struct scenario scenarios[] = {
    {"address space", address_space, "trying less"},
    {"file size", file_size, "trying less"},
    {"descriptors", descriptors, NULL},
    {"mappings", mappings, NULL},
    {"ordinary memory", ordinary_memory, NULL},
    {"refusals", refusals, NULL},
    {"shrinking tmpfs", shrinking_tmpfs, "No space left"},
    {"small files: ext2", small_files_ext2, NULL},
    {"small files: vfat", small_files_vfat, NULL},
    {"user quota", user_quota, "Disk quota exceeded"},
};
#define SCENARIOS (sizeof scenarios / sizeof scenarios[0])

/* ---- around them ------------------------------------------------------- */

static void show(const char *path, const char *wanted, bool all)
{
    char line[1000];
    bool found = wanted == NULL;
    FILE *file = fopen(path, "r");
    REQUIRE_NOT_NULL(file);
    while (fgets(line, sizeof line, file) != NULL) {
        found = found || strstr(line, wanted) != NULL;
        if (all || strstr(line, "[memkind]") == NULL)
            fputs(line, stdout);
    }
    fclose(file);
    CHECK(found);
}

/* In the scenario's process: its messages go to a file. */
static int log_messages(const char *name)
{
    int fd = open(test_path("log"), O_CREAT | O_RDWR | O_APPEND, 0666);
    (void)name;
    return dup2(fd, STDERR_FILENO) < 0 || setenv("MEMKIND_DEBUG", "1", 1) != 0;
}

static void run(const char *name, const char *says)
{
    char log[4200], mounted[4200], image[4200];
    snprintf(log, sizeof log, "%s", test_path("log"));
    snprintf(image, sizeof image, "%s", test_path("image"));
    snprintf(mounted, sizeof mounted, "%s", test_path("mounted"));
    REQUIRE_EQ(mkdir(mounted, 0755), 0);
    const int status = scenario_run(name, test_dir(), log_messages);
    const bool passed = scenario_check(name, status);
    show(log, passed ? says : NULL, !passed && status != TEST_SKIPPED);
    unlink(log);
    unlink(image);
    rmdir(mounted);
}

static int run_scenario(const char *name, const char *directory)
{
    place = directory;
    return scenario_main(scenarios, SCENARIOS, name);
}

#define SCENARIO(index)                                                        \
    static void scenario_##index(void)                                         \
    {                                                                          \
        run(scenarios[index].name, scenarios[index].says);                     \
    }
SCENARIO(0)
SCENARIO(1)
SCENARIO(2)
SCENARIO(3)
SCENARIO(4)
SCENARIO(5)
SCENARIO(6)
SCENARIO(7)
SCENARIO(8)
SCENARIO(9)

int main(int argc, char **argv)
{
    static void (*const runs[SCENARIOS])(void) = {
        scenario_0, scenario_1, scenario_2, scenario_3, scenario_4,
        scenario_5, scenario_6, scenario_7, scenario_8, scenario_9};
    struct test_case tests[SCENARIOS + 1] = {{NULL, NULL}};
    if (scenario_is_asked_for(argc, argv))
        return run_scenario(argv[1], argv[2]);
    for (size_t i = 0; i < SCENARIOS; i++)
        tests[i] = (struct test_case){scenarios[i].name, runs[i]};
    return test_main("limits of the process", tests, argc, argv);
}
