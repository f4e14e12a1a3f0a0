/* SPDX-License-Identifier: BSD-2-Clause */
/* MEMKIND_FORK_SNAPSHOT: from the moment of the fork on neither side sees what
 * the other one stores, and what that takes goes back. */
#include <errno.h>
#include <memkind.h>
#include <memkind/internal/memkind_pmem.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test_child.h"
#include "test_kinds.h"

extern char **environ;

#define OBJECTS 4000
#define WORDS_MOST 600

static memkind_t kind;

/* ---- objects that say when they were written ---------------------------- */

/* Each word of an object is made of its number and of the time. */
static struct {
    uint64_t *start;
    size_t words;
} objects[OBJECTS];

static uint64_t word_at(size_t i, size_t word, uint64_t time)
{
    return (time << 40) ^ (i * 0x9e3779b97f4a7c15U) ^ word;
}

static void write_object(size_t i, uint64_t time)
{
    for (size_t word = 0; word < objects[i].words; word++)
        objects[i].start[word] = word_at(i, word, time);
}

static bool object_is_of(size_t i, uint64_t time)
{
    for (size_t word = 0; word < objects[i].words; word++)
        if (objects[i].start[word] != word_at(i, word, time))
            return false;
    return true;
}

static bool make_object(size_t i, uint64_t time)
{
    objects[i].words = 8 + (i * 37 + time * 11) % WORDS_MOST;
    objects[i].start = memkind_malloc(kind, objects[i].words * 8);
    if (objects[i].start == NULL)
        return false;
    write_object(i, time);
    return true;
}

static bool make_all(uint64_t time)
{
    for (size_t i = 0; i < OBJECTS; i++)
        if (!make_object(i, time))
            return false;
    return true;
}

static size_t count_wrong(uint64_t time)
{
    size_t wrong = 0;
    for (size_t i = 0; i < OBJECTS; i++)
        wrong += !object_is_of(i, time);
    return wrong;
}

/* Stores to all objects in place, or makes every third anew. */
static bool change_all(uint64_t time)
{
    for (size_t i = 0; i < OBJECTS; i++) {
        if (i % 3 != 0) {
            write_object(i, time);
            continue;
        }
        memkind_free(kind, objects[i].start);
        if (!make_object(i, time))
            return false;
    }
    return true;
}

static void free_all(void)
{
    for (size_t i = 0; i < OBJECTS; i++) {
        memkind_free(kind, objects[i].start);
        objects[i].start = NULL;
    }
}

static void setup(size_t limit)
{
    kind = kind_make(.limit = limit, .fork = MEMKIND_FORK_SNAPSHOT);
    REQUIRE(make_all(1));
}

static void check_and_destroy(uint64_t time)
{
    CHECK_EQ(count_wrong(time), 0);
    free_all();
    kind_destroy(kind);
}

static size_t detached(void)
{
    return kind_stat(kind, MEMKIND_STAT_TYPE_DETACHED);
}

/* ---- children that wait for a word -------------------------------------- */

struct waiting_child {
    pid_t pid;
    int word; /* the parent's end of a pipe */
};

/* The child runs when it is told to. */
static struct waiting_child start_waiting(int (*run)(void))
{
    int ends[2];
    struct waiting_child child = {-1, -1};
    REQUIRE_EQ(pipe(ends), 0);
    fflush(NULL);
    child.pid = fork();
    REQUIRE(child.pid >= 0);
    if (child.pid == 0) {
        char byte;
        alarm(300);
        close(ends[1]);
        ssize_t got = read(ends[0], &byte, 1);
        _exit(got == 1 ? run() : 99);
    }
    close(ends[0]);
    child.word = ends[1];
    return child;
}

static void check_waiting(struct waiting_child child)
{
    CHECK_EQ(write(child.word, "", 1), 1);
    close(child.word);
    CHECK_EQ(child_wait(child.pid), 0);
}

static int sees_1(void)
{
    NEED(count_wrong(1) == 0);
    return 0;
}

static int sees_2(void)
{
    NEED(count_wrong(2) == 0);
    return 0;
}

static int sees_3(void)
{
    NEED(count_wrong(3) == 0);
    return 0;
}

/* ---- what each side sees ------------------------------------------------ */

static void test_a_child_sees_the_moment_of_the_fork(void)
{
    setup(0);
    struct waiting_child child = start_waiting(sees_1);
    REQUIRE(change_all(2));
    check_waiting(child);
    check_and_destroy(2);
}

static int changes_and_allocates(void)
{
    NEED(count_wrong(1) == 0);
    NEED(change_all(7));
    NEED(count_wrong(7) == 0);
    memkind_purge_kind(kind);
    NEED(count_wrong(7) == 0);
    NEED(memkind_attach_kind(kind) == MEMKIND_ERROR_OPERATION_FAILED);
    NEED(errno == EOPNOTSUPP);
    NEED(kind_stat(kind, MEMKIND_STAT_TYPE_DETACHED) != 0);
    free_all();
    NEED(memkind_destroy_kind(kind) == MEMKIND_SUCCESS);
    return 0;
}

