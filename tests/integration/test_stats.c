/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <memkind.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "test_kinds.h"

struct stats {
    size_t resident, active, allocated;
};

static struct stats last_stats(memkind_t kind)
{
    return (struct stats){
        .resident = kind_last_stat(kind, MEMKIND_STAT_TYPE_RESIDENT),
        .active = kind_last_stat(kind, MEMKIND_STAT_TYPE_ACTIVE),
        .allocated = kind_last_stat(kind, MEMKIND_STAT_TYPE_ALLOCATED)};
}

static struct stats stats_now(memkind_t kind)
{
    CHECK_EQ(memkind_update_cached_stats(), MEMKIND_SUCCESS);
    struct stats stats = last_stats(kind);
    CHECK_LE(stats.allocated, stats.active);
    CHECK_LE(stats.active, stats.resident);
    return stats;
}

/* ---- numbers ----------------------------------------------------------- */

static void check_sums(memkind_t kind)
{
    enum { COUNT = 2000 };
    void *objects[COUNT];
    unsigned long long random = 3;
    size_t total = 0;
    struct stats stats = stats_now(kind);
    CHECK_EQ(stats.allocated, 0);
    CHECK_EQ(stats.active, 0);
    for (size_t i = 0; i < COUNT; i++) {
        objects[i] = memkind_malloc(kind, 1 + test_random(&random) %
                                                  ((size_t)8 << i % 14));
        REQUIRE_NOT_NULL(objects[i]);
        total += memkind_malloc_usable_size(kind, objects[i]);
        if (i % 500 == 0)
            CHECK_EQ(stats_now(kind).allocated, total);
    }
    CHECK_EQ(stats_now(kind).allocated, total);
    for (size_t i = 0; i < COUNT; i += 2) {
        total -= memkind_malloc_usable_size(kind, objects[i]);
        objects[i] =
            memkind_realloc(kind, objects[i], 1 + test_random(&random) % 60000);
        total += memkind_malloc_usable_size(kind, objects[i]);
    }
    CHECK_EQ(stats_now(kind).allocated, total);
    for (size_t i = 0; i < COUNT; i += 3) {
        total -= memkind_malloc_usable_size(kind, objects[i]);
        memkind_free(kind, objects[i]);
        objects[i] = NULL;
    }
    CHECK_EQ(stats_now(kind).allocated, total);
    for (size_t i = 0; i < COUNT; i++)
        memkind_free(kind, objects[i]);
    stats = stats_now(kind);
    CHECK_EQ(stats.allocated, 0);
    CHECK_EQ(stats.active, 0);
}

static void test_sums_of_usable_sizes(void)
{
    memkind_t kind = kind_make(.limit = 0);
    check_sums(kind);
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
    check_sums(MEMKIND_DEFAULT);
    check_sums(MEMKIND_REGULAR);
}

static void test_known_sizes(void)
{
    memkind_t kind = kind_make(.limit = 64 * MIB,
                               .usage = MEMKIND_MEM_USAGE_POLICY_CONSERVATIVE);
    const size_t size = test_fitting(8 * MIB);
    void *large = memkind_malloc(kind, size);
    struct stats stats = stats_now(kind);
    CHECK_EQ(stats.allocated, size);
    CHECK_EQ(stats.active, 8 * MIB);
    CHECK_EQ(stats.resident, 8 * MIB);
    void *small = memkind_malloc(kind, 4096);
    stats = stats_now(kind);
    CHECK_EQ(stats.allocated, size + 4096);
    memkind_free(kind, large);
    stats = stats_now(kind);
    CHECK_EQ(stats.allocated, 4096);
    CHECK_LT(stats.resident, MIB + test_space_unit());
    memkind_free(kind, small);
    stats = stats_now(kind);
    CHECK_EQ(stats.allocated, 0);
    CHECK_EQ(stats.active, 0);
    CHECK_EQ(stats.resident, 0);
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
}

