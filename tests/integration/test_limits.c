/* SPDX-License-Identifier: BSD-2-Clause */
/* How much file space a kind takes, how much of it objects get, and when it
 * is given back. */
#include <errno.h>
#include <memkind.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test_kinds.h"

#define LIMIT (64 * MIB)

/* What a file system may take for itself, for a file of many pieces: nothing in
 * memory. */
static size_t own_blocks(void)
{
    return test_space_unit() > MIB ? 64 * KIB : 0;
}

/* ---- lists of objects -------------------------------------------------- */

/* Each object holds the next one's address. */
struct object {
    struct object *next;
};

static size_t add_object(memkind_t kind, struct object **list, size_t size)
{
    struct object *object = memkind_malloc(kind, size);
    if (object == NULL)
        return 0;
    size_t usable = memkind_malloc_usable_size(kind, object);
    /* Each page is touched: none of them may be without file space. */
    for (size_t at = 0; at < usable; at += 4096)
        ((char *)object)[at] = 1;
    object->next = *list;
    *list = object;
    return usable;
}

static void free_objects(memkind_t kind, struct object **list)
{
    while (*list != NULL) {
        struct object *next = (*list)->next;
        memkind_free(kind, *list);
        *list = next;
    }
}

/* ---- the limit --------------------------------------------------------- */

static void test_the_limit_holds(void)
{
    static const size_t sizes[] = {8, 100, 3000, 4096, 20000, 200 * KIB, MIB};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        memkind_t kind = kind_make(.limit = MEMKIND_PMEM_MIN_SIZE);
        struct object *list = NULL;
        size_t total = 0, looked_at = 0;
        errno = 0;
        for (size_t usable;
             (usable = add_object(kind, &list, sizes[i])) != 0;) {
            total += usable;
            if (total - looked_at < 256 * KIB)
                continue;
            looked_at = total;
            CHECK_LE(test_file_space(), MEMKIND_PMEM_MIN_SIZE + 64 * KIB);
        }
        CHECK_EQ(errno, ENOMEM);
        CHECK_LE(total, MEMKIND_PMEM_MIN_SIZE);
        CHECK_GE(total, test_least_filled(MEMKIND_PMEM_MIN_SIZE, sizes[i]));
        CHECK_GE(test_file_space(), total);
        CHECK_LE(test_file_space(), MEMKIND_PMEM_MIN_SIZE + 64 * KIB);
        size_t resident = kind_stat(kind, MEMKIND_STAT_TYPE_RESIDENT);
        CHECK_LE(resident, MEMKIND_PMEM_MIN_SIZE);
        /* Some file systems count their own tables of the file as well. */
        CHECK_LE(resident, test_file_space());
        CHECK_GE(resident + 64 * KIB, test_file_space());

        /* No more, in whatever way one asks. */
        void *object = NULL;
        errno = 0;
        CHECK_NULL(memkind_calloc(kind, 4, MIB));
        CHECK_EQ(errno, ENOMEM);
        errno = 0;
        CHECK_NULL(memkind_realloc(kind, NULL, 4 * MIB));
        CHECK_EQ(errno, ENOMEM);
        CHECK_EQ(memkind_posix_memalign(kind, &object, 4096, 4 * MIB), ENOMEM);
        errno = 0;
        CHECK_NULL(memkind_realloc(kind, list, 4 * MIB));
        CHECK_EQ(errno, ENOMEM);
        free_objects(kind, &list);
        CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
        CHECK_EQ(test_file_space(), 0);
    }
}

static void test_the_largest_object(void)
{
    memkind_t kind = kind_make(.limit = MEMKIND_PMEM_MIN_SIZE);
    const size_t largest = test_fitting(MEMKIND_PMEM_MIN_SIZE);
    for (int i = 0; i < 5; i++) {
        char *object = memkind_malloc(kind, largest);
        REQUIRE_NOT_NULL(object);
        memset(object, 1, largest);
        CHECK_NULL(memkind_malloc(kind, 4096));
        CHECK_NULL(memkind_malloc(kind, 8));
        memkind_free(kind, object);
        CHECK_NULL(memkind_malloc(kind, largest + 1));
        object = memkind_malloc(kind, 8);
        CHECK_NOT_NULL(object);
        memkind_free(kind, object);
    }
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
}