static void test_a_child_works_for_itself(void)
{
    setup(0);
    struct waiting_child first = start_waiting(changes_and_allocates);
    struct waiting_child second = start_waiting(changes_and_allocates);
    check_waiting(first);
    CHECK_EQ(count_wrong(1), 0);
    REQUIRE(change_all(2));
    check_waiting(second);
    check_and_destroy(2);
}

/* Each fork has its own moment, though others are still looked at. */
static void test_each_fork_is_a_moment(void)
{
    setup(0);
    struct waiting_child first = start_waiting(sees_1);
    REQUIRE(change_all(2));
    struct waiting_child second = start_waiting(sees_2);
    REQUIRE(change_all(3));
    memkind_purge_kind(kind);
    struct waiting_child third = start_waiting(sees_3);
    REQUIRE(change_all(4));
    check_waiting(third);
    check_waiting(first);
    REQUIRE(change_all(5));
    check_waiting(second);
    CHECK_EQ(memkind_attach_kind(kind), MEMKIND_SUCCESS);
    check_and_destroy(5);
}

/* What is freed is needed by the child, and is not given back before. */
static void test_what_is_freed_stays_for_the_child(void)
{
    setup(0);
    struct waiting_child child = start_waiting(sees_1);
    uint64_t *kept[OBJECTS];
    for (size_t i = 0; i < OBJECTS; i++)
        kept[i] = objects[i].start;
    free_all();
    CHECK_EQ(memkind_purge_kind(kind), MEMKIND_SUCCESS);
    const size_t space = kind_resident(kind);
    CHECK_GE(space, 4 * MIB);
    REQUIRE(make_all(2));
    check_waiting(child);
    (void)kept;
    free_all();
    /* Whether there is a child is asked once in a tick of the clock. */
    usleep(20000);
    CHECK_EQ(memkind_purge_kind(kind), MEMKIND_SUCCESS);
    CHECK_LT(kind_resident(kind), space / 2);
    CHECK_LE(detached(), 256 * KIB);
    kind_destroy(kind);
}

/* ---- generations -------------------------------------------------------- */

static int report[2]; /* what a grandchild found out */

static int leaves_a_child(void)
{
    fflush(NULL);
    NEED(change_all(2));
    pid_t grandchild = fork();
    NEED(grandchild >= 0);
    if (grandchild == 0) {
        alarm(300);
        /* Until its parent has ended. */
        while (getppid() != 1 && kill(getppid(), 0) == 0)
            usleep(1000);
        const char right = count_wrong(2) == 0;
        _exit(write(report[1], &right, 1) == 1 ? 0 : 1);
    }
    NEED(change_all(3));
    return 0;
}

static void test_a_grandchild_outlives_its_parent(void)
{
    char right = 0;
    setup(0);
    REQUIRE_EQ(pipe(report), 0);
    CHECK_EQ(child_run(leaves_a_child), 0);
    /* As long as it lives, the file is needed. */
    REQUIRE(change_all(4));
    close(report[1]);
    CHECK_EQ(read(report[0], &right, 1), 1);
    CHECK_EQ(right, 1);
    CHECK_EQ(read(report[0], &right, 1), 0);
    close(report[0]);
    check_and_destroy(4);
}

/* Each generation forks the next one, and then changes all beside it. */
static int chain_of(void *argument)
{
    const uint64_t *time = argument;
    const uint64_t later = *time + 1;
    NEED(count_wrong(*time) == 0);
    if (later == 10)
        return 0;
    NEED(change_all(later));
    pid_t child = fork();
    NEED(child >= 0);
    if (child == 0) {
        alarm(300);
        _exit(chain_of(&(uint64_t){later}));
    }
    NEED(change_all(100 + later));
    memkind_purge_kind(kind);
    NEED(child_wait(child) == 0);
    NEED(count_wrong(100 + later) == 0);
    return 0;
}

static void test_a_chain_of_forks(void)
{
    setup(0);
    CHECK_EQ(child_run_with(chain_of, &(uint64_t){1}), 0);
    REQUIRE(change_all(2));
    CHECK_EQ(memkind_attach_kind(kind), MEMKIND_SUCCESS);
    check_and_destroy(2);
}

