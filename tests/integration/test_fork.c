/* SPDX-License-Identifier: BSD-2-Clause */
/* Kinds in forked children, and what is left of them in the parent. */
#include <errno.h>
#include <fcntl.h>
#include <memkind.h>
#include <memkind/internal/memkind_arena.h>
#include <memkind/internal/memkind_pmem.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test_child.h"
#include "test_kinds.h"

/* ---- children ---------------------------------------------------------- */

#define CHILD_SECONDS 300

/* Parent and child take turns: each waits for the other's word, or end. */
static int to_child[2] = {-1, -1}, to_parent[2] = {-1, -1};

static void open_turns(void)
{
    REQUIRE_EQ(pipe(to_child), 0);
    REQUIRE_EQ(pipe(to_parent), 0);
}

static void child_side(void)
{
    close(to_child[1]);
    close(to_parent[0]);
}

static void parent_side(void)
{
    close(to_child[0]);
    close(to_parent[1]);
}

static void close_turns(void)
{
    close(to_child[1]);
    close(to_parent[0]);
    to_child[0] = to_child[1] = to_parent[0] = to_parent[1] = -1;
}

static void say(const int pipe_ends[2])
{
    ssize_t ignored = write(pipe_ends[1], "", 1);
    (void)ignored;
}

static void hear(const int pipe_ends[2])
{
    char byte;
    ssize_t ignored = read(pipe_ends[0], &byte, 1);
    (void)ignored;
}

static pid_t start_child(int (*run)(void))
{
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        alarm(CHILD_SECONDS); /* a deadlock */
        child_side();
        int status = run();
        _exit(status);
    }
    return child;
}

static int run_child(int (*run)(void))
{
    return child_wait(start_child(run));
}

/* ---- kinds and objects ------------------------------------------------- */

#define OBJECTS 3000

struct object {
    unsigned char *start;
    size_t size;
    unsigned seed;
};

static memkind_t kind;
static struct object objects[OBJECTS];
static memkind_fork_policy policy;

static size_t any_size(unsigned long long *random)
{
    return 1 + test_random(random) %
                   (test_random(random) % 50 == 0 ? 200000 : 2000);
}

static bool fill_object(memkind_t from, struct object *object,
                        unsigned long long *random)
{
    object->size = any_size(random);
    object->seed = (unsigned)test_random(random);
    object->start = memkind_malloc(from, object->size);
    if (object->start == NULL)
        return false;
    test_fill(object->start, object->size, object->seed);
    return true;
}

static bool object_is_right(const struct object *object)
{
    return object->start == NULL ||
           test_check(object->start, object->size, object->seed);
}

static bool all_right(void)
{
    for (int i = 0; i < OBJECTS; i++)
        if (!object_is_right(&objects[i]))
            return false;
    return true;
}

/* Objects, and free memory that is not zero between them. */
static bool fill_all(void)
{
    unsigned long long random = 11;
    for (int i = 0; i < OBJECTS; i++)
        if (!fill_object(kind, &objects[i], &random))
            return false;
    for (int i = 0; i < OBJECTS; i += 3) {
        memkind_free(kind, objects[i].start);
        objects[i].start = NULL;
    }
    return true;
}

static void free_all(void)
{
    for (int i = 0; i < OBJECTS; i++) {
        memkind_free(kind, objects[i].start);
        objects[i].start = NULL;
    }
}

static void setup(size_t max_size, memkind_fork_policy how)
{
    policy = how;
    kind = kind_make(.limit = max_size, .fork = how);
    REQUIRE(fill_all());
}

/* The parent's kind is as it was, and still works. */
static void check_and_destroy(void)
{
    CHECK(all_right());
    unsigned long long random = 12;
    for (int i = 0; i < OBJECTS; i += 3)
        CHECK(fill_object(kind, &objects[i], &random));
    CHECK(all_right());
    free_all();
    CHECK_EQ(kind_stat(kind, MEMKIND_STAT_TYPE_ALLOCATED), 0);
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
}