/* Two kinds in one directory have a limit each. */
static void test_limits_are_separate(void)
{
    memkind_t one = kind_make(.limit = MEMKIND_PMEM_MIN_SIZE);
    memkind_t other = kind_make(.limit = MEMKIND_PMEM_MIN_SIZE);
    struct object *in_one = NULL, *in_other = NULL;
    const size_t size = test_fitting(MIB);
    while (add_object(one, &in_one, size) != 0)
        ;
    size_t total = 0;
    for (size_t usable; (usable = add_object(other, &in_other, size)) != 0;)
        total += usable;
    CHECK_EQ(total, MEMKIND_PMEM_MIN_SIZE / MIB * size);
    free_objects(one, &in_one);
    free_objects(other, &in_other);
    CHECK_EQ(memkind_destroy_kind(one), MEMKIND_SUCCESS);
    CHECK_EQ(memkind_destroy_kind(other), MEMKIND_SUCCESS);
}

/* ---- filled, emptied, and filled again --------------------------------- */

#define FILLERS 4
#define FILLINGS 2

static struct filling {
    memkind_t kind;
    size_t least, most; /* sizes of objects */
    pthread_barrier_t barrier;
} filling;

struct filler {
    pthread_t thread;
    unsigned long long random;
    size_t total[FILLINGS];
    bool enomem;
};

static void *fill_and_empty(void *context)
{
    struct filler *self = context;
    self->enomem = true;
    for (int i = 0; i < FILLINGS; i++) {
        struct object *list = NULL;
        size_t span = filling.most - filling.least + 1;
        size_t usable;
        errno = 0;
        while ((usable = add_object(filling.kind, &list,
                                    filling.least + test_random(&self->random) %
                                                        span)) != 0)
            self->total[i] += usable;
        self->enomem = self->enomem && errno == ENOMEM;
        pthread_barrier_wait(&filling.barrier);
        free_objects(filling.kind, &list);
        pthread_barrier_wait(&filling.barrier);
    }
    return NULL;
}

static void fill_twice(size_t least, size_t most)
{
    struct filler fillers[FILLERS];
    memset(fillers, 0, sizeof fillers);
    filling.kind = kind_make(.limit = LIMIT);
    filling.least = least;
    filling.most = most;
    pthread_barrier_init(&filling.barrier, NULL, FILLERS);
    for (unsigned i = 0; i < FILLERS; i++) {
        fillers[i].random = 77 + i;
        REQUIRE_EQ(pthread_create(&fillers[i].thread, NULL, fill_and_empty,
                                  &fillers[i]),
                   0);
    }
    size_t total[FILLINGS] = {0};
    for (unsigned i = 0; i < FILLERS; i++) {
        pthread_join(fillers[i].thread, NULL);
        CHECK(fillers[i].enomem);
        for (int j = 0; j < FILLINGS; j++)
            total[j] += fillers[i].total[j];
    }
    pthread_barrier_destroy(&filling.barrier);
    printf("[%zu..%zu B: %.1f %%, %.1f %%] ", least, most,
           100. * (double)total[0] / (double)LIMIT,
           100. * (double)total[1] / (double)LIMIT);
    for (int j = 0; j < FILLINGS; j++) {
        CHECK_GE(total[j], test_least_filled(LIMIT, (least + most) / 2));
        CHECK_LE(total[j], LIMIT);
    }
    char *half = memkind_malloc(filling.kind, LIMIT / 2);
    CHECK_NOT_NULL(half);
    if (half != NULL)
        memset(half, 1, LIMIT / 2);
    CHECK_LE(test_file_space(), LIMIT + own_blocks());
    memkind_free(filling.kind, half);
    CHECK_EQ(memkind_destroy_kind(filling.kind), MEMKIND_SUCCESS);
    CHECK_EQ(test_file_space(), 0);
}

static void test_refill_64_bytes(void)
{
    fill_twice(64, 64);
}

static void test_refill_mixed(void)
{
    fill_twice(16, 8000);
}

static void test_refill_pages(void)
{
    fill_twice(4096, 4096);
}

static void test_refill_64_kib(void)
{
    fill_twice(64 * KIB, 64 * KIB);
}

static void test_refill_mib(void)
{
    fill_twice(MIB, MIB);
}

static void store_to_all(char *const *pages, size_t count, size_t last)
{
    for (size_t i = 0; i < count; i++)
        if (pages[i] != NULL)
            pages[i][last] = 77;
}

