/* SPDX-License-Identifier: BSD-2-Clause */
/* What is guessed of free objects of a heap that is exhausted: how many there
 * are, and in which arenas; and that a wrong guess does no harm. */
#include "allocator_gate.h"
#include "arena_guess.h"
#include "heap.h"
#include "heap_create.h"
#include "heap_struct.h"
#include "layer_test.h"
#include "page_traffic.h"
#include "region_pool.h"

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)

/* ---- guesses alone ------------------------------------------------------ */

/* An arena has the tally of the one that is SHARED places further. */
enum { CLASS = 7, SLAB = 10, TALLIES = 4, SHARED = TALLIES };

static struct arena_guesses *guesses;

static char *block(size_t number)
{
    return (char *)(number << guesses->block_log);
}

static void begin_guesses(size_t bytes)
{
    REQUIRE(allocator_enter());
    guesses = arena_guess_create(TALLIES, bytes);
    allocator_leave();
    REQUIRE_NOT_NULL(guesses);
    arena_guess_forget(guesses);
}

static void end_guesses(void)
{
    REQUIRE(allocator_enter());
    arena_guess_destroy(guesses);
    allocator_leave();
}

static bool has(unsigned place)
{
    return arena_guess_has(guesses, place % TALLIES, place, CLASS);
}

static void take(unsigned place, const void *ptr, uint32_t slab)
{
    arena_guess_note_taken(guesses, place % TALLIES, place, CLASS, ptr, slab);
}

/* By a thread of the arena at that place. */
static void give(unsigned place, const void *ptr, uint32_t slab)
{
    arena_guess_note_given(guesses, place % TALLIES, CLASS, ptr, slab);
}

static void test_objects_of_slabs_are_counted(void)
{
    begin_guesses(64 * MIB);
    CHECK(has(0)); /* any number */
    give(0, block(1), 0);
    take(0, block(1), 0);
    CHECK(has(0));
    arena_guess_note_none(guesses, 0, CLASS);
    CHECK(!has(0));
    take(0, block(1), SLAB);
    for (int i = 1; i < SLAB; i++) {
        CHECK(has(0));
        take(0, block(1), 0);
    }
    CHECK(!has(0));
    take(0, block(1), 0); /* one that was not counted */
    CHECK(!has(0));
    for (int i = 0; i < SLAB; i++)
        give(0, block(1), i == SLAB - 1 ? SLAB : 0);
    CHECK(!has(0));
    give(0, block(1), SLAB); /* others were not counted */
    CHECK(!has(0));
    CHECK(arena_guess_has(guesses, 1, 1, CLASS));
    CHECK(arena_guess_has(guesses, 0, 0, CLASS + 1));
    for (unsigned i = 0; i < SIZE_CLASS_COUNT; i++) {
        arena_guess_note_none(guesses, TALLIES - 1, i);
        CHECK(!arena_guess_has(guesses, TALLIES - 1, TALLIES - 1, i));
    }
    arena_guess_forget(guesses);
    for (unsigned i = 0; i < SIZE_CLASS_COUNT; i++)
        CHECK(arena_guess_has(guesses, TALLIES - 1, TALLIES - 1, i));
    end_guesses();
}

static void none_anywhere(void)
{
    for (unsigned i = 0; i < TALLIES; i++)
        arena_guess_note_none(guesses, i, CLASS);
}

static void test_object_goes_back_to_where_it_is_from(void)
{
    unsigned found = 99;
    begin_guesses(64 * MIB);
    none_anywhere();
    take(2, block(5), 1);
    take(3, block(6), 1);
    CHECK(!arena_guess_find(guesses, TALLIES, 0, 0, CLASS, &found));
    give(0, block(5), 0);
    CHECK(!has(0));
    CHECK(has(2));
    CHECK(arena_guess_find(guesses, TALLIES, 0, 0, CLASS, &found));
    CHECK_EQ(found, 2);
    CHECK(!arena_guess_find(guesses, TALLIES, 2, 2, CLASS, &found));
    /* the next one after the own, so that not all ask the same one */
    give(0, block(6), 0);
    take(0, block(8), 2);
    CHECK(arena_guess_find(guesses, TALLIES, 2, 2, CLASS, &found));
    CHECK_EQ(found, 3);
    CHECK(arena_guess_find(guesses, TALLIES, 3, 3, CLASS, &found));
    CHECK_EQ(found, 0);
    take(0, block(8), 0);
    CHECK(arena_guess_find(guesses, TALLIES, 3, 3, CLASS, &found));
    CHECK_EQ(found, 2);
    /* that one is from an unknown arena: the thread's own one, say */
    give(0, block(7), 0);
    CHECK(has(0));
    end_guesses();
}

