/* SPDX-License-Identifier: BSD-2-Clause */
/* Making and destroying kinds. */
#include <errno.h>
#include <fcntl.h>
#include <memkind.h>
#include <memkind/internal/memkind_private.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test_child.h"
#include "test_kinds.h"

#define NOBODY 65534

/* Handles start as this; functions that fail store NULL. */
static char nothing;
#define UNTOUCHED ((memkind_t)(void *)&nothing)

static bool works(memkind_t kind)
{
    char *small = memkind_malloc(kind, 100);
    char *large = memkind_calloc(kind, 5, 20000);
    bool fine = small != NULL && large != NULL && large[99999] == 0 &&
                memkind_detect_kind(small) == kind &&
                memkind_detect_kind(large + 99999) == kind;
    if (fine) {
        test_fill(small, 100, 1);
        test_fill(large, 100000, 2);
        fine = test_check(small, 100, 1) && test_check(large, 100000, 2);
    }
    memkind_free(kind, small);
    memkind_free(kind, large);
    return fine;
}

static void make_use_destroy(const char *dir, size_t max_size)
{
    memkind_t kind = UNTOUCHED;
    REQUIRE_EQ(memkind_create_pmem(dir, max_size, &kind), MEMKIND_SUCCESS);
    CHECK_NE(kind, UNTOUCHED);
    CHECK(works(kind));
    CHECK_EQ(memkind_check_available(kind), MEMKIND_SUCCESS);
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
}

/* ---- directories ------------------------------------------------------- */

static void refuse(const char *dir, size_t max_size, int reason)
{
    memkind_t kind = UNTOUCHED;
    struct test_resources before, after;
    test_resources_take(&before);
    errno = 0;
    CHECK_EQ(memkind_create_pmem(dir, max_size, &kind), MEMKIND_ERROR_INVALID);
    CHECK_EQ(errno, reason);
    CHECK_EQ(kind, NULL);
    test_resources_take(&after);
    CHECK_EQ(after.fds, before.fds);
}