static void test_a_snapshot_stays(void)
{
    memkind_t kind = kind_make(.limit = 0);
    void *object = memkind_malloc(kind, MIB);
    struct stats before = stats_now(kind);
    void *more = memkind_malloc(kind, 32 * MIB);
    struct stats after = last_stats(kind);
    CHECK_EQ(before.allocated, after.allocated);
    CHECK_EQ(before.active, after.active);
    CHECK_EQ(before.resident, after.resident);
    after = stats_now(kind);
    CHECK_EQ(after.allocated, before.allocated + 32 * MIB);
    CHECK_GE(after.resident, before.resident + 32 * MIB);
    memkind_free(kind, object);
    memkind_free(kind, more);
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
}

static void test_kinds_are_counted_separately(void)
{
    memkind_t one = kind_make(.limit = 0);
    memkind_t other = kind_make(.limit = 0);
    void *object = memkind_malloc(one, 4 * MIB);
    CHECK_EQ(stats_now(one).allocated, 4 * MIB);
    CHECK_EQ(stats_now(other).allocated, 0);
    CHECK_EQ(stats_now(other).resident, 0);
    memkind_free(one, object);
    CHECK_EQ(memkind_destroy_kind(one), MEMKIND_SUCCESS);
    /* A new kind does not take over an old one's numbers. */
    one = kind_make(.limit = 0);
    CHECK_EQ(last_stats(one).allocated, 0);
    CHECK_EQ(last_stats(one).resident, 0);
    CHECK_EQ(memkind_destroy_kind(one), MEMKIND_SUCCESS);
    CHECK_EQ(memkind_destroy_kind(other), MEMKIND_SUCCESS);
}

static void *allocate_and_end(void *kind)
{
    void *objects[1000];
    for (size_t i = 0; i < 1000; i++)
        objects[i] = memkind_malloc(kind, 1 + i * 3);
    for (size_t i = 0; i < 1000; i++)
        memkind_free(kind, objects[i]);
    return memkind_malloc(kind, 10000);
}

static void test_threads_that_have_ended(void)
{
    memkind_t kind = kind_make(.limit = 0);
    size_t total = 0;
    void *objects[8];
    for (int i = 0; i < 8; i++) {
        pthread_t thread;
        REQUIRE_EQ(pthread_create(&thread, NULL, allocate_and_end, kind), 0);
        pthread_join(thread, &objects[i]);
        total += memkind_malloc_usable_size(kind, objects[i]);
        CHECK_EQ(stats_now(kind).allocated, total);
    }
    for (int i = 0; i < 8; i++)
        memkind_free(kind, objects[i]);
    CHECK_EQ(stats_now(kind).allocated, 0);
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
}

/* A kind that is not in use has the same figures in each snapshot, by any
 * thread, whatever becomes of what threads have cached of the kind. */
#define CACHING_THREADS 6
static pthread_barrier_t cached;
static atomic_bool looking;

static void *free_and_end(void *kind)
{
    void *objects[100];
    for (size_t i = 0; i < 100; i++)
        objects[i] = memkind_malloc(kind, 1000);
    for (size_t i = 0; i < 100; i++)
        memkind_free(kind, objects[i]);
    pthread_barrier_wait(&cached);
    return NULL;
}

static void *look_too(void *unused)
{
    const struct timespec pause = {.tv_nsec = 200000};
    while (atomic_load(&looking)) {
        memkind_update_cached_stats();
        nanosleep(&pause, NULL);
    }
    return unused;
}

static void test_snapshots_at_once(void)
{
    memkind_t kind = kind_make(.limit = 0);
    pthread_t others[2], threads[CACHING_THREADS];
    size_t wrong = 0;
    void *live = memkind_malloc(kind, 1000);
    const size_t size = memkind_malloc_usable_size(kind, live);
    atomic_store(&looking, true);
    for (int i = 0; i < 2; i++)
        REQUIRE_EQ(pthread_create(&others[i], NULL, look_too, NULL), 0);
    for (int round = 0; round < 20; round++) {
        pthread_barrier_init(&cached, NULL, CACHING_THREADS + 1);
        for (int i = 0; i < CACHING_THREADS; i++)
            REQUIRE_EQ(pthread_create(&threads[i], NULL, free_and_end, kind),
                       0);
        pthread_barrier_wait(&cached);
        for (int i = 0; i < 20; i++)
            wrong += stats_now(kind).allocated != size;
        for (int i = 0; i < CACHING_THREADS; i++)
            pthread_join(threads[i], NULL);
        pthread_barrier_destroy(&cached);
    }
    atomic_store(&looking, false);
    for (int i = 0; i < 2; i++)
        pthread_join(others[i], NULL);
    CHECK_EQ(wrong, 0);
    memkind_free(kind, live);
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
}