/* On DAX, a store may reach over 2 MiB: it finds holes that it must not fill.
 * A child that shares the files is not told of holes. */
static void store_beside_holes(bool by_child)
{
    enum { COUNT = 14336 }; /* pages; the rest is for what jemalloc keeps */
    static char *pages[COUNT];
    const size_t size = test_fitting(4096), last = size - 1;
    int begin[2];
    char byte = 0;
    memkind_t kind = kind_make(.limit = LIMIT, .fork = MEMKIND_FORK_SHARED);
    REQUIRE_EQ(pipe(begin), 0);
    for (size_t i = 0; i < COUNT; i++) {
        pages[i] = memkind_malloc(kind, size);
        REQUIRE_NOT_NULL(pages[i]);
        test_fill(pages[i], last, (unsigned)i);
    }
    for (size_t i = 0; i < COUNT; i++)
        if ((uintptr_t)pages[i] % (2 * MIB) < MIB) {
            memkind_free(kind, pages[i]);
            pages[i] = NULL;
        }
    if (test_is_hardened()) /* freed objects wait */
        CHECK_EQ(memkind_purge_kind(kind), MEMKIND_SUCCESS);
    const pid_t child = by_child ? fork() : 0;
    REQUIRE_NE(child, -1);
    if (by_child && child == 0) {
        if (read(begin[0], &byte, 1) != 1)
            _exit(1);
        store_to_all(pages, COUNT, last);
        _exit(0);
    }
    /* This takes the place of what was freed. */
    char *third = memkind_malloc(kind, LIMIT / 3);
    CHECK_NOT_NULL(third);
    if (by_child) {
        int status = -1;
        CHECK_EQ(write(begin[1], &byte, 1), 1);
        CHECK_EQ(waitpid(child, &status, 0), child);
        CHECK_EQ(status, 0);
    } else { /* stores come before reads */
        store_to_all(pages, COUNT, last);
    }
    close(begin[0]);
    close(begin[1]);
    if (third != NULL)
        memset(third, 1, LIMIT / 3);
    CHECK_LE(test_file_space(), LIMIT + own_blocks());
    for (size_t i = 0; i < COUNT; i++)
        if (pages[i] != NULL) {
            CHECK(test_check(pages[i], last, (unsigned)i));
            CHECK_EQ(pages[i][last], 77);
        }
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
    CHECK_EQ(test_file_space(), 0);
}

static void test_stores_beside_holes(void)
{
    store_beside_holes(false);
}

static void test_childs_stores_beside_holes(void)
{
    store_beside_holes(true);
}

/* A kind changes over from one size to the next, with nothing else left. */
static void test_one_size_after_the_other(void)
{
    static const size_t sizes[] = {16,        3 * MIB, 64,       4096,   300,
                                   100 * KIB, 8,       20 * KIB, 9 * MIB};
    /* Many objects, which take long under sanitizers. */
    const size_t limit = LIMIT / 2;
    memkind_t kind = kind_make(.limit = limit);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct object *list = NULL;
        size_t total = 0;
        for (size_t usable; (usable = add_object(kind, &list, sizes[i])) != 0;)
            total += usable;
        if (total < test_least_filled(limit, sizes[i]) / 9 * 8)
            printf("\n%zu B: %zu KiB\n", sizes[i], total / KIB);
        CHECK_GE(total, test_least_filled(limit, sizes[i]) / 9 * 8);
        free_objects(kind, &list);
    }
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
}

/* ---- space that goes back ---------------------------------------------- */

static void test_conservative_kinds_give_back_at_once(void)
{
    memkind_t kind = kind_make(.limit = LIMIT,
                               .usage = MEMKIND_MEM_USAGE_POLICY_CONSERVATIVE);
    for (size_t size = 32 * KIB; size <= 16 * MIB; size *= 4) {
        struct object *list = NULL;
        size_t total = 0;
        while (total < 32 * MIB)
            total += add_object(kind, &list, size);
        CHECK_GE(test_file_space(), total);
        free_objects(kind, &list);
        /* What this thread has cached, the snapshot gives back. */
        CHECK_EQ(memkind_update_cached_stats(), MEMKIND_SUCCESS);
        CHECK_LE(test_file_space(), 128 * KIB);
    }
    struct object *list = NULL;
    for (int i = 0; i < 100000; i++)
        CHECK_NE(add_object(kind, &list, 100), 0);
    CHECK_GT(test_file_space(), 10 * MIB);
    free_objects(kind, &list);
    CHECK_EQ(memkind_update_cached_stats(), MEMKIND_SUCCESS);
    CHECK_LE(test_file_space(), 128 * KIB);
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
}

