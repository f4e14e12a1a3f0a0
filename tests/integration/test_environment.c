/* SPDX-License-Identifier: BSD-2-Clause */
/* The environment variables: each case is a run of this program as a child,
 * with an environment of its own, whose output is collected. */
#include <errno.h>
#include <fcntl.h>
#include <memkind.h>
#include <memkind/internal/memkind_arena.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test_child.h"
#include "test_support.h"

#define KIND_SIZE (64 * MIB)

/* ---- what the children do: 0 (or a number) is the answer --------------- */

static const char *child_dir;

/* decay_ms: DECAY_UNSET, or what to set. */
#define DECAY_UNSET (-2)

static memkind_t make_kind(memkind_mem_usage_policy policy, int decay_ms)
{
    memkind_t kind = NULL;
    struct memkind_config *config = memkind_config_new();
    memkind_config_set_path(config, child_dir);
    memkind_config_set_size(config, KIND_SIZE);
    memkind_config_set_memory_usage_policy(config, policy);
    if (decay_ms != DECAY_UNSET)
        memkind_config_set_decay(config, decay_ms);
    if (memkind_create_pmem_with_config(config, &kind) != MEMKIND_SUCCESS)
        kind = NULL;
    memkind_config_delete(config);
    return kind;
}

static size_t stat_of(memkind_t kind, memkind_stat_type stat)
{
    size_t value = 0;
    if (memkind_update_cached_stats() != MEMKIND_SUCCESS ||
        memkind_get_stat(kind, stat, &value) != MEMKIND_SUCCESS)
        return 0;
    return value;
}

/* A status code of memkind_create_pmem(), made positive. */
static int child_create(void)
{
    memkind_t kind;
    int err = memkind_create_pmem(child_dir, KIND_SIZE, &kind);
    if (err != MEMKIND_SUCCESS)
        return -err;
    void *object = memkind_malloc(kind, 1000);
    if (object == NULL)
        return 100;
    memkind_free(kind, object);
    return memkind_destroy_kind(kind) == MEMKIND_SUCCESS ? 0 : 101;
}

/* How many arenas a dozen threads use. */
#define THREADS 12
static memkind_t shared_kind;
static pthread_barrier_t barrier;

static void *note_arena(void *place)
{
    unsigned *arena = place;
    void *object = memkind_malloc(shared_kind, 100);
    pthread_barrier_wait(&barrier);
    if (object == NULL ||
        memkind_thread_get_arena(shared_kind, arena, 0) != MEMKIND_SUCCESS)
        *arena = 0;
    memkind_free(shared_kind, object);
    pthread_barrier_wait(&barrier);
    return NULL;
}

static int child_count_arenas(void)
{
    pthread_t threads[THREADS];
    unsigned arenas[THREADS];
    int different = 0;
    if (memkind_create_pmem(child_dir, KIND_SIZE, &shared_kind) != 0)
        return 100;
    pthread_barrier_init(&barrier, NULL, THREADS);
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, note_arena, &arenas[i]);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < THREADS; i++) {
        bool seen = arenas[i] == 0;
        for (int j = 0; j < i; j++)
            seen = seen || arenas[j] == arenas[i];
        different += !seen;
    }
    pthread_barrier_destroy(&barrier);
    return memkind_destroy_kind(shared_kind) == 0 ? different : 101;
}

/* Frees half of a kind; the answer is how many MiB it still holds. Whatever
 * that is, the space has to be there for other objects. */
static int free_half(memkind_t kind)
{
    enum { COUNT = 32 };
    void *objects[COUNT];
    if (kind == NULL)
        return 100;
    for (int i = 0; i < COUNT; i++)
        if ((objects[i] = memkind_malloc(kind, test_fitting(MIB))) == NULL)
            return 101;
    for (int i = 0; i < COUNT; i++)
        memkind_free(kind, objects[i]);
    size_t held = stat_of(kind, MEMKIND_STAT_TYPE_RESIDENT);
    char *large = memkind_malloc(kind, 48 * MIB);
    if (large == NULL)
        return 102;
    memset(large, 1, 48 * MIB);
    memkind_free(kind, large);
    size_t total = 0;
    for (char *small;
         (small = memkind_malloc(kind, test_fitting(4096))) != NULL;)
        total += memkind_malloc_usable_size(kind, small);
    if (total < KIND_SIZE / 10 * 9)
        return 103;
    return memkind_destroy_kind(kind) == 0 ? (int)(held / MIB) : 104;
}

static int child_free_half(void)
{
    return free_half(
        make_kind(MEMKIND_MEM_USAGE_POLICY_CONSERVATIVE, DECAY_UNSET));
}