/* A kind goes while a thread that has cached objects of it takes a snapshot.
 * The other threads' caches have it go slowly. */
#define OTHERS 12
static memkind_t passing;
static pthread_barrier_t turn;

static void use_passing_kind(void)
{
    memkind_free(passing, memkind_malloc(passing, 100));
}

static void *cache_of_passing_kinds(void *rounds)
{
    for (int i = 0; i < *(int *)rounds; i++) {
        pthread_barrier_wait(&turn);
        use_passing_kind();
        pthread_barrier_wait(&turn);
        pthread_barrier_wait(&turn);
    }
    return NULL;
}

static void *look_while_kinds_go(void *rounds)
{
    for (int i = 0; i < *(int *)rounds; i++) {
        pthread_barrier_wait(&turn);
        pthread_barrier_wait(&turn);
        use_passing_kind(); /* the last one: its cache is the first to go */
        pthread_barrier_wait(&turn);
        for (int j = 0; j < 3; j++)
            memkind_update_cached_stats();
    }
    return NULL;
}

static void test_snapshots_while_kinds_go(void)
{
    int rounds = 200;
    pthread_t threads[OTHERS + 1];
    pthread_barrier_init(&turn, NULL, OTHERS + 2);
    for (int i = 0; i <= OTHERS; i++)
        REQUIRE_EQ(pthread_create(&threads[i], NULL,
                                  i < OTHERS ? cache_of_passing_kinds
                                             : look_while_kinds_go,
                                  &rounds),
                   0);
    for (int i = 0; i < rounds; i++) {
        passing = kind_make(.limit = 0);
        for (int j = 0; j < 3; j++)
            pthread_barrier_wait(&turn);
        CHECK_EQ(memkind_destroy_kind(passing), MEMKIND_SUCCESS);
    }
    for (int i = 0; i <= OTHERS; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&turn);
}

static void test_the_whole_library(void)
{
    memkind_t kind = kind_make(.limit = 0);
    /* Nothing of what other tests have freed goes back in between. */
    CHECK_EQ(memkind_purge_kind(MEMKIND_DEFAULT), MEMKIND_SUCCESS);
    CHECK_EQ(memkind_purge_kind(MEMKIND_REGULAR), MEMKIND_SUCCESS);
    struct stats before = stats_now(NULL);
    void *object = memkind_malloc(kind, 16 * MIB);
    struct stats after = stats_now(NULL);
    /* Less what the library's own data may have become less by: jemalloc's
     * caches of that are emptied now and then. */
    CHECK_GE(after.allocated, before.allocated + 15 * MIB);
    CHECK_GE(after.active, before.active + 15 * MIB);
    CHECK_GE(after.resident, before.resident + 15 * MIB);
    CHECK_GE(stats_now(NULL).allocated, stats_now(kind).allocated);
    memkind_free(kind, object);
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
    after = stats_now(NULL);
    CHECK_LT(after.allocated, before.allocated + MIB);
}

/* The file system may need a little more, for its own lists of extents. */
static void check_resident(memkind_t kind, size_t before)
{
    size_t resident = stats_now(kind).resident;
    size_t space = test_file_space() - before;
    if (space < resident || space > resident + resident / 64 + 256 * 1024)
        printf("resident %zu, the file system says %zu\n", resident, space);
    CHECK_GE(space, resident);
    CHECK_LE(space, resident + resident / 64 + 256 * 1024);
}

