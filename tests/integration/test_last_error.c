/* SPDX-License-Identifier: BSD-2-Clause */
/* memkind_last_error(): each failure in words, beside its code and errno; and
 * no handle for a kind that was not made. */
#include <errno.h>
#include <fcntl.h>
#include <memkind.h>
#include <memkind/internal/memkind_arena.h>
#include <memkind/internal/memkind_default.h>
#include <memkind/internal/memkind_fixed.h>
#include <memkind/internal/memkind_pmem.h>
#include <memkind/internal/memkind_private.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test_kinds.h"

#define OTHER_ERRNO 4711

/* A handle that a failed call must not leave. */
static memkind_t stale(void)
{
    static int anything;
    return (memkind_t)&anything;
}

static void expect_text(const char *function, const char *part)
{
    const char *text = memkind_last_error();
    const size_t length = strlen(function);
    const bool is_right = strncmp(text, function, length) == 0 &&
                          strncmp(text + length, ": ", 2) == 0 &&
                          strstr(text, part) != NULL &&
                          strchr(text, '\n') == NULL;
    if (!is_right)
        printf("\nnot \"%s: ...%s...\": %s\n", function, part, text);
    CHECK(is_right);
    CHECK_STR(memkind_last_error(), text);
}

/* ---- making kinds ------------------------------------------------------- */

static void expect_failure(const char *dir, size_t limit, int status,
                           int error_number, const char *part)
{
    memkind_t kind = stale();
    errno = OTHER_ERRNO;
    CHECK_EQ(memkind_create_pmem(dir, limit, &kind), status);
    CHECK_EQ(errno, error_number);
    CHECK_EQ(kind, NULL);
    expect_text("memkind_create_pmem", part);
    CHECK_EQ(errno, error_number);
}

static void test_places(void)
{
    char path[512], part[600], name[300];
    snprintf(path, sizeof path, "%s", test_path("missing"));
    snprintf(part, sizeof part, "%s: No such file or directory", path);
    expect_failure(path, 0, MEMKIND_ERROR_INVALID, ENOENT, part);

    snprintf(path, sizeof path, "%s", test_path("file"));
    close(open(path, O_CREAT | O_RDWR, 0600));
    snprintf(part, sizeof part, "%s: Not a directory", path);
    expect_failure(path, 0, MEMKIND_ERROR_INVALID, ENOTDIR, part);
    unlink(path);

    CHECK_EQ(symlink("nowhere", test_path("link")), 0);
    expect_failure(test_path("link"), 0, MEMKIND_ERROR_INVALID, ENOENT,
                   "No such file");
    unlink(test_path("link"));

    expect_failure("", 0, MEMKIND_ERROR_INVALID, ENOENT, "\"\": No such file");
    expect_failure("/dev/null", 0, MEMKIND_ERROR_INVALID, ENOTDIR,
                   "/dev/null: neither a directory nor a device DAX: Not a "
                   "directory");
    expect_failure(NULL, 0, MEMKIND_ERROR_INVALID, EINVAL,
                   "the directory is NULL");

    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    expect_failure(name, 0, MEMKIND_ERROR_INVALID, ENAMETOOLONG, "nnn...nnn");
    expect_failure("/no\nsuch", 0, MEMKIND_ERROR_INVALID, ENOENT, "/no?such: ");
}

/* A directory that is there, and takes no files. */
static void test_places_without_files(void)
{
    expect_failure("/proc", 0, MEMKIND_ERROR_INVALID, EOPNOTSUPP,
                   "/proc: no file can be made there: Operation not supported");
    if (getuid() == 0)
        return;
    CHECK_EQ(mkdir(test_path("closed"), 0500), 0);
    expect_failure(test_path("closed"), 0, MEMKIND_ERROR_INVALID, EACCES,
                   "no file can be made there: Permission denied");
    rmdir(test_path("closed"));
}