static void test_bad_directories(void)
{
    char file[4096], below[4200], long_name[6000];
    refuse(NULL, 0, EINVAL);
    CHECK_EQ(memkind_create_pmem(test_dir(), 0, NULL), MEMKIND_ERROR_INVALID);
    refuse("", 0, ENOENT);
    refuse(test_path("missing"), 0, ENOENT);

    snprintf(file, sizeof file, "%s", test_path("file"));
    int fd = open(file, O_CREAT | O_RDWR, 0600);
    REQUIRE_GE(fd, 0);
    refuse(file, 0, ENOTDIR);
    snprintf(below, sizeof below, "%s/x", file);
    refuse(below, 0, ENOTDIR);
    struct stat st;
    CHECK_EQ(fstat(fd, &st), 0);
    CHECK_EQ(st.st_size, 0);
    close(fd);
    unlink(file);

    memset(long_name, 'x', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    refuse(long_name, 0, ENAMETOOLONG);
}

/* In a child that is another user. */
static int create_as_nobody(const char *dir)
{
    pid_t child = fork();
    if (child == 0) {
        memkind_t kind = UNTOUCHED;
        if (setgid(NOBODY) != 0 || setuid(NOBODY) != 0)
            _exit(100);
        errno = 0;
        int err = memkind_create_pmem(dir, 0, &kind);
        if (err == MEMKIND_SUCCESS)
            _exit(works(kind) ? 0 : 101);
        _exit(err == MEMKIND_ERROR_INVALID && kind == NULL ? errno : 102);
    }
    return child_wait(child);
}

static void test_directories_without_permission(void)
{
    if (geteuid() != 0) {
        puts("skipped: only root can become nobody");
        return;
    }
    char dir[4096];
    snprintf(dir, sizeof dir, "%s", test_path("guarded"));
    REQUIRE_EQ(mkdir(dir, 0755), 0);
    CHECK_EQ(chmod(test_dir(), 0755), 0);
    CHECK_EQ(create_as_nobody(dir), EACCES);
    CHECK_EQ(chmod(dir, 0), 0);
    CHECK_EQ(create_as_nobody(dir), EACCES);
    CHECK_EQ(chmod(dir, 0777), 0);
    CHECK_EQ(create_as_nobody(dir), 0);
    CHECK_EQ(chmod(test_dir(), 0700), 0);
    CHECK_EQ(create_as_nobody(dir), EACCES);
    rmdir(dir);
}

static void test_where_files_cannot_be(void)
{
    memkind_t kind = UNTOUCHED;
    CHECK_EQ(memkind_create_pmem("/proc/self", 0, &kind),
             MEMKIND_ERROR_INVALID);
    CHECK_EQ(memkind_create_pmem("/sys/kernel", 0, &kind),
             MEMKIND_ERROR_INVALID);
    CHECK_EQ(memkind_create_pmem("/dev/null", 0, &kind), MEMKIND_ERROR_INVALID);
    CHECK_EQ(kind, NULL);
}

static void test_relative_directory(void)
{
    char before[4096];
    memkind_t kind = UNTOUCHED;
    REQUIRE_NOT_NULL(getcwd(before, sizeof before));
    REQUIRE_EQ(chdir(test_dir()), 0);
    CHECK_EQ(memkind_create_pmem(".", MEMKIND_PMEM_MIN_SIZE, &kind),
             MEMKIND_SUCCESS);
    REQUIRE_EQ(chdir(before), 0);
    /* Alignment uses up addresses, until the kind makes another file: in the
     * same place. */
    for (int i = 0; i < 4; i++) {
        void *object = NULL;
        CHECK_EQ(memkind_posix_memalign(kind, &object, GIB, 1), 0);
        CHECK_NOT_NULL(object);
    }
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
}

static void test_files_stay_out_of_sight(void)
{
    memkind_t kind = UNTOUCHED;
    int seen = 0;
    REQUIRE_EQ(memkind_create_pmem(test_dir(), 0, &kind), MEMKIND_SUCCESS);
    CHECK(works(kind));
    /* No name: the directory could be removed. */
    CHECK_EQ(rmdir(test_dir()), 0);
    CHECK_EQ(mkdir(test_dir(), 0700), 0);
    for (int fd = 0; fd < 1024; fd++) {
        char link[64], target[4096];
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t length = readlink(link, target, sizeof target - 1);
        if (length < 0)
            continue;
        target[length] = '\0';
        if (strncmp(target, test_dir(), strlen(test_dir())) != 0)
            continue;
        struct stat st;
        seen++;
        CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
        CHECK_EQ(fstat(fd, &st), 0);
        CHECK_EQ(st.st_nlink, 0);
        if (S_ISDIR(st.st_mode))
            /* It stands for the directory, and cannot be read. */
            CHECK(fcntl(fd, F_GETFL) & O_PATH);
        else
            CHECK_EQ(st.st_mode & 07777, 0600);
    }
    CHECK_GE(seen, 1);
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
}

/* ---- sizes ------------------------------------------------------------- */

static void test_sizes(void)
{
    static const size_t good[] = {0,
                                  MEMKIND_PMEM_MIN_SIZE,
                                  MEMKIND_PMEM_MIN_SIZE + 1,
                                  MEMKIND_PMEM_MIN_SIZE + 4095,
                                  100 * MIB,
                                  GIB - 1,
                                  GIB,
                                  64 * GIB,
                                  64 * GIB + 1,
                                  1024 * GIB,
                                  (size_t)1 << 46,
                                  (size_t)1 << 62,
                                  PTRDIFF_MAX,
                                  SIZE_MAX / 2 + 1,
                                  SIZE_MAX - 4096,
                                  SIZE_MAX - 1,
                                  SIZE_MAX};
    static const size_t bad[] = {1,
                                 4096,
                                 MIB,
                                 MEMKIND_PMEM_MIN_SIZE / 2,
                                 MEMKIND_PMEM_MIN_SIZE - 4096,
                                 MEMKIND_PMEM_MIN_SIZE - 1};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        make_use_destroy(test_dir(), good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        refuse(test_dir(), bad[i], EINVAL);
}

static void test_capacity(void)
{
    static const size_t sizes[] = {MEMKIND_PMEM_MIN_SIZE, 100 * MIB, 3 * GIB};
    memkind_t kind = UNTOUCHED;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        REQUIRE_EQ(memkind_create_pmem(test_dir(), sizes[i], &kind),
                   MEMKIND_SUCCESS);
        CHECK_EQ(memkind_get_capacity(kind), (ssize_t)sizes[i]);
        CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
    }
    REQUIRE_EQ(memkind_create_pmem(test_dir(), 0, &kind), MEMKIND_SUCCESS);
    CHECK_GE(memkind_get_capacity(kind), (ssize_t)test_free_space());
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);

    /* A limit that ssize_t cannot express is as good as unknown. */
    REQUIRE_EQ(memkind_create_pmem(test_dir(), SIZE_MAX - 1, &kind),
               MEMKIND_SUCCESS);
    CHECK_GE(memkind_get_capacity(kind), -1);
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);

    ssize_t memory =
        (ssize_t)sysconf(_SC_PHYS_PAGES) * (ssize_t)sysconf(_SC_PAGESIZE);
    CHECK_EQ(memkind_get_capacity(MEMKIND_DEFAULT), memory);
    CHECK_EQ(memkind_get_capacity(MEMKIND_REGULAR), memory);
    CHECK_EQ(memkind_get_capacity(MEMKIND_HBW_HUGETLB), -1);
    if (memkind_check_available(MEMKIND_HBW) != MEMKIND_SUCCESS)
        CHECK_EQ(memkind_get_capacity(MEMKIND_HBW), -1);
    CHECK_EQ(memkind_get_capacity(NULL), -1);
}

/* ---- configurations ---------------------------------------------------- */

