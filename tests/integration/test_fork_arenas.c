/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A child whose pieces are used up takes blocks back and hands them out again.
 * Its threads have arenas of their own: what one has given back must not become
 * the neighbour of another one's.
 */
#include <memkind.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "test_child.h"
#include "test_support.h"

#define PAGE ((size_t)sysconf(_SC_PAGESIZE))

enum { OBJECTS = 12000, THREADS = 6, SLOTS = 200, STEPS = 8000, PAGES = 60 };

static memkind_t kind;
static char *objects[OBJECTS];
static pthread_barrier_t barrier;

/* There is an arena for each thread of the child. */
static void *use_an_arena(void *unused)
{
    (void)unused;
    void *object = memkind_malloc(kind, 100);
    (void)pthread_barrier_wait(&barrier);
    memkind_free(kind, object);
    return NULL;
}

static void use_arenas(void)
{
    pthread_t threads[THREADS];
    REQUIRE_EQ(pthread_barrier_init(&barrier, NULL, THREADS), 0);
    for (size_t i = 0; i < THREADS; i++)
        REQUIRE_EQ(pthread_create(&threads[i], NULL, use_an_arena, NULL), 0);
    for (size_t i = 0; i < THREADS; i++)
        REQUIRE_EQ(pthread_join(threads[i], NULL), 0);
    pthread_barrier_destroy(&barrier);
}

/* Every other page is free, of more than there may be pieces. */
static bool make_gaps(void)
{
    for (size_t i = 0; i < OBJECTS; i++) {
        objects[i] = memkind_malloc(kind, test_fitting(PAGE));
        if (objects[i] == NULL)
            return false;
        memset(objects[i], 1, test_fitting(PAGE));
    }
    for (size_t i = 0; i < OBJECTS; i += 2)
        memkind_free(kind, objects[i]);
    return memkind_purge_kind(kind) == 0;
}

/* ---- in the child ------------------------------------------------------ */

static bool fill_gaps(void)
{
    for (size_t i = 0; i < OBJECTS; i += 2) {
        objects[i] = memkind_malloc(kind, test_fitting(PAGE));
        if (objects[i] == NULL)
            return false;
        memset(objects[i], 2, test_fitting(PAGE));
    }
    return true;
}

static bool gaps_are_filled(void)
{
    for (size_t i = 0; i < OBJECTS; i++)
        if (objects[i][0] != (i % 2 == 0 ? 2 : 1) ||
            objects[i][PAGE / 2] != objects[i][0])
            return false;
    return true;
}

struct slot {
    unsigned char *object;
    size_t size;
};

static bool step(struct slot *slot, unsigned *seed, unsigned char mark)
{
    bool is_right = true;
    if (slot->object == NULL) {
        slot->size = PAGE * (1 + (size_t)rand_r(seed) % PAGES);
        slot->object = memkind_malloc(kind, slot->size);
        if (slot->object != NULL)
            memset(slot->object, mark, slot->size);
        return slot->object != NULL;
    }
    for (size_t at = 0; at < slot->size; at += 512)
        is_right = is_right && slot->object[at] == mark;
    memkind_free(kind, slot->object);
    slot->object = NULL;
    return is_right;
}

static void *churn(void *number)
{
    struct slot slots[SLOTS] = {{NULL, 0}};
    unsigned seed = (unsigned)(uintptr_t)number;
    for (int i = 0; i < STEPS; i++) {
        size_t slot = (size_t)rand_r(&seed) % SLOTS;
        if (!step(&slots[slot], &seed, (unsigned char)slot))
            return number;
        if (rand_r(&seed) % 300 == 0 && memkind_purge_kind(kind) != 0)
            return number;
    }
    return NULL;
}

static int child(void)
{
    pthread_t threads[THREADS];
    int failed = !fill_gaps();
    for (size_t i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, churn,
                           (void *)(uintptr_t)(i + 1)) != 0)
            return 1;
    for (size_t i = 0; i < THREADS; i++) {
        void *number;
        failed |= pthread_join(threads[i], &number) != 0 || number != NULL;
    }
    return failed | !gaps_are_filled();
}

static void test_arenas_stay_apart(void)
{
    REQUIRE_EQ(memkind_create_pmem(test_dir(), 0, &kind), 0);
    use_arenas();
    CHECK(make_gaps());
    CHECK_EQ(child_run(child), 0);
    CHECK_EQ(memkind_destroy_kind(kind), 0);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        {"arenas stay apart", test_arenas_stay_apart},
        {NULL, NULL},
    };
    return test_main("fork_arenas", tests, argc, argv);
}
