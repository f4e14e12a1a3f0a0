/* SPDX-License-Identifier: BSD-2-Clause */
/* What a program does wrong with pointers and kinds: refused, reported once,
 * and no harm to what is right. */
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "misuse_reports.h"
#include "test_kinds.h"

#define UNTOUCHED 4711

/* ---- pointers ---------------------------------------------------------- */

static void test_free_twice(void)
{
    memkind_t kind = make_watched_kind();
    for (int i = 0; i < OBJECT_SIZES; i++) {
        const memkind_misuse what = second_free(object_sizes[i]);
        void *object = memkind_malloc(kind, object_sizes[i]);
        void *other = memkind_malloc(kind, object_sizes[i]);
        memkind_free(kind, object);
        errno = UNTOUCHED;
        memkind_free(kind, object);
        CHECK_EQ(errno, UNTOUCHED);
        CHECK(was_reported(what, kind, object));
        memkind_free(NULL, object);
        CHECK(was_reported(what, kind, object));
        errno = 0;
        CHECK_NULL(memkind_realloc(kind, object, object_sizes[i] * 2));
        CHECK_EQ(errno, EINVAL);
        CHECK(was_reported(what, kind, object));
        CHECK_NULL(memkind_defrag_reallocate(kind, object));
        CHECK(was_reported(what, kind, object));
        memkind_free(kind, other);
        CHECK_EQ(count_reports(), 0);
        if (object_sizes[i] < 100000)
            CHECK(places_differ(kind, object_sizes[i]));
    }
    CHECK_EQ(kind_allocated(kind), 0);
    destroy_watched_kind(kind);
}

/* If nothing is kept, objects with pages of their own are gone at once. */
static void test_free_twice_of_a_conservative_kind(void)
{
    memkind_t kind = kind_make(.usage = MEMKIND_MEM_USAGE_POLICY_CONSERVATIVE);
    remember_reports();
    for (int i = 0; i < OBJECT_SIZES; i++) {
        void *object = memkind_malloc(kind, object_sizes[i]);
        memkind_free(kind, object);
        memkind_free(kind, object);
        CHECK_EQ(count_reports(), 1);
        forget_reports();
    }
    destroy_watched_kind(kind);
}

/* Everything of a class is freed, and then once more: what overflows the
 * magazine is compared with what is in it. */
static void test_free_all_twice(void)
{
    enum { COUNT = 48 };
    memkind_t kind = make_watched_kind();
    void *objects[COUNT];
    for (int i = 0; i < COUNT; i++)
        objects[i] = memkind_malloc(kind, 200);
    /* each twice in a row, with another one in between */
    for (int i = 0; i < COUNT; i += 2) {
        memkind_free(kind, objects[i]);
        memkind_free(kind, objects[i + 1]);
        memkind_free(kind, objects[i]);
    }
    /* What is in a magazine twice is found when it is emptied. */
    CHECK_EQ(memkind_purge_kind(kind), MEMKIND_SUCCESS);
    CHECK_GT(count_reports(), 0);
    CHECK_EQ(count_reports(), report_counts[MEMKIND_MISUSE_DOUBLE_FREE]);
    forget_reports();
    CHECK(places_differ(kind, 200));
    CHECK_EQ(kind_allocated(kind), 0);
    destroy_watched_kind(kind);
}

static void test_free_of_interior_pointers(void)
{
    memkind_t kind = make_watched_kind();
    for (int i = 0; i < OBJECT_SIZES; i++) {
        char *object = memkind_malloc(kind, object_sizes[i]);
        const size_t inside[] = {1, 8, object_sizes[i] / 2 | 1,
                                 object_sizes[i] - 1};
        for (int j = 0; j < 4; j++) {
            char *ptr = object + inside[j];
            if (inside[j] == 0 || inside[j] >= object_sizes[i])
                continue;
            errno = UNTOUCHED;
            memkind_free(kind, ptr);
            CHECK_EQ(errno, UNTOUCHED);
            CHECK(was_reported(MEMKIND_MISUSE_NO_OBJECT, kind, ptr));
            CHECK_NULL(memkind_realloc(NULL, ptr, 10));
            CHECK(was_reported(MEMKIND_MISUSE_NO_OBJECT, kind, ptr));
            CHECK_NULL(memkind_defrag_reallocate(kind, ptr));
            CHECK(was_reported(MEMKIND_MISUSE_NO_OBJECT, kind, ptr));
            /* Asking is no misuse. */
            CHECK_EQ(memkind_malloc_usable_size(kind, ptr), 0);
        }
        memkind_free(kind, object);
    }
    CHECK_EQ(kind_allocated(kind), 0);
    destroy_watched_kind(kind);
}