/* Wherever a child is at its end, its parent learns of it. */
static void test_children_are_killed(void)
{
    struct test_resources before, after;
    setup(0);
    CHECK_EQ(child_run(sees_1), 0);
    REQUIRE(change_all(2));
    CHECK_EQ(memkind_attach_kind(kind), MEMKIND_SUCCESS);
    test_resources_take(&before);
    for (unsigned i = 0; i < 100; i++) {
        fflush(NULL);
        pid_t child = fork();
        REQUIRE(child >= 0);
        if (child == 0) {
            alarm(300);
            for (;;)
                (void)change_all(3);
        }
        usleep(i * 30);
        REQUIRE(change_all(2));
        kill(child, SIGKILL);
        CHECK_EQ(child_wait(child), CHILD_KILLED + SIGKILL);
        if (i % 10 == 9)
            CHECK_EQ(memkind_attach_kind(kind), MEMKIND_SUCCESS);
    }
    CHECK_EQ(detached(), 0);
    test_resources_take(&after);
    CHECK_EQ(after.fds, before.fds);
    check_and_destroy(2);
}

/* A process that makes a kind, forks, changes all, and ends first. */
static int ends_before_its_child(void)
{
    kind = NULL;
    NEED(kind_try(&(struct kind_settings){.fork = MEMKIND_FORK_SNAPSHOT},
                  &kind) == MEMKIND_SUCCESS);
    NEED(make_all(1));
    fflush(NULL);
    pid_t parent = getpid();
    pid_t child = fork();
    NEED(child >= 0);
    if (child == 0) {
        alarm(300);
        while (getppid() == parent)
            usleep(1000);
        const char right =
            count_wrong(1) == 0 && change_all(2) && count_wrong(2) == 0;
        _exit(write(report[1], &right, 1) == 1 ? 0 : 1);
    }
    NEED(change_all(5));
    return 0; /* without destroying the kind */
}

static void test_a_parent_ends_first(void)
{
    char right = 0;
    REQUIRE_EQ(pipe(report), 0);
    CHECK_EQ(child_run(ends_before_its_child), 0);
    close(report[1]);
    CHECK_EQ(read(report[0], &right, 1), 1);
    CHECK_EQ(right, 1);
    close(report[0]);
}

static void test_a_kind_is_destroyed_before_its_child_ends(void)
{
    setup(0);
    struct waiting_child child = start_waiting(sees_1);
    REQUIRE(change_all(2));
    memkind_t destroyed = kind;
    CHECK_EQ(memkind_destroy_kind(destroyed), MEMKIND_SUCCESS);
    check_waiting(child);
}

/* ---- giving DRAM back --------------------------------------------------- */

static void test_memory_goes_back(void)
{
    setup(0);
    CHECK_EQ(detached(), 0);
    CHECK_EQ(memkind_attach_kind(kind), MEMKIND_SUCCESS);
    struct waiting_child child = start_waiting(sees_1);
    CHECK_LE(detached(), 64 * KIB);
    REQUIRE(change_all(2));
    CHECK_GE(detached(), 4 * MIB);
    CHECK_EQ(memkind_attach_kind(kind), MEMKIND_ERROR_OPERATION_FAILED);
    CHECK_EQ(errno, EBUSY);
    CHECK(strstr(memkind_last_error(), "child") != NULL);
    CHECK_GE(detached(), 4 * MIB);
    check_waiting(child);
    CHECK_EQ(memkind_attach_kind(kind), MEMKIND_SUCCESS);
    CHECK_EQ(detached(), 0);
    CHECK_EQ(count_wrong(2), 0);
    /* And once more. */
    child = start_waiting(sees_2);
    REQUIRE(change_all(3));
    check_waiting(child);
    CHECK_EQ(memkind_attach_kind(kind), MEMKIND_SUCCESS);
    CHECK_EQ(detached(), 0);
    check_and_destroy(3);
}

static void keep_figure(void *found, const char *piece)
{
    const char *at = strstr(piece, "Detached by fork: ");
    if (at != NULL)
        *(size_t *)found = strtoul(strchr(at, ':') + 1, NULL, 10);
}

static void test_it_is_in_the_statistics(void)
{
    size_t printed = 0;
    setup(0);
    CHECK_EQ(child_run(sees_1), 0);
    REQUIRE(change_all(2));
    const size_t figure = detached(); /* of this moment */
    CHECK_EQ(memkind_stats_print(keep_figure, &printed,
                                 MEMKIND_STAT_PRINT_OMIT_PER_ARENA),
             MEMKIND_SUCCESS);
    CHECK_GE(figure, 4 * MIB);
    CHECK_EQ(printed, figure);
    check_and_destroy(2);
}

/* While the parent goes on allocating, no call is needed. */
static void test_memory_that_is_used_again_goes_back(void)
{
    setup(0);
    struct waiting_child child = start_waiting(sees_1);
    REQUIRE(change_all(2));
    const size_t changed = detached();
    check_waiting(child);
    for (int round = 0; round < 3; round++) {
        free_all();
        CHECK_EQ(memkind_purge_kind(kind), MEMKIND_SUCCESS);
        REQUIRE(make_all(3));
    }
    CHECK_LE(detached(), changed / 10);
    check_and_destroy(3);
}

static int executes(void)
{
    execl("/bin/sleep", "sleep", "60", (char *)NULL);
    return 98;
}

