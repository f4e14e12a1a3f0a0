/* SPDX-License-Identifier: BSD-2-Clause */
/* Which kind an object belongs to. */
#include <errno.h>
#include <memkind.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "test_kinds.h"

#define UNTOUCHED 4711

/* ---- one's own --------------------------------------------------------- */

static void test_objects_know_their_kind(void)
{
    enum { KINDS = 5, SIZES = 6 };
    static const size_t sizes[SIZES] = {1, 100, 5000, 40000, MIB, 9 * MIB};
    memkind_t kinds[KINDS] = {kind_make_limited(0), kind_make_limited(32 * MIB),
                              kind_make_limited(0), MEMKIND_DEFAULT,
                              MEMKIND_REGULAR};
    char *objects[KINDS][SIZES];
    for (int i = 0; i < KINDS; i++)
        for (int j = 0; j < SIZES; j++) {
            objects[i][j] = memkind_malloc(kinds[i], sizes[j]);
            REQUIRE_NOT_NULL(objects[i][j]);
            memset(objects[i][j], 1, sizes[j]);
        }
    for (int i = 0; i < KINDS; i++)
        for (int j = 0; j < SIZES; j++) {
            char *object = objects[i][j];
            size_t usable = memkind_malloc_usable_size(NULL, object);
            CHECK_GE(usable, sizes[j]);
            CHECK_EQ(memkind_detect_kind(object), kinds[i]);
            /* Also within, and with each kind as the one that is asked. */
            CHECK_EQ(memkind_detect_kind(object + usable / 2), kinds[i]);
            for (int k = 0; k < KINDS; k++)
                CHECK_EQ(memkind_malloc_usable_size(kinds[k], object), usable);
            char *moved = memkind_realloc(NULL, object, sizes[j] * 2);
            CHECK_EQ(memkind_detect_kind(moved), kinds[i]);
            CHECK_EQ(moved[sizes[j] - 1], 1);
            memkind_free(NULL, moved);
        }
    for (int i = 0; i < KINDS; i++)
        CHECK_EQ(kind_allocated(kinds[i]), 0);
    for (int i = 0; i < 3; i++)
        kind_destroy(kinds[i]);
}

/* ---- foreign ----------------------------------------------------------- */

static int in_data = 1;

static void check_foreign(memkind_t kind, void *address)
{
    errno = UNTOUCHED;
    CHECK_NULL(memkind_detect_kind(address));
    CHECK_EQ(memkind_malloc_usable_size(NULL, address), 0);
    CHECK_EQ(memkind_malloc_usable_size(kind, address), 0);
    memkind_free(NULL, address);
    memkind_free(kind, address);
    memkind_free(MEMKIND_DEFAULT, address);
    memkind_free(MEMKIND_HBW, address);
    CHECK_NULL(memkind_defrag_reallocate(NULL, address));
    CHECK_NULL(memkind_defrag_reallocate(kind, address));
    CHECK_EQ(errno, UNTOUCHED);
    if (address == NULL)
        return;
    errno = 0;
    CHECK_NULL(memkind_realloc(NULL, address, 100));
    CHECK_EQ(errno, EINVAL);
    errno = 0;
    CHECK_NULL(memkind_realloc(kind, address, 100));
    CHECK_EQ(errno, EINVAL);
    errno = 0;
    CHECK_NULL(memkind_realloc(MEMKIND_REGULAR, address, 100));
    CHECK_EQ(errno, EINVAL);
    CHECK_NULL(memkind_realloc(kind, address, 0));
}