/* How many addresses behind an object's start are taken for objects. */
static unsigned count_starts_inside(memkind_t kind, char *object, size_t size)
{
    unsigned count = 0;
    for (size_t at = 8; at < size; at += 8)
        count += memkind_malloc_usable_size(kind, object + at) != 0;
    return count;
}

/* What was known of the pages' objects before says nothing any more. */
static void test_interior_pointers_in_pages_used_before(void)
{
    enum { BEFORE = 4000, AFTER = 20 };
    static const size_t before[] = {48, 96, 128, 640, 896, 1280, 3584};
    static const size_t after[] = {80,   640,  3072,  5120,  6144,
                                   7168, 8192, 10240, 12288, 14336};
    static void *objects[BEFORE];
    unsigned starts = 0;
    memkind_t kind = make_watched_kind();
    for (size_t i = 0; i < sizeof before / sizeof before[0]; i++)
        for (size_t j = 0; j < sizeof after / sizeof after[0]; j++) {
            for (int n = 0; n < BEFORE; n++)
                objects[n] = memkind_malloc(kind, before[i]);
            for (int n = 0; n < BEFORE; n++)
                memkind_free(kind, objects[n]);
            CHECK_EQ(memkind_purge_kind(kind), MEMKIND_SUCCESS);
            for (int n = 0; n < AFTER; n++) {
                REQUIRE_NOT_NULL(objects[n] = memkind_malloc(kind, after[j]));
                starts += count_starts_inside(kind, objects[n], after[j]);
            }
            for (int n = 0; n < AFTER; n++)
                memkind_free(kind, objects[n]);
            CHECK_EQ(memkind_purge_kind(kind), MEMKIND_SUCCESS);
        }
    CHECK_EQ(starts, 0);
    CHECK_EQ(count_reports(), 0);
    CHECK_EQ(kind_allocated(kind), 0);
    destroy_watched_kind(kind);
}

static void test_free_of_foreign_pointers(void)
{
    static int data;
    int local;
    memkind_t kind = make_watched_kind();
    char *heap = malloc(100);
    char *unmapped =
        mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(unmapped, 4096);
    const struct {
        void *ptr;
    } foreign[] = {
        {&data},
        {&local},
        {heap},
        {(void *)"text"},
        {(void *)(intptr_t)8},
        {unmapped},
        {(void *)-16},
    };
    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++) {
        void *ptr = foreign[i].ptr;
        memkind_free(kind, ptr);
        CHECK(was_reported(MEMKIND_MISUSE_FOREIGN, kind, ptr));
        memkind_free(NULL, ptr);
        CHECK(was_reported(MEMKIND_MISUSE_FOREIGN, NULL, ptr));
        errno = 0;
        CHECK_NULL(memkind_realloc(kind, ptr, 100));
        CHECK_EQ(errno, EINVAL);
        CHECK(was_reported(MEMKIND_MISUSE_FOREIGN, kind, ptr));
        CHECK_NULL(memkind_defrag_reallocate(NULL, ptr));
        CHECK(was_reported(MEMKIND_MISUSE_FOREIGN, NULL, ptr));
        CHECK_EQ(memkind_malloc_usable_size(kind, ptr), 0);
        CHECK_NULL(memkind_detect_kind(ptr));
        CHECK_EQ(count_reports(), 0);
    }
    free(heap);
    destroy_watched_kind(kind);
}