static int child_free_half_by_default(void)
{
    return free_half(make_kind(MEMKIND_MEM_USAGE_POLICY_DEFAULT, DECAY_UNSET));
}

static int child_free_half_at_once(void)
{
    return free_half(make_kind(MEMKIND_MEM_USAGE_POLICY_DEFAULT, 0));
}

static int child_free_half_never(void)
{
    return free_half(make_kind(MEMKIND_MEM_USAGE_POLICY_DEFAULT, -1));
}

static int count_tasks(void)
{
    char line[256];
    int threads = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        (void)sscanf(line, "Threads: %d", &threads);
    if (file != NULL)
        fclose(file);
    return threads;
}

/* How many threads a program with a kind has more than one without. */
static int child_count_threads(void)
{
    memkind_t kind;
    int before = count_tasks();
    int err = memkind_create_pmem(child_dir, KIND_SIZE, &kind);
    if (err != MEMKIND_SUCCESS)
        return -err;
    void *object = memkind_malloc(kind, MIB);
    memkind_free(kind, object);
    int started = count_tasks() - before;
    return memkind_destroy_kind(kind) == 0 ? started : 101;
}

/* Many calls that fail: only the caller learns of it. */
static int child_fail(void)
{
    memkind_t kind, other;
    size_t value;
    int on_stack = 0;
    memkind_create_pmem("/nowhere", 0, &kind);
    memkind_create_pmem(child_dir, 1, &kind);
    memkind_create_pmem(NULL, 0, &kind);
    memkind_destroy_kind(MEMKIND_DEFAULT);
    memkind_destroy_kind((memkind_t)(void *)&on_stack);
    memkind_check_dax_path("/nowhere");
    memkind_malloc(MEMKIND_HBW, 1);
    if (memkind_create_pmem(child_dir, KIND_SIZE, &kind) != 0 ||
        memkind_create_pmem(child_dir, KIND_SIZE, &other) != 0)
        return 100;
    memkind_free(kind, &on_stack);
    memkind_free(NULL, (void *)8);
    memkind_realloc(kind, &on_stack, 8);
    memkind_get_stat(kind, MEMKIND_STAT_TYPE_MAX_VALUE, &value);
    void *object = memkind_malloc(kind, 100);
    memkind_free(other, object);
    if (memkind_malloc(kind, KIND_SIZE + 1) != NULL)
        return 101;
    while (memkind_malloc(kind, MIB) != NULL)
        ;
    while (memkind_malloc(kind, 100) != NULL)
        ;
    memkind_destroy_kind(kind);
    memkind_destroy_kind(kind);
    memkind_destroy_kind(other);
    return 0;
}

/* jemalloc's options that would show, were they taken: freed space is kept
 * for a while, memory is not filled, and a program's exit is silent. */
static int child_behave(void)
{
    memkind_t kind;
    if (memkind_create_pmem(child_dir, KIND_SIZE, &kind) != 0)
        return 100;
    char *object = memkind_malloc(kind, 4 * MIB);
    if (object == NULL || object[0] != 0 || object[MIB] != 0)
        return 101;
    memset(object, 1, 4 * MIB);
    memkind_free(kind, object);
    if (stat_of(kind, MEMKIND_STAT_TYPE_RESIDENT) < 4 * MIB)
        return 102;
    unsigned arena = 0;
    if (memkind_thread_get_arena(kind, &arena, 0) != 0 || arena > 2)
        return 103;
    for (int i = 0; i < 20; i++) {
        memkind_t more;
        if (memkind_create_pmem(child_dir, 0, &more) != 0 ||
            (object = memkind_malloc(more, 100000)) == NULL)
            return 104;
        memset(object, 1, 100000);
        if (memkind_destroy_kind(more) != 0)
            return 105;
    }
    return memkind_destroy_kind(kind) == 0 ? 0 : 106;
}

static const struct {
    const char *name;
    int (*run)(void);
} scenarios[] = {
    {"create", child_create},
    {"count arenas", child_count_arenas},
    {"free half", child_free_half},
    {"count threads", child_count_threads},
    {"free half by default", child_free_half_by_default},
    {"free half at once", child_free_half_at_once},
    {"free half never", child_free_half_never},
    {"fail", child_fail},
    {"behave", child_behave},
};

static int run_scenario(const char *name, const char *dir)
{
    child_dir = dir;
    for (size_t i = 0; i < sizeof scenarios / sizeof scenarios[0]; i++)
        if (strcmp(scenarios[i].name, name) == 0)
            return scenarios[i].run();
    return 99;
}

/* ---- running them ------------------------------------------------------ */

static char output[1 << 16];

/* Runs a scenario with "NAME=value" added to the environment (NULL: nothing);
 * output[] is what it printed. Returns its answer. */