static void test_the_file_system_agrees(void)
{
    enum { COUNT = 1000 };
    static const memkind_mem_usage_policy policies[] = {
        MEMKIND_MEM_USAGE_POLICY_DEFAULT,
        MEMKIND_MEM_USAGE_POLICY_CONSERVATIVE};
    for (size_t p = 0; p < 2; p++) {
        static const size_t sizes[] = {0, 64 * MIB};
        void *objects[COUNT];
        size_t before = test_file_space();
        memkind_t kind = kind_make(.limit = sizes[p], .usage = policies[p]);
        check_resident(kind, before);
        unsigned long long random = 5;
        for (size_t i = 0; i < COUNT; i++) {
            objects[i] = memkind_malloc(kind, 1 + test_random(&random) % 50000);
            REQUIRE_NOT_NULL(objects[i]);
            if (i % 200 == 0)
                check_resident(kind, before);
        }
        CHECK_GT(stats_now(kind).resident, 8 * MIB);
        for (size_t i = 0; i < COUNT; i += 2)
            memkind_free(kind, objects[i]);
        check_resident(kind, before);
        for (size_t i = 1; i < COUNT; i += 2)
            memkind_free(kind, objects[i]);
        check_resident(kind, before);
        CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
        CHECK_EQ(test_file_space(), before);
    }
}

static void test_bad_arguments(void)
{
    size_t value = 4711;
    memkind_t kind = kind_make(.limit = 0);
    const memkind_t kinds[] = {NULL, kind, MEMKIND_DEFAULT};
    for (size_t i = 0; i < 3; i++) {
        CHECK_EQ(memkind_get_stat(kinds[i], MEMKIND_STAT_TYPE_ACTIVE, NULL),
                 MEMKIND_ERROR_INVALID);
        CHECK_EQ(
            memkind_get_stat(kinds[i], MEMKIND_STAT_TYPE_MAX_VALUE, &value),
            MEMKIND_ERROR_INVALID);
        CHECK_EQ(memkind_get_stat(kinds[i], (memkind_stat_type)-1, &value),
                 MEMKIND_ERROR_INVALID);
        CHECK_EQ(memkind_get_stat(kinds[i], (memkind_stat_type)1000, &value),
                 MEMKIND_ERROR_INVALID);
    }
    CHECK_EQ(memkind_get_stat(MEMKIND_HBW, MEMKIND_STAT_TYPE_MAX_VALUE, &value),
             MEMKIND_ERROR_INVALID);
    CHECK_EQ(memkind_get_stat(MEMKIND_HBW, MEMKIND_STAT_TYPE_ACTIVE, NULL),
             MEMKIND_ERROR_INVALID);
    CHECK_EQ(value, 4711);
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
}

/* A program that lists the kinds needs no exception for those that the machine
 * lacks: they hold nothing. */
static void test_kinds_that_cannot_be_had(void)
{
    const memkind_t kinds[] = {MEMKIND_HBW, MEMKIND_HUGETLB, MEMKIND_INTERLEAVE,
                               MEMKIND_DAX_KMEM, MEMKIND_GBTLB};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        for (int stat = 0; stat < MEMKIND_STAT_TYPE_MAX_VALUE; stat++) {
            size_t value = 4711;
            CHECK_EQ(
                memkind_get_stat(kinds[i], (memkind_stat_type)stat, &value),
                MEMKIND_SUCCESS);
            CHECK_EQ(value, 0);
        }
    }
}

/* A kind without a snapshot holds nothing in it: a program that takes one from
 * time to time needs no exception for kinds that were made since. */
static void test_before_a_snapshot(void)
{
    memkind_t kind = kind_make(.limit = 0);
    void *object = memkind_malloc(kind, 100000);
    CHECK_NOT_NULL(object);
    for (int stat = 0; stat < MEMKIND_STAT_TYPE_MAX_VALUE; stat++) {
        size_t value = 4711;
        CHECK_EQ(memkind_get_stat(kind, (memkind_stat_type)stat, &value),
                 MEMKIND_SUCCESS);
        CHECK_EQ(value, 0);
    }
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
}

/* ---- printing ---------------------------------------------------------- */