static void test_configuration(void)
{
    char path[4096];
    memkind_t kind = UNTOUCHED;
    struct memkind_config *config = memkind_config_new();
    REQUIRE_NOT_NULL(config);
    /* No path yet. */
    CHECK_EQ(memkind_create_pmem_with_config(config, &kind),
             MEMKIND_ERROR_INVALID);
    snprintf(path, sizeof path, "%s", test_dir());
    memkind_config_set_path(config, "/nowhere");
    memkind_config_set_path(config, path);
    memset(path, 'x', strlen(path));
    memkind_config_set_size(config, 32 * MIB);
    CHECK_EQ(memkind_create_pmem_with_config(config, NULL),
             MEMKIND_ERROR_INVALID);
    CHECK_EQ(kind, NULL);
    for (int policy = 0; policy < MEMKIND_MEM_USAGE_POLICY_MAX_VALUE;
         policy++) {
        memkind_config_set_memory_usage_policy(
            config, (memkind_mem_usage_policy)policy);
        REQUIRE_EQ(memkind_create_pmem_with_config(config, &kind),
                   MEMKIND_SUCCESS);
        CHECK_EQ(memkind_get_capacity(kind), (ssize_t)(32 * MIB));
        CHECK(works(kind));
        CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
    }
    /* The configuration goes before the kind. */
    REQUIRE_EQ(memkind_create_pmem_with_config(config, &kind), MEMKIND_SUCCESS);
    memkind_config_delete(config);
    CHECK(works(kind));
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
}

static void test_bad_configurations(void)
{
    static const int policies[] = {MEMKIND_MEM_USAGE_POLICY_MAX_VALUE, 100, -1,
                                   INT32_MIN, INT32_MAX};
    memkind_t kind = UNTOUCHED;
    struct test_resources before, after;
    memkind_config_delete(NULL);
    memkind_config_set_path(NULL, test_dir());
    memkind_config_set_size(NULL, 1);
    memkind_config_set_memory_usage_policy(NULL, 0);
    CHECK_EQ(memkind_create_pmem_with_config(NULL, &kind),
             MEMKIND_ERROR_INVALID);

    struct memkind_config *config = memkind_config_new();
    memkind_config_set_path(config, test_dir());
    test_resources_take(&before);
    for (size_t i = 0; i < sizeof policies / sizeof policies[0]; i++) {
        memkind_config_set_memory_usage_policy(
            config, (memkind_mem_usage_policy)policies[i]);
        CHECK_EQ(memkind_create_pmem_with_config(config, &kind),
                 MEMKIND_ERROR_INVALID);
    }
    memkind_config_set_memory_usage_policy(config, 0);
    memkind_config_set_size(config, MEMKIND_PMEM_MIN_SIZE - 1);
    CHECK_EQ(memkind_create_pmem_with_config(config, &kind),
             MEMKIND_ERROR_INVALID);
    memkind_config_set_size(config, 0);
    memkind_config_set_path(config, test_path("missing"));
    CHECK_EQ(memkind_create_pmem_with_config(config, &kind),
             MEMKIND_ERROR_INVALID);
    memkind_config_set_path(config, NULL);
    CHECK_EQ(memkind_create_pmem_with_config(config, &kind),
             MEMKIND_ERROR_INVALID);
    CHECK_EQ(kind, NULL);
    test_resources_take(&after);
    CHECK_EQ(after.fds, before.fds);
    memkind_config_delete(config);
}

/* ---- destroying what cannot be destroyed ------------------------------- */

static void test_what_cannot_be_destroyed(void)
{
    memkind_t kind = UNTOUCHED;
    struct memkind garbage;
    CHECK_EQ(memkind_destroy_kind(NULL), MEMKIND_ERROR_INVALID);
    /* The call does nothing to static kinds: their objects stay. */
    char *object = memkind_malloc(MEMKIND_DEFAULT, 100);
    REQUIRE_NOT_NULL(object);
    memset(object, 7, 100);
    CHECK_EQ(memkind_destroy_kind(MEMKIND_DEFAULT), MEMKIND_SUCCESS);
    CHECK_EQ(memkind_destroy_kind(MEMKIND_DEFAULT), MEMKIND_SUCCESS);
    CHECK(works(MEMKIND_DEFAULT));
    CHECK_EQ(memkind_detect_kind(object), MEMKIND_DEFAULT);
    CHECK_EQ(object[99], 7);
    memkind_free(MEMKIND_DEFAULT, object);
    CHECK_EQ(memkind_destroy_kind(MEMKIND_REGULAR), MEMKIND_SUCCESS);
    CHECK(works(MEMKIND_REGULAR));
    CHECK_EQ(memkind_destroy_kind(MEMKIND_HBW), MEMKIND_SUCCESS);

    CHECK_EQ(memkind_destroy_kind((memkind_t)(void *)&nothing),
             MEMKIND_ERROR_OPERATION_FAILED);
    CHECK_EQ(memkind_destroy_kind((memkind_t)(uintptr_t)8),
             MEMKIND_ERROR_OPERATION_FAILED);
    CHECK_EQ(memkind_destroy_kind((memkind_t)UINTPTR_MAX),
             MEMKIND_ERROR_OPERATION_FAILED);
    memset(&garbage, 0x5a, sizeof garbage);
    CHECK_EQ(memkind_destroy_kind(&garbage), MEMKIND_ERROR_OPERATION_FAILED);

    REQUIRE_EQ(memkind_create_pmem(test_dir(), 0, &kind), MEMKIND_SUCCESS);
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_ERROR_OPERATION_FAILED);
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_ERROR_OPERATION_FAILED);
}