/* In a table of few entries, what is known of other blocks is not taken for
 * that of one. */
static void test_other_blocks_are_not_mistaken(void)
{
    enum { BLOCKS = 1 << (GUESS_BLOCKS_LOG + 4) };
    begin_guesses(0);
    for (size_t i = 0; i < BLOCKS; i++)
        take(1, block(i), 1);
    none_anywhere();
    for (size_t i = BLOCKS; i < 2 * BLOCKS; i++)
        give(0, block(i), 0);
    CHECK(!has(1));
    CHECK(has(0));
    end_guesses();
}

static void test_arenas_may_share_a_tally(void)
{
    unsigned found = 99;
    begin_guesses(64 * MIB);
    none_anywhere();
    take(1 + SHARED, block(9), 1);
    give(0, block(9), 0);
    CHECK(has(1 + SHARED));
    CHECK(!has(1));
    CHECK(arena_guess_find(guesses, TALLIES, 1, 1, CLASS, &found));
    CHECK_EQ(found, 1 + SHARED);
    end_guesses();
}

static void test_blocks_suit_the_heap(void)
{
    begin_guesses(1);
    CHECK_EQ(guesses->block_log, 16);
    end_guesses();
    begin_guesses(0);
    CHECK_EQ(guesses->block_log, 21);
    end_guesses();
    begin_guesses((size_t)1 << 40);
    CHECK((size_t)1 << 40 >> guesses->block_log <= 1 << GUESS_BLOCKS_LOG);
    CHECK_LE(guesses->block_log, 30);
    end_guesses();
    begin_guesses(SIZE_MAX);
    CHECK_EQ(guesses->block_log, 30);
    end_guesses();
}

static void test_without_memory_nothing_is_known(void)
{
    unsigned found;
    arena_guess_forget(NULL);
    arena_guess_note_none(NULL, 0, CLASS);
    arena_guess_note_taken(NULL, 0, 0, CLASS, &found, SLAB);
    arena_guess_note_given(NULL, 0, CLASS, &found, 0);
    CHECK(!arena_guess_has(NULL, 0, 0, CLASS));
    CHECK(!arena_guess_find(NULL, TALLIES, 0, 0, CLASS, &found));
}

/* ---- in a heap ---------------------------------------------------------- */

#define LIMIT (16 * MIB)
#define SIZE (1 * KIB)
#define LARGE (16 * KIB)

enum { PER_SLAB = 4 };

static int owner;
static struct memkind_region_pool pool;
static struct memkind_heap *heap;
static void *objects[LIMIT / SIZE + 1];
static void *others[2 * PER_SLAB]; /* of another thread's arena */
static void *large;                /* so, too, with pages of its own */
static void *own_large;
static size_t count;

static void *allocate(size_t size)
{
    return heap_malloc(heap, size, 0);
}

static void release(void *object)
{
    CHECK_EQ(heap_free(heap, object), HEAP_OK);
}

static void *allocate_others(void *unused)
{
    for (size_t i = 0; i < 2 * PER_SLAB; i++)
        REQUIRE_NOT_NULL(others[i] = allocate(SIZE));
    REQUIRE_NOT_NULL(large = allocate(LARGE));
    return unused;
}

/* Now it is known of which arena the object is. */
static void *take_again(void *object)
{
    const size_t size = heap_usable_size(heap, object);
    release(object);
    void *again = allocate(size);
    CHECK_EQ(again, object);
    return NULL;
}

/* A heap of two arenas, which is full: objects of another thread's, and those
 * of this one, which are in slabs of their own. */
static void begin(void)
{
    REQUIRE_EQ(region_pool_open_files(&pool, test_dir(), LIMIT, &owner), 0);
    const struct heap_config config = {.arenas = {.pool = &pool,
                                                  .address_owner = &owner,
                                                  .limit = 2,
                                                  .dirty_decay_ms = 10000}};
    REQUIRE_EQ(heap_create(&config, &heap), 0);
    REQUIRE_NOT_NULL(own_large = allocate(LARGE));
    run_in_thread(allocate_others, NULL);
    count = 0;
    while (count < LIMIT / SIZE && (objects[count] = allocate(SIZE)) != NULL)
        count++;
    REQUIRE(count > 2 * PER_SLAB && count < LIMIT / SIZE);
    CHECK_NULL(allocate(SIZE));
    guesses = arena_returns_guesses(&heap->arenas.returns);
    REQUIRE_NOT_NULL(guesses);
    CHECK_EQ(guesses->block_log, 16);
    run_in_thread(take_again, others[0]);
    run_in_thread(take_again, large);
    /* Some object is wanted that is of no use here, so that none is parked. */
    CHECK_NULL(allocate(64 * KIB));
}