struct text {
    size_t length;
    char bytes[1 << 21];
};

static struct text text;

static void append(void *opaque, const char *piece)
{
    struct text *all = opaque;
    size_t length = strlen(piece);
    if (all->length + length < sizeof all->bytes) {
        memcpy(all->bytes + all->length, piece, length + 1);
        all->length += length;
    }
}

static void print(unsigned opts)
{
    text.length = 0;
    text.bytes[0] = '\0';
    CHECK_EQ(memkind_stats_print(append, &text, (memkind_stat_print_opt)opts),
             MEMKIND_SUCCESS);
    CHECK_LT(text.length, sizeof text.bytes - 1);
}

/* Outside of strings, each bracket closes the last one that was opened. */
static bool brackets_match(const char *json)
{
    char open[256];
    size_t depth = 0;
    bool in_string = false, any = false;
    for (; *json != '\0'; json++) {
        if (in_string) {
            if (*json == '\\' && json[1] != '\0')
                json++;
            else if (*json == '"')
                in_string = false;
        } else if (*json == '"') {
            in_string = true;
        } else if (*json == '{' || *json == '[') {
            if (depth == sizeof open)
                return false;
            open[depth++] = *json == '{' ? '}' : ']';
            any = true;
        } else if (*json == '}' || *json == ']') {
            if (depth == 0 || open[--depth] != *json)
                return false;
        }
    }
    return any && depth == 0 && !in_string;
}

static bool python_reads_it(void)
{
    char command[4200];
    if (system("python3 -c 'import json' >/dev/null 2>&1") != 0)
        return true;
    snprintf(command, sizeof command,
             "python3 -c 'import json,sys; "
             "sys.exit(0 if \"jemalloc\" in json.load(sys.stdin) else 1)'");
    FILE *python = popen(command, "w");
    if (python == NULL)
        return false;
    fwrite(text.bytes, 1, text.length, python);
    return pclose(python) == 0;
}

static void test_text(void)
{
    memkind_t kind = kind_make(.limit = 0);
    void *object = memkind_malloc(kind, 100);
    print(MEMKIND_STAT_PRINT_ALL);
    CHECK_NOT_NULL(strstr(text.bytes, "jemalloc statistics"));
    CHECK_NOT_NULL(strstr(text.bytes, "End jemalloc statistics"));
    CHECK_NOT_NULL(strstr(text.bytes, "Detached by fork: 0\n"));
    size_t all = text.length;
    for (unsigned bit = 1; bit < 9; bit++) {
        print(1U << bit);
        CHECK_GT(text.length, 0);
        CHECK_LE(text.length, all + 4096);
    }
    print(MEMKIND_STAT_PRINT_OMIT_PER_ARENA | MEMKIND_STAT_PRINT_OMIT_GENERAL |
          MEMKIND_STAT_PRINT_OMIT_MERGED_ARENA |
          MEMKIND_STAT_PRINT_OMIT_DESTROYED_MERGED_ARENA);
    CHECK_LT(text.length, all / 2);
    memkind_free(kind, object);
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
}

static void *make_and_destroy_kinds(void *unused)
{
    while (atomic_load(&looking)) {
        memkind_t kind = kind_make(.limit = 0);
        memkind_free(kind, memkind_malloc(kind, 100));
        CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
    }
    return unused;
}

/* jemalloc aborts if an arena that it prints is gone. */
static void test_text_while_kinds_go(void)
{
    pthread_t threads[3];
    atomic_store(&looking, true);
    for (int i = 0; i < 3; i++)
        REQUIRE_EQ(
            pthread_create(&threads[i], NULL, make_and_destroy_kinds, NULL), 0);
    for (int i = 0; i < 100; i++)
        print(0);
    atomic_store(&looking, false);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
}

