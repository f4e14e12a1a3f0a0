/* SPDX-License-Identifier: BSD-2-Clause */
/* Which kinds there are, and the storage of those that the library makes. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <memkind.h>

#include "heap_create.h"
#include "kind_registry.h"
#include "test_support.h"

/* ---- storage ----------------------------------------------------------- */

static bool is_clear(const struct memkind *kind)
{
    struct memkind clear;
    memset(&clear, 0, sizeof clear);
    clear.partition = kind->partition;
    return memcmp(&clear, kind, sizeof clear) == 0;
}

static void test_storage_is_clear(void)
{
    struct memkind *kind = kind_storage_get();
    REQUIRE_NOT_NULL(kind);
    CHECK(is_clear(kind));
    CHECK(kind_storage_owns(kind));
    memset(kind->name, 'x', sizeof kind->name);
    kind_storage_put(kind);
    /* The slot comes again some time, and is clear again. */
    for (int i = 0; i < MEMKIND_MAX_KIND; i++) {
        struct memkind *next = kind_storage_get();
        REQUIRE_NOT_NULL(next);
        CHECK(is_clear(next));
        kind_storage_put(next);
    }
}

static void test_storage_of_others(void)
{
    static struct memkind own;
    struct memkind *kind = kind_storage_get();
    REQUIRE_NOT_NULL(kind);
    CHECK(!kind_storage_owns(&own));
    CHECK(!kind_storage_owns(NULL));
    kind_storage_put(kind);
}

/* The storage of a kind that has gone is not used for the next one. */
static void test_storage_is_not_reused_soon(void)
{
    struct memkind *gone = kind_storage_get();
    REQUIRE_NOT_NULL(gone);
    kind_storage_put(gone);
    for (int i = 0; i < MEMKIND_MAX_KIND - 1; i++) {
        struct memkind *next = kind_storage_get();
        CHECK_NE(next, gone);
        kind_storage_put(next);
    }
}

static void test_all_storage_is_used(void)
{
    static struct memkind *kinds[MEMKIND_MAX_KIND];
    static bool seen[MEMKIND_MAX_KIND];
    memset(seen, 0, sizeof seen);
    for (int i = 0; i < MEMKIND_MAX_KIND; i++) {
        kinds[i] = kind_storage_get();
        REQUIRE_NOT_NULL(kinds[i]);
        const unsigned number = kinds[i]->partition - MEMKIND_NUM_BASE_KIND;
        REQUIRE_LT(number, MEMKIND_MAX_KIND);
        CHECK(!seen[number]);
        seen[number] = true;
    }
    CHECK_NULL(kind_storage_get());
    kind_storage_put(kinds[7]);
    CHECK_EQ(kind_storage_get(), kinds[7]);
    CHECK_NULL(kind_storage_get());
    for (int i = 0; i < MEMKIND_MAX_KIND; i++)
        kind_storage_put(kinds[i]);
}

enum { KINDS = 5 };
static struct memkind kinds_with_heap[KINDS];

static void *get_and_put(void *unused)
{
    for (int i = 0; i < 20000; i++) {
        struct memkind *kind = kind_storage_get();
        if (kind == NULL || kind->priv != NULL)
            return kinds_with_heap; /* anything but NULL */
        kind->priv = kind;          /* which no other thread sees */
        kind_storage_put(kind);
    }
    return unused;
}

static void test_storage_for_threads(void)
{
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        REQUIRE_EQ(pthread_create(&threads[i], NULL, get_and_put, NULL), 0);
    for (int i = 0; i < THREADS; i++) {
        void *failed = NULL;
        pthread_join(threads[i], &failed);
        CHECK_NULL(failed);
    }
}

/* ---- kinds with a heap ------------------------------------------------- */

static struct memkind *make(int i)
{
    struct memkind *kind = &kinds_with_heap[i];
    memset(kind, 0, sizeof *kind);
    kind->heap = calloc(1, sizeof *kind->heap);
    REQUIRE_NOT_NULL(kind->heap);
    /* No heap has the last slots: there are not so many. */
    kind->heap->caches.place.slot = HEAP_SLOTS - 1 - (unsigned)i;
    return kind;
}

static unsigned visits[KINDS];

static void count_visit(struct memkind *kind, void *context)
{
    (void)context;
    if (kind >= kinds_with_heap && kind < kinds_with_heap + KINDS)
        visits[kind - kinds_with_heap]++;
}

static void test_kinds_come_and_go(void)
{
    for (int i = 0; i < KINDS; i++) {
        struct memkind *kind = make(i);
        CHECK(!kind_registry_contains(kind));
        kind_registry_add(kind);
        CHECK(kind_registry_contains(kind));
    }
    kind_registry_remove(&kinds_with_heap[2]);
    CHECK(!kind_registry_contains(&kinds_with_heap[2]));
    memset(visits, 0, sizeof visits);
    kind_registry_lock();
    kind_registry_visit(count_visit, NULL);
    kind_registry_unlock();
    for (int i = 0; i < KINDS; i++)
        CHECK_EQ(visits[i], i != 2);
    for (int i = 0; i < KINDS; i++) {
        if (i != 2)
            kind_registry_remove(&kinds_with_heap[i]);
        CHECK(!kind_registry_contains(&kinds_with_heap[i]));
        free(kinds_with_heap[i].heap);
    }
}

/* Kinds of the library are in it for as long as they have a heap. */
static void test_a_real_kind(void)
{
    memkind_t kind = NULL;
    REQUIRE_EQ(memkind_create_pmem(test_dir(), MEMKIND_PMEM_MIN_SIZE, &kind),
               MEMKIND_SUCCESS);
    CHECK(kind_registry_contains(kind));
    CHECK(kind_storage_owns(kind));
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
    CHECK(!kind_registry_contains(kind));
    /* Its storage can still be read. */
    CHECK(kind_storage_owns(kind));
    CHECK_EQ(memkind_check_available(kind), MEMKIND_ERROR_INVALID);
}

static const struct test_case tests[] = {
    {"storage is clear", test_storage_is_clear},
    {"storage of others", test_storage_of_others},
    {"storage is not reused soon", test_storage_is_not_reused_soon},
    {"all storage is used", test_all_storage_is_used},
    {"storage for threads", test_storage_for_threads},
    {"kinds come and go", test_kinds_come_and_go},
    {"a real kind", test_a_real_kind},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("kind registry", tests, argc, argv);
}
