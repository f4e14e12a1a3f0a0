/* SPDX-License-Identifier: BSD-2-Clause */
/* Kinds are in use to the last: by destructors of threads, by functions of
 * atexit(3), and by the last destructors of the program. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "misuse_reports.h"
#include "test_child.h"
#include "test_kinds.h"

/* ---- the ends of threads and of the process ---------------------------- */

static void *kept;
static pthread_key_t early_key, late_key;
static memkind_t ending_kind;
static int destructors;

static void use_in_destructor(void *argument)
{
    /* Some destructors run after the library's own: freeing always works. */
    memkind_free(ending_kind, argument);
    void *object = memkind_malloc(ending_kind, 3000);
    if (object != NULL)
        memset(object, 1, 3000);
    memkind_free(ending_kind, object);
    destructors++;
}

static void *end_with_objects(void *unused)
{
    pthread_setspecific(early_key, memkind_malloc(ending_kind, 100));
    pthread_setspecific(late_key, memkind_malloc(ending_kind, 100000));
    return unused;
}

static void test_thread_exit_destructors(void)
{
    ending_kind = make_watched_kind();
    REQUIRE_EQ(pthread_key_create(&early_key, use_in_destructor), 0);
    REQUIRE_EQ(pthread_key_create(&late_key, use_in_destructor), 0);
    for (int i = 0; i < 20; i++) {
        pthread_t thread;
        REQUIRE_EQ(pthread_create(&thread, NULL, end_with_objects, NULL), 0);
        pthread_join(thread, NULL);
    }
    pthread_key_delete(early_key);
    pthread_key_delete(late_key);
    CHECK_EQ(destructors, 40);
    CHECK_EQ(kind_allocated(ending_kind), 0);
    destroy_watched_kind(ending_kind);
}

static bool still_works(void)
{
    unsigned char *object = memkind_malloc(ending_kind, 70000);
    bool fine = object != NULL && test_check(kept, 1000, 8);
    if (object != NULL)
        test_fill(object, 70000, 1);
    object = memkind_realloc(ending_kind, object, 300);
    fine &= object != NULL && test_check(object, 300, 1);
    memkind_free(ending_kind, object);
    return fine;
}

static void use_at_exit(void)
{
    if (!still_works())
        _exit(1);
}

/* The library's own destructors, if it had any, would have run before those of
 * the program that uses it. */
__attribute__((destructor)) static void use_in_last_destructor(void)
{
    if (kept == NULL)
        return;
    if (!still_works() || memkind_destroy_kind(ending_kind) != MEMKIND_SUCCESS)
        _exit(2);
    _exit(42);
}

static int leave_main_in_use(const char *dir)
{
    if (memkind_create_pmem(dir, 0, &ending_kind) != MEMKIND_SUCCESS)
        return 3;
    kept = memkind_malloc(ending_kind, 1000);
    if (kept == NULL || atexit(use_at_exit) != 0)
        return 4;
    test_fill(kept, 1000, 8);
    return 5; /* a destructor decides about the exit status */
}

static void test_after_main(void)
{
    pid_t child = fork();
    if (child == 0) {
        execl("/proc/self/exe", "exit", "--leave", test_dir(), (char *)NULL);
        _exit(99);
    }
    CHECK_EQ(child_wait(child), 42);
}

static const struct test_case tests[] = {
    {"thread-exit destructors", test_thread_exit_destructors},
    {"after main", test_after_main},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--leave") == 0)
        return leave_main_in_use(argv[2]);
    return test_main("exit", tests, argc, argv);
}