static void test_limits(void)
{
    expect_failure(test_dir(), MIB, MEMKIND_ERROR_INVALID, EINVAL,
                   "a limit of 1048576 bytes is less than 16777216 "
                   "(MEMKIND_PMEM_MIN_SIZE, 16 MiB)");
    expect_failure(test_dir(), MEMKIND_PMEM_MIN_SIZE - 1, MEMKIND_ERROR_INVALID,
                   EINVAL, "16777215");
    errno = OTHER_ERRNO;
    CHECK_EQ(memkind_create_pmem(test_dir(), 0, NULL), MEMKIND_ERROR_INVALID);
    CHECK_EQ(errno, EINVAL);
    expect_text("memkind_create_pmem", "NULL");
}

static void test_environment(void)
{
    static const struct {
        const char *name, *value;
    } bad[] = {
        {"MEMKIND_DECAY", "1 day"},
        {"MEMKIND_ARENA_NUM_PER_KIND", "0"},
        {"MEMKIND_ARENA_NUM_PER_KIND", "a\nb"},
        {"MEMKIND_BACKGROUND_THREAD_LIMIT", "-1"},
    };
    char part[100];
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        setenv(bad[i].name, bad[i].value, 1);
        snprintf(part, sizeof part, "%s is '%.1s", bad[i].name, bad[i].value);
        expect_failure(test_dir(), 0, MEMKIND_ERROR_ENVIRON, EINVAL, part);
        unsetenv(bad[i].name);
    }
}

static void expect_config_failure(struct memkind_config *config,
                                  const char *part)
{
    memkind_t kind = stale();
    errno = OTHER_ERRNO;
    CHECK_EQ(memkind_create_pmem_with_config(config, &kind),
             MEMKIND_ERROR_INVALID);
    CHECK(errno == EINVAL || errno == ENOENT);
    CHECK_EQ(kind, NULL);
    expect_text("memkind_create_pmem_with_config", part);
}

static void test_configurations(void)
{
    struct memkind_config *config = memkind_config_new();
    expect_config_failure(NULL, "the configuration is NULL");
    expect_config_failure(config, "the directory is NULL");
    memkind_config_set_path(config, "/missing");
    expect_config_failure(config, "/missing: No such file");
    memkind_config_set_path(config, test_dir());
    memkind_config_set_size(config, 1);
    expect_config_failure(config, "a limit of 1 bytes");
    memkind_config_set_size(config, 0);
    memkind_config_set_decay(config, -2);
    expect_config_failure(config, "memkind_config_set_decay(): -2 is not "
                                  "within -1 and 2147483647");
    memkind_config_set_decay(config, -1);
    memkind_config_set_fork_policy(config, (memkind_fork_policy)77);
    expect_config_failure(config, "memkind_config_set_fork_policy(): 77");
    memkind_config_set_fork_policy(config, MEMKIND_FORK_COPY);
    memkind_config_set_memory_usage_policy(config, (memkind_mem_usage_policy)5);
    expect_config_failure(config, "memkind_config_set_memory_usage_policy()");
    CHECK_EQ(memkind_create_pmem_with_config(config, NULL),
             MEMKIND_ERROR_INVALID);
    expect_text("memkind_create_pmem_with_config", "NULL");
    memkind_config_delete(config);
}

static void test_areas(void)
{
    static _Alignas(4096) char area[64 * 1024];
    memkind_t kind = stale(), first = NULL;
    CHECK_EQ(memkind_create_fixed(NULL, MIB, &kind), MEMKIND_ERROR_INVALID);
    CHECK_EQ(kind, NULL);
    expect_text("memkind_create_fixed", "the area is NULL");
    kind = stale();
    CHECK_EQ(memkind_create_fixed(area, 100, &kind), MEMKIND_ERROR_INVALID);
    CHECK_EQ(kind, NULL);
    expect_text("memkind_create_fixed", "the 100 bytes at 0x");
    kind = stale();
    CHECK_EQ(memkind_create_fixed(area, SIZE_MAX, &kind),
             MEMKIND_ERROR_INVALID);
    CHECK_EQ(kind, NULL);
    expect_text("memkind_create_fixed", "beyond all addresses");
    CHECK_EQ(memkind_create_fixed(area, sizeof area, &first), MEMKIND_SUCCESS);
    kind = stale();
    CHECK_EQ(memkind_create_fixed(area, sizeof area, &kind),
             MEMKIND_ERROR_INVALID);
    CHECK_EQ(kind, NULL);
    expect_text("memkind_create_fixed", "another kind's");
    CHECK_EQ(memkind_malloc(first, 2 * sizeof area), NULL);
    expect_text("memkind_malloc", "bytes");
    kind_destroy(first);
}