static bool is_clear(const unsigned char *object, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (object[i] != 0)
            return false;
    return true;
}

/* ---- what a child can do ----------------------------------------------- */

static int child_reads(void)
{
    NEED(all_right());
    for (int i = 0; i < OBJECTS; i++) {
        if (objects[i].start == NULL)
            continue;
        NEED(memkind_detect_kind(objects[i].start) == kind);
        NEED(memkind_malloc_usable_size(kind, objects[i].start) >=
             objects[i].size);
    }
    return 0;
}

static void test_a_child_reads_all(void)
{
    static const size_t sizes[] = {0, 128 * MIB};
    for (int i = 0; i < 2; i++) {
        setup(sizes[i], MEMKIND_FORK_PRIVATE);
        CHECK_EQ(run_child(child_reads), 0);
        check_and_destroy();
    }
    setup(0, MEMKIND_FORK_COPY);
    CHECK_EQ(run_child(child_reads), 0);
    check_and_destroy();
}

/* Everything that would be seen in the parent, were the memory its own. */
static int child_works(void)
{
    unsigned long long random = 77;
    NEED(all_right());
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < OBJECTS; i++) {
            struct object *object = &objects[i];
            size_t size = any_size(&random);
            switch (test_random(&random) % 4) {
            case 0:
                memkind_free(i % 2 ? kind : NULL, object->start);
                object->start = NULL;
                break;
            case 1:
                if (object->start == NULL) {
                    NEED(fill_object(kind, object, &random));
                    break;
                }
                object->start = memkind_realloc(kind, object->start, size);
                NEED(object->start != NULL);
                NEED(test_check(object->start,
                                size < object->size ? size : object->size,
                                object->seed));
                object->size = size;
                test_fill(object->start, size, object->seed);
                break;
            case 2:
                if (object->start == NULL) {
                    object->start = memkind_calloc(kind, 1, size);
                    object->size = size;
                    NEED(object->start != NULL);
                    NEED(is_clear(object->start, size));
                }
                object->seed++;
                test_fill(object->start, object->size, object->seed);
                break;
            default:
                break;
            }
        }
        NEED(all_right());
        NEED(memkind_update_cached_stats() == MEMKIND_SUCCESS);
    }
    unsigned char *cleared = memkind_calloc(kind, 1, 4 * MIB);
    NEED(cleared != NULL);
    NEED(is_clear(cleared, 4 * MIB));
    memset(cleared, 0xee, 4 * MIB);
    unsigned char *block = memkind_pmem_mmap(kind, NULL, MIB);
    NEED(block != MAP_FAILED);
    NEED(is_clear(block, MIB));
    memset(block, 0xdd, MIB);
    NEED(all_right());
    NEED(memkind_pmem_persist(kind, cleared, 1) ==
         MEMKIND_ERROR_OPERATION_FAILED);
    NEED(errno == EOPNOTSUPP);
    NEED(!memkind_pmem_is_pmem(kind));
    memkind_free(kind, cleared);
    free_all();
    NEED(kind_stat(kind, MEMKIND_STAT_TYPE_ALLOCATED) == 0);
    NEED(memkind_destroy_kind(kind) == MEMKIND_SUCCESS);
    NEED(memkind_destroy_kind(kind) == MEMKIND_ERROR_OPERATION_FAILED);
    /* Kinds of its own, and of the place that the other one had. */
    memkind_t own = NULL;
    NEED(memkind_create_pmem(test_dir(), 32 * MIB, &own) == MEMKIND_SUCCESS);
    NEED(fill_object(own, &objects[0], &random));
    NEED(object_is_right(&objects[0]));
    NEED(memkind_destroy_kind(own) == MEMKIND_SUCCESS);
    return 0;
}