static void test_a_handle_of_a_destroyed_kind(void)
{
    memkind_t kind = UNTOUCHED;
    size_t value;
    void *object = &object;
    REQUIRE_EQ(memkind_create_pmem(test_dir(), 0, &kind), MEMKIND_SUCCESS);
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
    errno = 0;
    CHECK_NULL(memkind_malloc(kind, 8));
    CHECK_EQ(errno, EINVAL);
    CHECK_NULL(memkind_calloc(kind, 8, 8));
    CHECK_NULL(memkind_realloc(kind, NULL, 8));
    CHECK_EQ(memkind_posix_memalign(kind, &object, 64, 8), EINVAL);
    memkind_free(kind, &object);
    CHECK_EQ(memkind_check_available(kind), MEMKIND_ERROR_INVALID);
    CHECK_EQ(memkind_get_stat(kind, MEMKIND_STAT_TYPE_ACTIVE, &value),
             MEMKIND_ERROR_INVALID);
    CHECK_EQ(memkind_get_capacity(kind), -1);
}

/* ---- fixed kinds ------------------------------------------------------- */

static void test_fixed_areas(void)
{
    enum { SIZE = 8 << 20 };
    static char array[SIZE + 1];
    static _Alignas(64 << 10) char area[SIZE];
    const size_t page = test_heap_page();
    const struct {
        char *start;
        size_t size;
        size_t capacity; /* of whole pages */
    } areas[] = {
        {area, SIZE, SIZE},
        {area + 1, SIZE - 1, SIZE - page},
        {area + page - 1, SIZE - page + 1, SIZE - page},
        {area, SIZE - 1, SIZE - page},
        {area + 16, SIZE - 32, SIZE - 2 * page},
        {array, SIZE, 0},
        {array + 1, SIZE, 0},
    };
    for (size_t i = 0; i < sizeof areas / sizeof areas[0]; i++) {
        memkind_t kind = UNTOUCHED;
        REQUIRE_EQ(memkind_create_fixed(areas[i].start, areas[i].size, &kind),
                   MEMKIND_SUCCESS);
        CHECK(works(kind));
        char *object = memkind_malloc(kind, 1000);
        CHECK(object >= areas[i].start &&
              object + 1000 <= areas[i].start + areas[i].size);
        memset(object, 'm', 1000);
        if (areas[i].capacity != 0)
            CHECK_EQ(memkind_get_capacity(kind), (ssize_t)areas[i].capacity);
        CHECK_LE(memkind_get_capacity(kind), (ssize_t)areas[i].size);
        /* More than the area, and all of it at once. */
        errno = 0;
        CHECK_NULL(memkind_malloc(kind, areas[i].size + 1));
        CHECK_EQ(errno, ENOMEM);
        void *half = memkind_malloc(kind, SIZE / 2);
        CHECK_NOT_NULL(half);
        CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
        CHECK_NULL(memkind_detect_kind(object));
        /* Still there, and the caller's. */
        CHECK(object[0] == 'm' && object[999] == 'm');
    }
}

static void test_small_fixed_areas(void)
{
    static _Alignas(64 << 10) char area[64 * (64 << 10)];
    const size_t page = test_heap_page(),
                 system_page = (size_t)sysconf(_SC_PAGESIZE);
    memkind_t kind = UNTOUCHED;
    CHECK_EQ(memkind_create_fixed(NULL, MIB, &kind), MEMKIND_ERROR_INVALID);
    CHECK_EQ(memkind_create_fixed(area, 0, &kind), MEMKIND_ERROR_INVALID);
    CHECK_EQ(memkind_create_fixed(area, system_page - 1, &kind),
             MEMKIND_ERROR_INVALID);
    CHECK_EQ(memkind_create_fixed(area + 1, 2 * system_page - 2, &kind),
             MEMKIND_ERROR_INVALID);
    CHECK_EQ(memkind_create_fixed(area, SIZE_MAX, &kind),
             MEMKIND_ERROR_INVALID);
    CHECK_EQ(memkind_create_fixed(area, 64 * page, NULL),
             MEMKIND_ERROR_INVALID);
    CHECK_EQ(memkind_create_fixed((void *)(UINTPTR_MAX - 100), 50, &kind),
             MEMKIND_ERROR_INVALID);
    CHECK_EQ(kind, NULL);

    /* However small, it is a kind, and never gives what it has not got. */
    for (size_t pages = 1; pages <= 64; pages *= 4) {
        REQUIRE_EQ(memkind_create_fixed(area, pages * page, &kind),
                   MEMKIND_SUCCESS);
        size_t total = 0;
        for (char *object; (object = memkind_malloc(kind, 64)) != NULL;) {
            size_t usable = memkind_malloc_usable_size(kind, object);
            CHECK(object >= area && object + usable <= area + pages * page);
            memset(object, 1, usable);
            total += usable;
        }
        CHECK_EQ(errno, ENOMEM);
        CHECK_LE(total, pages * page);
        CHECK(pages < 4 || total > 0);
        CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
        kind = UNTOUCHED;
    }
    /* A page of the system is enough to be one, if not to hold anything. */
    REQUIRE_EQ(memkind_create_fixed(area, system_page, &kind), MEMKIND_SUCCESS);
    CHECK_EQ(memkind_get_capacity(kind), (ssize_t)system_page);
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
}