static void test_other_kinds(void)
{
    memkind_t kind = stale();
    CHECK_EQ(memkind_create_kind(MEMKIND_MEMTYPE_HIGH_BANDWIDTH,
                                 MEMKIND_POLICY_BIND_ALL, (memkind_bits_t)0,
                                 &kind),
             MEMKIND_ERROR_MEMTYPE_NOT_AVAILABLE);
    CHECK_EQ(kind, NULL);
    expect_text("memkind_create_kind", "not available");
    kind = stale();
    CHECK_EQ(memkind_create_kind((memkind_memtype_t)64, MEMKIND_POLICY_BIND_ALL,
                                 (memkind_bits_t)0, &kind),
             MEMKIND_ERROR_INVALID);
    CHECK_EQ(kind, NULL);
    expect_text("memkind_create_kind", "no such combination");
}

static void test_too_many(void)
{
    static memkind_t kinds[MEMKIND_MAX_KIND];
    size_t count = 0;
    while (count < MEMKIND_MAX_KIND &&
           memkind_create_kind(
               MEMKIND_MEMTYPE_DEFAULT, MEMKIND_POLICY_PREFERRED_LOCAL,
               (memkind_bits_t)0, &kinds[count]) == MEMKIND_SUCCESS)
        count++;
    memkind_t kind = stale();
    CHECK_EQ(memkind_create_kind(MEMKIND_MEMTYPE_DEFAULT,
                                 MEMKIND_POLICY_PREFERRED_LOCAL,
                                 (memkind_bits_t)0, &kind),
             MEMKIND_ERROR_TOOMANY);
    CHECK_EQ(kind, NULL);
    expect_text("memkind_create_kind", "512");
    while (count > 0)
        kind_destroy(kinds[--count]);
}

/* ---- what succeeds ------------------------------------------------------ */

static void test_success(void)
{
    static const size_t limits[] = {0, MEMKIND_PMEM_MIN_SIZE, SIZE_MAX,
                                    SIZE_MAX / 2};
    memkind_t kind = NULL;
    expect_failure("/missing", 0, MEMKIND_ERROR_INVALID, ENOENT, "/missing");
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        errno = OTHER_ERRNO;
        CHECK_EQ(memkind_create_pmem(test_dir(), limits[i], &kind),
                 MEMKIND_SUCCESS);
        CHECK_EQ(errno, OTHER_ERRNO);
        memkind_free(kind, memkind_malloc(kind, 100));
        kind_destroy(kind);
        CHECK_EQ(errno, OTHER_ERRNO);
    }
    /* A success changes nothing. */
    expect_text("memkind_create_pmem", "/missing: No such file");
}

static void *text_of_thread(void *arg)
{
    snprintf(arg, 100, "%s", memkind_last_error());
    return NULL;
}

