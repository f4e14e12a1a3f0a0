/* SPDX-License-Identifier: BSD-2-Clause */
/* What hardened kinds find: bytes around objects and freed objects that were
 * written to, and objects that were freed long ago. */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "misuse_reports.h"
#include "test_child.h"
#include "test_kinds.h"

/* ---- hardened kinds ---------------------------------------------------- */

/* Only a hardened library finds what follows. */
static bool cannot_be_found(void)
{
    if (!test_is_hardened())
        printf("[not hardened] ");
    return !test_is_hardened();
}

/* Not for AddressSanitizer, which would find it first. */
#if defined(__GNUC__)
__attribute__((no_sanitize("address"), noinline))
#endif
static void
spoil(void *byte)
{
    *(volatile unsigned char *)byte ^= 0xff;
}

static void test_bytes_around_objects(void)
{
    if (cannot_be_found())
        return;
    memkind_t kind = make_watched_kind();
    for (int i = 0; i < OBJECT_SIZES; i++) {
        const size_t size = object_sizes[i];
        const ptrdiff_t places[] = {(ptrdiff_t)size, (ptrdiff_t)size + 15, -1,
                                    -16};
        for (int j = 0; j < 4; j++) {
            unsigned char *object = memkind_malloc(kind, size);
            CHECK_EQ(memkind_malloc_usable_size(kind, object), size);
            test_fill(object, size, 1);
            spoil(object + places[j]);
            memkind_free(kind, object);
            CHECK(was_reported(MEMKIND_MISUSE_OVERRUN, kind, object));
            memkind_free(kind, object);
            CHECK(was_reported(second_free(size), kind, object));
        }
        unsigned char *object = memkind_malloc(kind, size), *before = object;
        test_fill(object, size, 2);
        spoil(object + size);
        object = memkind_realloc(kind, object, size + 100);
        CHECK(was_reported(MEMKIND_MISUSE_OVERRUN, kind, before));
        CHECK(test_check(object, size, 2));
        memkind_free(kind, object);
        CHECK_EQ(count_reports(), 0);
    }
    CHECK_EQ(kind_allocated(kind), 0);
    destroy_watched_kind(kind);
}

static void test_aligned_objects_have_bytes_around(void)
{
    if (cannot_be_found())
        return;
    memkind_t kind = make_watched_kind();
    for (size_t alignment = 8; alignment <= 1u << 20; alignment *= 2)
        for (size_t size = 1; size < 100000; size = size * 3 + 4) {
            void *object = NULL;
            REQUIRE_EQ(memkind_posix_memalign(kind, &object, alignment, size),
                       0);
            CHECK_EQ((uintptr_t)object % alignment, 0);
            CHECK_EQ(memkind_malloc_usable_size(kind, object), size);
            test_fill(object, size, 3);
            spoil((char *)object + size);
            memkind_free(NULL, object);
            CHECK(was_reported(MEMKIND_MISUSE_OVERRUN, kind, object));
            REQUIRE_EQ(memkind_posix_memalign(kind, &object, alignment, size),
                       0);
            memkind_free(kind, object);
            CHECK_EQ(count_reports(), 0);
        }
    destroy_watched_kind(kind);
}

static void test_written_after_free(void)
{
    if (cannot_be_found())
        return;
    memkind_t kind = make_watched_kind();
    for (int i = 0; i < OBJECT_SIZES - 1; i++) {
        unsigned char *object = memkind_malloc(kind, object_sizes[i]);
        memkind_free(kind, object);
        spoil(object + object_sizes[i] / 2 % 4096);
        CHECK_EQ(count_reports(), 0);
        CHECK_EQ(memkind_purge_kind(kind), MEMKIND_SUCCESS);
        CHECK(was_reported(MEMKIND_MISUSE_AFTER_FREE, kind, object));
        /* Its memory may be handed out now. */
        memkind_free(kind, object);
        CHECK(was_reported(MEMKIND_MISUSE_NO_OBJECT, kind, object));
    }
    destroy_watched_kind(kind);
}

#define FREED_OBJECTS 1000

/* A thousand other frees later, by whatever thread, and each just once. */
static void *free_again(void *argument)
{
    void **objects = argument;
    for (int i = 0; i < FREED_OBJECTS; i++)
        memkind_free(NULL, objects[i]);
    return NULL;
}

/* Frees all objects at once, by several threads in any order: one of them frees
 * an object, and each other free is reported. */