static void test_overlapping_fixed_areas(void)
{
    enum { SIZE = 4 << 20 };
    static _Alignas(64 << 10) char area[SIZE];
    memkind_t first = UNTOUCHED, second = UNTOUCHED, files = UNTOUCHED;
    REQUIRE_EQ(memkind_create_fixed(area + MIB, 2 * MIB, &first),
               MEMKIND_SUCCESS);
    CHECK_EQ(memkind_create_fixed(area, SIZE, &second), MEMKIND_ERROR_INVALID);
    CHECK_EQ(memkind_create_fixed(area, MIB + test_heap_page(), &second),
             MEMKIND_ERROR_INVALID);
    CHECK_EQ(memkind_create_fixed(area + 2 * MIB, MIB, &second),
             MEMKIND_ERROR_INVALID);
    REQUIRE_EQ(memkind_create_pmem(test_dir(), 0, &files), MEMKIND_SUCCESS);
    char *object = memkind_malloc(files, MIB);
    CHECK_EQ(memkind_create_fixed(object, MIB, &second), MEMKIND_ERROR_INVALID);
    CHECK_EQ(second, NULL);
    CHECK_EQ(memkind_destroy_kind(files), MEMKIND_SUCCESS);

    /* Side by side is fine. */
    REQUIRE_EQ(memkind_create_fixed(area, MIB, &second), MEMKIND_SUCCESS);
    CHECK(works(first));
    CHECK(works(second));
    CHECK_EQ(memkind_destroy_kind(first), MEMKIND_SUCCESS);
    CHECK_EQ(memkind_destroy_kind(second), MEMKIND_SUCCESS);
    REQUIRE_EQ(memkind_create_fixed(area, SIZE, &first), MEMKIND_SUCCESS);
    CHECK(works(first));
    CHECK_EQ(memkind_destroy_kind(first), MEMKIND_SUCCESS);
}

/* ---- memkind_create_kind() --------------------------------------------- */

static bool is_documented(int types, int policy)
{
    switch (types) {
    case MEMKIND_MEMTYPE_DEFAULT:
        return policy == MEMKIND_POLICY_PREFERRED_LOCAL;
    case MEMKIND_MEMTYPE_HIGH_BANDWIDTH:
        return policy == MEMKIND_POLICY_BIND_LOCAL ||
               policy == MEMKIND_POLICY_BIND_ALL ||
               policy == MEMKIND_POLICY_PREFERRED_LOCAL ||
               policy == MEMKIND_POLICY_INTERLEAVE_ALL;
    case MEMKIND_MEMTYPE_DEFAULT | MEMKIND_MEMTYPE_HIGH_BANDWIDTH:
        return policy == MEMKIND_POLICY_INTERLEAVE_ALL;
    default:
        return false;
    }
}

/* What memkind_check_available() says of them is checked elsewhere. */
static bool there_are_huge_pages(void)
{
    return memkind_check_available(MEMKIND_HUGETLB) == MEMKIND_SUCCESS;
}

static void test_memory_types_and_policies(void)
{
    static const int flags[] = {0, MEMKIND_MASK_PAGE_SIZE_2MB, 1, 30};
    for (int types = 0; types < 5; types++)
        for (int policy = -1; policy <= MEMKIND_POLICY_MAX_VALUE; policy++)
            for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
                memkind_t kind = UNTOUCHED;
                int err = memkind_create_kind((memkind_memtype_t)types,
                                              (memkind_policy_t)policy,
                                              (memkind_bits_t)flags[i], &kind);
                if (!is_documented(types, policy) || i > 1 ||
                    (i == 1 && policy == MEMKIND_POLICY_INTERLEAVE_ALL)) {
                    CHECK_EQ(err, MEMKIND_ERROR_INVALID);
                } else if (types != MEMKIND_MEMTYPE_DEFAULT &&
                           memkind_check_available(MEMKIND_HBW) != 0) {
                    CHECK_EQ(err, MEMKIND_ERROR_MEMTYPE_NOT_AVAILABLE);
                } else if (i == 1 && !there_are_huge_pages()) {
                    CHECK_EQ(err, MEMKIND_ERROR_HUGETLB);
                } else {
                    REQUIRE_EQ(err, MEMKIND_SUCCESS);
                    CHECK(works(kind));
                    CHECK_EQ(memkind_check_available(kind), MEMKIND_SUCCESS);
                    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
                    continue;
                }
                CHECK_EQ(kind, NULL);
            }
    CHECK_EQ(memkind_create_kind(MEMKIND_MEMTYPE_DEFAULT,
                                 MEMKIND_POLICY_PREFERRED_LOCAL, 0, NULL),
             MEMKIND_ERROR_INVALID);
}