static void test_threads(void)
{
    char text[100] = "untouched";
    pthread_t thread;
    expect_failure("/missing", 0, MEMKIND_ERROR_INVALID, ENOENT, "/missing");
    CHECK_EQ(pthread_create(&thread, NULL, text_of_thread, text), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_STR(text, "");
    expect_text("memkind_create_pmem", "/missing");
}

/* ---- allocations -------------------------------------------------------- */

static void test_allocations(void)
{
    char part[100];
    void *ptr = NULL;
    memkind_t kind = kind_make_limited(MEMKIND_PMEM_MIN_SIZE);
    void *all = memkind_malloc(kind, test_fitting(12 * MIB));
    CHECK_NE(all, NULL);
    CHECK_EQ(memkind_malloc(kind, 8 * MIB), NULL);
    snprintf(part, sizeof part, "no room for %zu bytes: the kind holds ",
             8 * MIB);
    expect_text("memkind_malloc", part);
    expect_text("memkind_malloc", "its limit is 16777216");
    CHECK_EQ(memkind_calloc(kind, 8, MIB), NULL);
    expect_text("memkind_calloc", part);
    CHECK_EQ(memkind_posix_memalign(kind, &ptr, 64, 8 * MIB), ENOMEM);
    expect_text("memkind_posix_memalign", part);
    CHECK_EQ(memkind_realloc(kind, all, 17 * MIB), NULL);
    snprintf(part, sizeof part, "%zu bytes are more than the kind's 16777216",
             17 * MIB);
    expect_text("memkind_realloc", part);
    CHECK_EQ(memkind_calloc(kind, SIZE_MAX / 2, 3), NULL);
    expect_text("memkind_calloc", "too many");
    CHECK_EQ(memkind_posix_memalign(kind, &ptr, 3, 8), EINVAL);
    expect_text("memkind_posix_memalign", "power of two");
    /* It is the alignment that there is no room for. */
    CHECK_EQ(memkind_posix_memalign(kind, &ptr, (size_t)1 << 62, 17), ENOMEM);
    expect_text("memkind_posix_memalign",
                "no room for 17 bytes at a multiple of 4611686018427387904");
    CHECK_EQ(memkind_realloc(kind, NULL, 17 * MIB), NULL);
    expect_text("memkind_realloc", part);
    memkind_free(kind, all);
    kind_destroy(kind);

    CHECK_EQ(memkind_malloc(NULL, 8), NULL);
    expect_text("memkind_malloc", "the kind is NULL");
    CHECK_EQ(memkind_calloc(NULL, 8, 8), NULL);
    expect_text("memkind_calloc", "the kind is NULL");
    CHECK_EQ(memkind_realloc(NULL, NULL, 8), NULL);
    expect_text("memkind_realloc", "neither a kind nor an object");
    CHECK_EQ(memkind_realloc(NULL, part, 8), NULL);
    expect_text("memkind_realloc", "no kind's");
    CHECK_EQ(memkind_malloc(MEMKIND_HBW, 8), NULL);
    expect_text("memkind_malloc", "not available here");
    CHECK_EQ(memkind_calloc(MEMKIND_HBW, 8, 8), NULL);
    expect_text("memkind_calloc", "not available here");
    CHECK_EQ(memkind_realloc(MEMKIND_HBW, NULL, 8), NULL);
    expect_text("memkind_realloc", "not available here");
    CHECK_EQ(memkind_posix_memalign(MEMKIND_HBW, &ptr, 8, 8), ENOMEM);
    expect_text("memkind_posix_memalign", "not available here");
    CHECK_EQ(memkind_posix_memalign(MEMKIND_HBW, &ptr, 3, 8), EINVAL);
    expect_text("memkind_posix_memalign", "power of two");
    CHECK_EQ(memkind_malloc(MEMKIND_DEFAULT, SIZE_MAX / 2), NULL);
    expect_text("memkind_malloc", "no DRAM for");
}

/* ---- other calls -------------------------------------------------------- */

static void test_queries(void)
{
    size_t value;
    memkind_t kind = kind_make_limited(MEMKIND_PMEM_MIN_SIZE);
    CHECK_EQ(memkind_get_stat(kind, MEMKIND_STAT_TYPE_MAX_VALUE, &value),
             MEMKIND_ERROR_INVALID);
    expect_text("memkind_get_stat", "no such statistic");
    CHECK_EQ(memkind_get_stat(kind, MEMKIND_STAT_TYPE_ACTIVE, NULL),
             MEMKIND_ERROR_INVALID);
    expect_text("memkind_get_stat", "no place");
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_ERROR_OPERATION_FAILED);
    expect_text("memkind_destroy_kind", "not there");
    CHECK_EQ(memkind_destroy_kind(NULL), MEMKIND_ERROR_INVALID);
    expect_text("memkind_destroy_kind", "the kind is NULL");
    CHECK_EQ(memkind_purge_kind(NULL), MEMKIND_ERROR_INVALID);
    expect_text("memkind_purge_kind", "not a kind");
    CHECK_EQ(memkind_get_capacity(NULL), -1);
    expect_text("memkind_get_capacity", "not a kind");
    CHECK_EQ(memkind_get_capacity(MEMKIND_HBW), -1);
    expect_text("memkind_get_capacity", "not known");
    CHECK_EQ(memkind_check_available(MEMKIND_HBW),
             MEMKIND_ERROR_MEMTYPE_NOT_AVAILABLE);
    expect_text("memkind_check_available", "not available");
    CHECK_EQ(memkind_stats_print(NULL, NULL, (memkind_stat_print_opt)-1),
             MEMKIND_ERROR_INVALID);
    expect_text("memkind_stats_print", "not valid");
    CHECK_EQ(memkind_check_dax_path("/missing"), MEMKIND_ERROR_RUNTIME);
    expect_text("memkind_check_dax_path", "/missing: No such file");
    CHECK_EQ(memkind_check_dax_path(NULL), MEMKIND_ERROR_INVALID);
    expect_text("memkind_check_dax_path", "NULL");
}