/* Whether the kind can be attached before long. */
static bool attaches_soon(void)
{
    for (int i = 0; i < 30000; i++) {
        if (memkind_attach_kind(kind) == MEMKIND_SUCCESS)
            return true;
        usleep(1000);
    }
    return false;
}

static void test_another_program_needs_no_file(void)
{
    setup(0);
    pid_t child = child_start(executes);
    REQUIRE(change_all(2));
    CHECK(attaches_soon());
    CHECK_EQ(detached(), 0);
    kill(child, SIGKILL);
    CHECK_EQ(child_wait(child), CHILD_KILLED + SIGKILL);
    check_and_destroy(2);
}

static int closes_all_and_looks(void)
{
    NEED(count_wrong(1) == 0);
    for (int fd = 3; fd < 1024; fd++)
        close(fd);
    sigset_t set;
    int got;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    kill(getppid(), SIGUSR1);
    sigwait(&set, &got); /* while the parent tries */
    NEED(count_wrong(1) == 0);
    return 0;
}

/* A daemon closes all descriptors, and is a child that looks all the same. */
static void test_a_child_closes_all_descriptors(void)
{
    sigset_t set;
    int got;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    setup(0);
    pid_t child = child_start(closes_all_and_looks);
    REQUIRE(change_all(2));
    sigwait(&set, &got);
    CHECK_EQ(memkind_attach_kind(kind), MEMKIND_ERROR_OPERATION_FAILED);
    free_all();
    memkind_purge_kind(kind);
    REQUIRE(make_all(2));
    kill(child, SIGUSR1);
    CHECK_EQ(child_wait(child), 0);
    CHECK_EQ(memkind_attach_kind(kind), MEMKIND_SUCCESS);
    check_and_destroy(2);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
}

/* ---- programs that are started ------------------------------------------ */

/* A function of its own: vfork() returns twice. */
__attribute__((noinline)) static pid_t start_by_vfork(char *const arguments[])
{
    /* NOLINTNEXTLINE(clang-analyzer-security.insecureAPI.vfork) */
    pid_t child = vfork();
    if (child == 0) {
        execv("/bin/true", arguments);
        _exit(127);
    }
    return child;
}

static void test_starting_a_program_costs_nothing(void)
{
    setup(0);
    char *const arguments[] = {"true", NULL};
    pid_t child;
    REQUIRE_EQ(posix_spawn(&child, "/bin/true", NULL, NULL, arguments, environ),
               0);
    CHECK_EQ(child_wait(child), 0);
    CHECK_EQ(system("true"), 0);
    FILE *lines = popen("true", "r");
    REQUIRE_NOT_NULL(lines);
    CHECK_EQ(pclose(lines), 0);
    CHECK_EQ(child_wait(start_by_vfork(arguments)), 0);
    REQUIRE(change_all(2));
    CHECK_EQ(detached(), 0);
    check_and_destroy(2);
}

/* ---- threads that store ------------------------------------------------- */

#define WRITERS 2

static atomic_bool writers_stop;
static atomic_ulong went_back;

/* Counts up in objects of its own; no count ever goes back. */
static void *count_up(void *argument)
{
    const size_t self = (size_t)(uintptr_t)argument;
    uint64_t last = 0;
    while (!atomic_load_explicit(&writers_stop, memory_order_relaxed)) {
        for (size_t i = self; i < OBJECTS; i += WRITERS) {
            _Atomic uint64_t *count = (_Atomic uint64_t *)objects[i].start;
            if (last != 0 && atomic_load(count) != last)
                atomic_fetch_add(&went_back, 1);
            atomic_store(count, last + 1);
        }
        last++;
    }
    return NULL;
}

/* What the child sees stays: each count is that of one moment, or the one
 * before. */
static int counts_stand_still(void)
{
    static uint64_t seen[OBJECTS];
    for (int round = 0; round < 10; round++) {
        for (size_t i = 0; i < OBJECTS; i++) {
            uint64_t count = *(volatile uint64_t *)objects[i].start;
            NEED(round == 0 || count == seen[i]);
            seen[i] = count;
        }
        usleep(5000);
    }
    /* A thread stores in order. */
    for (size_t self = 0; self < WRITERS; self++)
        for (size_t i = self + WRITERS; i < OBJECTS; i += WRITERS)
            NEED(seen[i] == seen[i - WRITERS] || seen[i] + 1 == seen[self]);
    return 0;
}