static void check_all_foreign(memkind_t kind)
{
    int on_stack = 2;
    char *from_libc = malloc(100), *from_libc_large = malloc(MIB);
    char *unreadable =
        mmap(NULL, MIB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    /* The kernel maps nothing that low by itself. */
    void *unmapped = (void *)((uintptr_t)112 * MIB);
    from_libc[0] = 3;
    check_foreign(kind, NULL);
    check_foreign(kind, &on_stack);
    check_foreign(kind, &in_data);
    check_foreign(kind, from_libc);
    check_foreign(kind, from_libc_large);
    check_foreign(kind, (void *)(uintptr_t)check_all_foreign);
    check_foreign(kind, (void *)(uintptr_t)memkind_malloc);
    check_foreign(kind, unreadable);
    check_foreign(kind, unmapped);
    check_foreign(kind, (void *)1);
    check_foreign(kind, (void *)8);
    check_foreign(kind, (void *)4096);
    check_foreign(kind, (void *)UINTPTR_MAX);
    check_foreign(kind, (void *)(UINTPTR_MAX - 4095));
    check_foreign(kind, (void *)((uintptr_t)1 << 47));
    check_foreign(kind, (void *)(((uintptr_t)1 << 47) - 4096));
    check_foreign(kind, (void *)((uintptr_t)1 << 63));
    check_foreign(kind, kind);
    CHECK_EQ(on_stack, 2);
    CHECK_EQ(in_data, 1);
    CHECK_EQ(from_libc[0], 3);
    free(from_libc);
    free(from_libc_large);
    munmap(unreadable, MIB);
}

static void test_foreign_addresses(void)
{
    memkind_t kind = kind_make_limited(0);
    void *kept = memkind_malloc(kind, 1000);
    test_fill(kept, 1000, 1);
    check_all_foreign(kind);
    CHECK(test_check(kept, 1000, 1));
    memkind_free(kind, kept);
    CHECK_EQ(kind_allocated(kind), 0);
    kind_destroy(kind);
}

static void test_before_there_is_a_kind(void)
{
    /* In a process of its own this would be the very first call; DRAM kinds
     * that were not used yet have no heap. */
    check_all_foreign(MEMKIND_REGULAR);
}

static void test_addresses_of_destroyed_kinds(void)
{
    enum { COUNT = 4 };
    static const size_t sizes[COUNT] = {8, 3000, 100000, 4 * MIB};
    memkind_t survivor = kind_make_limited(0);
    for (int round = 0; round < 20; round++) {
        memkind_t kind = kind_make_limited(round % 2 ? 32 * MIB : 0);
        char *objects[COUNT];
        for (int i = 0; i < COUNT; i++) {
            objects[i] = memkind_malloc(kind, sizes[i]);
            REQUIRE_NOT_NULL(objects[i]);
        }
        kind_destroy(kind);
        for (int i = 0; i < COUNT; i++) {
            check_foreign(survivor, objects[i]);
            check_foreign(survivor, objects[i] + sizes[i] - 1);
        }
    }
    kind_destroy(survivor);
}

/* ---- the wrong kind ---------------------------------------------------- */

#define WRONG_OBJECTS 2000

static void free_as(memkind_t owner, memkind_t named)
{
    static void *objects[WRONG_OBJECTS];
    size_t in_owner = kind_allocated(owner), in_named = kind_allocated(named);
    for (size_t i = 0; i < WRONG_OBJECTS; i++) {
        objects[i] = memkind_malloc(owner, 1 + i * 13 % 40000);
        REQUIRE_NOT_NULL(objects[i]);
    }
    for (size_t i = 0; i < WRONG_OBJECTS; i++) {
        /* Moved first: it stays with its owner. */
        if (i % 4 == 0) {
            objects[i] = memkind_realloc(named, objects[i], 1 + i * 29 % 9000);
            CHECK_EQ(memkind_detect_kind(objects[i]), owner);
        }
        memkind_free(named, objects[i]);
    }
    CHECK_EQ(kind_allocated(owner), in_owner);
    CHECK_EQ(kind_allocated(named), in_named);
    /* Nothing of the owner's has got into the other kind's caches. */
    for (size_t i = 0; i < WRONG_OBJECTS; i++) {
        objects[i] = memkind_malloc(named, 1 + i * 13 % 40000);
        CHECK_EQ(memkind_detect_kind(objects[i]), named);
    }
    for (size_t i = 0; i < WRONG_OBJECTS; i++)
        memkind_free(named, objects[i]);
}

static void test_the_wrong_kind(void)
{
    memkind_t one = kind_make_limited(0), other = kind_make_limited(256 * MIB);
    free_as(one, other);
    free_as(other, one);
    free_as(one, MEMKIND_DEFAULT);
    free_as(MEMKIND_DEFAULT, one);
    free_as(MEMKIND_REGULAR, MEMKIND_DEFAULT);
    void *object = memkind_malloc(one, 100);
    object = memkind_realloc(MEMKIND_HBW, object, 50);
    CHECK_EQ(memkind_detect_kind(object), one);
    memkind_free(MEMKIND_HBW, object);
    CHECK_EQ(kind_allocated(one), 0);
    kind_destroy(one);
    kind_destroy(other);
}

struct named_objects {
    memkind_t named;
    void *objects[WRONG_OBJECTS];
};

static void *free_elsewhere(void *context)
{
    struct named_objects *batch = context;
    for (size_t i = 0; i < WRONG_OBJECTS; i++)
        memkind_free(i % 2 ? batch->named : NULL, batch->objects[i]);
    return NULL;
}

static void test_the_wrong_kind_in_another_thread(void)
{
    static struct named_objects batch;
    memkind_t owner = kind_make_limited(0), named = kind_make_limited(0);
    pthread_t thread;
    for (int round = 0; round < 5; round++) {
        batch.named = named;
        for (size_t i = 0; i < WRONG_OBJECTS; i++)
            batch.objects[i] = memkind_malloc(owner, 1 + i * 17 % 30000);
        REQUIRE_EQ(pthread_create(&thread, NULL, free_elsewhere, &batch), 0);
        pthread_join(thread, NULL);
        CHECK_EQ(kind_allocated(owner), 0);
        CHECK_EQ(kind_allocated(named), 0);
    }
    kind_destroy(owner);
    kind_destroy(named);
}

/* ---- while kinds come and go ------------------------------------------- */

#define CHURN 3000
#define WATCHERS 2
static atomic_bool churning;
static atomic_size_t wrong_answers;
static memkind_t steady;

static void *watch(void *seed)
{
    char *own = memkind_malloc(steady, 5000);
    char *own_dram = memkind_malloc(MEMKIND_DEFAULT, 5000);
    char *from_libc = malloc(5000);
    int on_stack = 0;
    (void)seed;
    while (atomic_load(&churning)) {
        char *fresh = memkind_malloc(steady, 64);
        if (memkind_detect_kind(own) != steady ||
            memkind_detect_kind(own + 4999) != steady ||
            memkind_detect_kind(fresh) != steady ||
            memkind_detect_kind(own_dram) != MEMKIND_DEFAULT ||
            memkind_detect_kind(from_libc) != NULL ||
            memkind_detect_kind(&on_stack) != NULL ||
            memkind_detect_kind((void *)(uintptr_t)watch) != NULL ||
            memkind_malloc_usable_size(NULL, from_libc) != 0 ||
            memkind_malloc_usable_size(NULL, own) < 5000)
            atomic_fetch_add(&wrong_answers, 1);
        memkind_free(NULL, from_libc);
        memkind_free(NULL, fresh);
    }
    memkind_free(NULL, own);
    memkind_free(NULL, own_dram);
    free(from_libc);
    return NULL;
}

static void test_while_kinds_come_and_go(void)
{
    pthread_t watchers[WATCHERS];
    steady = kind_make_limited(0);
    atomic_store(&churning, true);
    for (int i = 0; i < WATCHERS; i++)
        REQUIRE_EQ(pthread_create(&watchers[i], NULL, watch, NULL), 0);
    for (int i = 0; i < CHURN; i++) {
        memkind_t kind = kind_make_limited(i % 2 ? MEMKIND_PMEM_MIN_SIZE : 0);
        void *object = memkind_malloc(kind, 100);
        if (memkind_detect_kind(object) != kind)
            atomic_fetch_add(&wrong_answers, 1);
        kind_destroy(kind);
    }
    atomic_store(&churning, false);
    for (int i = 0; i < WATCHERS; i++)
        pthread_join(watchers[i], NULL);
    CHECK_EQ(atomic_load(&wrong_answers), 0);
    kind_destroy(steady);
}

static const struct test_case tests[] = {
    {"before there is a kind", test_before_there_is_a_kind},
    {"objects know their kind", test_objects_know_their_kind},
    {"foreign addresses", test_foreign_addresses},
    {"addresses of destroyed kinds", test_addresses_of_destroyed_kinds},
    {"the wrong kind", test_the_wrong_kind},
    {"the wrong kind in another thread", test_the_wrong_kind_in_another_thread},
    {"while kinds come and go", test_while_kinds_come_and_go},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("detection", tests, argc, argv);
}
