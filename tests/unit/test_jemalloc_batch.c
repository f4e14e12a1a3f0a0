/* SPDX-License-Identifier: BSD-2-Clause */
/* Several objects in one call of jemalloc. */
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include "jemalloc_batch.h"
#include "jemalloc_ctl.h"
#include "layer_test.h"
#include "size_class.h"

#ifdef MEMKIND_JEMALLOC_EMBEDDED
#define HAS_BATCHES true
#else
#define HAS_BATCHES false
#endif

#define MOST 5000U

static void *objects[MOST];

/* ---- arenas over memory that is used once -------------------------------- */

static char *room, *room_end;

static void *get_block(extent_hooks_t *hooks, void *at, size_t size,
                       size_t alignment, bool *zero, bool *commit,
                       unsigned arena)
{
    (void)hooks, (void)arena;
    char *block = room + (-(uintptr_t)room & (alignment - 1));
    if (at != NULL || size > (size_t)(room_end - block))
        return NULL;
    room = block + size;
    *zero = *commit = true;
    return block;
}

static bool split_block(extent_hooks_t *hooks, void *at, size_t size,
                        size_t size_a, size_t size_b, bool committed,
                        unsigned arena)
{
    (void)hooks, (void)at, (void)size, (void)size_a, (void)size_b;
    (void)committed, (void)arena;
    return false;
}

static extent_hooks_t hooks = {.alloc = get_block, .split = split_block};

static bool have_room(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return false;
    room = memory;
    room_end = room + size;
    return true;
}

static unsigned make_arena(void)
{
    unsigned arena = 0;
    REQUIRE_EQ(je_arena_create(&hooks, false, &arena), 0);
    REQUIRE_EQ(je_arena_set_grow_limit(arena, 2 * MIB), 0);
    return arena;
}

static int flags_of(unsigned arena)
{
    return JE_TCACHE_NONE | JE_ARENA(arena);
}

static size_t allocated(unsigned arena)
{
    REQUIRE_EQ(je_stats_refresh(), 0);
    return je_arena_stat(arena, JE_STAT_SMALL_ALLOCATED);
}

static void give(unsigned arena, unsigned place, void **from, uint32_t count)
{
    je_batch_give(flags_of(arena), place, from, count);
}

/* Takes `count` objects, the first one by itself as magazines do. Returns how
 * many there are; they lie at the end of the array. */
static uint32_t take(unsigned arena, unsigned place, uint32_t count)
{
    const size_t size = size_class_sizes[SIZE_CLASS_FIRST + place];
    memset(objects, 0, sizeof objects);
    void *first = JE_NAME(mallocx)(size, flags_of(arena));
    if (first == NULL)
        return 0;
    uint32_t missing = count - 1, more;
    do {
        more = je_batch_take(flags_of(arena), place, objects, missing);
        CHECK(more <= missing && more <= JE_BATCH_MOST);
        missing -= more;
    } while (more != 0);
    objects[count - 1] = first;
    return count - missing;
}

/* All differ, are large enough, and hold what is stored to them. */
static void check_objects(void **from, uint32_t count, size_t size)
{
    unsigned wrong = 0;
    for (uint32_t i = 0; i < count; i++) {
        wrong += JE_NAME(sallocx)(from[i], 0) != size;
        memcpy(from[i], &i, sizeof i);
        memset((char *)from[i] + sizeof i, (int)i, size - sizeof i);
    }
    for (uint32_t i = 0; i < count; i++)
        wrong += memcmp(from[i], &i, sizeof i) != 0;
    CHECK_EQ(wrong, 0);
}

static void test_each_class_and_count(void)
{
    static const uint32_t counts[] = {1, 2, 63, 64, 65, 66, 129, 1000};
    const unsigned arena = make_arena();
    for (unsigned place = 0; place < je_small_classes(); place++)
        for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
            const size_t size = size_class_sizes[SIZE_CLASS_FIRST + place];
            const uint32_t count = counts[i];
            const uint32_t taken = take(arena, place, count);
            CHECK_EQ(taken, HAS_BATCHES ? count : 1);
            CHECK_EQ(allocated(arena), taken * size);
            check_objects(objects + count - taken, taken, size);
            give(arena, place, objects + count - taken, taken);
            CHECK_EQ(allocated(arena), 0);
        }
    give(arena, 0, objects, 0);
    CHECK_EQ(je_arena_destroy(arena), 0);
}