static int run_with(char *variable, const char *scenario)
{
    char path[4096];
    static char option[] = "--child";
    snprintf(path, sizeof path, "%s", test_path("output"));
    int fd = open(path, O_CREAT | O_TRUNC | O_RDWR, 0600);
    REQUIRE_GE(fd, 0);
    pid_t child = fork();
    if (child == 0) {
        char name[64], dir[4096];
        char *arguments[] = {option, option, name, dir, NULL};
        snprintf(name, sizeof name, "%s", scenario);
        snprintf(dir, sizeof dir, "%s", test_dir());
        dup2(fd, STDOUT_FILENO);
        dup2(fd, STDERR_FILENO);
        close(fd);
        if (variable != NULL)
            putenv(variable);
        execv("/proc/self/exe", arguments);
        _exit(98);
    }
    const int status = child_wait(child);
    REQUIRE_GE(status, 0);
    ssize_t length = pread(fd, output, sizeof output - 1, 0);
    output[length > 0 ? length : 0] = '\0';
    close(fd);
    unlink(path);
    return status;
}

static void forget_variables(void)
{
    static const char *const names[] = {"MEMKIND_ARENA_NUM_PER_KIND",
                                        "MEMKIND_HOG_MEMORY",
                                        "MEMKIND_DEBUG",
                                        "MEMKIND_BACKGROUND_THREAD_LIMIT",
                                        "MEMKIND_CORE_DUMP",
                                        "MEMKIND_DECAY",
                                        "MALLOC_CONF"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        unsetenv(names[i]);
}

static void expect(char *variable, const char *scenario, int answer)
{
    int got = run_with(variable, scenario);
    if (got != answer)
        printf("\n%s: \"%s\" gives %d, not %d\n",
               variable != NULL ? variable : "(none)", scenario, got, answer);
    CHECK_EQ(got, answer);
    CHECK_STR(output, "");
}

static void expect_each(char *const variables[], const char *scenario,
                        int answer)
{
    for (; *variables != NULL; variables++)
        expect(*variables, scenario, answer);
}

/* ---- the tests --------------------------------------------------------- */

static void test_number_of_arenas(void)
{
    expect("MEMKIND_ARENA_NUM_PER_KIND=1", "count arenas", 1);
    expect("MEMKIND_ARENA_NUM_PER_KIND=3", "count arenas", 3);
    expect("MEMKIND_ARENA_NUM_PER_KIND=512", "count arenas", THREADS);
    expect("MEMKIND_ARENA_NUM_PER_KIND=2147483647", "count arenas", THREADS);
    int by_default = run_with(NULL, "count arenas");
    CHECK(by_default >= 1 && by_default <= THREADS);
    /* 8 MiB and less are not worth an arena. */
    CHECK_LE(by_default, 8);
}

static void test_bad_numbers_of_arenas(void)
{
    static char *const bad[] = {
        "MEMKIND_ARENA_NUM_PER_KIND=0",
        "MEMKIND_ARENA_NUM_PER_KIND=-1",
        "MEMKIND_ARENA_NUM_PER_KIND=abc",
        "MEMKIND_ARENA_NUM_PER_KIND=",
        "MEMKIND_ARENA_NUM_PER_KIND=4x",
        "MEMKIND_ARENA_NUM_PER_KIND= 4",
        "MEMKIND_ARENA_NUM_PER_KIND=+4",
        "MEMKIND_ARENA_NUM_PER_KIND=99999999999",
        "MEMKIND_ARENA_NUM_PER_KIND=99999999999999999999999999",
        NULL};
    expect_each(bad, "create", -MEMKIND_ERROR_ENVIRON);
}

/* MiB of "free half", if freed space is kept. */
static int kept_half(void)
{
    return test_space_unit() < 1 << 20 ? 32 : 34; /* and what is begun */
}

static void test_hogging(void)
{
    /* Kept, but there when an allocation would fail without it. */
    const int kept = kept_half();
    expect("MEMKIND_HOG_MEMORY=1", "free half", kept);
    expect("MEMKIND_HOG_MEMORY=0", "free half", 0);
    expect("MEMKIND_HOG_MEMORY=", "free half", 0);
    expect(NULL, "free half", 0);
}

static void test_decay(void)
{
    static char *const bad[] = {"MEMKIND_DECAY=",           "MEMKIND_DECAY=-1",
                                "MEMKIND_DECAY=1sec",       "MEMKIND_DECAY= 1s",
                                "MEMKIND_DECAY=2147483648", NULL};
    static char *const at_once[] = {"MEMKIND_DECAY=0", "MEMKIND_DECAY=0s",
                                    NULL};
    static char *const later[] = {"MEMKIND_DECAY=never", "MEMKIND_DECAY=24h",
                                  "MEMKIND_DECAY=3600000", "MEMKIND_DECAY=90m",
                                  NULL};
    expect_each(bad, "create", -MEMKIND_ERROR_ENVIRON);
    expect_each(at_once, "free half by default", 0);
    expect_each(later, "free half by default", kept_half());
    expect(NULL, "free half by default", kept_half());
    /* A policy and a setting of the kind's own take precedence over it, and
     * MEMKIND_HOG_MEMORY over all. */
    expect("MEMKIND_DECAY=never", "free half", 0);
    expect("MEMKIND_DECAY=never", "free half at once", 0);
    expect("MEMKIND_DECAY=0", "free half never", kept_half());
    expect("MEMKIND_HOG_MEMORY=1", "free half at once", kept_half());
    expect_each(bad, "free half at once", 100);
}

static void test_background_threads(void)
{
    static char *const bad[] = {"MEMKIND_BACKGROUND_THREAD_LIMIT=-1",
                                "MEMKIND_BACKGROUND_THREAD_LIMIT=abc",
                                "MEMKIND_BACKGROUND_THREAD_LIMIT=",
                                "MEMKIND_BACKGROUND_THREAD_LIMIT=1 ",
                                "MEMKIND_BACKGROUND_THREAD_LIMIT=99999999999",
                                NULL};
    static char *const good[] = {"MEMKIND_BACKGROUND_THREAD_LIMIT=0",
                                 "MEMKIND_BACKGROUND_THREAD_LIMIT=2",
                                 "MEMKIND_BACKGROUND_THREAD_LIMIT=4294967295",
                                 NULL};
    expect_each(bad, "create", -MEMKIND_ERROR_ENVIRON);
    expect(NULL, "count threads", 0);
#ifdef __SANITIZE_THREAD__
    /* jemalloc makes its threads behind the sanitizer's back. */
    puts("skipped: no threads with the thread sanitizer");
    return;
#endif
    expect_each(good, "create", 0);
    expect("MEMKIND_BACKGROUND_THREAD_LIMIT=1", "count threads", 1);
    int threads = run_with(good[0], "count threads");
    CHECK(threads >= 1 && threads <= (int)sysconf(_SC_NPROCESSORS_ONLN));
}

static void test_messages_on_demand_only(void)
{
    static char *const off[] = {"MEMKIND_DEBUG=0",
                                "MEMKIND_DEBUG=", "MEMKIND_DEBUG=no", NULL};
    expect(NULL, "fail", 0);
    expect_each(off, "fail", 0);
    CHECK_EQ(run_with("MEMKIND_DEBUG=1", "fail"), 0);
    CHECK_NOT_NULL(strstr(output, "memkind"));
    /* Whole lines, each with the library's name. */
    for (char *line = strtok(output, "\n"); line != NULL;
         line = strtok(NULL, "\n"))
        CHECK_EQ(strncmp(line, "[memkind] ", 10), 0);
}

static void test_jemalloc_options_of_others(void)
{
    static char *const options[] = {
        "MALLOC_CONF=garbage",
        "MALLOC_CONF=abort_conf:true",
        "MALLOC_CONF=abort_conf:true,no_such_option:1,narenas:x",
        "MALLOC_CONF=abort:true,confirm_conf:true,stats_print:true",
        "MALLOC_CONF=retain:false,dirty_decay_ms:0,muzzy_decay_ms:0",
        "MALLOC_CONF=narenas:7,percpu_arena:percpu,tcache:false",
        "MALLOC_CONF=junk:true,zero:true,background_thread:true",
        "MALLOC_CONF=prof:true,prof_leak:true,prof_final:true",
        "MALLOC_CONF=hpa:true,oversize_threshold:1,trust_madvise:true",
        "MALLOC_CONF=metadata_thp:always,thp:always,dss:primary",
        NULL};
    expect(NULL, "behave", 0);
    expect_each(options, "behave", 0);
    expect("MALLOC_CONF=dirty_decay_ms:-1,retain:false", "free half", 0);
    expect("MALLOC_CONF=background_thread:true", "count threads", 0);
}

static const struct test_case tests[] = {
    {"number of arenas", test_number_of_arenas},
    {"bad numbers of arenas", test_bad_numbers_of_arenas},
    {"hogging", test_hogging},
    {"decay", test_decay},
    {"background threads", test_background_threads},
    {"messages on demand only", test_messages_on_demand_only},
    {"jemalloc options of others", test_jemalloc_options_of_others},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "--child") == 0)
        return run_scenario(argv[2], argv[3]);
    forget_variables();
    return test_main("environment", tests, argc, argv);
}