static void child_works_in(size_t max_size, memkind_fork_policy how)
{
    setup(max_size, how);
    struct test_resources before, after;
    size_t space = kind_stat(kind, MEMKIND_STAT_TYPE_RESIDENT);
    test_resources_take(&before);
    CHECK_EQ(run_child(child_works), 0);
    /* It keeps a descriptor until it has seen that the child has ended. */
    CHECK_EQ(memkind_attach_kind(kind), MEMKIND_SUCCESS);
    test_resources_take(&after);
    CHECK_EQ(after.fds, before.fds);
    CHECK_EQ(kind_stat(kind, MEMKIND_STAT_TYPE_RESIDENT), space);
    check_and_destroy();
}

static void test_a_child_works(void)
{
    child_works_in(0, MEMKIND_FORK_PRIVATE);
    child_works_in(64 * MIB, MEMKIND_FORK_PRIVATE);
}

static void test_a_child_works_on_a_copy(void)
{
    child_works_in(0, MEMKIND_FORK_COPY);
    child_works_in(64 * MIB, MEMKIND_FORK_COPY);
}

static void test_a_child_works_on_a_snapshot(void)
{
    child_works_in(0, MEMKIND_FORK_SNAPSHOT);
    child_works_in(64 * MIB, MEMKIND_FORK_SNAPSHOT);
}

/* ---- both sides work --------------------------------------------------- */

/* Memory that is free when the child is made is zero when it takes it, and what
 * it has stored to stays, whatever the parent does. */
static int child_among_changes(void)
{
    for (int i = 1; i < OBJECTS; i += 2)
        if (objects[i].start != NULL)
            test_fill(objects[i].start, objects[i].size, ++objects[i].seed);
    say(to_parent);
    hear(to_child); /* the parent has freed all, and stored elsewhere */
    for (int i = 1; i < OBJECTS; i += 2)
        NEED(object_is_right(&objects[i]));
    for (int i = 0; i < 200; i++) {
        size_t size = (size_t)1 << (3 + i % 17);
        unsigned char *cleared = memkind_calloc(kind, 1, size);
        NEED(cleared != NULL);
        NEED(is_clear(cleared, size));
        memset(cleared, 0x77, size);
    }
    for (int i = 1; i < OBJECTS; i += 2)
        NEED(object_is_right(&objects[i]));
    if (policy != MEMKIND_FORK_PRIVATE)
        NEED(all_right());
    say(to_parent);
    hear(to_child); /* the kind is destroyed */
    for (int i = 1; i < OBJECTS; i += 2)
        NEED(object_is_right(&objects[i]));
    if (policy != MEMKIND_FORK_PRIVATE)
        NEED(all_right());
    free_all();
    NEED(memkind_malloc(kind, MIB) != NULL);
    NEED(memkind_destroy_kind(kind) == MEMKIND_SUCCESS);
    return 0;
}

static void both_sides_work(size_t max_size, memkind_fork_policy how)
{
    enum { LARGE = 20 };
    setup(max_size, how);
    open_turns();
    signal(SIGPIPE, SIG_IGN); /* the child may have failed already */
    pid_t child = start_child(child_among_changes);
    parent_side();
    hear(to_parent);
    CHECK(all_right());
    free_all();
    void *large[LARGE];
    for (int i = 0; i < LARGE; i++) {
        large[i] = memkind_malloc(kind, MIB);
        REQUIRE_NOT_NULL(large[i]);
        memset(large[i], 0x33, MIB);
    }
    say(to_child);
    hear(to_parent);
    for (int i = 0; i < LARGE; i++) {
        const unsigned char *bytes = large[i];
        CHECK_EQ(bytes[0], 0x33);
        CHECK_EQ(memcmp(bytes, bytes + 1, MIB - 1), 0);
    }
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
    say(to_child);
    CHECK_EQ(child_wait(child), 0);
    close_turns();
}

static void test_both_sides_work(void)
{
    both_sides_work(0, MEMKIND_FORK_PRIVATE);
    both_sides_work(64 * MIB, MEMKIND_FORK_PRIVATE);
}

static void test_both_sides_work_on_a_copy(void)
{
    both_sides_work(0, MEMKIND_FORK_COPY);
}