/* ---- static kinds ------------------------------------------------------ */

#define HUGE_PAGES "/sys/kernel/mm/hugepages/hugepages-2048kB/"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
static int by_partition(int partition, memkind_t *kind)
{
    return memkind_get_kind_by_partition(partition, kind);
}
#pragma GCC diagnostic pop

/* Whether a file of /sys is there and has a number that is not 0. */
static bool is_set_aside(const char *path)
{
    long count = 0;
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return false;
    CHECK_EQ(fscanf(file, "%ld", &count), 1);
    fclose(file);
    return count != 0;
}

/* libmemkind's code for a machine without the memory that a kind is made of.
 * Some machines have nodes of high bandwidth, or without CPUs; what the
 * firmware says of latencies is not looked at here. */
static int expected_availability(memkind_t kind)
{
    const char *name = kind->name;
    if (kind == MEMKIND_DEFAULT || kind == MEMKIND_REGULAR)
        return MEMKIND_SUCCESS;
    if ((kind == MEMKIND_INTERLEAVE || strstr(name, "CAPACITY") != NULL) &&
        access("/sys/devices/system/node/has_memory", R_OK) == 0)
        return MEMKIND_SUCCESS;
    if (kind == MEMKIND_HUGETLB &&
        (is_set_aside(HUGE_PAGES "nr_hugepages") ||
         is_set_aside(HUGE_PAGES "nr_overcommit_hugepages")))
        return MEMKIND_SUCCESS;
    if ((strstr(name, "HBW") != NULL && strstr(name, "GBTLB") == NULL) ||
        strstr(name, "DAX_KMEM") != NULL || strstr(name, "_LOCAL") != NULL)
        if (memkind_check_available(kind) == MEMKIND_SUCCESS)
            return MEMKIND_SUCCESS;
    if (kind == MEMKIND_INTERLEAVE || strstr(name, "_DAX_KMEM") != NULL)
        return MEMKIND_ERROR_UNAVAILABLE;
    if (kind == MEMKIND_HUGETLB || strstr(name, "GBTLB") != NULL)
        return MEMKIND_ERROR_HUGETLB;
    return MEMKIND_ERROR_MEMTYPE_NOT_AVAILABLE;
}

static void test_static_kinds(void)
{
    const struct {
        int partition;
        memkind_t kind;
    } kinds[] = {
        {MEMKIND_PARTITION_DEFAULT, MEMKIND_DEFAULT},
        {MEMKIND_PARTITION_HBW, MEMKIND_HBW},
        {MEMKIND_PARTITION_HBW_HUGETLB, MEMKIND_HBW_HUGETLB},
        {MEMKIND_PARTITION_HBW_PREFERRED, MEMKIND_HBW_PREFERRED},
        {MEMKIND_PARTITION_HBW_PREFERRED_HUGETLB,
         MEMKIND_HBW_PREFERRED_HUGETLB},
        {MEMKIND_PARTITION_HUGETLB, MEMKIND_HUGETLB},
        {MEMKIND_PARTITION_HBW_GBTLB, MEMKIND_HBW_GBTLB},
        {MEMKIND_PARTITION_HBW_PREFERRED_GBTLB, MEMKIND_HBW_PREFERRED_GBTLB},
        {MEMKIND_PARTITION_GBTLB, MEMKIND_GBTLB},
        {MEMKIND_PARTITION_HBW_INTERLEAVE, MEMKIND_HBW_INTERLEAVE},
        {MEMKIND_PARTITION_INTERLEAVE, MEMKIND_INTERLEAVE},
        {MEMKIND_PARTITION_REGULAR, MEMKIND_REGULAR},
        {MEMKIND_PARTITION_HBW_ALL, MEMKIND_HBW_ALL},
        {MEMKIND_PARTITION_HBW_ALL_HUGETLB, MEMKIND_HBW_ALL_HUGETLB},
        {MEMKIND_PARTITION_DAX_KMEM, MEMKIND_DAX_KMEM},
        {MEMKIND_PARTITION_DAX_KMEM_ALL, MEMKIND_DAX_KMEM_ALL},
        {MEMKIND_PARTITION_DAX_KMEM_PREFERRED, MEMKIND_DAX_KMEM_PREFERRED},
        {MEMKIND_PARTITION_DAX_KMEM_INTERLEAVE, MEMKIND_DAX_KMEM_INTERLEAVE},
        {MEMKIND_PARTITION_HIGHEST_CAPACITY, MEMKIND_HIGHEST_CAPACITY},
        {MEMKIND_PARTITION_HIGHEST_CAPACITY_PREFERRED,
         MEMKIND_HIGHEST_CAPACITY_PREFERRED},
        {MEMKIND_PARTITION_HIGHEST_CAPACITY_LOCAL,
         MEMKIND_HIGHEST_CAPACITY_LOCAL},
        {MEMKIND_PARTITION_HIGHEST_CAPACITY_LOCAL_PREFERRED,
         MEMKIND_HIGHEST_CAPACITY_LOCAL_PREFERRED},
        {MEMKIND_PARTITION_LOWEST_LATENCY_LOCAL, MEMKIND_LOWEST_LATENCY_LOCAL},
        {MEMKIND_PARTITION_LOWEST_LATENCY_LOCAL_PREFERRED,
         MEMKIND_LOWEST_LATENCY_LOCAL_PREFERRED},
        {MEMKIND_PARTITION_HIGHEST_BANDWIDTH_LOCAL,
         MEMKIND_HIGHEST_BANDWIDTH_LOCAL},
        {MEMKIND_PARTITION_HIGHEST_BANDWIDTH_LOCAL_PREFERRED,
         MEMKIND_HIGHEST_BANDWIDTH_LOCAL_PREFERRED},
    };
    const size_t count = sizeof kinds / sizeof kinds[0];
    CHECK_EQ(count, MEMKIND_NUM_BASE_KIND);
    for (size_t i = 0; i < count; i++) {
        memkind_t found = UNTOUCHED;
        CHECK_EQ(by_partition(kinds[i].partition, &found), MEMKIND_SUCCESS);
        CHECK_EQ(found, kinds[i].kind);
        CHECK_EQ(kinds[i].kind->partition, (unsigned)kinds[i].partition);
        CHECK_EQ(strncmp(kinds[i].kind->name, "memkind_", 8), 0);
        for (size_t j = 0; j < i; j++)
            CHECK_STR_NE(kinds[j].kind->name, kinds[i].kind->name);
        const int expected = expected_availability(kinds[i].kind);
        CHECK_EQ(memkind_check_available(kinds[i].kind), expected);
        CHECK_EQ(works(kinds[i].kind), expected == MEMKIND_SUCCESS);
        CHECK_EQ(memkind_destroy_kind(kinds[i].kind), MEMKIND_SUCCESS);
        CHECK_EQ(works(kinds[i].kind), expected == MEMKIND_SUCCESS);
    }
    CHECK_EQ(memkind_check_available(NULL), MEMKIND_ERROR_INVALID);
    const int none[] = {-1, MEMKIND_NUM_BASE_KIND, INT32_MAX, INT32_MIN};
    for (int i = 0; i < 4; i++) {
        memkind_t kind = UNTOUCHED;
        CHECK_EQ(by_partition(none[i], &kind), MEMKIND_ERROR_UNAVAILABLE);
        CHECK_NULL(kind);
        CHECK_EQ(by_partition(none[i], NULL), MEMKIND_ERROR_INVALID);
    }
}