/* mallocx() goes up in a slab. */
static void test_order(void)
{
    const unsigned arena = make_arena();
    const unsigned place = size_class_of(112) - SIZE_CLASS_FIRST;
    const uint32_t count = 30;
    void *first = JE_NAME(mallocx)(112, flags_of(arena));
    const uint32_t taken =
        je_batch_take(flags_of(arena), place, objects, count);
    CHECK_EQ(taken, HAS_BATCHES ? count : 0);
    unsigned wrong = 0;
    for (uint32_t i = 0; i < taken; i++)
        wrong += objects[i] != (char *)first + (i + 1) * 112UL;
    CHECK_EQ(wrong, 0);
    JE_NAME(dallocx)(first, JE_TCACHE_NONE);
    give(arena, place, objects, taken);
    CHECK_EQ(je_arena_destroy(arena), 0);
}

static void test_objects_of_several_arenas(void)
{
    enum { ARENAS = 3, EACH = 100 };
    unsigned arenas[ARENAS];
    for (unsigned i = 0; i < ARENAS; i++)
        arenas[i] = make_arena();
    const unsigned place = size_class_of(48) - SIZE_CLASS_FIRST;
    for (unsigned i = 0; i < ARENAS * EACH; i++) {
        objects[i] = JE_NAME(mallocx)(48, flags_of(arenas[i * 7 % ARENAS]));
        REQUIRE_NOT_NULL(objects[i]);
    }
    give(arenas[1], place, objects, ARENAS * EACH);
    for (unsigned i = 0; i < ARENAS; i++) {
        CHECK_EQ(allocated(arenas[i]), 0);
        CHECK_EQ(je_arena_destroy(arenas[i]), 0);
    }
}

static struct {
    char *start;
    size_t size;
    unsigned calls;
} released;

static void note_release(void *start, size_t size)
{
    released.start = start;
    released.size = size;
    released.calls++;
}

static void test_slabs_that_go(void)
{
    const unsigned arena = make_arena();
    const unsigned place = size_class_of(320) - SIZE_CLASS_FIRST;
    const uint32_t of_slab = (uint32_t)(je_slab_size(place) / 320);
    CHECK_EQ(je_batch_watch_releases(note_release), HAS_BATCHES);
    for (uint32_t i = 0; i < of_slab; i++)
        objects[i] = JE_NAME(mallocx)(320, flags_of(arena));
    char *slab = objects[0];
    give(arena, place, objects, of_slab - 1);
    CHECK_EQ(released.calls, 0);
    give(arena, place, objects + of_slab - 1, 1);
    CHECK_EQ(released.calls, HAS_BATCHES ? 1 : 0);
    if (HAS_BATCHES) {
        CHECK_EQ(released.start, slab);
        CHECK_EQ(released.size, je_slab_size(place));
    }
    CHECK_EQ(je_arena_destroy(arena), 0);
}

static unsigned threads_arena;

static void *give_in_thread(void *count)
{
    give(threads_arena, 3, objects, *(uint32_t *)count);
    return NULL;
}

static void test_thread_without_a_past(void)
{
    for (uint32_t count = 1; count < 200; count += 66) {
        pthread_t thread;
        threads_arena = make_arena();
        for (uint32_t i = 0; i < count; i++)
            objects[i] =
                JE_NAME(mallocx)(size_class_sizes[SIZE_CLASS_FIRST + 3],
                                 flags_of(threads_arena));
        REQUIRE_EQ(pthread_create(&thread, NULL, give_in_thread, &count), 0);
        pthread_join(thread, NULL);
        CHECK_EQ(allocated(threads_arena), 0);
        CHECK_EQ(je_arena_destroy(threads_arena), 0);
    }
}

/* ---- an arena that has no more memory ----------------------------------- */

static void test_too_few(void)
{
    char *const end = room_end;
    room_end = room + 8 * MIB;
    const unsigned arena = make_arena();
    const unsigned place = size_class_of(2048) - SIZE_CLASS_FIRST;
    const uint32_t taken = take(arena, place, MOST);
    CHECK(taken > 0 && taken < MOST);
    if (HAS_BATCHES)
        CHECK(taken > 64);
    check_objects(objects + MOST - taken, taken, 2048);
    CHECK_NULL(JE_NAME(mallocx)(2048, flags_of(arena)));
    give(arena, place, objects + MOST - taken, taken);
    CHECK_EQ(allocated(arena), 0);
    CHECK_EQ(je_arena_destroy(arena), 0);
    room_end = end;
}

static const struct test_case tests[] = {
    {"each class and count", test_each_class_and_count},
    {"the order of objects", test_order},
    {"objects of several arenas", test_objects_of_several_arenas},
    {"slabs that go", test_slabs_that_go},
    {"a thread that has used jemalloc for nothing", test_thread_without_a_past},
    {"an arena that has too few", test_too_few},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    if (size_class_init() != 0 || !have_room(1024 * MIB))
        return EXIT_FAILURE;
    return test_main("batches of jemalloc", tests, argc, argv);
}