/* The other policy keeps it for a while, for the next objects: for seconds, so
 * that one attempt on a machine that stops meanwhile says nothing. */
static void test_other_kinds_keep_it_for_a_while(void)
{
    enum { ATTEMPTS = 20 };
    memkind_t kind = kind_make(.limit = LIMIT);
    size_t kept = 0;
    for (int i = 0; kept < 16 * MIB && i < ATTEMPTS; i++) {
        struct object *list = NULL;
        size_t total = 0;
        while (total < 32 * MIB)
            total += add_object(kind, &list, MIB);
        free_objects(kind, &list);
        kept = test_file_space();
    }
    CHECK_GE(kept, 16 * MIB);
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
    CHECK_EQ(test_file_space(), 0);
}

/* Freed in the middle of what stays. */
static void test_holes_go_back(void)
{
    enum { COUNT = 64 };
    char *objects[COUNT];
    const size_t size = test_fitting(512 * KIB),
                 shrunk = test_fitting(64 * KIB);
    memkind_t kind = kind_make(.limit = LIMIT,
                               .usage = MEMKIND_MEM_USAGE_POLICY_CONSERVATIVE);
    for (unsigned i = 0; i < COUNT; i++) {
        objects[i] = memkind_malloc(kind, size);
        REQUIRE_NOT_NULL(objects[i]);
        test_fill(objects[i], size, i);
    }
    for (unsigned i = 0; i < COUNT; i += 2)
        memkind_free(kind, objects[i]);
    /* If space comes in units of 2 MiB, each one has something left in it */
    const bool by_page = test_space_unit() < MIB;
    if (test_is_hardened()) /* freed objects wait */
        CHECK_EQ(memkind_purge_kind(kind), MEMKIND_SUCCESS);
    if (by_page)
        CHECK_LE(test_file_space(), COUNT / 2 * 512 * KIB + 128 * KIB);
    for (unsigned i = 1; i < COUNT; i += 2)
        CHECK(test_check(objects[i], size, i));
    /* An object shrinks: so does the file's space. */
    for (unsigned i = 1; i < COUNT; i += 2) {
        objects[i] = memkind_realloc(kind, objects[i], shrunk);
        CHECK(test_check(objects[i], shrunk, i));
    }
    if (test_is_hardened())
        CHECK_EQ(memkind_purge_kind(kind), MEMKIND_SUCCESS);
    if (by_page)
        CHECK_LE(test_file_space(), COUNT / 2 * 64 * KIB + 128 * KIB);
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
    CHECK_EQ(test_file_space(), 0);
}

static void test_an_unlimited_kind_goes_beyond_any_limit(void)
{
    if (!test_has_space(6 * LIMIT))
        return;
    memkind_t kind = kind_make(.limit = 0);
    struct object *list = NULL;
    size_t total = 0;
    while (total < 5 * LIMIT) {
        size_t usable = add_object(kind, &list, 3 * MIB);
        REQUIRE_NE(usable, 0);
        total += usable;
    }
    CHECK_GE(test_file_space(), total);
    free_objects(kind, &list);
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
    CHECK_EQ(test_file_space(), 0);
}

static const struct test_case tests[] = {
    {"the limit holds", test_the_limit_holds},
    {"the largest object", test_the_largest_object},
    {"limits are separate", test_limits_are_separate},
    {"refill with objects of 64 bytes", test_refill_64_bytes},
    {"refill with mixed objects", test_refill_mixed},
    {"refill with pages", test_refill_pages},
    {"refill with objects of 64 KiB", test_refill_64_kib},
    {"refill with objects of 1 MiB", test_refill_mib},
    {"stores beside holes", test_stores_beside_holes},
    {"a child's stores beside holes", test_childs_stores_beside_holes},
    {"one size after the other", test_one_size_after_the_other},
    {"conservative kinds give back at once",
     test_conservative_kinds_give_back_at_once},
    {"other kinds keep it for a while", test_other_kinds_keep_it_for_a_while},
    {"holes go back", test_holes_go_back},
    {"an unlimited kind goes beyond any limit",
     test_an_unlimited_kind_goes_beyond_any_limit},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("limits", tests, argc, argv);
}
