/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Kinds over several directories. MEMKIND_TEST_DIRECTORIES names two, A:B,
 * which are mounts of their own: a small one whose memory is on the node of all
 * CPUs, and one of 160 MiB at least on another node. Without it, two tmpfs are
 * mounted in a child with a mount namespace of its own, which runs this program
 * once more. If that is not allowed, the tests that need it are skipped.
 */
#include <errno.h>
#include <limits.h>
#include <memkind.h>
#include <memkind/internal/memkind_pmem.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "test_child.h"
#include "test_support.h"

#define SMALL_SIZE (32 * MIB)
#define LARGE_SIZE (160 * MIB)

static char first_dir[4096], second_dir[4096];

/* ---- two file systems ---------------------------------------------------- */

static const char *given_directories(void)
{
    return getenv("MEMKIND_TEST_DIRECTORIES");
}

static int mount_both(const char *name)
{
    (void)name;
    if (given_directories() != NULL)
        return 0;
    if (!test_has_memory(SMALL_SIZE + LARGE_SIZE + 64 * MIB))
        return TEST_SKIPPED;
    return mounts_become_own() && mount_tmpfs(first_dir, "size=32m") &&
                   mount_tmpfs(second_dir, "size=160m")
               ? 0
               : TEST_SKIPPED;
}

struct space {
    size_t all, used; /* bytes */
};

static struct space space_of(const char *dir)
{
    struct statvfs st;
    if (statvfs(dir, &st) != 0)
        return (struct space){0};
    return (struct space){st.f_blocks * st.f_frsize,
                          (st.f_blocks - st.f_bfree) * st.f_frsize};
}

static size_t used_in(const char *dir)
{
    return space_of(dir).used;
}

static size_t size_of(const char *dir)
{
    return space_of(dir).all;
}

static int make_kind(const char *first, const char *second, size_t limit,
                     memkind_t *kind)
{
    struct memkind_config *config = memkind_config_new();
    if (config == NULL)
        return MEMKIND_ERROR_MALLOC;
    memkind_config_set_path(config, first);
    memkind_config_add_path(config, second);
    memkind_config_set_size(config, limit);
    int err = memkind_create_pmem_with_config(config, kind);
    memkind_config_delete(config);
    return err;
}

/* ---- objects ------------------------------------------------------------- */

struct object {
    struct object *next;
    size_t size;
    unsigned seed;
};

/* Adds an object to a list; false if there is none. */
static bool add_object(memkind_t kind, struct object **list, size_t size,
                       unsigned seed)
{
    struct object *object = memkind_malloc(kind, size);
    if (object == NULL)
        return false;
    *object = (struct object){*list, size, seed};
    test_fill(object + 1, size - sizeof *object, seed);
    *list = object;
    return true;
}

/* Frees a list; false if an object is not what it was. */
static bool free_objects(memkind_t kind, struct object **list)
{
    bool intact = true;
    while (*list != NULL) {
        struct object *object = *list;
        intact = intact && test_check(object + 1, object->size - sizeof *object,
                                      object->seed);
        *list = object->next;
        memkind_free(kind, object);
    }
    return intact;
}

/* Adds objects of mixed sizes, as many bytes; returns how many there were. */
static size_t add_objects(memkind_t kind, struct object **list, size_t bytes,
                          size_t most, unsigned long long seed)
{
    size_t total = 0;
    while (total < bytes) {
        const size_t size =
            sizeof **list + 16 + test_random(&seed) % (most - 64);
        if (!add_object(kind, list, size, (unsigned)seed))
            break;
        total += size;
    }
    return total;
}

/* ---- scenarios ----------------------------------------------------------- */

struct worker {
    memkind_t kind;
    pthread_t thread;
    unsigned number;
    bool done;
};