static void test_wrong_kind(void)
{
    memkind_t kind = make_watched_kind(), other = make_watched_kind();
    for (int i = 0; i < OBJECT_SIZES; i++) {
        unsigned char *object = memkind_malloc(kind, object_sizes[i]);
        test_fill(object, object_sizes[i], 3);
        object = memkind_realloc(other, object, object_sizes[i] + 1);
        CHECK_EQ(report_counts[MEMKIND_MISUSE_WRONG_KIND], 1);
        forget_reports();
        CHECK(test_check(object, object_sizes[i], 3));
        CHECK_EQ(memkind_detect_kind(object), kind);
        memkind_t wrong[] = {other, MEMKIND_DEFAULT, MEMKIND_HBW};
        memkind_free(wrong[i % 3], object);
        CHECK(was_reported(MEMKIND_MISUSE_WRONG_KIND, wrong[i % 3], object));
        CHECK_EQ(kind_allocated(kind), 0);
    }
    CHECK_EQ(memkind_destroy_kind(other), MEMKIND_SUCCESS);
    destroy_watched_kind(kind);
}

/* ---- kinds ------------------------------------------------------------- */

static void test_a_destroyed_kind(void)
{
    size_t value = 0;
    void *object = &object;
    memkind_t kind = make_watched_kind(), live = make_watched_kind();
    char *left = memkind_malloc(kind, 100);
    void *of_live = memkind_malloc(live, 100);
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
    CHECK_EQ(count_reports(), 0);

    errno = 0;
    CHECK_NULL(memkind_malloc(kind, 100));
    CHECK_EQ(errno, EINVAL);
    CHECK(was_reported(MEMKIND_MISUSE_DEAD_KIND, kind, NULL));
    CHECK_NULL(memkind_calloc(kind, 10, 10));
    CHECK(was_reported(MEMKIND_MISUSE_DEAD_KIND, kind, NULL));
    CHECK_EQ(memkind_posix_memalign(kind, &object, 64, 64), EINVAL);
    CHECK_NULL(object);
    CHECK(was_reported(MEMKIND_MISUSE_DEAD_KIND, kind, NULL));
    CHECK_NULL(memkind_realloc(kind, left, 200));
    CHECK(was_reported(MEMKIND_MISUSE_DEAD_KIND, kind, left));
    CHECK_NULL(memkind_defrag_reallocate(kind, left));
    CHECK(was_reported(MEMKIND_MISUSE_DEAD_KIND, kind, left));
    memkind_free(kind, left);
    CHECK(was_reported(MEMKIND_MISUSE_DEAD_KIND, kind, left));
    memkind_free(NULL, left);
    CHECK(was_reported(MEMKIND_MISUSE_FOREIGN, NULL, left));
    memkind_free(live, left);
    CHECK(was_reported(MEMKIND_MISUSE_FOREIGN, live, left));
    CHECK_EQ(memkind_purge_kind(kind), MEMKIND_ERROR_INVALID);
    CHECK(was_reported(MEMKIND_MISUSE_DEAD_KIND, kind, NULL));
    CHECK_EQ(memkind_get_stat(kind, MEMKIND_STAT_TYPE_ALLOCATED, &value),
             MEMKIND_ERROR_INVALID);
    CHECK(was_reported(MEMKIND_MISUSE_DEAD_KIND, kind, NULL));
    CHECK_EQ(memkind_get_stat(kind, MEMKIND_STAT_TYPE_ALLOCATED, NULL),
             MEMKIND_ERROR_INVALID);
    CHECK(was_reported(MEMKIND_MISUSE_DEAD_KIND, kind, NULL));
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_ERROR_OPERATION_FAILED);
    CHECK(was_reported(MEMKIND_MISUSE_DEAD_KIND, kind, NULL));
    /* Asking is no misuse, nor is freeing nothing. */
    CHECK_EQ(memkind_check_available(kind), MEMKIND_ERROR_INVALID);
    CHECK_EQ(memkind_get_capacity(kind), -1);
    CHECK_EQ(memkind_malloc_usable_size(kind, left), 0);
    memkind_free(kind, NULL);
    CHECK_EQ(count_reports(), 0);
    /* An object of a kind that is there still goes back to it. */
    memkind_free(kind, of_live);
    CHECK(was_reported(MEMKIND_MISUSE_DEAD_KIND, kind, of_live));
    CHECK_EQ(kind_allocated(live), 0);
    destroy_watched_kind(live);
}