static void test_threads_store_meanwhile(void)
{
    pthread_t threads[WRITERS];
    setup(0);
    for (size_t i = 0; i < OBJECTS; i++)
        objects[i].start[0] = 0;
    atomic_store(&writers_stop, false);
    for (size_t i = 0; i < WRITERS; i++)
        REQUIRE_EQ(
            pthread_create(&threads[i], NULL, count_up, (void *)(uintptr_t)i),
            0);
    for (int i = 0; i < 8; i++)
        CHECK_EQ(child_run(counts_stand_still), 0);
    atomic_store(&writers_stop, true);
    for (size_t i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);
    CHECK_EQ(atomic_load(&went_back), 0);
    for (int i = 0; i < 5; i++) {
        for (size_t at = 0; at < OBJECTS; at++)
            write_object(at, 2);
        CHECK_EQ(memkind_attach_kind(kind), MEMKIND_SUCCESS);
        CHECK_EQ(count_wrong(2), 0);
        CHECK_EQ(child_run(sees_2), 0);
    }
    check_and_destroy(2);
}

/* Threads that allocate, free, purge, create and destroy. */
static void *use_kinds(void *argument)
{
    unsigned long long random = (uintptr_t)argument + 1;
    memkind_t own = NULL;
    enum { SLOTS = 200 };
    struct {
        unsigned char *start;
        size_t size;
    } slots[SLOTS] = {{NULL, 0}};
    for (unsigned step = 0; !atomic_load(&writers_stop); step++) {
        size_t slot = test_random(&random) % SLOTS;
        if (slots[slot].start != NULL) {
            if (!test_check(slots[slot].start, slots[slot].size,
                            (unsigned)slot))
                atomic_fetch_add(&went_back, 1);
            memkind_free(kind, slots[slot].start);
        }
        slots[slot].size = 1 + test_random(&random) % 30000;
        slots[slot].start = memkind_malloc(kind, slots[slot].size);
        if (slots[slot].start != NULL)
            test_fill(slots[slot].start, slots[slot].size, (unsigned)slot);
        if (step % 500 == 499)
            memkind_purge_kind(kind);
        if (step % 200 == 0 &&
            kind_try(&(struct kind_settings){.fork = MEMKIND_FORK_SNAPSHOT},
                     &own) == MEMKIND_SUCCESS) {
            memkind_free(own, memkind_malloc(own, 5000));
            memkind_destroy_kind(own);
        }
    }
    for (size_t slot = 0; slot < SLOTS; slot++)
        memkind_free(kind, slots[slot].start);
    return NULL;
}

static int works_for_a_while(void)
{
    NEED(count_wrong(1) == 0);
    NEED(change_all(2));
    memkind_purge_kind(kind);
    NEED(count_wrong(2) == 0);
    return 0;
}

static void test_threads_use_kinds_meanwhile(void)
{
    pthread_t threads[WRITERS];
    setup(0);
    atomic_store(&writers_stop, false);
    atomic_store(&went_back, 0);
    for (size_t i = 0; i < WRITERS; i++)
        REQUIRE_EQ(
            pthread_create(&threads[i], NULL, use_kinds, (void *)(uintptr_t)i),
            0);
    for (int i = 0; i < 25; i++) {
        pid_t killed = child_start(works_for_a_while);
        CHECK_EQ(child_run(works_for_a_while), 0);
        kill(killed, SIGKILL);
        child_wait(killed);
    }
    atomic_store(&writers_stop, true);
    for (size_t i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);
    CHECK_EQ(atomic_load(&went_back), 0);
    CHECK_EQ(memkind_attach_kind(kind), MEMKIND_SUCCESS);
    check_and_destroy(1);
}

/* ---- what is lacking ---------------------------------------------------- */

/* What the child needs counts against the limit; no store is a signal. */
static void test_a_full_kind(void)
{
    setup(32 * MIB);
    struct waiting_child child = start_waiting(sees_1);
    enum { MOST = 100000 };
    static char *more[MOST];
    size_t count = 0;
    for (int round = 0; round < 4; round++) {
        while (count < MOST && (more[count] = memkind_malloc(kind, 3000)))
            memset(more[count++], 7, 3000);
        CHECK_LE(kind_resident(kind), 32 * MIB);
        while (count > 0 && round < 3)
            memkind_free(kind, more[--count]);
    }
    CHECK_GE(count, 500);
    check_waiting(child);
    CHECK_EQ(memkind_attach_kind(kind), MEMKIND_SUCCESS);
    while (count > 0)
        memkind_free(kind, more[--count]);
    check_and_destroy(1);
}

/* Servers fork when they have all descriptors that they may have. */
static void test_no_descriptor_is_left(void)
{
    enum { MOST = 2048 };
    static int taken[MOST];
    struct rlimit limit, low;
    setup(0);
    REQUIRE_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
    low = limit;
    low.rlim_cur = MOST < limit.rlim_cur ? MOST : limit.rlim_cur;
    REQUIRE_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
    for (int round = 0; round < 3; round++) {
        size_t count = 0;
        while (count < MOST && (taken[count] = dup(STDIN_FILENO)) >= 0)
            count++;
        CHECK(count < MOST);
        CHECK_EQ(child_run(sees_1), 0);
        free_all();
        memkind_purge_kind(kind);
        CHECK_EQ(memkind_attach_kind(kind), MEMKIND_SUCCESS);
        REQUIRE(make_all(1));
        while (count > 0)
            close(taken[--count]);
    }
    REQUIRE_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
    REQUIRE(change_all(2));
    CHECK_EQ(child_run(sees_2), 0);
    CHECK_EQ(memkind_attach_kind(kind), MEMKIND_SUCCESS);
    check_and_destroy(2);
}