static void *work(void *argument)
{
    struct worker *worker = argument;
    struct object *list = NULL;
    const size_t bytes = 6 * MIB;
    worker->done = add_objects(worker->kind, &list, bytes, 20000,
                               worker->number + 1) >= bytes;
    worker->done = free_objects(worker->kind, &list) && worker->done;
    worker->done = add_objects(worker->kind, &list, bytes, 20000,
                               worker->number + 9) >= bytes &&
                   worker->done;
    /* The objects stay until the kind goes. */
    return NULL;
}

struct printed {
    const char *dir;
    size_t space;
    unsigned files, lines;
};

/* Reads `Kind "NAME" in "DIR": N bytes of file space, M files`. */
static void read_line(void *opaque, const char *text)
{
    struct printed *printed = opaque;
    char start[PATH_MAX + 20];
    snprintf(start, sizeof start, " in \"%s\": ", printed->dir);
    while ((text = strstr(text, start)) != NULL) {
        text += strlen(start);
        printed->lines++;
        sscanf(text, "%zu bytes of file space, %u file", &printed->space,
               &printed->files);
    }
}

/* Statistics name each directory, and what the kind has there. */
static int statistics_name(const char *dir, size_t space)
{
    char path[PATH_MAX];
    NEED(realpath(dir, path) != NULL);
    struct printed printed = {.dir = path};
    NEED(memkind_stats_print(read_line, &printed, MEMKIND_STAT_PRINT_ALL) == 0);
    NEED(printed.lines == 1 && printed.files >= 1);
    NEED(printed.space == space);
    return 0;
}

/* Threads have their memory from the directory on their own node, wherever that
 * stands in the list. */
static int the_near_one_first(void)
{
    memkind_t kind;
    struct object *list = NULL;
    if (given_directories() == NULL)
        return 0;
    const size_t first = used_in(first_dir), second = used_in(second_dir);
    NEED(make_kind(second_dir, first_dir, 0, &kind) == MEMKIND_SUCCESS);
    NEED(add_objects(kind, &list, 20 * MIB, 20000, 2) >= 20 * MIB);
    NEED(used_in(first_dir) >= first + 20 * MIB);
    NEED(used_in(second_dir) <= second + 4 * MIB);
    NEED(free_objects(kind, &list));
    NEED(memkind_destroy_kind(kind) == MEMKIND_SUCCESS);
    return 0;
}

static int both_are_used(void)
{
    enum { WORKERS = 4 };
    struct worker workers[WORKERS];
    memkind_t kind;
    const size_t first = used_in(first_dir), second = used_in(second_dir);
    if (given_directories() != NULL)
        return 0; /* all threads are on one node */
    NEED(make_kind(first_dir, second_dir, 0, &kind) == MEMKIND_SUCCESS);
    for (unsigned i = 0; i < WORKERS; i++) {
        workers[i] = (struct worker){.kind = kind, .number = i};
        NEED(pthread_create(&workers[i].thread, NULL, work, &workers[i]) == 0);
    }
    for (unsigned i = 0; i < WORKERS; i++) {
        pthread_join(workers[i].thread, NULL);
        NEED(workers[i].done);
    }
    NEED(used_in(first_dir) >= first + 4 * MIB);
    NEED(used_in(second_dir) >= second + 4 * MIB);
    NEED(statistics_name(first_dir, used_in(first_dir) - first) == 0);
    NEED(statistics_name(second_dir, used_in(second_dir) - second) == 0);
    NEED(memkind_destroy_kind(kind) == MEMKIND_SUCCESS);
    NEED(used_in(first_dir) == first);
    NEED(used_in(second_dir) == second);
    return 0;
}

/* One thread fills the small file system, and goes on in the large one. */
static int fill_one_after_the_other(size_t most)
{
    memkind_t kind;
    struct object *list = NULL;
    NEED(make_kind(first_dir, second_dir, 0, &kind) == MEMKIND_SUCCESS);
    const size_t free_first = size_of(first_dir) - used_in(first_dir);
    const size_t wanted = free_first + 64 * MIB;
    NEED(add_objects(kind, &list, wanted, most, 5) >= wanted);
    NEED(used_in(second_dir) >= 32 * MIB);
    NEED(free_objects(kind, &list));
    /* Once more: what was freed is there again. */
    NEED(add_objects(kind, &list, wanted, most, 6) >= wanted);
    NEED(free_objects(kind, &list));
    NEED(memkind_destroy_kind(kind) == MEMKIND_SUCCESS);
    return 0;
}

