/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * memkind_config_set_background_destroy(): the kind is gone when the call
 * returns, its memory soon. The thread that gives it back is held up here at
 * its first system call for as long as a test needs.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <memkind.h>
#include <memkind/internal/memkind_pmem.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "allocator_gate.h"
#include "late_space.h"
#include "sys_calls.h"
#include "test_child.h"
#include "test_support.h"

#define SIZE (32 * MIB)

static struct sys_calls real;
static pthread_t main_thread;
static atomic_bool is_held_up; /* what the thread is to be */
static atomic_uint held_up;    /* how often it has been */
static atomic_bool is_waiting; /* it is held up now */

static void pause_shortly(void)
{
    (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

static int held_madvise(void *addr, size_t size, int advice)
{
    if (!pthread_equal(pthread_self(), main_thread) &&
        advice == MADV_DONTNEED && atomic_load(&is_held_up)) {
        atomic_fetch_add(&held_up, 1);
        atomic_store(&is_waiting, true);
        while (atomic_load(&is_held_up))
            pause_shortly();
        atomic_store(&is_waiting, false);
    }
    return real.madvise(addr, size, advice);
}

/* The file system has no room while the thread is held up. */
static int full_fallocate(int fd, int mode, off_t offset, off_t size)
{
    if (mode == 0 && atomic_load(&is_waiting)) {
        errno = ENOSPC;
        return -1;
    }
    return real.fallocate(fd, mode, offset, size);
}

static int no_thread(pthread_t *thread, const pthread_attr_t *attributes,
                     void *(*run)(void *), void *argument)
{
    (void)thread;
    (void)attributes;
    (void)run;
    (void)argument;
    return EAGAIN;
}

static memkind_t make_kind(bool background)
{
    memkind_t kind = NULL;
    struct memkind_config *config = memkind_config_new();
    REQUIRE_NOT_NULL(config);
    memkind_config_set_path(config, test_dir());
    memkind_config_set_background_destroy(config, background);
    REQUIRE_EQ(memkind_create_pmem_with_config(config, &kind), MEMKIND_SUCCESS);
    memkind_config_delete(config);
    return kind;
}

static char *fill(memkind_t kind)
{
    char *object = memkind_malloc(kind, SIZE);
    REQUIRE_NOT_NULL(object);
    memset(object, 1, SIZE);
    return object;
}

static void begin(void)
{
    main_thread = pthread_self();
    real = sys;
    sys.madvise = held_madvise;
    atomic_store(&held_up, 0);
    atomic_store(&is_held_up, true);
}

static bool space_is_given_back(void)
{
    for (int i = 0; i < 60000; i++) {
        if (test_file_space() == 0 && !late_space_wait())
            return true;
        pause_shortly();
    }
    return false;
}

/* Lets the thread go on, and waits until it has done all. */
static void end(void)
{
    atomic_store(&is_held_up, false);
    CHECK(space_is_given_back());
    sys = real;
}

static void wait_until_held_up(void)
{
    for (int i = 0; i < 60000 && !atomic_load(&is_waiting); i++)
        pause_shortly();
    CHECK(atomic_load(&is_waiting));
}

static void test_returns_before_it_is_done(void)
{
    begin();
    memkind_t kind = make_kind(true);
    const char *object = fill(kind);
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
    CHECK_NULL(memkind_detect_kind((void *)object));
    CHECK_EQ(memkind_check_available(kind), MEMKIND_ERROR_INVALID);
    wait_until_held_up();
    CHECK_GE(test_file_space(), SIZE);
    end();
}

static void test_without_it_is_done_at_once(void)
{
    begin();
    memkind_t kind = make_kind(false);
    (void)fill(kind);
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
    CHECK_EQ(test_file_space(), 0);
    CHECK_EQ(atomic_load(&held_up), 0);
    end();
    memkind_config_set_background_destroy(NULL, true);
}

static void test_no_thread(void)
{
    begin();
    memkind_t kind = make_kind(true);
    (void)fill(kind);
    sys.pthread_create = no_thread;
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
    CHECK_EQ(test_file_space(), 0);
    end();
}

/* A caller's file is the caller's as soon as the call returns. */
static void test_callers_file(void)
{
    static struct memkind kind;
    const int file = open(test_dir(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    REQUIRE_GE(file, 0);
    const struct memkind_pmem_source source = {.fd = file,
                                               .background_destroy = true};
    begin();
    CHECK_EQ(memkind_pmem_set_source(&kind, &source), MEMKIND_SUCCESS);
    REQUIRE_EQ(memkind_pmem_create(&kind, &MEMKIND_PMEM_OPS, "in_file"),
               MEMKIND_SUCCESS);
    (void)fill(&kind);
    CHECK_EQ(memkind_pmem_destroy(&kind), MEMKIND_SUCCESS);
    CHECK_EQ(lseek(file, 0, SEEK_END), 0);
    CHECK_EQ(test_file_space(), 0);
    CHECK_EQ(atomic_load(&held_up), 0);
    close(file);
    end();
}

static void *let_go_soon(void *unused)
{
    (void)unused;
    for (int i = 0; i < 200; i++)
        pause_shortly();
    atomic_store(&is_held_up, false);
    return NULL;
}

/* An allocation that lacks space waits for what is on its way. */
static void test_full_file_system(void)
{
    pthread_t thread;
    begin();
    sys.fallocate = full_fallocate;
    memkind_t kind = make_kind(true), other = make_kind(false);
    (void)fill(kind);
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
    wait_until_held_up();
    REQUIRE_EQ(pthread_create(&thread, NULL, let_go_soon, NULL), 0);
    char *object = memkind_malloc(other, SIZE);
    CHECK_NOT_NULL(object);
    pthread_join(thread, NULL);
    memkind_free(other, object);
    CHECK_EQ(memkind_destroy_kind(other), MEMKIND_SUCCESS);
    end();
}

/* So does the next kind of that sort. */
static void test_one_at_a_time(void)
{
    pthread_t thread;
    begin();
    memkind_t first = make_kind(true), second = make_kind(true);
    (void)fill(first);
    const size_t one = test_file_space();
    (void)fill(second);
    CHECK_EQ(memkind_destroy_kind(first), MEMKIND_SUCCESS);
    wait_until_held_up();
    REQUIRE_EQ(pthread_create(&thread, NULL, let_go_soon, NULL), 0);
    CHECK_EQ(memkind_destroy_kind(second), MEMKIND_SUCCESS);
    CHECK(!atomic_load(&is_held_up));
    CHECK_LE(test_file_space(), one);
    pthread_join(thread, NULL);
    end();
}

static void *destroy_one(void *kind)
{
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
    return NULL;
}

/* Many threads destroy kinds: each waits for its turn. */
static void test_from_many_threads(void)
{
    enum { THREADS = 8 };
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        memkind_t kind = make_kind(true);
        memset(memkind_malloc(kind, MIB), 1, MIB);
        REQUIRE_EQ(pthread_create(&threads[i], NULL, destroy_one, kind), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    CHECK(space_is_given_back());
}

static const char *object_before_fork;

static bool is_mapped(const char *addr)
{
    unsigned char in_memory;
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return mincore((void *)((uintptr_t)addr & ~(page - 1)), page, &in_memory) ==
           0;
}

/* The child has nothing of it, whatever its parent's thread does. */
static int has_nothing_of_it(void)
{
    NEED(!is_mapped(object_before_fork));
    NEED(test_file_space() == 0);
    return 0;
}

static void test_fork(void)
{
    begin();
    memkind_t kind = make_kind(true);
    object_before_fork = fill(kind);
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
    wait_until_held_up();
    CHECK(is_mapped(object_before_fork));
    CHECK_EQ(child_run(has_nothing_of_it), 0);
    end();
    CHECK(!is_mapped(object_before_fork));
}

/* A kind that waits for its turn is nothing to a child either, and fork() does
 * not wait for it. */
static void test_fork_before_its_turn(void)
{
    pthread_t thread;
    const int patience = allocator_gate_patience;
    begin();
    memkind_t first = make_kind(true), second = make_kind(true);
    (void)fill(first);
    object_before_fork = fill(second);
    CHECK_EQ(memkind_destroy_kind(first), MEMKIND_SUCCESS);
    wait_until_held_up();
    REQUIRE_EQ(pthread_create(&thread, NULL, destroy_one, second), 0);
    for (int i = 0; i < 200; i++)
        pause_shortly();
    allocator_gate_patience = INT_MAX / 2;
    CHECK_EQ(child_run(has_nothing_of_it), 0);
    CHECK(atomic_load(&is_held_up));
    allocator_gate_patience = patience;
    atomic_store(&is_held_up, false);
    pthread_join(thread, NULL);
    end();
}

static memkind_t programs_heap;
static atomic_bool is_full; /* until a file is closed in the background */

static int fallocate_if_not_full(int fd, int mode, off_t offset, off_t size)
{
    if (mode == 0 && atomic_load(&is_full)) {
        errno = ENOSPC;
        return -1;
    }
    return real.fallocate(fd, mode, offset, size);
}

static int close_and_make_room(int fd)
{
    const int result = real.close(fd);
    if (!pthread_equal(pthread_self(), main_thread))
        atomic_store(&is_full, false);
    return result;
}

/* As the C library's does where malloc() is memkind_malloc(). */
static int thread_with_memory(pthread_t *thread,
                              const pthread_attr_t *attributes,
                              void *(*run)(void *), void *argument)
{
    memkind_free(programs_heap, memkind_malloc(programs_heap, MIB));
    return real.pthread_create(thread, attributes, run, argument);
}

static memkind_t make_kind_of_two(char dirs[2][PATH_MAX])
{
    memkind_t kind = NULL;
    struct memkind_config *config = memkind_config_new();
    REQUIRE_NOT_NULL(config);
    for (int i = 0; i < 2; i++) {
        snprintf(dirs[i], PATH_MAX, "%s/directoryXXXXXX", test_dir());
        REQUIRE_NOT_NULL(mkdtemp(dirs[i]));
    }
    memkind_config_set_path(config, dirs[0]);
    memkind_config_add_path(config, dirs[1]);
    memkind_config_set_background_destroy(config, true);
    REQUIRE_EQ(memkind_create_pmem_with_config(config, &kind), MEMKIND_SUCCESS);
    memkind_config_delete(config);
    return kind;
}

/* What gives the space back takes no memory, which may be what is lacking. */
static void test_its_threads_take_no_memory(void)
{
    char dirs[2][PATH_MAX];
    begin();
    atomic_store(&is_held_up, false);
    memkind_t kind = make_kind_of_two(dirs);
    for (int i = 0; i < 8; i++)
        memset(memkind_malloc(kind, 16 * MIB), 1, 16 * MIB);
    programs_heap = make_kind(false);
    sys.fallocate = fallocate_if_not_full;
    sys.close = close_and_make_room;
    sys.pthread_create = thread_with_memory;
    atomic_store(&is_full, true);
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
    CHECK_NOT_NULL(memkind_malloc(programs_heap, SIZE));
    CHECK(!atomic_load(&is_full));
    CHECK_EQ(memkind_destroy_kind(programs_heap), MEMKIND_SUCCESS);
    end();
    for (int i = 0; i < 2; i++)
        rmdir(dirs[i]);
}

static void *stuck;
static size_t stuck_size;

static int stuck_munmap(void *addr, size_t size)
{
    if (pthread_equal(pthread_self(), main_thread) || size < SIZE)
        return real.munmap(addr, size);
    stuck = addr;
    stuck_size = size;
    errno = ENOMEM;
    return -1;
}

static int full_ftruncate(int fd, off_t size)
{
    if (pthread_equal(pthread_self(), main_thread))
        return real.ftruncate(fd, size);
    errno = ENOSPC;
    return -1;
}

/* It does not wait for itself if it lacks space. */
static void test_emptying_takes_space(void)
{
    begin();
    atomic_store(&is_held_up, false);
    memkind_t kind = make_kind(true);
    (void)fill(kind);
    sys.munmap = stuck_munmap;
    sys.ftruncate = full_ftruncate;
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
    (void)late_space_wait();
    CHECK_NOT_NULL(stuck);
    real.munmap(stuck, stuck_size);
    end();
}

static int ends_at_once(void)
{
#ifdef __SANITIZE_THREAD__
    /* TSan ends children of a process with threads that make some. */
    sys.pthread_create = no_thread;
#endif
    NEED(memkind_destroy_kind(make_kind(true)) == MEMKIND_SUCCESS);
    return 0;
}

/* A process may end, and fork, while the thread is at work. */
static void test_ends_meanwhile(void)
{
    for (int i = 0; i < 20; i++) {
        memkind_t kind = make_kind(true);
        memset(memkind_malloc(kind, MIB), 1, MIB);
        CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
        CHECK_EQ(child_run(ends_at_once), 0);
    }
    CHECK(space_is_given_back());
}

static const struct test_case tests[] = {
    {"destroy returns before it is done", test_returns_before_it_is_done},
    {"without it, it is done at once", test_without_it_is_done_at_once},
    {"no thread", test_no_thread},
    {"a caller's file", test_callers_file},
    {"a full file system", test_full_file_system},
    {"one at a time", test_one_at_a_time},
    {"from many threads", test_from_many_threads},
    {"fork", test_fork},
    {"fork before its turn", test_fork_before_its_turn},
    {"its threads take no memory", test_its_threads_take_no_memory},
    {"emptying takes space", test_emptying_takes_space},
    {"the process ends meanwhile", test_ends_meanwhile},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("background destroy", tests, argc, argv);
}