static void test_json(void)
{
    memkind_t kind = kind_make(.limit = 0);
    void *object = memkind_malloc(kind, 100);
    print(MEMKIND_STAT_PRINT_JSON_FORMAT);
    CHECK(brackets_match(text.bytes));
    CHECK(python_reads_it());
    CHECK_NOT_NULL(
        strstr(text.bytes, "\"memkind\":{\"detached\":0,\"kinds\":[{"));
    for (unsigned bit = 1; bit < 9; bit++) {
        print(MEMKIND_STAT_PRINT_JSON_FORMAT | 1U << bit);
        CHECK(brackets_match(text.bytes));
    }
    /* The check can fail. */
    text.bytes[strcspn(text.bytes, "}")] = ' ';
    CHECK(!brackets_match(text.bytes));
    memkind_free(kind, object);
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
}

/* Names of directories that JSON cannot hold as they are. */
static void test_odd_directory(void)
{
    char dir[PATH_MAX];
    memkind_t kind;
    snprintf(dir, sizeof dir, "%s/a \"b\"\n\\c\xff\xc3\xbc", test_dir());
    REQUIRE_EQ(mkdir(dir, 0700), 0);
    REQUIRE_EQ(memkind_create_pmem(dir, 0, &kind), MEMKIND_SUCCESS);
    void *object = memkind_malloc(kind, 100);
    print(MEMKIND_STAT_PRINT_JSON_FORMAT);
    CHECK(brackets_match(text.bytes));
    CHECK(python_reads_it());
    CHECK_NOT_NULL(strstr(
        text.bytes, "/a \\u0022b\\u0022\\u000a\\u005cc\\ufffd\xc3\xbc\",\""
                    "files\":1,\"space\":"));
    print(MEMKIND_STAT_PRINT_ALL);
    CHECK_NOT_NULL(strstr(text.bytes, "/a \\u0022b\\u0022\\u000a\\u005cc"));
    memkind_free(kind, object);
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
    CHECK_EQ(rmdir(dir), 0);
}

static void test_bad_options(void)
{
    static const unsigned bad[] = {1U << 9, 1U << 10, 1U << 31, 0x3ff, ~0U};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        text.length = 0;
        CHECK_EQ(
            memkind_stats_print(append, &text, (memkind_stat_print_opt)bad[i]),
            MEMKIND_ERROR_INVALID);
        CHECK_EQ(text.length, 0);
    }
}

static void test_to_stderr(void)
{
    char path[4096];
    snprintf(path, sizeof path, "%s", test_path("stderr"));
    int fd = open(path, O_CREAT | O_RDWR, 0600);
    int saved = dup(STDERR_FILENO);
    REQUIRE(fd >= 0 && saved >= 0);
    dup2(fd, STDERR_FILENO);
    int err = memkind_stats_print(NULL, NULL, MEMKIND_STAT_PRINT_ALL);
    dup2(saved, STDERR_FILENO);
    close(saved);
    CHECK_EQ(err, MEMKIND_SUCCESS);
    ssize_t length = pread(fd, text.bytes, sizeof text.bytes - 1, 0);
    text.bytes[length > 0 ? length : 0] = '\0';
    CHECK_NOT_NULL(strstr(text.bytes, "End jemalloc statistics"));
    close(fd);
    unlink(path);
}

static const struct test_case tests[] = {
    {"sums of usable sizes", test_sums_of_usable_sizes},
    {"known sizes", test_known_sizes},
    {"a snapshot stays", test_a_snapshot_stays},
    {"kinds are counted separately", test_kinds_are_counted_separately},
    {"threads that have ended", test_threads_that_have_ended},
    {"snapshots at once", test_snapshots_at_once},
    {"snapshots while kinds go", test_snapshots_while_kinds_go},
    {"the whole library", test_the_whole_library},
    {"the file system agrees", test_the_file_system_agrees},
    {"bad arguments", test_bad_arguments},
    {"kinds that cannot be had", test_kinds_that_cannot_be_had},
    {"before a snapshot", test_before_a_snapshot},
    {"text", test_text},
    {"text while kinds go", test_text_while_kinds_go},
    {"JSON", test_json},
    {"a directory with an odd name", test_odd_directory},
    {"bad options", test_bad_options},
    {"to stderr", test_to_stderr},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("statistics", tests, argc, argv);
}