static int a_full_directory(void)
{
    return fill_one_after_the_other(20000);
}

static int a_full_directory_and_large_objects(void)
{
    return fill_one_after_the_other(2 * MIB);
}

/* Addresses that the kind has taken are no more than what it holds, many times
 * over, however long a directory is full. */
static int a_directory_that_stays_full(void)
{
    memkind_t kind;
    struct object *list = NULL, *kept = NULL;
    struct test_resources before, after;
    NEED(make_kind(first_dir, second_dir, 0, &kind) == MEMKIND_SUCCESS);
    NEED(add_objects(kind, &kept, size_of(first_dir) + 16 * MIB, 20000, 3) !=
         0);
    test_resources_take(&before);
    for (unsigned i = 0; i < 30; i++) {
        NEED(add_objects(kind, &list, 32 * MIB, 60000, i + 1) >= 32 * MIB);
        NEED(free_objects(kind, &list));
        NEED(memkind_purge_kind(kind) == MEMKIND_SUCCESS);
    }
    test_resources_take(&after);
    NEED(after.mapped_kib <= before.mapped_kib + 64 * 1024);
    NEED(free_objects(kind, &kept));
    NEED(memkind_destroy_kind(kind) == MEMKIND_SUCCESS);
    return 0;
}

static int both_are_full(void)
{
    memkind_t kind;
    struct object *list = NULL;
    NEED(make_kind(first_dir, second_dir, 0, &kind) == MEMKIND_SUCCESS);
    for (unsigned i = 0; i < 3; i++) {
        const size_t room = size_of(first_dir) + size_of(second_dir) -
                            used_in(first_dir) - used_in(second_dir);
        errno = 0;
        const size_t total = add_objects(kind, &list, SIZE_MAX, 20000, i + 1);
        NEED(errno == ENOMEM);
        NEED(strstr(memkind_last_error(), first_dir) != NULL);
        NEED(strstr(memkind_last_error(), second_dir) != NULL);
        NEED(i != 0 || total >= room / 10 * 8);
        NEED(free_objects(kind, &list));
        NEED(memkind_purge_kind(kind) == MEMKIND_SUCCESS);
    }
    NEED(memkind_destroy_kind(kind) == MEMKIND_SUCCESS);
    return 0;
}

static int one_limit(void)
{
    memkind_t kind;
    struct object *list = NULL;
    NEED(make_kind(first_dir, second_dir, 48 * MIB, &kind) == MEMKIND_SUCCESS);
    const size_t before = used_in(first_dir) + used_in(second_dir);
    const size_t total = add_objects(kind, &list, SIZE_MAX, 20000, 7);
    NEED(total <= 48 * MIB && total >= 40 * MIB);
    NEED(used_in(first_dir) + used_in(second_dir) <= before + 49 * MIB);
    NEED(free_objects(kind, &list));
    NEED(memkind_destroy_kind(kind) == MEMKIND_SUCCESS);
    return 0;
}

static int in_a_child(void)
{
    memkind_t kind;
    struct object *list = NULL;
    NEED(make_kind(first_dir, second_dir, 0, &kind) == MEMKIND_SUCCESS);
    NEED(add_objects(kind, &list, 48 * MIB, 20000, 4) >= 48 * MIB);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        struct object *own = NULL;
        int status = add_objects(kind, &own, 16 * MIB, 20000, 8) < 16 * MIB;
        for (struct object *object = list; object != NULL;
             object = object->next)
            test_fill(object + 1, object->size - sizeof *object,
                      object->seed = 99);
        status |= free_objects(kind, &list) ? 0 : 2;
        status |= free_objects(kind, &own) ? 0 : 4;
        status |= memkind_destroy_kind(kind) == MEMKIND_SUCCESS ? 0 : 8;
        _exit(status);
    }
    NEED(child_wait(child) == 0);
    NEED(free_objects(kind, &list));
    NEED(memkind_destroy_kind(kind) == MEMKIND_SUCCESS);
    return 0;
}