static void free_by_threads(void **objects)
{
    enum { THREADS = 3 };
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        REQUIRE_EQ(pthread_create(&threads[i], NULL, free_again, objects), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    CHECK_EQ(report_counts[MEMKIND_MISUSE_DOUBLE_FREE],
             (THREADS - 1) * FREED_OBJECTS);
    CHECK_EQ(count_reports(), (THREADS - 1) * FREED_OBJECTS);
    forget_reports();
}

/* Whether any of so many new objects is one of those. */
static bool any_is_handed_out(memkind_t kind, void *const *objects)
{
    enum { NEW_OBJECTS = 200 };
    bool any = false;
    for (int i = 0; i < NEW_OBJECTS; i++) {
        void *object = memkind_malloc(kind, 500);
        for (int j = 0; j < FREED_OBJECTS; j++)
            any |= object == objects[j];
        memkind_free(kind, object);
    }
    return any;
}

static void test_freed_long_ago(void)
{
    enum { ATTEMPTS = 20 };
    static void *objects[FREED_OBJECTS];
    bool any = true;
    if (cannot_be_found())
        return;
    memkind_t kind = make_watched_kind();
    /* No object that waits is handed out. Once a second half of them need not
     * wait any longer, which may be in the middle of an attempt. */
    for (int attempt = 0; any && attempt < ATTEMPTS; attempt++) {
        for (int i = 0; i < FREED_OBJECTS; i++)
            objects[i] = memkind_malloc(kind, (size_t)i + 1);
        free_by_threads(objects);
        any = any_is_handed_out(kind, objects);
    }
    CHECK(!any);
    CHECK_EQ(kind_allocated(kind), 0);
    destroy_watched_kind(kind);
}

/* What waits is bounded: by 1/64 of the limit. */
static void test_not_all_of_a_kind_waits(void)
{
    if (cannot_be_found())
        return;
    memkind_t kind = kind_make_limited(64 * MIB);
    remember_reports();
    for (size_t i = 0; i < 20000; i++) {
        void *object = memkind_malloc(kind, 60000 + i);
        REQUIRE_NOT_NULL(object);
        memkind_free(kind, object);
    }
    CHECK_LT(kind_resident(kind), 16u << 20);
    /* Objects that wait make room for those that are needed. */
    void *first = memkind_malloc(kind, 30u << 20);
    CHECK_NOT_NULL(first);
    memkind_free(kind, first);
    void *second = memkind_malloc(kind, 40u << 20);
    CHECK_NOT_NULL(second);
    memkind_free(kind, second);
    destroy_watched_kind(kind);
}

static void test_a_kind_is_looked_at_when_it_goes(void)
{
    if (cannot_be_found())
        return;
    memkind_t kind = make_watched_kind();
    char *right = memkind_malloc(kind, 100), *wrong = memkind_malloc(kind, 10);
    char *freed = memkind_malloc(kind, 50);
    spoil(wrong + 10);
    memkind_free(kind, freed);
    spoil(freed + 3);
    CHECK_NOT_NULL(right);
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
    CHECK_EQ(report_counts[MEMKIND_MISUSE_OVERRUN], 1);
    CHECK_EQ(report_counts[MEMKIND_MISUSE_AFTER_FREE], 1);
    CHECK_EQ(count_reports(), 2);
    memkind_set_misuse_handler(NULL, NULL);
}

/* The mapping that an address lies in ends where one begins that cannot be
 * touched, on either side. */
static bool has_guards(const void *object)
{
    char line[600], rights[5];
    unsigned long start, end, guard_end = 0;
    bool behind_guard = false, inside = false, guarded = false;
    FILE *maps = fopen("/proc/self/maps", "r");
    while (fgets(line, sizeof line, maps) != NULL) {
        if (sscanf(line, "%lx-%lx %4s", &start, &end, rights) != 3)
            continue;
        bool is_guard = strncmp(rights, "---", 3) == 0;
        if (inside) {
            guarded = behind_guard && is_guard && start == guard_end;
            break;
        }
        inside = (uintptr_t)object >= start && (uintptr_t)object < end;
        if (inside)
            behind_guard = start == guard_end;
        guard_end = is_guard || inside ? end : 0;
    }
    fclose(maps);
    return guarded;
}

static void test_guards_around_regions(void)
{
    if (cannot_be_found())
        return;
    for (int i = 0; i < 5; i++) {
        memkind_t kind = make_watched_kind();
        void *object = memkind_malloc(kind, 10);
        CHECK(has_guards(object));
        CHECK_NULL(memkind_detect_kind(NULL));
        destroy_watched_kind(kind);
    }
    void *object = memkind_malloc(MEMKIND_REGULAR, 10);
    CHECK(has_guards(object));
    memkind_free(NULL, object);
}

static void test_children_have_what_waits(void)
{
    memkind_t kind = make_watched_kind();
    char *freed = memkind_malloc(kind, 100), *live = memkind_malloc(kind, 100);
    test_fill(live, 100, 1);
    memkind_free(kind, freed);
    pid_t child = fork();
    if (child == 0) {
        bool right = test_check(live, 100, 1);
        memkind_free(kind, freed);
        right &= was_reported(MEMKIND_MISUSE_DOUBLE_FREE, kind, freed);
        memkind_free(kind, live);
        memkind_free(kind, live);
        right &= was_reported(MEMKIND_MISUSE_DOUBLE_FREE, kind, live);
        right &= places_differ(kind, 100) && count_reports() == 0;
        right &= memkind_destroy_kind(kind) == MEMKIND_SUCCESS;
        _exit(right && count_reports() == 0 ? 0 : 1);
    }
    CHECK_EQ(child_wait(child), 0);
    CHECK(test_check(live, 100, 1));
    memkind_free(kind, live);
    CHECK_EQ(kind_allocated(kind), 0);
    destroy_watched_kind(kind);
}

static const struct test_case tests[] = {
    {"bytes around objects", test_bytes_around_objects},
    {"aligned objects have bytes around",
     test_aligned_objects_have_bytes_around},
    {"written after free", test_written_after_free},
    {"freed long ago", test_freed_long_ago},
    {"not all of a kind waits", test_not_all_of_a_kind_waits},
    {"a kind is looked at when it goes", test_a_kind_is_looked_at_when_it_goes},
    {"guards around regions", test_guards_around_regions},
    {"children have what waits", test_children_have_what_waits},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("checked objects", tests, argc, argv);
}