/* A program that closes all descriptors closes the kind's and the mark's. What
 * it has stays, and kinds that it makes later are as ever. */
static int closes_all_descriptors(void)
{
    kind = NULL;
    NEED(kind_try(&(struct kind_settings){.fork = MEMKIND_FORK_SNAPSHOT},
                  &kind) == MEMKIND_SUCCESS);
    NEED(make_all(1));
    struct waiting_child child = start_waiting(sees_1);
    NEED(change_all(2));
    for (int fd = 3; fd < 1024; fd++)
        if (fd != child.word)
            close(fd);
    NEED(change_all(3));
    NEED(memkind_purge_kind(kind) == MEMKIND_SUCCESS);
    NEED(memkind_attach_kind(kind) == MEMKIND_ERROR_OPERATION_FAILED);
    NEED(change_all(4));
    NEED(write(child.word, "", 1) == 1);
    NEED(child_wait(child.pid) == 0);
    /* A child cannot have the kind, and gets nothing of it, unless all that is
     * in use is detached still. */
    pid_t without = fork();
    NEED(without >= 0);
    if (without == 0)
        _exit((memkind_malloc(kind, 100) == NULL || count_wrong(4) == 0) &&
                      memkind_destroy_kind(kind) == MEMKIND_SUCCESS
                  ? 0
                  : 1);
    NEED(change_all(5));
    NEED(child_wait(without) == 0);
    NEED(count_wrong(5) == 0);
    NEED(memkind_destroy_kind(kind) == MEMKIND_SUCCESS);
    NEED(kind_try(&(struct kind_settings){.fork = MEMKIND_FORK_SNAPSHOT},
                  &kind) == MEMKIND_SUCCESS);
    NEED(make_all(1));
    child = start_waiting(sees_1);
    NEED(change_all(2));
    NEED(write(child.word, "", 1) == 1);
    NEED(child_wait(child.pid) == 0);
    NEED(count_wrong(2) == 0);
    return 0;
}

static void test_all_descriptors_are_closed(void)
{
    CHECK_EQ(child_run(closes_all_descriptors), 0);
}

/* ---- a process that has all its mappings -------------------------------- */