/* A handle is not used for the next kind at once. */
static void test_a_handle_is_not_reused_soon(void)
{
    memkind_t kind = make_watched_kind();
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
    for (int i = 0; i < 20; i++) {
        memkind_t next = make_watched_kind();
        CHECK_NE(next, kind);
        CHECK_NULL(memkind_malloc(kind, 10));
        CHECK(was_reported(MEMKIND_MISUSE_DEAD_KIND, kind, NULL));
        destroy_watched_kind(next);
    }
}

static void test_kinds_that_cannot_be_destroyed(void)
{
    int no_kind[64] = {0};
    memkind_t kind = make_watched_kind();
    memkind_t wrong = (memkind_t)(void *)no_kind;
    CHECK_EQ(memkind_destroy_kind(wrong), MEMKIND_ERROR_OPERATION_FAILED);
    CHECK(was_reported(MEMKIND_MISUSE_DEAD_KIND, wrong, NULL));
    CHECK_EQ(memkind_destroy_kind(NULL), MEMKIND_ERROR_INVALID);
    /* To destroy a static kind is no misuse: the call does nothing. */
    memkind_t fixed[] = {MEMKIND_DEFAULT, MEMKIND_REGULAR, MEMKIND_HBW};
    for (int i = 0; i < 3; i++)
        CHECK_EQ(memkind_destroy_kind(fixed[i]), MEMKIND_SUCCESS);
    CHECK_EQ(count_reports(), 0);
    void *object = memkind_malloc(MEMKIND_DEFAULT, 10);
    CHECK_NOT_NULL(object);
    memkind_free(NULL, object);
    destroy_watched_kind(kind);
}

/* A thread has used the kind, and goes on after it is gone. */
struct late_user {
    memkind_t kind;
    void *object;
    pthread_barrier_t barrier;
    bool refused;
};

static void *use_too_late(void *argument)
{
    struct late_user *user = argument;
    for (int i = 0; i < 100; i++)
        memkind_free(user->kind, memkind_malloc(user->kind, 100));
    user->object = memkind_malloc(user->kind, 100);
    pthread_barrier_wait(&user->barrier);
    pthread_barrier_wait(&user->barrier);
    user->refused = memkind_malloc(user->kind, 100) == NULL;
    memkind_free(user->kind, user->object);
    memkind_free(NULL, user->object);
    return NULL;
}

static void test_destroyed_behind_a_threads_back(void)
{
    pthread_t thread;
    struct late_user user = {.kind = make_watched_kind()};
    pthread_barrier_init(&user.barrier, NULL, 2);
    REQUIRE_EQ(pthread_create(&thread, NULL, use_too_late, &user), 0);
    pthread_barrier_wait(&user.barrier);
    CHECK_EQ(memkind_destroy_kind(user.kind), MEMKIND_SUCCESS);
    pthread_barrier_wait(&user.barrier);
    pthread_join(thread, NULL);
    CHECK(user.refused);
    CHECK_EQ(report_counts[MEMKIND_MISUSE_DEAD_KIND], 2);
    CHECK_EQ(report_counts[MEMKIND_MISUSE_FOREIGN], 1);
    CHECK_EQ(count_reports(), 3);
    pthread_barrier_destroy(&user.barrier);
    memkind_set_misuse_handler(NULL, NULL);
}

static const struct test_case tests[] = {
    {"free twice", test_free_twice},
    {"free twice of a conservative kind",
     test_free_twice_of_a_conservative_kind},
    {"free all twice", test_free_all_twice},
    {"free of interior pointers", test_free_of_interior_pointers},
    {"interior pointers in pages used before",
     test_interior_pointers_in_pages_used_before},
    {"free of foreign pointers", test_free_of_foreign_pointers},
    {"wrong kind", test_wrong_kind},
    {"a destroyed kind", test_a_destroyed_kind},
    {"a handle is not reused soon", test_a_handle_is_not_reused_soon},
    {"kinds that cannot be destroyed", test_kinds_that_cannot_be_destroyed},
    {"destroyed behind a thread's back", test_destroyed_behind_a_threads_back},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("misuse", tests, argc, argv);
}