static void test_both_sides_work_on_a_snapshot(void)
{
    both_sides_work(0, MEMKIND_FORK_SNAPSHOT);
    both_sides_work(64 * MIB, MEMKIND_FORK_SNAPSHOT);
}

static int child_is_limited(void)
{
    size_t total = 0;
    while (memkind_malloc(kind, MIB) != NULL)
        total += MIB;
    NEED(errno == ENOMEM);
    NEED(total >= 8 * MIB);
    NEED(kind_stat(kind, MEMKIND_STAT_TYPE_RESIDENT) <= 32 * MIB);
    return 0;
}

static void test_the_limit_holds_in_a_child(void)
{
    setup(32 * MIB, MEMKIND_FORK_PRIVATE);
    size_t space = kind_stat(kind, MEMKIND_STAT_TYPE_RESIDENT);
    CHECK_EQ(run_child(child_is_limited), 0);
    CHECK_EQ(kind_stat(kind, MEMKIND_STAT_TYPE_RESIDENT), space);
    check_and_destroy();
}

/* ---- threads that allocate while others fork --------------------------- */

#define WORKERS 3
#define FORKERS 2
#define FORKS 40
#define OWN_OBJECTS 60

static memkind_t kinds[4];
static atomic_bool stop;
static atomic_int mistakes;

static void *work(void *number)
{
    struct object own[OWN_OBJECTS];
    unsigned long long random = 5 + (unsigned)*(int *)number;
    memset(own, 0, sizeof own);
    while (!atomic_load(&stop)) {
        struct object *object = &own[test_random(&random) % OWN_OBJECTS];
        if (object->start == NULL) {
            if (!fill_object(kinds[test_random(&random) % 4], object, &random))
                atomic_fetch_add(&mistakes, 1);
            continue;
        }
        if (!object_is_right(object))
            atomic_fetch_add(&mistakes, 1);
        memkind_free(NULL, object->start);
        object->start = NULL;
        if (test_random(&random) % 2000 == 0) {
            memkind_t passing = NULL;
            if (memkind_create_pmem(test_dir(), 16 * MIB, &passing) == 0) {
                if (memkind_malloc(passing, 100) == NULL)
                    atomic_fetch_add(&mistakes, 1);
                memkind_destroy_kind(passing);
            }
            (void)memkind_update_cached_stats();
        }
    }
    for (int i = 0; i < OWN_OBJECTS; i++)
        memkind_free(NULL, own[i].start);
    return NULL;
}

static int child_of_many_threads(void)
{
    struct object own[OWN_OBJECTS * 4];
    unsigned long long random = (unsigned)getpid();
    NEED(all_right());
    for (int i = 0; i < OWN_OBJECTS * 4; i++)
        NEED(fill_object(kinds[i % 4], &own[i], &random));
    for (int i = 0; i < OWN_OBJECTS * 4; i++) {
        NEED(object_is_right(&own[i]));
        if (i % 3 == 0)
            memkind_free(NULL, own[i].start);
    }
    NEED(all_right());
    NEED(memkind_update_cached_stats() == MEMKIND_SUCCESS);
    for (int i = 0; i < 3; i++)
        NEED(memkind_destroy_kind(kinds[i]) == MEMKIND_SUCCESS);
    memkind_t own_kind = NULL;
    NEED(memkind_create_pmem(test_dir(), 16 * MIB, &own_kind) ==
         MEMKIND_SUCCESS);
    NEED(memkind_malloc(own_kind, 1000) != NULL);
    return 0;
}

static void *fork_often(void *unused)
{
    (void)unused;
    for (int i = 0; i < FORKS; i++)
        if (run_child(child_of_many_threads) != 0)
            atomic_fetch_add(&mistakes, 1);
    return NULL;
}