/* ---- version and messages ---------------------------------------------- */

static void test_version(void)
{
    CHECK_EQ(memkind_get_version(), 1014000);
}

static void test_messages(void)
{
    char text[MEMKIND_ERROR_MESSAGE_SIZE], cut[8];
    for (int err = -300; err < 200; err++) {
        memset(text, 'x', sizeof text);
        memkind_error_message(err, text, sizeof text);
        size_t length = strnlen(text, sizeof text);
        CHECK(length > 10 && length < sizeof text - 1);
        CHECK_EQ(strncmp(text, "<memkind> ", 10), 0);
        memset(cut, 'x', sizeof cut);
        memkind_error_message(err, cut, sizeof cut);
        CHECK_EQ(cut[7], '\0');
        CHECK_EQ(strncmp(text, cut, 7), 0);
    }
    memset(cut, 'x', sizeof cut);
    memkind_error_message(-13, cut, 0);
    CHECK_EQ(cut[0], 'x');
    memkind_error_message(-13, cut, 1);
    CHECK_EQ(cut[0], '\0');
    CHECK_EQ(cut[1], 'x');
    memkind_error_message(-13, NULL, 100);
}

static void test_dax_paths(void)
{
    struct test_resources before, after;
    test_resources_take(&before);
    int err = memkind_check_dax_path(test_dir());
    CHECK(err == MEMKIND_SUCCESS || err == MEMKIND_ERROR_MMAP);
    CHECK_EQ(memkind_check_dax_path(NULL), MEMKIND_ERROR_INVALID);
    CHECK_EQ(memkind_check_dax_path(test_path("missing")),
             MEMKIND_ERROR_RUNTIME);
    CHECK_EQ(memkind_check_dax_path("/proc"), MEMKIND_ERROR_RUNTIME);
    test_resources_take(&after);
    CHECK_EQ(after.fds, before.fds);
    CHECK_EQ(after.maps, before.maps);
}

#define ADDRESS_SLACK_KIB (64 * 1024)
/* Sanitizers keep memory of their own, which comes and goes. */
#define RESIDENT_SLACK_KIB (SANITIZED ? 256 * 1024U : 16 * 1024U)

/* ---- many kinds -------------------------------------------------------- */

