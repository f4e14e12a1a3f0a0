/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * No call is a cancellation point: a thread whose cancellation is pending comes
 * back from each, whatever system calls it has to make, and is cancelled only
 * where the program says so.
 */
#include <memkind.h>
#include <memkind/internal/memkind_pmem.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test_child.h"
#include "test_support.h"

static memkind_t kind;
static void *object;
static const char *directory;

static void take_space(void)
{
    void *big = memkind_malloc(kind, 20 * MIB);
    void *cleared = memkind_calloc(kind, 3, 5 * MIB);
    big = memkind_realloc(kind, big, 40 * MIB);
    memkind_free(kind, big);
    memkind_free(kind, cleared);
}

static void give_space(void)
{
    memkind_free(kind, memkind_malloc(kind, 8 * MIB));
    (void)memkind_purge_kind(kind);
}

static void fill_up(void)
{
    memkind_t small;
    void *ptr;
    if (memkind_create_pmem(directory, 16 * MIB, &small) != MEMKIND_SUCCESS)
        return;
    while ((ptr = memkind_malloc(small, 100000)) != NULL)
        memset(ptr, 1, 1);
    (void)memkind_destroy_kind(small);
}

static void make_and_destroy(void)
{
    memkind_t other = NULL;
    struct memkind_config *config = memkind_config_new();
    memkind_config_set_path(config, directory);
    memkind_config_set_size(config, 32 * MIB);
    if (memkind_create_pmem_with_config(config, &other) == MEMKIND_SUCCESS)
        (void)memkind_destroy_kind(other);
    memkind_config_delete(config);
    (void)memkind_create_pmem("/nonexistent", 0, &other);
    if (memkind_create_kind(MEMKIND_MEMTYPE_DEFAULT,
                            MEMKIND_POLICY_PREFERRED_LOCAL, 0,
                            &other) == MEMKIND_SUCCESS)
        (void)memkind_destroy_kind(other);
    static char area[4 << 20];
    if (memkind_create_fixed(area, sizeof area, &other) == MEMKIND_SUCCESS)
        (void)memkind_destroy_kind(other);
}

static void ignore_text(void *unused, const char *text)
{
    (void)unused, (void)text;
    /* Even a cancellation point in here is none. */
    pthread_testcancel();
}

static void ask(void)
{
    size_t value;
    char text[100];
    (void)memkind_check_dax_path(directory);
    (void)memkind_get_capacity(kind);
    (void)memkind_update_cached_stats();
    (void)memkind_get_stat(kind, MEMKIND_STAT_TYPE_ALLOCATED, &value);
    (void)memkind_get_stat(NULL, MEMKIND_STAT_TYPE_RESIDENT, &value);
    (void)memkind_stats_print(ignore_text, NULL, MEMKIND_STAT_PRINT_ALL);
    (void)memkind_detect_kind(object);
    (void)memkind_malloc_usable_size(kind, object);
    (void)memkind_check_available(MEMKIND_HBW);
    memkind_error_message(MEMKIND_ERROR_INVALID, text, sizeof text);
    (void)memkind_pmem_persist(kind, object, 1000);
    (void)memkind_pmem_is_pmem(kind);
    (void)memkind_defrag_reallocate(kind, NULL);
}

static void map(void)
{
    (void)memkind_pmem_mmap(kind, NULL, 3 * MIB);
}

static void misuse(void)
{
    int own;
    memkind_free(kind, &own);
    memkind_free(kind, (char *)object + 8);
}

static void on_misuse(memkind_misuse what, memkind_t where, const void *ptr,
                      void *arg)
{
    (void)what, (void)where, (void)ptr, (void)arg;
    pthread_testcancel();
}

static void background(void)
{
    (void)memkind_set_bg_threads(true);
    (void)memkind_set_bg_threads(false);
}

static void make_child(void)
{
    pid_t child = fork();
    if (child == 0)
        _exit(memkind_malloc(kind, 1000) == NULL);
    /* (waitpid() is a cancellation point.) */
}

struct call {
    const char *name;
    void (*make)(void);
    bool came_back;
};

static void *make_call(void *arg)
{
    struct call *call = arg;
    pthread_cancel(pthread_self()); /* deferred: it is pending */
    call->make();
    call->came_back = true;
    pthread_testcancel();
    return NULL;
}

/* Whether the thread came back, and was cancelled then. */
static bool try(struct call *call)
{
    pthread_t thread;
    void *result = NULL;
    REQUIRE_EQ(pthread_create(&thread, NULL, make_call, call), 0);
    CHECK_EQ(pthread_join(thread, &result), 0);
    return call->came_back && result == PTHREAD_CANCELED;
}

static void test_no_call_is_a_cancellation_point(void)
{
    struct call calls[] = {
        {"taking space", take_space, false},
        {"giving space", give_space, false},
        {"filling up", fill_up, false},
        {"making and destroying", make_and_destroy, false},
        {"asking", ask, false},
        {"mapping", map, false},
        {"misuse", misuse, false},
        {"background threads", background, false},
        {"a fork", make_child, false},
    };
    directory = test_dir();
    memkind_set_misuse_handler(on_misuse, NULL);
    REQUIRE_EQ(memkind_create_pmem(test_dir(), 0, &kind), MEMKIND_SUCCESS);
    object = memkind_malloc(kind, 1000);
    memset(object, 1, 1000);
    for (int round = 0; round < 3; round++)
        for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
            bool good = try(&calls[i]);
            if (!good)
                printf("cancelled while %s\n", calls[i].name);
            CHECK(good);
        }
    while (waitpid(-1, NULL, 0) > 0)
        ;
    /* No lock is held any more. */
    take_space();
    give_space();
    pid_t child = fork();
    if (child == 0)
        _exit(memkind_malloc(kind, 20 * MIB) == NULL);
    CHECK_EQ(child_wait(child), 0);
    memkind_set_misuse_handler(NULL, NULL);
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
}

/* Cancelled at any time, as a program would do it. */
static void *work(void *unused)
{
    unsigned long long seed = (unsigned long long)(uintptr_t)&unused | 1;
    for (;;) {
        void *ptr = memkind_malloc(kind, 1 + test_random(&seed) % (4 * MIB));
        memkind_free(kind, ptr);
        if (test_random(&seed) % 4 == 0)
            (void)memkind_purge_kind(kind);
        pthread_testcancel();
    }
    return NULL;
}

static void test_cancelled_threads_leave_a_whole_heap(void)
{
    REQUIRE_EQ(memkind_create_pmem(test_dir(), 64 * MIB, &kind),
               MEMKIND_SUCCESS);
    for (int i = 0; i < 100; i++) {
        pthread_t thread;
        REQUIRE_EQ(pthread_create(&thread, NULL, work, NULL), 0);
        usleep((useconds_t)(i * 37 % 1000));
        pthread_cancel(thread);
        pthread_join(thread, NULL);
    }
    void *big = memkind_malloc(kind, test_fitting(32 * MIB));
    CHECK_NOT_NULL(big);
    memkind_free(kind, big);
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
}

static const struct test_case tests[] = {
    {"no call is a cancellation point", test_no_call_is_a_cancellation_point},
    {"cancelled threads leave a whole heap",
     test_cancelled_threads_leave_a_whole_heap},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("cancel", tests, argc, argv);
}