static void test_threads_allocate_while_others_fork(void)
{
    pthread_t workers[WORKERS], forkers[FORKERS];
    static int numbers[WORKERS];
    atomic_store(&stop, false);
    atomic_store(&mistakes, 0);
    setup(0, MEMKIND_FORK_PRIVATE);
    kinds[0] = kind;
    kinds[1] = kind_make(.limit = 64 * MIB, .fork = MEMKIND_FORK_PRIVATE);
    kinds[2] = kind_make(.limit = 64 * MIB, .fork = MEMKIND_FORK_COPY);
    kinds[3] = MEMKIND_DEFAULT;
    for (int i = 0; i < WORKERS; i++) {
        numbers[i] = i;
        REQUIRE_EQ(pthread_create(&workers[i], NULL, work, &numbers[i]), 0);
    }
    for (int i = 0; i < FORKERS; i++)
        REQUIRE_EQ(pthread_create(&forkers[i], NULL, fork_often, NULL), 0);
    for (int i = 0; i < FORKERS; i++)
        pthread_join(forkers[i], NULL);
    atomic_store(&stop, true);
    for (int i = 0; i < WORKERS; i++)
        pthread_join(workers[i], NULL);
    CHECK_EQ(atomic_load(&mistakes), 0);
    CHECK_EQ(kind_stat(kinds[1], MEMKIND_STAT_TYPE_ALLOCATED), 0);
    CHECK_EQ(kind_stat(kinds[2], MEMKIND_STAT_TYPE_ALLOCATED), 0);
    CHECK_EQ(memkind_destroy_kind(kinds[1]), MEMKIND_SUCCESS);
    CHECK_EQ(memkind_destroy_kind(kinds[2]), MEMKIND_SUCCESS);
    check_and_destroy();
}

/* ---- chains ------------------------------------------------------------ */

static int generation;

/* Each generation has its own, of the one before, and leaves that alone. */
static int descend(void)
{
    unsigned long long random = 1000 + (unsigned)generation;
    NEED(all_right());
    for (int i = generation; i < OBJECTS; i += 4) {
        if (objects[i].start == NULL) {
            NEED(fill_object(kind, &objects[i], &random));
            continue;
        }
        objects[i].seed++;
        test_fill(objects[i].start, objects[i].size, objects[i].seed);
    }
    for (int i = generation + 1; i < OBJECTS; i += 7) {
        memkind_free(kind, objects[i].start);
        objects[i].start = NULL;
    }
    NEED(all_right());
    if (generation == 3)
        return 0;
    generation++;
    NEED(run_child(descend) == 0);
    generation--;
    NEED(all_right());
    if (generation == 2 && kind != MEMKIND_DEFAULT)
        NEED(memkind_destroy_kind(kind) == MEMKIND_SUCCESS);
    return 0;
}

static void test_chains(void)
{
    static const memkind_fork_policy policies[] = {
        MEMKIND_FORK_PRIVATE, MEMKIND_FORK_COPY, MEMKIND_FORK_SNAPSHOT};
    for (int i = 0; i < 3; i++) {
        setup(0, policies[i]);
        generation = 0;
        CHECK_EQ(run_child(descend), 0);
        CHECK_EQ(run_child(descend), 0);
        check_and_destroy();
    }
}

/* ---- policies ---------------------------------------------------------- */

static int child_stores(void)
{
    NEED(all_right());
    test_fill(objects[1].start, objects[1].size, objects[1].seed + 1);
    return 0;
}

static int child_destroys(void)
{
    NEED(memkind_destroy_kind(kind) == MEMKIND_SUCCESS);
    return 0;
}

static void test_shared(void)
{
    setup(0, MEMKIND_FORK_SHARED);
    CHECK_EQ(run_child(child_stores), 0);
    objects[1].seed++;
    CHECK(all_right());
    CHECK_EQ(run_child(child_destroys), 0);
    check_and_destroy();
}

static int child_touches(void)
{
    signal(SIGSEGV, SIG_DFL);
    return ((volatile unsigned char *)objects[1].start)[0] == 0;
}

static int child_writes(void)
{
    signal(SIGSEGV, SIG_DFL);
    ((volatile unsigned char *)objects[1].start)[0] = 1;
    return 0;
}