/* Takes all mappings that the process may have. False if they are too many. */
static bool take_all_mappings(void)
{
    enum { MOST = 70000 };
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *pages = mmap(NULL, MOST * 2 * page, PROT_NONE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    for (size_t i = 0; pages != MAP_FAILED && i < MOST; i++)
        if (mprotect(pages + 2 * i * page, page, PROT_READ) != 0)
            return true;
    return false;
}

static int uses_what_it_has(void)
{
    volatile uint64_t sum = 0;
    for (size_t i = 0; i < OBJECTS; i++)
        for (size_t word = 0; word < objects[i].words; word++)
            sum += objects[i].start[word];
    (void)sum;
    NEED(change_all(7));
    NEED(count_wrong(7) == 0);
    return 0;
}

static int looks_and_uses(void)
{
    NEED(count_wrong(1) == 0);
    return uses_what_it_has();
}

static int forks_without_mappings(void *argument)
{
    const memkind_fork_policy *policy = argument;
    kind = NULL;
    NEED(kind_try(&(struct kind_settings){.fork = *policy}, &kind) ==
         MEMKIND_SUCCESS);
    NEED(make_all(1));
    /* Sanitizers and emulators need some for themselves. */
    if (SANITIZED || getenv("MEMKIND_TEST_EMULATED") != NULL ||
        !take_all_mappings())
        return TEST_SKIPPED;
    for (int i = 0; i < 3; i++) {
        NEED(child_run(*policy == MEMKIND_FORK_PRIVATE ? uses_what_it_has
                                                       : looks_and_uses) == 0);
        NEED(change_all(2));
        NEED(count_wrong(2) == 0);
        NEED(change_all(1));
    }
    return 0;
}

/* fork() itself copes with that, and so does a child with the kind. */
static void test_no_mapping_is_left(void)
{
    static const memkind_fork_policy policies[] = {
        MEMKIND_FORK_PRIVATE, MEMKIND_FORK_COPY, MEMKIND_FORK_SNAPSHOT};
    for (size_t i = 0; i < sizeof policies / sizeof policies[0]; i++) {
        memkind_fork_policy policy = policies[i];
        const int status = child_run_with(forks_without_mappings, &policy);
        CHECK(status == 0 || status == TEST_SKIPPED);
    }
}

/* Takes all the memory that the kernel counts, but for so much. Shared memory
 * is not counted anew by a fork. */
static bool take_memory_but(size_t rest)
{
    const int flags = MAP_SHARED | MAP_ANONYMOUS;
    void *kept = mmap(NULL, rest, PROT_READ | PROT_WRITE, flags, -1, 0);
    for (size_t size = 256 * MIB; size >= MIB; size /= 2)
        while (mmap(NULL, size, PROT_READ | PROT_WRITE, flags, -1, 0) !=
               MAP_FAILED)
            continue;
    return kept != MAP_FAILED && munmap(kept, rest) == 0;
}

/* With vm.overcommit_memory=2, private mappings count as memory. If there is
 * too little, fork() fails, or its child has no kind, and nothing is lost. */
static int forks_without_memory(void)
{
    const size_t size = 64 * MIB;
    kind = NULL;
    NEED(kind_try(&(struct kind_settings){.fork = MEMKIND_FORK_SNAPSHOT},
                  &kind) == MEMKIND_SUCCESS);
    NEED(make_all(1));
    unsigned char *large = memkind_malloc(kind, size);
    NEED(large != NULL);
    test_fill(large, size, 5);
    NEED(take_memory_but(size / 4));
    for (int i = 0; i < 3; i++) {
        pid_t child = fork();
        NEED(child >= 0 || errno == ENOMEM);
        if (child == 0)
            _exit(memkind_malloc(kind, 100) == NULL || count_wrong(1) == 0 ? 0
                                                                           : 1);
        NEED(count_wrong(1) == 0);
        NEED(test_check(large, size, 5));
        NEED(change_all(2));
        NEED(child < 0 || child_wait(child) == 0);
        NEED(change_all(1));
    }
    return 0;
}

/* In the guest "overcommit" of tests/pmem/run.sh. */
static void test_memory_is_counted(void)
{
    char mode = 0;
    FILE *file = fopen("/proc/sys/vm/overcommit_memory", "r");
    if (file != NULL) {
        mode = (char)fgetc(file);
        fclose(file);
    }
    if (mode == '2')
        CHECK_EQ(child_run(forks_without_memory), 0);
}

static void test_the_callers_file(void)
{
    char path[] = "/snapshot-XXXXXX";
    char *name = strdup(test_path(path + 1));
    REQUIRE_NOT_NULL(name);
    int fd = mkstemp(name);
    REQUIRE(fd >= 0);
    unlink(name);
    free(name);
    struct memkind own = {0};
    struct memkind_ops operations = MEMKIND_PMEM_OPS;
    const struct memkind_pmem_source source = {
        .fd = fd, .fork_policy = MEMKIND_FORK_SNAPSHOT};
    REQUIRE_EQ(memkind_pmem_set_source(&own, &source), MEMKIND_SUCCESS);
    REQUIRE_EQ(operations.create(&own, &operations, "own"), MEMKIND_SUCCESS);
    kind = &own;
    REQUIRE(make_all(1));
    struct waiting_child child = start_waiting(sees_1);
    CHECK_EQ(memkind_pmem_persist(kind, objects[0].start, 8),
             MEMKIND_ERROR_OPERATION_FAILED);
    CHECK_EQ(errno, EOPNOTSUPP);
    REQUIRE(change_all(2));
    struct waiting_child other = start_waiting(sees_2);
    CHECK_EQ(operations.destroy(&own), MEMKIND_SUCCESS);
    check_waiting(child);
    check_waiting(other);
    close(fd);
}

/* ---- other policies ----------------------------------------------------- */

static void test_a_copy_sees_it_as_well(void)
{
    kind = kind_make(.fork = MEMKIND_FORK_COPY);
    REQUIRE(make_all(1));
    struct waiting_child child = start_waiting(sees_1);
    REQUIRE(change_all(2));
    check_waiting(child);
    CHECK_EQ(detached(), 0);
    check_and_destroy(2);
}

static int sees_what_was_stored_since(void)
{
    size_t old = 0;
    for (size_t i = 0; i < OBJECTS; i++)
        old += object_is_of(i, 1);
    NEED(old < OBJECTS / 2);
    return 0;
}

static void test_private_is_no_snapshot(void)
{
    kind = kind_make(.fork = MEMKIND_FORK_PRIVATE);
    REQUIRE(make_all(1));
    struct waiting_child child = start_waiting(sees_what_was_stored_since);
    for (size_t i = 0; i < OBJECTS; i++)
        write_object(i, 2);
    check_waiting(child);
    CHECK_EQ(detached(), 0);
    check_and_destroy(2);
}

static void test_the_environment_sets_the_policy(void)
{
    setenv("MEMKIND_FORK", "snapshot", 1);
    kind = kind_make_limited(0);
    REQUIRE(make_all(1));
    struct waiting_child child = start_waiting(sees_1);
    REQUIRE(change_all(2));
    check_waiting(child);
    check_and_destroy(2);
    /* What the program says counts. */
    test_private_is_no_snapshot();
    setenv("MEMKIND_FORK", "sometimes", 1);
    memkind_t none = NULL;
    CHECK_EQ(memkind_create_pmem(test_dir(), 0, &none), MEMKIND_ERROR_ENVIRON);
    CHECK(strstr(memkind_last_error(), "MEMKIND_FORK") != NULL);
    CHECK_NULL(none);
    unsetenv("MEMKIND_FORK");
}

static void test_attach_needs_a_kind(void)
{
    CHECK_EQ(memkind_attach_kind(NULL), MEMKIND_ERROR_INVALID);
    CHECK_EQ(memkind_attach_kind(MEMKIND_DEFAULT), MEMKIND_SUCCESS);
}

static void test_many_kinds(void)
{
    enum { MOST = 512 };
    static memkind_t kinds[MOST];
    static int *values[MOST];
    /* On DAX, each takes 2 MiB. */
    const int count = test_free_space() >= 1200 * MIB ? MOST : 200;
    for (int i = 0; i < count; i++) {
        kinds[i] = kind_make(.fork = MEMKIND_FORK_SNAPSHOT);
        values[i] = memkind_malloc(kinds[i], sizeof(int));
        REQUIRE_NOT_NULL(values[i]);
        *values[i] = i;
    }
    int ends[2];
    REQUIRE_EQ(pipe(ends), 0);
    fflush(NULL);
    pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        char byte;
        int wrong = 0;
        if (read(ends[0], &byte, 1) != 1)
            _exit(2);
        for (int i = 0; i < count; i++)
            wrong += *values[i] != i;
        _exit(wrong != 0);
    }
    for (int i = 0; i < count; i++)
        *values[i] = -i;
    CHECK_EQ(write(ends[1], "", 1), 1);
    CHECK_EQ(child_wait(child), 0);
    close(ends[0]);
    close(ends[1]);
    for (int i = 0; i < count; i++) {
        CHECK_EQ(memkind_attach_kind(kinds[i]), MEMKIND_SUCCESS);
        CHECK_EQ(*values[i], -i);
        kind_destroy(kinds[i]);
    }
}