static void test_internal(void)
{
    static struct memkind kind;
    const struct memkind_pmem_source source = {.dir = "/missing", .fd = -1};
    CHECK_EQ(memkind_pmem_set_source(&kind, &source), MEMKIND_SUCCESS);
    CHECK_EQ(memkind_pmem_create(&kind, &MEMKIND_PMEM_OPS, "own"),
             MEMKIND_ERROR_INVALID);
    expect_text("memkind_pmem_create", "/missing: No such file");
    const struct memkind_pmem_source closed = {.fd = STDERR_FILENO};
    CHECK_EQ(memkind_pmem_set_source(&kind, &closed), MEMKIND_SUCCESS);
    CHECK_EQ(memkind_pmem_create(&kind, &MEMKIND_PMEM_OPS, "own"),
             MEMKIND_ERROR_INVALID);
    expect_text("memkind_pmem_create", "descriptor 2 ");
    CHECK_EQ(memkind_pmem_persist(NULL, &kind, 1), MEMKIND_ERROR_INVALID);
    expect_text("memkind_pmem_persist", "not a kind in files");
    CHECK_EQ(memkind_pmem_destroy(&kind), MEMKIND_ERROR_INVALID);
    expect_text("memkind_pmem_destroy", "not valid");
    CHECK_EQ(memkind_pmem_set_source(&kind, NULL), MEMKIND_ERROR_INVALID);
    expect_text("memkind_pmem_set_source", "not valid");
    CHECK_EQ(memkind_fixed_set_source(&kind, NULL), MEMKIND_ERROR_INVALID);
    expect_text("memkind_fixed_set_source", "not valid");
}

/* ---- kinds of the program's own ----------------------------------------- */

static void test_own_kinds(void)
{
    static struct memkind kind;
    struct memkind_ops incomplete = MEMKIND_PMEM_OPS;
    incomplete.malloc = NULL;
    CHECK_EQ(memkind_default_create(&kind, &incomplete, "own"),
             MEMKIND_ERROR_BADOPS);
    expect_text("memkind_default_create", "incomplete");
    CHECK_EQ(memkind_arena_create(&kind, &incomplete, "own"),
             MEMKIND_ERROR_BADOPS);
    expect_text("memkind_arena_create", "incomplete");
    CHECK_EQ(memkind_arena_create_map(&kind, NULL, false),
             MEMKIND_ERROR_INVALID);
    expect_text("memkind_arena_create_map", "not valid");
}

static const struct test_case tests[] = {
    {"places", test_places},
    {"places without files", test_places_without_files},
    {"limits", test_limits},
    {"environment", test_environment},
    {"configurations", test_configurations},
    {"areas", test_areas},
    {"other kinds", test_other_kinds},
    {"too many", test_too_many},
    {"success", test_success},
    {"threads", test_threads},
    {"allocations", test_allocations},
    {"queries", test_queries},
    {"internal", test_internal},
    {"own kinds", test_own_kinds},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("last error", tests, argc, argv);
}