static int child_has_no_kind(void)
{
    void *aligned = &aligned;
    errno = 0;
    NEED(memkind_malloc(kind, 10) == NULL);
    NEED(errno == ENOMEM);
    errno = 0;
    NEED(memkind_calloc(kind, 1, 10) == NULL);
    NEED(errno == ENOMEM);
    NEED(memkind_posix_memalign(kind, &aligned, 64, 10) == ENOMEM);
    NEED(aligned == NULL);
    errno = 0;
    NEED(memkind_realloc(kind, objects[1].start, 10) == NULL);
    NEED(errno == ENOMEM);
    errno = 0;
    NEED(memkind_realloc(NULL, objects[1].start, 10) == NULL);
    NEED(errno == ENOMEM);
    NEED(memkind_defrag_reallocate(kind, objects[1].start) == NULL);
    NEED(memkind_pmem_mmap(kind, NULL, MIB) == MAP_FAILED);
    NEED(errno == ENOMEM);
    NEED(memkind_detect_kind(objects[1].start) == kind);
    NEED(memkind_malloc_usable_size(kind, objects[1].start) >= objects[1].size);
    memkind_free(kind, objects[1].start);
    memkind_free(NULL, objects[2].start);
    memkind_free(MEMKIND_DEFAULT, objects[4].start);
    NEED(kind_stat(kind, MEMKIND_STAT_TYPE_ALLOCATED) == 0);
    /* Another kind is not affected. */
    void *object = memkind_malloc(MEMKIND_DEFAULT, 100);
    NEED(object != NULL);
    memkind_free(NULL, object);
    NEED(run_child(child_writes) == CHILD_KILLED + SIGSEGV);
    NEED(run_child(child_destroys) == 0);
    NEED(memkind_destroy_kind(kind) == MEMKIND_SUCCESS);
    NEED(memkind_detect_kind(objects[1].start) == NULL);
    return 0;
}

static int child_has_no_memory(void)
{
    NEED(run_child(child_touches) == CHILD_KILLED + SIGSEGV);
    return child_has_no_kind();
}

static void test_unavailable(void)
{
    setup(0, MEMKIND_FORK_UNAVAILABLE);
    void *object = memkind_malloc(MEMKIND_DEFAULT, 10);
    CHECK_EQ(run_child(child_has_no_memory), 0);
    memkind_free(MEMKIND_DEFAULT, object);
    check_and_destroy();
}

/* The child cannot have as much private memory as the kind has addresses. */
static int child_can_only_read(void)
{
    NEED(all_right());
    return child_has_no_kind();
}

static void test_what_cannot_be_private_can_be_read(void)
{
    if (SANITIZED) /* whose own memory is private data as well */
        return;
    struct rlimit before, small;
    REQUIRE_EQ(getrlimit(RLIMIT_DATA, &before), 0);
    small = before;
    setup(0, MEMKIND_FORK_PRIVATE);
    void *object = memkind_malloc(MEMKIND_DEFAULT, 10);
    small.rlim_cur = MIB;
    REQUIRE_EQ(setrlimit(RLIMIT_DATA, &small), 0);
    CHECK_EQ(run_child(child_can_only_read), 0);
    REQUIRE_EQ(setrlimit(RLIMIT_DATA, &before), 0);
    memkind_free(MEMKIND_DEFAULT, object);
    check_and_destroy();
}

static void test_a_policy_must_be_one(void)
{
    memkind_t none = NULL;
    struct memkind_config *config = memkind_config_new();
    REQUIRE_NOT_NULL(config);
    memkind_config_set_path(config, test_dir());
    memkind_config_set_fork_policy(config, MEMKIND_FORK_POLICY_MAX_VALUE);
    CHECK_EQ(memkind_create_pmem_with_config(config, &none),
             MEMKIND_ERROR_INVALID);
    memkind_config_set_fork_policy(config, (memkind_fork_policy)-1);
    CHECK_EQ(memkind_create_pmem_with_config(config, &none),
             MEMKIND_ERROR_INVALID);
    memkind_config_set_fork_policy(NULL, MEMKIND_FORK_COPY);
    memkind_config_delete(config);
}