static void test_nothing_is_left(void)
{
    struct test_resources before, after;
    setup(0);
    CHECK_EQ(child_run(sees_1), 0);
    check_and_destroy(1);
    test_resources_take(&before);
    for (int i = 0; i < 3; i++) {
        setup(0);
        CHECK_EQ(child_run(sees_1), 0);
        REQUIRE(change_all(2));
        CHECK_EQ(child_run(sees_2), 0);
        CHECK_EQ(memkind_attach_kind(kind), MEMKIND_SUCCESS);
        check_and_destroy(2);
    }
    test_resources_take(&after);
    CHECK_EQ(after.fds, before.fds);
    CHECK_LE(after.mapped_kib, before.mapped_kib + 16 * 1024);
}

static const struct test_case tests[] = {
    {"a child sees the moment of the fork",
     test_a_child_sees_the_moment_of_the_fork},
    {"a child works for itself", test_a_child_works_for_itself},
    {"each fork is a moment", test_each_fork_is_a_moment},
    {"what is freed stays for the child",
     test_what_is_freed_stays_for_the_child},
    {"a grandchild outlives its parent", test_a_grandchild_outlives_its_parent},
    {"a chain of forks", test_a_chain_of_forks},
    {"children are killed", test_children_are_killed},
    {"a parent ends first", test_a_parent_ends_first},
    {"a kind is destroyed before its child ends",
     test_a_kind_is_destroyed_before_its_child_ends},
    {"memory goes back", test_memory_goes_back},
    {"it is in the statistics", test_it_is_in_the_statistics},
    {"memory that is used again goes back",
     test_memory_that_is_used_again_goes_back},
    {"another program needs no file", test_another_program_needs_no_file},
    {"a child closes all descriptors", test_a_child_closes_all_descriptors},
    {"starting a program costs nothing", test_starting_a_program_costs_nothing},
    {"threads store meanwhile", test_threads_store_meanwhile},
    {"threads use kinds meanwhile", test_threads_use_kinds_meanwhile},
    {"a full kind", test_a_full_kind},
    {"no descriptor is left", test_no_descriptor_is_left},
    {"all descriptors are closed", test_all_descriptors_are_closed},
    {"no mapping is left", test_no_mapping_is_left},
    {"memory is counted", test_memory_is_counted},
    {"the caller's file", test_the_callers_file},
    {"a copy sees it as well", test_a_copy_sees_it_as_well},
    {"private is no snapshot", test_private_is_no_snapshot},
    {"the environment sets the policy", test_the_environment_sets_the_policy},
    {"attach needs a kind", test_attach_needs_a_kind},
    {"many kinds", test_many_kinds},
    {"nothing is left", test_nothing_is_left},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("fork snapshot", tests, argc, argv);
}