static void end(void)
{
    heap_destroy(heap);
    region_pool_close(&pool);
}

/* Frees all objects of a slab of the thread's own arena: its page is free. */
static void free_a_slab(void)
{
    size_t first = 0;
    while ((uintptr_t)objects[first] % (4 * KIB) != 0)
        first++;
    for (size_t i = 0; i < PER_SLAB; i++) {
        REQUIRE_EQ(objects[first + i], (char *)objects[first] + i * SIZE);
        release(objects[first + i]);
    }
}

/* A slab that has room comes before a new one, whatever arena it is of. */
static void test_slab_of_another_arena_comes_first(void)
{
    begin();
    release(others[0]);
    free_a_slab();
    if (PAGE_TRAFFIC_IS_SEEN)
        CHECK_EQ(allocate(SIZE), others[0]);
    CHECK_NOT_NULL(allocate(SIZE));
    end();
}

static void test_own_arena_comes_before_others(void)
{
    begin();
    release(others[0]);
    release(objects[9]);
    release(large);
    take_again(own_large);
    CHECK_EQ(allocate(SIZE), objects[9]);
    CHECK_EQ(allocate(SIZE), others[0]);
    end();
}

static void test_pages_of_another_arena_are_known(void)
{
    unsigned found = 99;
    const unsigned size_class = size_class_of(LARGE);
    begin();
    arena_guess_note_none(guesses, 1, size_class);
    CHECK(!arena_guess_find(guesses, 2, 0, 0, size_class, &found));
    release(large);
    CHECK(arena_guess_find(guesses, 2, 0, 0, size_class, &found));
    CHECK_EQ(found, 1);
    CHECK_EQ(allocate(LARGE), large);
    CHECK(!arena_guess_find(guesses, 2, 0, 0, size_class, &found));
    end();
}

/* What is more than there are pages for is refused without a guess. */
static void test_pages_are_not_guessed_to_be_there(void)
{
    const unsigned size_class = size_class_of(LARGE);
    begin();
    CHECK_NULL(allocate(LARGE));
    atomic_store(&guesses->tallies[0].classes[size_class].at_hand, 1);
    CHECK_NULL(allocate(LARGE));
    CHECK(arena_guess_has(guesses, 0, 0, size_class));
    end();
}

/* An object that is guessed to be there, and is not; and one that is there, and
 * is not guessed. */
static void test_wrong_guess_does_no_harm(void)
{
    begin();
    const unsigned size_class = size_class_of(SIZE);
    for (unsigned i = 0; i < 2; i++)
        atomic_store(&guesses->tallies[i].classes[size_class].at_hand, 3);
    release(objects[0]); /* or it would be refused at once */
    CHECK_NOT_NULL(allocate(SIZE));
    for (int i = 0; i < 10; i++)
        CHECK_NULL(allocate(SIZE));
    CHECK(!arena_guess_has(guesses, 0, 0, size_class));
    CHECK_NULL(allocate(64 * KIB));
    release(objects[1]);
    arena_guess_note_none(guesses, 0, size_class);
    CHECK(arena_guess_has(guesses, 1, 1, size_class));
    CHECK_EQ(allocate(SIZE), objects[1]);
    CHECK(!arena_guess_has(guesses, 1, 1, size_class));
    CHECK_NULL(allocate(64 * KIB));
    release(objects[3]);
    release(others[1]);
    for (unsigned i = 0; i < 2; i++)
        arena_guess_note_none(guesses, i, size_class);
    CHECK_NOT_NULL(allocate(SIZE));
    CHECK_NOT_NULL(allocate(SIZE));
    CHECK_NULL(allocate(SIZE));
    end();
}

static const struct test_case tests[] = {
    {"objects of slabs are counted", test_objects_of_slabs_are_counted},
    {"an object goes back to where it is from",
     test_object_goes_back_to_where_it_is_from},
    {"other blocks are not mistaken", test_other_blocks_are_not_mistaken},
    {"arenas may share a tally", test_arenas_may_share_a_tally},
    {"blocks suit the heap", test_blocks_suit_the_heap},
    {"without memory nothing is known", test_without_memory_nothing_is_known},
    {"a slab of another arena comes first",
     test_slab_of_another_arena_comes_first},
    {"the own arena comes before others", test_own_arena_comes_before_others},
    {"pages of another arena are known", test_pages_of_another_arena_are_known},
    {"pages are not guessed to be there",
     test_pages_are_not_guessed_to_be_there},
    {"a wrong guess does no harm", test_wrong_guess_does_no_harm},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("arena_guess", tests, argc, argv);
}