/* ---- other memory ------------------------------------------------------ */

static struct memkind in_file;
static int file;

static int child_destroys_kind_in_file(void)
{
    struct stat st;
    unsigned long long random = 3;
    if (policy != MEMKIND_FORK_UNAVAILABLE)
        NEED(object_is_right(&objects[0]));
    if (policy != MEMKIND_FORK_SHARED && policy != MEMKIND_FORK_UNAVAILABLE) {
        NEED(fill_object(&in_file, &objects[1], &random));
        NEED(object_is_right(&objects[1]));
    }
    NEED(memkind_destroy_kind(&in_file) == MEMKIND_SUCCESS);
    NEED(fstat(file, &st) == 0);
    NEED(st.st_size != 0);
    return 0;
}

static void test_a_child_leaves_the_callers_file_alone(void)
{
    static const memkind_fork_policy policies[] = {
        MEMKIND_FORK_PRIVATE, MEMKIND_FORK_SHARED, MEMKIND_FORK_UNAVAILABLE,
        MEMKIND_FORK_COPY, MEMKIND_FORK_SNAPSHOT};
    for (int i = 0; i < 5; i++) {
        unsigned long long random = 2;
        file = open(test_dir(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
        REQUIRE_GE(file, 0);
        const struct memkind_pmem_source source = {
            NULL, file, 32 * MIB, policies[i], false, NULL, 0, false};
        memset(&in_file, 0, sizeof in_file);
        CHECK_EQ(memkind_pmem_set_source(&in_file, &source), 0);
        REQUIRE_EQ(memkind_pmem_create(&in_file, &MEMKIND_PMEM_OPS, "in_file"),
                   0);
        REQUIRE(fill_object(&in_file, &objects[0], &random));
        CHECK_EQ(lseek(file, 5, SEEK_SET), 5);
        policy = policies[i];
        CHECK_EQ(run_child(child_destroys_kind_in_file), 0);
        CHECK_EQ(lseek(file, 0, SEEK_CUR), 5);
        CHECK(object_is_right(&objects[0]));
        CHECK(fill_object(&in_file, &objects[1], &random));
        CHECK_EQ(memkind_pmem_destroy(&in_file), MEMKIND_SUCCESS);
        struct stat st;
        CHECK_EQ(fstat(file, &st), 0);
        CHECK_EQ(st.st_size, 0);
        close(file);
        memset(objects, 0, sizeof objects);
    }
}

/* fork() itself copies what is private to the process. */
static void test_dram_and_fixed_kinds(void)
{
    static unsigned char area[32 << 20];
    kind = MEMKIND_DEFAULT;
    REQUIRE(fill_all());
    CHECK_EQ(run_child(child_reads), 0);
    CHECK_EQ(run_child(descend), 0);
    CHECK(all_right());
    free_all();
    REQUIRE_EQ(memkind_create_fixed(area, sizeof area, &kind), 0);
    REQUIRE(fill_all());
    CHECK_EQ(run_child(child_reads), 0);
    generation = 2; /* which destroys it */
    CHECK_EQ(run_child(descend), 0);
    generation = 0;
    check_and_destroy();
}

/* ---- background threads ------------------------------------------------ */

#define SWITCH_SECONDS 100
#define SWITCH_FORKS 60

static atomic_bool is_switching;
static atomic_uint switches;

static void *switch_threads(void *unused)
{
    for (unsigned i = 0; atomic_load(&is_switching); i++) {
        if (memkind_set_bg_threads(i % 2 == 0) != MEMKIND_SUCCESS ||
            memkind_arena_set_max_bg_threads(1 + i / 2 % 2) != MEMKIND_SUCCESS)
            atomic_fetch_add(&mistakes, 1);
        atomic_fetch_add(&switches, 1);
    }
    return unused;
}

static int use_kind(void)
{
    void *object = memkind_malloc(kind, 100000);
    NEED(object != NULL);
    memset(object, 1, 100000);
    memkind_free(kind, object);
    return 0;
}

static int switch_in_grandchild(void)
{
    NEED(memkind_set_bg_threads(true) == MEMKIND_SUCCESS);
    NEED(use_kind() == 0);
    NEED(memkind_set_bg_threads(false) == MEMKIND_SUCCESS);
    return use_kind();
}

/* A child has no background threads at first, whatever its parent had. */
static int switch_in_child(void)
{
    NEED(use_kind() == 0);
    NEED(memkind_set_bg_threads(true) == MEMKIND_SUCCESS);
    NEED(run_child(switch_in_grandchild) == 0);
    NEED(memkind_set_bg_threads(false) == MEMKIND_SUCCESS);
    return run_child(switch_in_grandchild);
}

/* A thread that switches them off waits for them to end, and fork() for that
 * thread. */
static void test_background_threads_are_switched(void)
{
#ifdef __SANITIZE_THREAD__
    /* jemalloc makes its threads behind the sanitizer's back. */
    puts("skipped: not with the thread sanitizer");
    return;
#endif
    pthread_t thread;
    kind = kind_make(.limit = 0);
    atomic_store(&mistakes, 0);
    atomic_store(&is_switching, true);
    alarm(SWITCH_SECONDS); /* a deadlock */
    REQUIRE_EQ(pthread_create(&thread, NULL, switch_threads, NULL), 0);
    for (unsigned i = 0; i < SWITCH_FORKS; i++) {
        const unsigned before = atomic_load(&switches);
        /* A sanitizer's own locks may be held by a thread that is being made:
         * a child could make none. */
        const bool switches_too = i % 8 == 0 && !SANITIZED;
        CHECK_EQ(run_child(switches_too ? switch_in_child : use_kind), 0);
        while (atomic_load(&switches) == before)
            sched_yield();
    }
    atomic_store(&is_switching, false);
    pthread_join(thread, NULL);
    alarm(0);
    CHECK_EQ(atomic_load(&mistakes), 0);
    CHECK_EQ(memkind_set_bg_threads(false), MEMKIND_SUCCESS);
    CHECK_EQ(memkind_arena_set_max_bg_threads(0), MEMKIND_SUCCESS);
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
}

static void test_nothing_is_left_in_the_parent(void)
{
    struct test_resources before, after;
    test_resources_take(&before);
    setup(0, MEMKIND_FORK_COPY);
    struct test_resources with_kind;
    test_resources_take(&with_kind);
    CHECK_EQ(run_child(child_reads), 0);
    CHECK_EQ(run_child(child_works), 0);
    test_resources_take(&after);
    CHECK_EQ(after.fds, with_kind.fds);
    CHECK_LE(after.mapped_kib, with_kind.mapped_kib + 16 * 1024);
    check_and_destroy();
    test_resources_take(&after);
    CHECK_EQ(after.fds, before.fds);
}

static const struct test_case tests[] = {
    {"a child reads all", test_a_child_reads_all},
    {"a child works", test_a_child_works},
    {"a child works on a copy", test_a_child_works_on_a_copy},
    {"both sides work", test_both_sides_work},
    {"both sides work on a copy", test_both_sides_work_on_a_copy},
    {"a child works on a snapshot", test_a_child_works_on_a_snapshot},
    {"both sides work on a snapshot", test_both_sides_work_on_a_snapshot},
    {"the limit holds in a child", test_the_limit_holds_in_a_child},
    {"threads allocate while others fork",
     test_threads_allocate_while_others_fork},
    {"chains", test_chains},
    {"shared", test_shared},
    {"unavailable", test_unavailable},
    {"what cannot be private can be read",
     test_what_cannot_be_private_can_be_read},
    {"a policy must be one", test_a_policy_must_be_one},
    {"a child leaves the caller's file alone",
     test_a_child_leaves_the_callers_file_alone},
    {"DRAM and fixed kinds", test_dram_and_fixed_kinds},
    {"background threads are switched", test_background_threads_are_switched},
    {"nothing is left in the parent", test_nothing_is_left_in_the_parent},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("fork", tests, argc, argv);
}