static int as_a_list(void)
{
    char list[sizeof first_dir + sizeof second_dir];
    memkind_t kind;
    const size_t second = used_in(second_dir);
    snprintf(list, sizeof list, "%s:%s", first_dir, second_dir);
    NEED(memkind_create_pmem(list, 0, &kind) == MEMKIND_SUCCESS);
    struct object *objects = NULL;
    const size_t wanted = size_of(first_dir) + MIB;
    NEED(add_objects(kind, &objects, wanted, 20000, 2) >= wanted);
    NEED(used_in(second_dir) > second);
    NEED(memkind_destroy_kind(kind) == MEMKIND_SUCCESS);
    return 0;
}

static const struct scenario scenarios[] = {
    {"the near one first", the_near_one_first, NULL},
    {"both are used", both_are_used, NULL},
    {"a full directory", a_full_directory, NULL},
    {"a full directory and large objects", a_full_directory_and_large_objects,
     NULL},
    {"a directory that stays full", a_directory_that_stays_full, NULL},
    {"both are full", both_are_full, NULL},
    {"one limit", one_limit, NULL},
    {"in a child", in_a_child, NULL},
    {"as a list", as_a_list, NULL},
};

static void name_directories(const char *parent)
{
    const char *given = given_directories();
    const char *colon = given != NULL ? strchr(given, ':') : NULL;
    if (colon != NULL) {
        snprintf(first_dir, sizeof first_dir, "%.*s", (int)(colon - given),
                 given);
        snprintf(second_dir, sizeof second_dir, "%s", colon + 1);
        return;
    }
    snprintf(first_dir, sizeof first_dir, "%s/first", parent);
    snprintf(second_dir, sizeof second_dir, "%s/second", parent);
}

static bool run_scenarios_there(void)
{
    bool mounted = false;
    char parent[4000];
    snprintf(parent, sizeof parent, "%s", test_path("directories"));
    name_directories(parent);
    if (mkdir(parent, 0700) != 0 ||
        (given_directories() == NULL &&
         (mkdir(first_dir, 0700) != 0 || mkdir(second_dir, 0700) != 0)))
        return false;
    for (size_t i = 0; i < sizeof scenarios / sizeof scenarios[0]; i++)
        mounted |=
            scenario_check(scenarios[i].name,
                           scenario_run(scenarios[i].name, parent, mount_both));
    if (given_directories() == NULL) {
        rmdir(first_dir);
        rmdir(second_dir);
    }
    rmdir(parent);
    return mounted;
}

static void test_two_file_systems(void)
{
    if (!run_scenarios_there())
        printf("skipped: no tmpfs can be mounted here\n");
}

/* ---- arguments ----------------------------------------------------------- */

static void test_bad_directories(void)
{
    memkind_t kind = (memkind_t)1;
    CHECK_EQ(make_kind(test_dir(), test_path("missing"), 0, &kind),
             MEMKIND_ERROR_INVALID);
    CHECK_NULL(kind);
    CHECK_EQ(errno, ENOENT);
    CHECK_NOT_NULL(strstr(memkind_last_error(), test_path("missing")));
    CHECK_EQ(make_kind(test_dir(), NULL, 0, &kind), MEMKIND_ERROR_INVALID);
    CHECK_NOT_NULL(strstr(memkind_last_error(),
                          "memkind_config_add_path(): the "
                          "directory is NULL"));
    CHECK_NE(make_kind(test_dir(), "/proc/self", 0, &kind), MEMKIND_SUCCESS);
    CHECK_NOT_NULL(strstr(memkind_last_error(), "/proc/self"));
    CHECK_EQ(make_kind("/dev/null", test_dir(), 0, &kind),
             MEMKIND_ERROR_INVALID);
    memkind_config_add_path(NULL, test_dir());
}