static void test_as_many_kinds_as_there_can_be(void)
{
    static memkind_t kinds[MEMKIND_MAX_KIND];
    static void *objects[MEMKIND_MAX_KIND];
    memkind_t more = UNTOUCHED;
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    for (int round = 0; round < 3; round++) {
        struct test_resources before, after;
        size_t resident = test_status_kib("VmRSS:");
        test_resources_take(&before);
        for (int i = 0; i < MEMKIND_MAX_KIND; i++)
            REQUIRE_EQ(memkind_create_pmem(test_dir(), MEMKIND_PMEM_MIN_SIZE,
                                           &kinds[i]),
                       MEMKIND_SUCCESS);
        CHECK_EQ(memkind_create_pmem(test_dir(), 0, &more),
                 MEMKIND_ERROR_TOOMANY);
        CHECK_EQ(memkind_create_kind(MEMKIND_MEMTYPE_DEFAULT,
                                     MEMKIND_POLICY_PREFERRED_LOCAL, 0, &more),
                 MEMKIND_ERROR_TOOMANY);
        CHECK_EQ(more, NULL);
        for (int i = 0; i < MEMKIND_MAX_KIND; i++) {
            CHECK(works(kinds[i]));
            objects[i] = memkind_malloc(kinds[i], 3000);
            REQUIRE_NOT_NULL(objects[i]);
            test_fill(objects[i], 3000, (unsigned)i);
        }
        CHECK(works(MEMKIND_DEFAULT));
        CHECK(works(MEMKIND_REGULAR));
        /* One goes, another one comes. */
        CHECK_EQ(memkind_destroy_kind(kinds[100]), MEMKIND_SUCCESS);
        CHECK_EQ(memkind_create_pmem(test_dir(), 0, &kinds[100]),
                 MEMKIND_SUCCESS);
        for (int i = 0; i < MEMKIND_MAX_KIND; i++) {
            if (i != 100) {
                CHECK_EQ(memkind_detect_kind(objects[i]), kinds[i]);
                CHECK(test_check(objects[i], 3000, (unsigned)i));
            }
            CHECK_EQ(memkind_destroy_kind(kinds[i]), MEMKIND_SUCCESS);
        }
        test_resources_take(&after);
        CHECK_EQ(after.fds, before.fds);
        /* By then, all of the library's own data is there already. */
        if (round == 2) {
            CHECK_LE(after.maps, before.maps + 16 + test_metadata_splits());
            CHECK_LE(after.mapped_kib, before.mapped_kib + ADDRESS_SLACK_KIB);
            CHECK_LE(test_status_kib("VmRSS:"), resident + RESIDENT_SLACK_KIB);
        }
    }
}

static void test_thousands_of_kinds_leave_nothing(void)
{
    enum { WARM_UP = 200, CYCLES = 3000 };
    struct test_resources before, after;
    size_t resident = 0;
    memset(&before, 0, sizeof before);
    for (int i = 0; i < WARM_UP + CYCLES; i++) {
        if (i == WARM_UP) {
            test_resources_take(&before);
            resident = test_status_kib("VmRSS:");
        }
        memkind_t kind = UNTOUCHED;
        size_t size = i % 3 == 0 ? 0 : MEMKIND_PMEM_MIN_SIZE * (size_t)(i % 3);
        REQUIRE_EQ(memkind_create_pmem(test_dir(), size, &kind),
                   MEMKIND_SUCCESS);
        void *object = memkind_malloc(kind, 1 + (size_t)i * 37 % 40000);
        CHECK_NOT_NULL(object);
        memset(object, i, 1 + (size_t)i * 37 % 40000);
        /* Some kinds go with live objects, some with cached ones. */
        if (i % 2 == 0)
            memkind_free(kind, object);
        CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
    }
    test_resources_take(&after);
    CHECK_EQ(after.fds, before.fds);
    CHECK_LE(after.maps, before.maps + 8 + test_metadata_splits());
    CHECK_LE(after.mapped_kib, before.mapped_kib + ADDRESS_SLACK_KIB);
    CHECK_LE(test_status_kib("VmRSS:"), resident + RESIDENT_SLACK_KIB);
}

static const struct test_case tests[] = {
    {"bad directories", test_bad_directories},
    {"directories without permission", test_directories_without_permission},
    {"where files cannot be", test_where_files_cannot_be},
    {"relative directory", test_relative_directory},
    {"files stay out of sight", test_files_stay_out_of_sight},
    {"sizes", test_sizes},
    {"capacity", test_capacity},
    {"configuration", test_configuration},
    {"bad configurations", test_bad_configurations},
    {"what cannot be destroyed", test_what_cannot_be_destroyed},
    {"a handle of a destroyed kind", test_a_handle_of_a_destroyed_kind},
    {"fixed areas", test_fixed_areas},
    {"small fixed areas", test_small_fixed_areas},
    {"overlapping fixed areas", test_overlapping_fixed_areas},
    {"memory types and policies", test_memory_types_and_policies},
    {"static kinds", test_static_kinds},
    {"version", test_version},
    {"messages", test_messages},
    {"DAX paths", test_dax_paths},
    {"as many kinds as there can be", test_as_many_kinds_as_there_can_be},
    {"thousands of kinds leave nothing", test_thousands_of_kinds_leave_nothing},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("kinds", tests, argc, argv);
}