static void test_how_many(void)
{
    memkind_t kind = NULL;
    struct memkind_config *config = memkind_config_new();
    REQUIRE_NOT_NULL(config);
    for (int i = 0; i < MEMKIND_PMEM_MAX_PATHS; i++)
        memkind_config_add_path(config, test_dir());
    CHECK_EQ(memkind_create_pmem_with_config(config, &kind), MEMKIND_SUCCESS);
    void *object = memkind_malloc(kind, 100);
    CHECK_EQ(memkind_detect_kind(object), kind);
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
    memkind_config_add_path(config, test_dir());
    CHECK_EQ(memkind_create_pmem_with_config(config, &kind),
             MEMKIND_ERROR_INVALID);
    CHECK_NOT_NULL(strstr(memkind_last_error(), "more than 8 directories"));
    /* All of that is forgotten. */
    memkind_config_set_path(config, test_dir());
    CHECK_EQ(memkind_create_pmem_with_config(config, &kind), MEMKIND_SUCCESS);
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
    memkind_config_delete(config);
}

static void test_without_a_first_one(void)
{
    memkind_t kind = NULL;
    struct memkind_config *config = memkind_config_new();
    REQUIRE_NOT_NULL(config);
    memkind_config_add_path(config, test_dir());
    CHECK_EQ(memkind_create_pmem_with_config(config, &kind), MEMKIND_SUCCESS);
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
    memkind_config_delete(config);
}

static void test_a_colon_in_a_name(void)
{
    memkind_t kind = NULL;
    char with_colon[4096], list[8300];
    snprintf(with_colon, sizeof with_colon, "%s", test_path("a:b"));
    CHECK_NE(memkind_create_pmem(with_colon, 0, &kind), MEMKIND_SUCCESS);
    REQUIRE_EQ(mkdir(with_colon, 0700), 0);
    REQUIRE_EQ(memkind_create_pmem(with_colon, 0, &kind), MEMKIND_SUCCESS);
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
    rmdir(with_colon);
    /* Each part has to be a directory. */
    snprintf(list, sizeof list, "%s:%s", test_dir(), test_path("missing"));
    CHECK_NE(memkind_create_pmem(list, 0, &kind), MEMKIND_SUCCESS);
    CHECK_EQ(errno, ENOENT);
    snprintf(list, sizeof list, "%s:", test_dir());
    CHECK_NE(memkind_create_pmem(list, 0, &kind), MEMKIND_SUCCESS);
    snprintf(list, sizeof list, "%s:%s", test_dir(), test_dir());
    CHECK_EQ(memkind_create_pmem(list, 0, &kind), MEMKIND_SUCCESS);
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
    size_t length = 0;
    for (int i = 0; i < 9 && length < sizeof list; i++)
        length += (size_t)snprintf(list + length, sizeof list - length, "%s%s",
                                   i == 0 ? "" : ":", test_dir());
    CHECK_EQ(memkind_create_pmem(list, 0, &kind), MEMKIND_ERROR_INVALID);
    CHECK_NOT_NULL(strstr(memkind_last_error(), "more than 8 directories"));
}

static const struct test_case tests[] = {
    {"two file systems", test_two_file_systems},
    {"bad directories", test_bad_directories},
    {"how many", test_how_many},
    {"without a first one", test_without_a_first_one},
    {"a colon in a name", test_a_colon_in_a_name},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    if (scenario_is_asked_for(argc, argv)) {
        name_directories(argv[2]);
        return scenario_main(scenarios, sizeof scenarios / sizeof scenarios[0],
                             argv[1]);
    }
    return test_main("directories", tests, argc, argv);
}
